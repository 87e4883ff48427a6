import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import Queue

import pytest
from machine import missing

from notify.backends.logstash import stream
from notify.backends.logstash.address import Address
from notify.backends.logstash.stream import TcpSender, TlsSender
from notify.clock import SystemClock
from notify.errors import RetryLater

PATIENCE = 5.0  # seconds until a test gives up on loopback
BIG = b"x" * 32_000_000  # bytes: more than the socket buffers of both sides hold, so that a write has to wait


class Server:
    """Accepts one connection after the other, and does with each what the next of *treatments* does."""

    def __init__(
        self, *treatments: "Callable[[socket.socket, Server], None]", context: ssl.SSLContext | None = None
    ) -> None:
        self.received: Queue[list[bytes]] = Queue()  # the lines of each connection
        self.closing = threading.Event()
        self._treatments = treatments
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(PATIENCE)
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._listening:
            for treat in self._treatments:
                try:
                    accepted, _ = self._listening.accept()
                except TimeoutError:
                    return
                with accepted:
                    accepted.settimeout(PATIENCE)
                    self._treat(accepted, treat)

    def _treat(self, accepted: socket.socket, treat: "Callable[[socket.socket, Server], None]") -> None:
        try:
            if self._context is None:
                treat(accepted, self)
            else:
                with self._context.wrap_socket(accepted, server_side=True) as secured:
                    treat(secured, self)
        except OSError:  # the sender hung up, which is what several tests are about
            pass

    def lines(self) -> list[bytes]:
        """Return what the next connection to end has brought."""
        return self.received.get(timeout=PATIENCE)

    def close(self) -> None:
        self.closing.set()
        self._thread.join()


def reads(count: int) -> Callable[[socket.socket, Server], None]:
    """Read *count* lines and hang up."""

    def treat(connection: socket.socket, server: Server) -> None:
        with connection.makefile("rb") as file:
            server.received.put([file.readline() for _ in range(count)])

    return treat


def never_reads(connection: socket.socket, server: Server) -> None:
    server.closing.wait(PATIENCE)


def reads_slowly(connection: socket.socket, server: Server) -> None:
    while not server.closing.wait(0.01):
        if not connection.recv(16_384):
            return


def to(server: Server) -> closing[TcpSender]:
    return closing(TcpSender(Address("tcp", "127.0.0.1", server.port), SystemClock()))


def securely_to(server: Server, context: ssl.SSLContext | None, host: str = "localhost") -> closing[TlsSender]:
    return closing(TlsSender(Address("tls", host, server.port), SystemClock(), context))


