"""The status server behind a real Caddy, which runs the Caddyfiles of the docs."""

import base64
import http.client
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from raw_server import OK, Raw, answering, raw
from services import adapted, eventually, free_ports, program, running_service

from notify.run_state import RunState
from notify.status import StatusServer, make_app
from notify.testing import FakeClock

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
PASSWORD = "c4nary-password"
TOKEN = base64.b64encode(f"operator:{PASSWORD}".encode()).decode()
QUICK = 4.0  # seconds that an answer may take while others misbehave; it takes some milliseconds
PATHS = ["/", "/ping", "/status", "/healthz", "/metrics", "/metadata", "/nothing"]

# What a client may say to seem somebody else. Each value has this mark in it.
MARK = "c4nary"
BELIEVED_BY_SOME = {
    "X-Forwarded-For": f"6.6.6.6, {MARK}",
    "X-Forwarded-Host": f"{MARK}.example",
    "X-Forwarded-Proto": f"https{MARK}",
    "X-Forwarded-Port": MARK,
    "X-Forwarded-Prefix": f"/{MARK}",
    "Forwarded": f"for=6.6.6.6;host={MARK}.example;proto=https",
    "X-Real-IP": MARK,
    "True-Client-IP": MARK,
    "CF-Connecting-IP": MARK,
}


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Proxy(NamedTuple):
    """A Caddy that runs one of the examples.

    Args:
        port: where it listens.
        log: the file of all it says, its access log, too.
        authority: whose certificates it has; None: it speaks plain http.
    """

    port: int
    log: Path
    authority: Path | None = None

    def connect(self, host: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        if self.authority is None:
            return connection
        context = ssl.create_default_context(cafile=str(self.authority))
        return context.wrap_socket(connection, server_hostname=host)

    def ask(
        self, host: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        client = http.client.HTTPConnection(host, timeout=10)
        client.sock = self.connect(host)
        try:
            client.request(method, path, body=body or None, headers=dict(headers or {}))
            answer = client.getresponse()
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            client.close()


class House(NamedTuple):
    """Both sides of TLS, and where the programs behind them listen."""

    tls: Proxy
    plain: Proxy
    vega: int
    sirius: int

    def proxy(self, side: str) -> Proxy:
        return self.tls if side == "tls" else self.plain


def app(name: str, **options: str) -> "WSGIApplication":
    state = RunState(FakeClock())
    state.executor_id = name
    state.refresh()
    return make_app(state, metadata={"name": name}, clock=FakeClock(), **options)


@contextmanager
def certificate(directory: Path) -> Iterator[tuple[Path, Path]]:
    """Make a key and a certificate for every site of the tests."""
    key, made = directory / "key.pem", directory / "certificate.pem"
    names = "subjectAltName=DNS:vega.example.com,DNS:sirius.example.com,DNS:front.example.com"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=us"]
    may = "keyUsage=critical,digitalSignature,keyCertSign"  # Python 3.13 asks for what RFC 5280 asks for
    extensions = ["-addext", names, "-addext", may]
    command = [program("openssl"), "req", "-x509", *kind, *extensions, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    yield key, made


@contextmanager
def caddy(directory: Path, example: str, replaced: Mapping[str, str], more: str = "") -> Iterator[Proxy]:
    """Run *example* on loopback, without the redirects from port 80."""
    port_in_urls = {f"{name}.example.com {{": f"{name}.example.com:PORT {{" for name in ("vega", "sirius")}
    only_here = "\n{\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n"

    def arguments(ports: tuple[int, ...]) -> list[object]:
        text = adapted((EXAMPLES / example).read_text(), {**port_in_urls, "\n{\n": only_here})
        text = adapted(text, replaced) + more
        file = directory / "Caddyfile"
        file.write_text(text.replace("PORT", str(ports[0])))
        return ["run", "--adapter", "caddyfile", "--config", file]

    with running_service("caddy", arguments, directory) as service:
        yield Proxy(service.port, service.log)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    vega, sirius = free_ports(2)
    programs = {"127.0.0.1:19003": f"127.0.0.1:{vega}", "127.0.0.1:19004": f"127.0.0.1:{sirius}"}
    server = StatusServer(app("sirius", username="operator", password=PASSWORD), "127.0.0.1", sirius)
    with (
        certificate(tmp_path_factory.mktemp("certificate")) as (key, made),
        caddy(tmp_path_factory.mktemp("plain"), "Caddyfile.cloudflare", programs) as plain,
    ):
        with_certificate = {":PORT {\n\timport": f":PORT {{\n\ttls {made} {key}\n\timport"}
        # What stands before a proxy and ends TLS there, as Cloudflare does.
        front = f"""
https://front.example.com:PORT {{
	tls {made} {key}
	reverse_proxy 127.0.0.1:{plain.port} {{
		header_up Host vega.example.com
	}}
}}
"""
        with caddy(tmp_path_factory.mktemp("tls"), "Caddyfile", {**programs, **with_certificate}, front) as tls:
            yield House(tls._replace(authority=made), plain, vega, sirius)
    server.close()


@pytest.fixture
def vega(house: House) -> Iterator[StatusServer]:
    """The program behind vega.example.com."""
    server = StatusServer(app("vega"), "127.0.0.1", house.vega)
    yield server
    server.close()


@pytest.fixture
def mirror(house: House) -> Iterator[Raw]:
    """In the place of vega's program one that remembers what it was asked."""
    with raw(answering(OK), port=house.vega) as server:
        yield server


SIDES = pytest.mark.parametrize("side", ["tls", "plain"])


# ---- what comes through


@SIDES
@pytest.mark.usefixtures("vega")
def test_ping_and_status_come_through(house: House, side: str) -> None:
    proxy = house.proxy(side)

    ping, status = proxy.ask("vega.example.com", "/ping"), proxy.ask("vega.example.com", "/status")

    assert (ping.status, ping.body) == (200, b'{"ping": "pong"}')
    assert (status.status, status.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(status.body)["executor_id"] == "vega"


@SIDES
@pytest.mark.usefixtures("vega")
def test_head_404_and_405_come_through(house: House, side: str) -> None:
    proxy = house.proxy(side)

    head, whole = (proxy.ask("vega.example.com", "/status", method) for method in ("HEAD", "GET"))
    nothing = proxy.ask("vega.example.com", "/nothing")
    posted = proxy.ask("vega.example.com", "/status", "POST", body=b"{}")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.body))
    assert (nothing.status, json.loads(nothing.body)["error"]) == (404, "not found")
    assert (posted.status, posted.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.usefixtures("vega")
def test_tls_may_end_before_the_proxy(house: House) -> None:
    answer = house.tls.ask("front.example.com", "/status")

    assert (answer.status, json.loads(answer.body)["executor_id"]) == (200, "vega")


@SIDES
def test_a_password_comes_through_and_is_in_no_log(house: House, side: str) -> None:
    proxy = house.proxy(side)

    without = proxy.ask("sirius.example.com", "/status")
    wrong = proxy.ask("sirius.example.com", "/status", headers={"Authorization": f"Basic {TOKEN[:-4]}"})
    right = proxy.ask("sirius.example.com", "/status?after=right", headers={"Authorization": f"Basic {TOKEN}"})
    ping = proxy.ask("sirius.example.com", "/ping")
    # Nobody listens there in this test: an error has a log entry of its own.
    dead = proxy.ask("vega.example.com", "/status?after=dead", headers={"Authorization": f"Basic {TOKEN}"})

    assert [answer.status for answer in (without, wrong, right, ping, dead)] == [401, 401, 200, 200, 502]
    assert without.headers["Www-Authenticate"].startswith("Basic realm=")
    eventually(lambda: proxy.log.read_text().count("after=dead") >= 2, "the access and the error are in the log")
    assert "after=right" in proxy.log.read_text()
    assert TOKEN[:-4] not in proxy.log.read_text()


# ---- a program that is dead


@SIDES
def test_a_dead_program_is_502_while_the_others_answer_and_it_is_back_when_it_is(house: House, side: str) -> None:
    proxy = house.proxy(side)

    dead = [proxy.ask("vega.example.com", path).status for path in ("/ping", "/status", "/healthz")]
    other = proxy.ask("sirius.example.com", "/ping")
    server = StatusServer(app("vega"), "127.0.0.1", house.vega)
    back = proxy.ask("vega.example.com", "/ping")
    server.close()
    dead_again = proxy.ask("vega.example.com", "/ping")

    assert dead == [502, 502, 502]
    assert (other.status, other.body) == (200, b'{"ping": "pong"}')
    assert (back.status, dead_again.status) == (200, 502)


# ---- what a client says of itself


@SIDES
def test_the_program_is_told_what_the_proxy_sees_and_not_what_the_client_says(
    house: House, mirror: Raw, side: str
) -> None:
    house.proxy(side).ask("vega.example.com", "/status", headers={**BELIEVED_BY_SOME, "User-Agent": "curious"})

    lines = mirror.read.decode().split("\r\n")
    told = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert [name for name in told if MARK in told[name]] == []
    assert told["User-Agent"] == "curious"
    assert told["X-Forwarded-For"] == "127.0.0.1"
    assert told["X-Forwarded-Proto"] == ("https" if side == "tls" else "http")
    assert told["X-Forwarded-Host"].startswith("vega.example.com")


@SIDES
@pytest.mark.usefixtures("vega")
def test_what_a_client_says_of_itself_changes_no_answer(house: House, side: str) -> None:
    proxy = house.proxy(side)

    for host in ("vega.example.com", "sirius.example.com"):  # one of which asks for a password
        for path in PATHS:
            plain, pretending = (proxy.ask(host, path, headers=headers) for headers in ({}, BELIEVED_BY_SOME))

            assert pretending.body == plain.body
            assert (pretending.status, pretending.headers | dated(plain)) == (plain.status, plain.headers)
            assert MARK not in str(pretending)


def test_what_a_client_says_of_itself_changes_no_answer_without_a_proxy_either(
    house: House, vega: StatusServer
) -> None:
    direct = Proxy(house.vega, house.plain.log)

    for path in PATHS:
        plain = direct.ask("vega.example.com", path)
        pretending = direct.ask(f"{MARK}.example", path, headers=BELIEVED_BY_SOME)

        assert pretending.body == plain.body
        assert (pretending.status, pretending.headers | dated(plain)) == (plain.status, plain.headers)
        assert MARK not in str(pretending)


def dated(answer: Answer) -> dict[str, str]:
    """Return when it was given: all that two answers may differ in."""
    return {"Date": answer.headers["Date"]}


# ---- clients that are big, or slow

CROWD = 60  # connections at once; the program answers with four threads


@SIDES
def test_a_big_header_ends_at_the_proxy(house: House, mirror: Raw, side: str) -> None:
    answer = house.proxy(side).ask("vega.example.com", "/status", headers={"X-Big": "x" * 20_000})

    assert (answer.status, mirror.read) == (431, b"")


@SIDES
def test_of_a_big_body_the_program_gets_no_more_than_its_beginning(house: House, side: str) -> None:
    chunked = {"Transfer-Encoding": "chunked"}
    with raw(swallowing, port=house.vega) as server:
        answer = house.proxy(side).ask("vega.example.com", "/status", "POST", chunked, chunks(100))

    assert answer.status == 413
    assert len(server.read) < 10_000  # max_size is 8 kB, and there is a header


def swallowing(server: Raw, connection: socket.socket) -> None:
    """Read until the client goes away, and answer nothing."""
    while data := connection.recv(65_536):
        server.read += data


def chunks(count: int) -> bytes:
    """Return a body of *count* kilobytes as HTTP's chunks."""
    return b"400\r\n" + b"\r\n400\r\n".join([b"x" * 1024] * count) + b"\r\n0\r\n\r\n"


def test_clients_that_drip_their_headers_never_reach_the_program(house: House, mirror: Raw) -> None:
    crowd = [proxy.connect("vega.example.com") for proxy in (house.tls, house.plain) for _ in range(CROWD)]

    for connection in crowd:
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: vega.example.com\r\nX-Slow: ")
    asked = time.monotonic()
    answers = [proxy.ask("vega.example.com", "/ping").status for proxy in (house.tls, house.plain)]
    took = time.monotonic() - asked
    deadline = time.monotonic() + 30  # read_header is 5 s
    for connection in crowd:
        drip_until_closed(connection, deadline)

    assert answers == [200, 200]
    assert mirror.connections <= 2  # those of the two that asked properly
    assert took < QUICK


def drip_until_closed(connection: socket.socket, deadline: float) -> None:
    """Send a byte now and then, until the other side has had enough; fail at *deadline*."""
    connection.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            connection.sendall(b"x")
            if not connection.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:  # closed
            break
    else:
        pytest.fail("the connection is still open")
    connection.close()


@SIDES
def test_clients_that_drip_their_bodies_do_not_keep_the_program_from_answering(
    house: House, vega: StatusServer, side: str
) -> None:
    proxy, direct = house.proxy(side), Proxy(house.vega, house.plain.log)
    crowd = [proxy.connect("vega.example.com") for _ in range(CROWD)]
    head = b"GET /status HTTP/1.1\r\nHost: vega.example.com\r\nContent-Length: 5000\r\n\r\nx"

    for connection in crowd:
        connection.sendall(head)
    took = []
    for _ in range(5):
        for way in (proxy, direct):
            began = time.monotonic()
            assert way.ask("vega.example.com", "/status").status == 200
            took.append(time.monotonic() - began)
    for connection in crowd:
        connection.close()

    assert max(took) < QUICK
