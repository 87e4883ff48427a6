"""Posting over HTTP: a total deadline, one connection, and failures that name no URL."""

import errno
import gc
import gzip
import logging
import os
import socket
import ssl
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from children import python
from raw_server import OK, SECRET_PATH, answering, breaking_off, dripping, over_tls, raw, silent

from notify import __version__, threads
from notify.backends.http import MAX_BODY, HttpClient, Part
from notify.errors import RetryLater
from notify.testing.fake_discord import BAD_GATEWAY, HANG, RESET, RESET_EARLY, TOKEN, FakeDiscord

SHORT = 0.3  # seconds of deadline, where it is to pass
LONG = 10.0  # seconds of deadline, where it is not
LATE = 4.5  # seconds after which a deadline was certainly not kept; the servers here hang up after five


@pytest.fixture
def client():
    client = HttpClient()
    yield client
    client.close()
    wait_for(lambda: not running())


def running():
    return [thread.name for thread in threading.enumerate() if thread.name == "notify-http"]


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 5 seconds"
        threading.Event().wait(0.005)


# ---- what is sent and what comes back


def test_json_is_posted_and_the_answer_returned(client):
    with raw(answering(b"HTTP/1.1 201 Created\r\nX-Mark: 7\r\nContent-Length: 2\r\n\r\nok")) as server:
        answer = client.post(
            server.url, json=b'{"a": 1}', params={"wait": "true"}, headers={"User-Agent": "us"}, deadline_seconds=LONG
        )

    assert (answer.status, answer.headers["x-mark"], answer.body) == (201, "7", b"ok")
    assert server.read.startswith(b"POST /hooks/canary-4711?wait=true HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in server.read
    assert b"\r\nUser-Agent: us\r\n" in server.read
    assert server.read.endswith(b'\r\n\r\n{"a": 1}')


def test_a_request_says_whose_it_is_unless_it_is_told_otherwise(client):
    with raw(answering(OK)) as server:
        client.get(server.url, deadline_seconds=LONG)

    assert f"\r\nUser-Agent: executor-notify/{__version__}\r\n".encode() in server.read


def test_parts_are_posted_as_multipart(client):
    parts = [Part("payload_json", b"{}", content_type="application/json"), Part("files[0]", b"\x00\r\n--", "a.bin")]
    with FakeDiscord() as discord:
        client.post(discord.url, parts=parts, params={"wait": "true"}, deadline_seconds=LONG)

    assert discord.messages[0].files == {"a.bin": b"\x00\r\n--"}


def test_what_is_there_is_changed_by_a_patch_of_json_or_parts(client):
    with raw(answering(OK)) as server:
        client.patch(server.url, json=b'{"a": 1}', params={"thread_id": "7"}, deadline_seconds=LONG)
    with raw(answering(OK)) as other:
        client.patch(other.url, parts=[Part("files[0]", b"1", "a.bin")], deadline_seconds=LONG)

    assert server.read.startswith(b"PATCH /hooks/canary-4711?thread_id=7 HTTP/1.1\r\n")
    assert server.read.endswith(b'\r\n\r\n{"a": 1}')
    assert b"Content-Type: multipart/form-data" in other.read


def test_one_connection_serves_all_requests(client):
    with raw(answering(OK)) as server:
        for _ in range(3):
            client.post(server.url, json=b"{}", deadline_seconds=LONG)

    assert server.connections == 1


def test_a_connection_that_the_server_closed_is_opened_again(client):
    with raw(answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")) as server:
        for _ in range(2):
            assert client.post(server.url, json=b"{}", deadline_seconds=LONG).body == b"ok"

    assert server.connections == 2


def test_redirects_are_not_followed(client):
    with raw(answering(OK)) as other:
        location = f"HTTP/1.1 307 Elsewhere\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with raw(answering(location)) as server:
            answer = client.post(server.url, json=b"{}", deadline_seconds=LONG)

    assert answer.status == 307
    assert other.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"10000\r\n"
        + b"x" * 65_536
        + b"\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
def test_of_a_large_answer_the_first_64_kilobytes_are_read(client, answer):
    with raw(answering(answer)) as server:
        body = client.post(server.url, json=b"{}", deadline_seconds=LONG).body

    assert body == b"x" * MAX_BODY


def test_a_compressed_answer_cannot_fill_the_memory(client):
    packed = gzip.compress(bytes(50_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    with raw(answering(head + packed)) as server:
        body = client.post(server.url, json=b"{}", deadline_seconds=LONG).body

    assert body == bytes(MAX_BODY)


def test_netrc_is_not_read(client, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with raw(answering(OK)) as server:
        client.post(server.url, json=b"{}", deadline_seconds=LONG)

    assert b"authorization" not in server.read.lower()


def test_a_proxy_of_the_environment_is_used(client, monkeypatch):
    with raw(answering(OK)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.authority}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        client.post("http://discord.invalid/x", json=b"{}", deadline_seconds=LONG)

    assert proxy.read.startswith(b"POST http://discord.invalid/x HTTP/1.1\r\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_of_the_environment_is_not_asked_for_this_machine_itself(client, monkeypatch, host):
    with raw(answering(OK)) as proxy, raw(answering(OK)) as server:
        monkeypatch.setenv("http_proxy", f"http://{proxy.authority}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        client.get(server.url.replace("127.0.0.1", host), deadline_seconds=LONG)

    assert proxy.connections == 0
    assert server.connections == 1


# ---- the deadline


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(silent, id="silent"),
        pytest.param(dripping(b""), id="dripping the status"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Endless: "), id="dripping a header"),
        pytest.param(dripping(b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n"), id="dripping the body"),
        pytest.param(dripping(b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n"), id="dripping without end"),
    ],
)
def test_the_deadline_holds_and_the_thread_ends(client, behaviour):
    with raw(behaviour) as server:
        started = time.monotonic()
        with pytest.raises(RetryLater, match=r"^no answer within 0.3 s$"):
            client.post(server.url, json=b"{}", deadline_seconds=SHORT)

        assert time.monotonic() - started < LATE
        wait_for(lambda: not running())


@pytest.mark.parametrize("length", [b"Content-Length: 100000", b"Connection: close"])
def test_a_request_that_was_taken_is_answered_at_the_deadline_however_its_answer_drips(client, length):
    with raw(dripping(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n")) as server:
        started = time.monotonic()
        answer = client.post(server.url, json=b"{}", deadline_seconds=2.0)  # in which it begins to answer for certain

        assert time.monotonic() - started < LATE
        assert (answer.status, answer.body) == (200, b"")
        wait_for(lambda: not running())


def test_a_large_file_may_take_the_whole_deadline_to_send(client):
    def reading_late(server, connection):
        server.stop.wait(2.2)  # seconds: more than connecting may take, which is a third of the deadline
        answering(OK)(server, connection)

    with raw(reading_late) as server:
        large = bytes(10_000_000)  # more than the kernels hold, so that sending waits for reading
        assert client.post(server.url, json=large, deadline_seconds=6).body == b"ok"


def dripping_tls(server, connection):
    """Begin a TLS record of 16 kB, and send a byte of it every 10 ms."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while not server.stop.wait(0.01):
        connection.sendall(b"x")


@pytest.mark.parametrize("behaviour", [silent, dripping_tls])
def test_a_handshake_that_does_not_end_is_given_up(client, behaviour):
    with raw(behaviour) as server:
        started = time.monotonic()
        with pytest.raises(RetryLater, match=r"^no answer within 0.3 s$"):
            client.post(f"https://{server.authority}{SECRET_PATH}", json=b"{}", deadline_seconds=SHORT)

        assert time.monotonic() - started < LATE


def test_after_a_deadline_the_next_request_is_served(client):
    with raw(silent, answering(OK)) as server:
        with pytest.raises(RetryLater):
            client.post(server.url, json=b"{}", deadline_seconds=SHORT)

        assert client.post(server.url, json=b"{}", deadline_seconds=LONG).body == b"ok"


def test_a_name_lookup_that_hangs_does_not_hold_up_the_caller_nor_sends_anything_later(client, monkeypatch):
    found = threading.Event()
    lookup = socket.getaddrinfo

    def slow(*args, **kwargs):
        found.wait(5)
        return lookup(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with raw(answering(OK)) as server:
        with pytest.raises(RetryLater, match="no answer within"):
            client.post(server.url, json=b"{}", deadline_seconds=SHORT)
        found.set()
        wait_for(lambda: not running())

        assert server.read == b""


def test_threads_that_nothing_can_end_do_not_become_ever_more(client, monkeypatch):
    found = threading.Event()

    def hangs(*args, **kwargs):
        found.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    reasons = []
    for _ in range(7):
        with pytest.raises(RetryLater) as raised:
            client.post("http://discord.invalid/x", json=b"{}", deadline_seconds=0.05)
        reasons.append(raised.value.reason)

    hanging = "the name lookups or connections of earlier requests hang"
    assert reasons == ["no answer within 0.05 s"] * 4 + [hanging] * 3
    assert len(running()) == 4
    found.set()
    wait_for(lambda: not running())
    with pytest.raises(RetryLater, match=r"^the host name was not found$"):
        client.post("http://discord.invalid/x", json=b"{}", deadline_seconds=LONG)


# ---- failures


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def no_name(*args, **kwargs):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("http://127.0.0.1:{unused}", "connection refused"),
        ("http://discord.invalid", "the host name was not found"),
        ("nonsense://127.0.0.1", "InvalidSchema"),
    ],
)
def test_a_failure_says_why_and_not_where(client, monkeypatch, place, reason):
    if ".invalid" in place:
        monkeypatch.setattr(socket, "getaddrinfo", no_name)
    with pytest.raises(RetryLater) as raised:
        client.post(place.format(unused=unused_port()) + SECRET_PATH, json=b"{}", deadline_seconds=LONG)

    assert (raised.value.reason, raised.value.after) == (reason, None)
    assert "canary" not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_a_network_without_a_way_to_the_host_is_named_as_the_reason(client, monkeypatch, number):
    def no_way(self, address):
        raise OSError(number, "no route")

    monkeypatch.setattr(socket.socket, "connect", no_way)
    with pytest.raises(RetryLater, match=r"^the network is unreachable$"):
        client.post(f"http://127.0.0.1:{unused_port()}{SECRET_PATH}", json=b"{}", deadline_seconds=LONG)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (RESET, "connection lost"),
        (RESET_EARLY, "connection lost"),
        (HANG, "no answer within 0.3 s"),
    ],
)
def test_a_connection_that_breaks_or_stalls_is_a_reason_to_retry(client, reply, reason):
    with FakeDiscord() as discord:
        discord.answer_with(reply)
        with pytest.raises(RetryLater) as raised:
            client.post(discord.url, json=b"{}", deadline_seconds=SHORT if reply is HANG else LONG)

    assert raised.value.reason == reason
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


def test_a_certificate_that_nobody_vouches_for_is_refused(client, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "data" / "self_signed.pem")

    with raw(over_tls(context, answering(OK))) as server:
        url = f"https://{server.authority}{SECRET_PATH}"
        with pytest.raises(RetryLater, match=r"^the TLS certificate is not trusted$"):
            client.post(url, json=b"{}", deadline_seconds=LONG)

    assert server.read == b""


def test_a_certificate_in_the_bundle_of_the_environment_is_trusted(client, monkeypatch):
    pem = Path(__file__).parent / "data" / "self_signed.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    with raw(over_tls(context, answering(OK))) as server:
        for _ in range(2):
            assert client.post(f"https://{server.authority}/", json=b"{}", deadline_seconds=LONG).body == b"ok"

        assert server.connections == 1
        client.close()  # before the server, which cannot end a connection that TLS took over


def test_a_status_of_trouble_is_an_answer_like_any_other(client):
    with FakeDiscord() as discord:
        discord.answer_with(BAD_GATEWAY)
        answer = client.post(discord.url, json=b"{}", deadline_seconds=LONG)

    assert answer.status == 502
    assert b"Bad gateway" in answer.body


def test_without_a_thread_the_request_is_made_all_the_same(client, monkeypatch):
    def refuse(name, target):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threads, "start", refuse)
    with FakeDiscord() as discord:
        answer = client.post(discord.url, json=b'{"content": "the last words"}', deadline_seconds=LONG)

    assert answer.status == 204  # the stand-in was not asked to wait
    assert discord.messages[0].payload == {"content": "the last words"}


# ---- what the client's libraries log


def test_what_the_libraries_log_on_our_threads_goes_nowhere_and_the_rest_passes(client, caplog):
    caplog.set_level(logging.DEBUG)
    with FakeDiscord() as discord:
        client.post(discord.url, json=b'{"content": "a"}', deadline_seconds=LONG)
        assert TOKEN not in caplog.text

        requests.post(discord.url, json={"content": "b"}, timeout=LONG).close()  # by the program itself

    assert TOKEN in caplog.text


# ---- life and death


def test_closing_ends_the_thread_and_an_unused_client_has_none():
    client = HttpClient()
    client.close()
    with raw(answering(OK)) as server:
        client.post(server.url, json=b"{}", deadline_seconds=LONG)
        assert running() == ["notify-http"]

        client.close()

    assert running() == []


def test_closing_ends_the_connection_at_once_even_after_a_failure(client):
    ended = threading.Event()

    def until_the_end(server, connection):
        with suppress(ConnectionError):
            answering(OK)(server, connection)
        ended.set()

    gc.disable()  # what a failure leaves behind must not be what keeps the connection open
    try:
        with raw(breaking_off(b""), until_the_end) as server:
            with pytest.raises(RetryLater):
                client.post(server.url, json=b"{}", deadline_seconds=LONG)
            client.post(server.url, json=b"{}", deadline_seconds=LONG)

            client.close()

            assert ended.wait(LATE)
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what Python 3.12 says of a fork beside threads
def test_a_forked_child_has_a_connection_of_its_own(client):
    with FakeDiscord() as discord:
        client.post(discord.url, json=b'{"content": "parent"}', deadline_seconds=LONG)
        child = os.fork()
        if child == 0:
            try:
                client.post(discord.url, json=b'{"content": "child"}', deadline_seconds=LONG)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        client.post(discord.url, json=b'{"content": "parent again"}', deadline_seconds=LONG)

    assert [message.payload["content"] for message in discord.messages] == ["parent", "child", "parent again"]


def test_posting_imports_nothing_before_it_is_needed():
    # In a process of its own: here, requests is imported already.
    script = "import sys, notify.backends.http as http; http.HttpClient().close(); print('requests' in sys.modules)"
    done = python("-c", script)

    assert (done.stdout, done.stderr) == ("False\n", "")