def wait_for_hang_up(sender: TcpSender) -> None:
    """Wait until the kernel has heard that the other side hung up, and leave everything unread."""
    assert sender._socket is not None
    waiting = select.poll()
    waiting.register(sender._socket, select.POLLRDHUP)
    assert waiting.poll(PATIENCE * 1000), "the other side did not hang up"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and its certificate for `localhost`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl is not installed")
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    arguments: list[str | Path] = [
        *request.split(),
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        file,
        "-out",
        f"{file}.crt",
    ]
    subprocess.run([openssl, *arguments], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_batches_arrive_as_lines_over_one_connection() -> None:
    with closing(Server(reads(3))) as server, to(server) as sender:
        assert sender.send([b"one", b"two"]) == 2
        assert sender.send([b"three"]) == 1

        assert server.lines() == [b"one\n", b"two\n", b"three\n"]


def test_a_connection_that_the_peer_closed_is_noticed_before_the_next_batch() -> None:
    with closing(Server(reads(1), reads(2))) as server, to(server) as sender:
        sender.send([b"one"])
        assert server.lines() == [b"one\n"]
        wait_for_hang_up(sender)

        sender.send([b"two", b"three"])

        assert server.lines() == [b"two\n", b"three\n"]


def test_what_the_peer_says_is_ignored() -> None:
    def greets(connection: socket.socket, server: Server) -> None:
        connection.sendall(b"220 welcome\n")
        greeted.set()
        reads(2)(connection, server)

    greeted = threading.Event()
    with closing(Server(greets)) as server, to(server) as sender:
        sender.send([b"one"])
        assert greeted.wait(PATIENCE)
        sender.send([b"two"])

        assert server.lines() == [b"one\n", b"two\n"]


def test_a_batch_that_failed_in_the_middle_is_sent_again_whole() -> None:
    def reads_a_little(connection: socket.socket, server: Server) -> None:
        connection.recv(1_000)

    with closing(Server(reads_a_little, reads(2))) as server, to(server) as sender:
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            sender.send([BIG, b"last"])

        assert sender.send([BIG, b"last"]) == 2
        assert [len(line) for line in server.lines()] == [len(BIG) + 1, len(b"last\n")]


def test_a_peer_that_does_not_read_costs_no_more_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_SEND_DEADLINE", 0.3)  # seconds instead of ten
    with closing(Server(never_reads)) as server, to(server) as sender:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            sender.send([BIG])

        assert time.monotonic() - began < 9.0  # seconds; the rest is for a busy machine


def test_a_write_that_timed_out_is_not_continued_on_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads_later(connection: socket.socket, server: Server) -> None:
        assert later.wait(PATIENCE)
        reads(1)(connection, server)

    later = threading.Event()
    with closing(Server(reads_later, reads(1))) as server, to(server) as sender:
        monkeypatch.setattr(stream, "_SEND_DEADLINE", 0.3)  # seconds instead of ten
        with pytest.raises(TimeoutError):
            sender.send([BIG])
        later.set()

        sender.send([b"one"])

        (beginning,) = server.lines()
        assert not beginning.endswith(b"\n")  # half a line, then the end: no reader takes it for an event
        assert server.lines() == [b"one\n"]


def test_nobody_listening_is_an_error_and_the_next_send_tries_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with closing(TcpSender(Address("tcp", "127.0.0.1", port), SystemClock())) as sender:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                sender.send([b"one"])


def test_the_next_address_is_tried_when_the_first_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()
    with closing(Server(reads(1))) as server, to(server) as sender:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in (dead, ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        sender.send([b"one"])

        assert server.lines() == [b"one\n"]


def test_a_name_that_does_not_resolve_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(RetryLater, match="does not resolve"):
        TcpSender(Address("tcp", "logs", 5959), SystemClock()).send([b"one"])


def test_a_silent_connection_is_kept_alive() -> None:
    with closing(Server(reads(1))) as server, to(server) as sender:
        sender.send([b"one"])

        assert sender._socket is not None
        assert sender._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        server.lines()


def test_lines_arrive_over_tls(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with closing(Server(reads(2), context=serving)) as server, securely_to(server, trusting) as sender:
        sender.send([b"one"])
        sender.send([b"two"])

        assert server.lines() == [b"one\n", b"two\n"]


def test_a_tls_connection_that_the_peer_closed_is_noticed(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with (
        closing(Server(reads(1), reads(1), context=serving)) as server,
        securely_to(server, trusting) as sender,
    ):
        sender.send([b"one"])
        assert server.lines() == [b"one\n"]
        wait_for_hang_up(sender)

        sender.send([b"two"])

        assert server.lines() == [b"two\n"]


def test_a_certificate_that_nobody_vouches_for_is_refused(serving: ssl.SSLContext) -> None:
    with (
        closing(Server(reads(1), context=serving)) as server,
        securely_to(server, None) as sender,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        sender.send([b"secret"])


def test_a_certificate_for_another_name_is_refused(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with (
        closing(Server(reads(1), context=serving)) as server,
        securely_to(server, trusting, host="127.0.0.1") as sender,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        sender.send([b"secret"])


def test_a_handshake_that_is_never_answered_ends(monkeypatch: pytest.MonkeyPatch, trusting: ssl.SSLContext) -> None:
    monkeypatch.setattr(stream, "_CONNECT_TIMEOUT", 0.2)  # seconds instead of three
    with (
        closing(Server(never_reads)) as server,
        securely_to(server, trusting, host="127.0.0.1") as sender,
        pytest.raises(TimeoutError),
    ):
        sender.send([b"one"])


def test_a_slow_tls_reader_does_not_stretch_the_deadline(
    serving: ssl.SSLContext, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It takes 16 kB every 10 ms: 32 MB would take 20 s, and no single write of a record ever waits long.
    with closing(Server(reads_slowly, context=serving)) as server, securely_to(server, trusting) as sender:
        sender.send([b"connected"])
        monkeypatch.setattr(stream, "_SEND_DEADLINE", 0.5)  # seconds instead of ten
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            sender.send([BIG])

        assert time.monotonic() - began < 9.0  # seconds; the rest is for a busy machine
