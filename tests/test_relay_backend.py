"""What a program publishes, on a real Redis: whole, in order, once; and what becomes of it when Redis is unwell."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from children import running
from machine import missing
from raw_server import Raw, raw
from redis_server import RedisServer, running_redis
from services import eventually, free_ports

from notify import Attachment, Event
from notify.backends.logstash import wire as logstash
from notify.backends.relay import lines as relay_lines
from notify.backends.relay.backend import RelayBackend
from notify.backends.relay.lines import Lines
from notify.backends.relay.server import Server
from notify.backends.relay.wire import EVENTS, LOGSTASH, entry_of
from notify.errors import Gone, Rejected, RetryLater, Unfit
from notify.event import Matter, Origin, Phase
from notify.rules.routing import Route

pytestmark = pytest.mark.process

ORIGIN = Origin("eth-1", "ETH strategy", "https://example.com/icon.png")
CANARY = "c4nary-of-a-password"


def event(number: int = 0, **parts: Any) -> Event:
    return Event(**{"id": f"{number:04}", "time": float(number), "message": f"number {number}", "level": 21} | parts)


def published(server: RedisServer, **options: Any) -> list[Event]:
    return [entry_of(fields).event for _, fields in server.client(**options).xrange(EVENTS)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as running_server:
        yield running_server


@pytest.fixture
def backend(server: RedisServer) -> Iterator[RelayBackend]:
    made = RelayBackend(server.url, ORIGIN)
    yield made
    made.close()


def test_events_arrive_in_order_with_all_they_say_and_who_says_it(server: RedisServer, backend: RelayBackend) -> None:
    said = [event(number, topic="trade", fields={"amount": number}) for number in range(100)]
    said[7] = event(7, attachments=(Attachment("curve.png", b"\x89PNG\0\xff"),), body="…", key="k", tail=("a", "b"))

    assert backend.send(said) == 100

    assert [found.origin for found in published(server)] == [ORIGIN] * 100
    assert [found.fields for found in published(server)][8] == {"amount": 8}
    assert published(server)[7].attachments == said[7].attachments
    assert [found.id for found in published(server)] == [one.id for one in said]


def test_of_a_matter_the_workers_get_what_they_count_from(server: RedisServer, backend: RelayBackend) -> None:
    backend.send([event(5, matter=Matter("m", Phase.ANNOUNCED, count=7, since=1.0, last=4.0))])

    assert published(server)[0].matter == Matter("m", Phase.ANNOUNCED, count=1, since=5.0, last=5.0)


def test_a_batch_is_in_the_stream_whole_or_not_at_all(server: RedisServer, backend: RelayBackend) -> None:
    looking = server.client()
    seen: set[int] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(looking.xlen(EVENTS) % 100)  # of batches of 100, nothing else may ever be left over

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(20):
        assert backend.send([event(number) for number in range(100)]) == 100
    done.set()
    watcher.join()

    assert seen == {0}


def test_large_events_go_in_batches_that_can_be_written_in_time(server: RedisServer, backend: RelayBackend) -> None:
    large = [event(number, attachments=(Attachment("a.bin", bytes(700_000)),)) for number in range(3)]

    assert backend.send(large) == 2  # each is 933 kB in base64, and a batch ends with what reaches 1 MiB


def test_an_event_larger_than_the_server_takes_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    huge = event(1, attachments=(Attachment("a.bin", bytes(2_000_000)),))
    with running_redis(tmp_path, "--proto-max-bulk-len", "1mb") as server:
        backend = RelayBackend(server.url, ORIGIN)

        assert backend.send([event(0), huge, event(2)]) == 1
        with pytest.raises(Rejected, match=r"with 2,666,\d\d\d bytes it is larger than Redis takes"):
            backend.send([huge, event(2)])
        assert backend.send([event(2)]) == 1

        assert [found.id for found in published(server)] == ["0000", "0002"]
        backend.close()


def test_a_server_that_keeps_its_limits_to_itself_gets_what_redis_takes_by_default(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--rename-command", "CONFIG", "") as server:
        backend = RelayBackend(server.url, ORIGIN)

        assert backend.send([event(1, attachments=(Attachment("a.bin", bytes(2_000_000)),))]) == 1
        backend.close()


# ---- Logstash's list


def test_logstash_gets_the_same_events_as_lines_and_no_more_than_the_list_holds(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify.backends.relay.backend.MOST", 150)
    lines = Lines(logstash.Speaker("executor-eth-1", "host", ("python",)), route=Route(30))
    backend = RelayBackend(server.url, ORIGIN, lines=lines)

    backend.send([event(number, level=40) for number in range(100)])
    backend.send([event(number, level=40) for number in range(100, 199)] + [event(999, level=20)])
    backend.close()

    found = [json.loads(line) for line in server.client().lrange(LOGSTASH, 0, -1)]
    assert [one["event_id"] for one in found] == [f"{number:04}" for number in range(49, 199)]  # the newest 150
    assert found[0]["application"] == "executor-eth-1"
    assert found[0]["message"] == "number 49"
    assert len(published(server)) == 200  # the one at INFO is not Logstash's, and is published all the same


def test_the_end_of_a_matter_has_a_message_for_logstash() -> None:
    lines = Lines(logstash.Speaker("executor-eth-1", "host", ()), ecs=True)

    (line,) = lines.of([event(1, message="", key="rpc")])

    assert json.loads(line)["message"] == "Resolved: rpc"
    assert relay_lines.MOST == 100_000  # as docs and settings say


def test_a_list_that_is_somebody_elses_costs_no_event(server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.client().set(LOGSTASH, "a string")
    backend = RelayBackend(server.url, ORIGIN, lines=Lines(logstash.Speaker("a", "h", ())))

    assert backend.send([event(1)]) == 1
    backend.close()

    assert len(published(server)) == 1
    assert "relay: Logstash's list takes nothing: a key in Redis" in capsys.readouterr().err


def test_a_stream_that_is_somebody_elses_stops_the_lane(server: RedisServer, backend: RelayBackend) -> None:
    server.client().set(EVENTS, "a string")

    with pytest.raises(Gone, match="somebody else's"):
        backend.send([event(1)])


# ---- a server that is unwell


def test_redis_that_was_killed_is_waited_for_and_found_again(server: RedisServer, backend: RelayBackend) -> None:
    backend.send([event(1)])
    server.kill()

    for _ in range(2):
        with pytest.raises(RetryLater, match=r"Redis was not reached: connection (refused|lost)"):
            backend.send([event(2)])
    server.start()

    assert backend.send([event(2)]) == 1
    assert [found.id for found in published(server)] == ["0001", "0002"]


def test_a_connection_that_the_server_has_ended_costs_no_attempt(
    server: RedisServer, backend: RelayBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify.backends.relay.backend.REQUEST_SECONDS", 1.0)
    backend.send([event(1)])
    server.stop()
    server.start()
    threading.Event().wait(1.1)  # seconds: past the deadline of the last request

    assert backend.send([event(2)]) == 1


def test_redis_without_memory_takes_events_again_when_there_is_room(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        backend = RelayBackend(server.url, ORIGIN)
        backend.send([event(1)])
        client = server.client()
        for _ in range(200):
            client.rpush("filler", bytes(100_000))
        client.config_set("maxmemory", "8mb")  # an empty server has one or two, this one more than 20

        with pytest.raises(RetryLater, match="Redis is out of memory") as refused:
            backend.send([event(2, message=CANARY), event(3)])
        client.delete("filler")

        assert backend.send([event(2), event(3)]) == 2
        assert [found.id for found in published(server)] == ["0001", "0002", "0003"]
        backend.close()
    # redis-py quotes the command that was refused, with the event in it.
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_a_replica_takes_nothing_until_it_is_master_again(server: RedisServer, backend: RelayBackend) -> None:
    server.client().replicaof("127.0.0.1", free_ports(1)[0])
    with pytest.raises(RetryLater, match="replica"):
        backend.send([event(1)])

    server.client().replicaof("NO", "ONE")

    assert backend.send([event(1)]) == 1


def test_redis_that_is_busy_with_a_script_is_waited_for(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--busy-reply-threshold", "1") as server:
        endless = threading.Thread(target=_evaluate, args=(server.client(), "while true do end"))
        endless.start()
        backend = RelayBackend(server.url, ORIGIN)

        eventually(lambda: "busy with somebody's script" in _refusal(backend), "Redis says that it is busy")
        server.client().script_kill()
        endless.join()

        assert backend.send([event(1)]) == 1
        backend.close()


def _evaluate(client: "redis.Redis[Any]", script: str) -> None:
    with pytest.raises(redis.ResponseError):
        client.eval(script, 0)


def _refusal(backend: RelayBackend) -> str:
    try:
        backend.send([event(0)])
    except RetryLater as refused:
        return str(refused)
    return ""


class Dripping:
    """Stands between a backend and Redis, and passes each byte of an answer on after a while."""

    def __init__(self, server: RedisServer, every: float) -> None:
        self._server = server
        self.every = every

    def __call__(self, between: Raw, connection: Any) -> None:
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=5) as upstream:
            while not between.stop.is_set():
                upstream.sendall(connection.recv(65_536) or between.gone())
                answer = upstream.recv(65_536)
                for place in range(len(answer)):
                    connection.sendall(answer[place : place + 1])
                    if self.every and between.stop.wait(self.every):
                        return


def test_a_slow_redis_costs_its_deadline_and_no_event(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.backends.relay.backend.REQUEST_SECONDS", 1.0)
    drip = Dripping(server, every=0.0)
    with raw(drip) as between:
        backend = RelayBackend(f"redis://{between.authority}", ORIGIN)
        assert backend.send([event(1)]) == 1
        drip.every = 0.05  # an answer of some 50 bytes takes two seconds and a half now

        with pytest.raises(RetryLater, match="no answer in time"):
            backend.send([event(2)])
        drip.every = 0.0

        assert backend.send([event(2)]) == 1
        backend.close()

    # Redis had it both times, and the workers know an event by its id.
    assert [found.id for found in published(server)] == ["0001", "0002", "0002"]


# ---- who may publish


def test_a_wrong_password_stops_the_lane_and_is_shown_nowhere(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--requirepass", "the right one") as server:
        right = server.url.replace("://", "://:the%20right%20one@")
        wrong = RelayBackend(server.url.replace("://", f"://:{CANARY}@"), ORIGIN)
        none = RelayBackend(server.url, ORIGIN)

        with pytest.raises(Gone, match=r"^Redis refuses the name or the password$") as refused:
            wrong.send([event(1)])
        with pytest.raises(Gone, match=r"^Redis asks for a password$"):
            none.send([event(1)])
        assert RelayBackend(right, ORIGIN).send([event(1)]) == 1

    shown = "".join(traceback.format_exception(refused.value))
    assert CANARY not in shown + repr(wrong.__dict__) + repr(refused.value.__dict__)


def test_a_user_who_may_not_publish_stops_the_lane(server: RedisServer) -> None:
    server.client().execute_command("ACL SETUSER reader on >secret ~* +@read")
    backend = RelayBackend(server.url.replace("://", "://reader:secret@"), ORIGIN)

    with pytest.raises(Gone, match="does not allow this user what the relay needs"):
        backend.send([event(1)])
    backend.close()


def test_a_user_who_may_do_no_more_than_publish_can(server: RedisServer) -> None:
    # As docs/relay.md has it.
    rights = "resetkeys ~notify:* -@all +multi +exec +xadd +rpush +ltrim +select +info +xlen +config|get"
    server.client().execute_command(f"ACL SETUSER publisher on >secret {rights}")
    backend = RelayBackend(
        server.url.replace("://", "://publisher:secret@"), ORIGIN, lines=Lines(logstash.Speaker("a", "h", ()))
    )

    assert backend.send([event(1, attachments=(Attachment("a.bin", bytes(1_000_000)),))]) == 1
    assert "1 entries in the stream" in backend.check()
    with pytest.raises(redis.exceptions.NoPermissionError):
        server.client(username="publisher", password="secret").xrange(EVENTS)
    backend.close()


def test_a_database_that_is_not_there_stops_the_lane(server: RedisServer) -> None:
    backend = RelayBackend(server.url.removesuffix("0") + "4711", ORIGIN)

    with pytest.raises(Gone, match="has another set-up"):
        backend.send([event(1)])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority, and what it has signed for this machine and for another."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")

    def run(command: str) -> None:
        subprocess.run([openssl, *command.split()], check=True, capture_output=True, cwd=directory)

    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    # Python 3.13 asks for what RFC 5280 asks for: what a key may do, and whose key has signed.
    may_sign = "-addext keyUsage=critical,keyCertSign"
    run(f"req -x509 {key} {may_sign} -days 1 -subj /CN=authority -keyout authority.key -out authority.crt")
    for name, alternative in (("here", "IP:127.0.0.1"), ("elsewhere", "DNS:elsewhere.example")):
        (directory / f"{name}.ext").write_text(f"subjectAltName={alternative}\nauthorityKeyIdentifier=keyid\n")
        run(f"req {key} -subj /CN=redis -keyout {name}.key -out {name}.csr")
        signed = f"-CA authority.crt -CAkey authority.key -CAcreateserial -extfile {name}.ext"
        run(f"x509 -req -in {name}.csr {signed} -days 1 -out {name}.crt")
    return directory


def tls_options(certificates: Path, name: str, port: int) -> tuple[str, ...]:
    files = ("--tls-cert-file", f"{certificates / name}.crt", "--tls-key-file", f"{certificates / name}.key")
    return ("--tls-port", str(port), *files, "--tls-auth-clients", "no")


def test_over_tls_events_go_to_whom_the_certificate_is_for(tmp_path: Path, certificates: Path) -> None:
    (port,) = free_ports(1)
    url = f"rediss://127.0.0.1:{port}"
    authority = certificates / "authority.crt"
    with running_redis(tmp_path, *tls_options(certificates, "here", port)) as server:
        trusting = RelayBackend(f"{url}?ssl_ca_certs={authority}", ORIGIN)
        strict = RelayBackend(url, ORIGIN)

        assert trusting.send([event(1)]) == 1
        assert "without TLS" not in trusting.check()
        with pytest.raises(RetryLater, match="the TLS certificate is not trusted"):
            strict.send([event(2)])

        assert [found.id for found in published(server)] == ["0001"]
        trusting.close()


def test_over_tls_a_server_with_the_certificate_of_another_gets_nothing(tmp_path: Path, certificates: Path) -> None:
    (port,) = free_ports(1)
    with running_redis(tmp_path, *tls_options(certificates, "elsewhere", port)):
        backend = RelayBackend(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates / 'authority.crt'}", ORIGIN)

        with pytest.raises(RetryLater, match="the TLS certificate is not trusted"):
            backend.send([event(1)])


def test_the_systems_trust_counts_too(tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificates / "authority.crt"))
    with running_redis(tmp_path, *tls_options(certificates, "here", port)):
        backend = RelayBackend(f"rediss://127.0.0.1:{port}", ORIGIN)

        assert backend.send([event(1)]) == 1
        backend.close()


# ---- what is found there, and who is forked


def test_check_says_what_is_there_and_sends_nothing(server: RedisServer, backend: RelayBackend) -> None:
    backend.send([event(1), event(2)])

    said = backend.check()

    assert said.startswith("Redis ")
    assert said.endswith("append-only file, noeviction; 2 entries in the stream; without TLS")
    assert len(published(server)) == 2


def test_check_raises_that_a_server_which_may_lose_events_is_unfit(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--maxmemory-policy", "volatile-lru") as server:
        backend = RelayBackend(server.url, ORIGIN)

        with pytest.raises(Unfit, match=r"^Redis may throw events away .*; 0 entries in the stream; without TLS$"):
            backend.check()
        backend.close()


def test_check_raises_that_a_server_which_is_too_old_for_the_workers_is_unfit(
    backend: RelayBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify.backends.relay.backend.look", lambda client: Server("6.2.14", "noeviction", True))

    with pytest.raises(Unfit, match=r"^Redis 6\.2\.14 is too old, 7\.0 is needed; "):
        backend.check()


def test_check_raises_as_send_does(server: RedisServer, backend: RelayBackend) -> None:
    server.kill()

    with pytest.raises(RetryLater, match="connection refused"):
        backend.check()


def test_a_forked_child_has_a_connection_of_its_own(server: RedisServer) -> None:
    script = """
        from notify.backends.relay.backend import RelayBackend
        from notify.event import Event, Origin

        def publish(name):
            backend.send([Event(id=name, time=0.0, message=name, level=20)])

        backend = RelayBackend(sys.argv[1], Origin("eth-1", "ETH"))
        publish("before")
        child = os.fork()
        if child == 0:
            publish("child")
            backend.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        publish("after")
        say("done")
    """
    before = server.client().info("stats")["total_connections_received"]
    with running(script, arguments=[server.url]) as process:
        said, _ = process.communicate(timeout=30)

    assert said == b"done\n"
    assert [found.id for found in published(server)] == ["before", "child", "after"]
    connections = server.client().info("stats")["total_connections_received"] - before
    # The parent's, which the child has not ended; the child's; and two of this test's own clients.
    assert connections == 4


@pytest.mark.parametrize("url", ["queue:6379", "redis://"])
def test_an_unusable_url_is_refused_before_anything_is_opened(url: str) -> None:
    with pytest.raises(ValueError, match="not an address of Redis"):
        RelayBackend(url, ORIGIN)


def test_without_the_package_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.backends.relay.backend.find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"needs redis: pip install 'executor-notify\[relay\]'"):
        RelayBackend("redis://queue", ORIGIN)


# ---- what answers and is no Redis


def answering_as_redis(to_exec: bytes, without_end: bytes = b"") -> Any:
    """Answer as Redis does until EXEC, and that with *to_exec*, and *without_end* again and again."""

    def behaviour(server: Raw, connection: socket.socket) -> None:
        with connection.makefile("rb") as asked:
            while head := asked.readline():
                words = [asked.read(int(asked.readline()[1:]) + 2)[:-2].upper() for _ in range(int(head[1:]))]
                if words[0] == b"EXEC":
                    connection.sendall(to_exec)
                    while without_end and not server.stop.is_set():
                        connection.sendall(without_end)
                else:
                    connection.sendall(b"+QUEUED\r\n" if words[0] == b"XADD" else b"+OK\r\n")

    return behaviour


@pytest.mark.parametrize(
    "answer",
    [b"+OK\r\n", b"$2\r\n12\r\n", b"*2\r\n+OK\r\n+OK\r\n", b"*2\r\n$-1\r\n$-1\r\n", b"*2\r\n:1\r\n:2\r\n"],
    ids=["ok", "text", "each ok", "each nothing", "each a number"],
)
def test_what_answers_with_anything_but_ids_has_got_no_event(answer: bytes) -> None:
    with raw(answering_as_redis(answer)) as no_redis:
        backend = RelayBackend(f"redis://{no_redis.authority}", ORIGIN)

        with pytest.raises(RetryLater, match="what answers at Redis' address is no Redis"):
            backend.send([event(1), event(2)])
        backend.close()


@pytest.mark.parametrize(
    "behaviour",
    [
        answering_as_redis(b"$100000000000\r\n", b"x" * 65_536),
        answering_as_redis(b"*1000000000\r\n", b":1\r\n" * 10_000),
    ],
    ids=["text", "numbers"],
)
def test_an_answer_without_end_is_left_before_it_fills_the_memory(behaviour: Any) -> None:
    with raw(behaviour) as no_redis:
        backend = RelayBackend(f"redis://{no_redis.authority}", ORIGIN)
        began = time.monotonic()

        with pytest.raises(RetryLater, match="connection lost"):
            backend.send([event(1), event(2)])
        backend.close()

    assert time.monotonic() - began < 5.0  # seconds; the deadline is ten, in which five gigabytes come
