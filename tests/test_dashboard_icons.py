"""Icons: got by the dashboard, from where a strategy may send it, and only if they are pictures."""

import base64
import json
import threading

import pytest
from looks import strategy
from raw_server import answering, raw

from notify.backends.http import Answer, HttpClient
from notify.fleet.dashboard.icons import Icons, fetch_icon, is_public
from notify.fleet.fetch import Credentials
from notify.fleet.strategies import Strategy
from notify.testing import FakeClock

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def http(body, status="200 OK"):
    return answering(
        b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)
    )


def metadata(url):
    return http(json.dumps({"icon_url": url}).encode())


def got(server, credentials=None):
    client = HttpClient()
    try:
        return fetch_icon(strategy(url=f"http://{server.authority}"), client, credentials)
    finally:
        client.close()


def icon_of(content, status="200 OK"):
    """Return the icon of a strategy whose own server answers so."""
    with raw() as server:
        server.behaviours = [metadata(f"http://{server.authority}/icon"), http(content, status)]
        return got(server), server.read


def raw_with(url):
    return raw(metadata(url), http(PNG))


def test_the_icon_of_a_strategys_own_server_is_got():
    icon, requests = icon_of(PNG)

    assert icon == ("image/png", PNG)
    assert b"GET /icon HTTP/1.1" in requests


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(content, kind):
    assert icon_of(content)[0] == (kind, content)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "200 OK"),
        (b"<html>", "200 OK"),
        (b"", "200 OK"),
        (PNG, "404 Not Found"),
        (PNG, "302 Found"),
        (PNG + bytes(512 * 1024), "200 OK"),
    ],
    ids=["SVG", "HTML", "nothing", "404", "a redirect", "too large"],
)
def test_what_is_no_picture_is_not_shown(content, status):
    assert icon_of(content, status)[0] is None


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example.com/icon.png",
        "https://127.0.0.1/icon.png",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/icon.png",
        "https://2130706433/icon.png",
        "https://0x7f.1/icon.png",
        "https://127.1/icon.png",
        "https://localhost/icon.png",
        "https://db.internal/icon.png",
        "https://printer.local/icon.png",
        "https://router/icon.png",
        "https://user:password@cdn.example.com/icon.png",
        "https://cdn.example.com:8443/icon.png",
        "https://cdn.example.com:port/icon.png",
        "https://[cdn.example.com/icon.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://cdn.example.com/" + "x" * 2048,
        "",
    ],
)
def test_a_strategy_cannot_send_the_dashboard_to_machines_around_it(url):
    assert not is_public(url)
    with raw_with(url) as server:
        assert got(server) is None

        assert server.connections == 1  # for its metadata


@pytest.mark.parametrize("url", ["https://cdn.example.com/icon.png", "https://cdn.example.com:443/i?size=64"])
def test_icons_of_others_come_over_https(url):
    assert is_public(url)


def test_the_password_goes_to_the_strategy_alone():
    with raw() as server:
        server.behaviours = [metadata(f"http://{server.authority}/icon"), http(PNG)]
        got(server, Credentials("operator", "secret"))
        sent = server.read

    assert sent.count(b"Authorization: Basic " + base64.b64encode(b"operator:secret")) == 2  # metadata and icon


def test_whoever_else_hosts_an_icon_is_sent_no_password():
    class Recording:
        """Answers with what is next, and remembers whom it asked with which headers."""

        def __init__(self):
            self.answers = [b'{"icon_url": "https://cdn.example.com/icon.png"}', PNG]
            self.asked = {}

        def get(self, url, *, headers, deadline_seconds, max_body):
            self.asked[url] = headers
            return Answer(200, {}, self.answers.pop(0))

    client = Recording()

    icon = fetch_icon(strategy(), client, Credentials("operator", "secret"))

    assert icon == ("image/png", PNG)
    assert "Authorization" in client.asked["https://vega.example.com/metadata"]
    assert "Authorization" not in client.asked["https://cdn.example.com/icon.png"]


def test_an_icon_that_many_have_is_kept_once_and_is_asked_for_again_after_a_day():
    clock = FakeClock()
    with raw() as server:
        server.behaviours = [metadata(f"http://{server.authority}/icon"), http(PNG)] * 3 + [http(b"")]
        strategies = [Strategy(id=name, name=name, url=f"http://{server.authority}") for name in "ab"]
        icons = Icons(strategies, answers=lambda one: True, clock=clock)
        icons.start()
        clock.next_wait()
        names = {icons.name_of("a"), icons.name_of("b")}
        first = server.connections

        clock.advance(5)  # seconds, as it waits between two looks
        clock.next_wait()
        icons.close()

        assert len(names) == 1
        assert icons.get(names.pop()) == ("image/png", PNG)
        assert icons.count == 2
        assert (first, server.connections) == (4, 4)  # metadata and icon of two, and none of them again


def test_who_does_not_answer_is_not_asked():
    clock = FakeClock()
    with raw(http(PNG)) as server:
        icons = Icons([strategy(url=server.url)], answers=lambda one: False, clock=clock)
        icons.start()
        clock.next_wait()
        icons.close()

        assert server.connections == 0
        assert icons.name_of("vega") == ""


def test_a_thread_that_the_system_refused_is_started_when_somebody_asks_for_an_icon(monkeypatch, capsys):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    clock = FakeClock()
    with raw() as server:
        server.behaviours = [metadata(f"http://{server.authority}/icon"), http(PNG)]
        icons = Icons([strategy(url=server.url)], answers=lambda one: True, clock=clock)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            icons.start()

        assert icons.name_of("vega") == ""  # and it is looked for from now on
        clock.next_wait()

        assert icons.get(icons.name_of("vega")) == ("image/png", PNG)
        icons.close()
    assert capsys.readouterr().err == "notify: the thread icons could not be started: can't start new thread\n"
