"""`notify relay` and `notify relay status`, as people and monitors run them."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_package
from children import environment, python
from redis_server import RedisServer, running_redis
from relays import client, server  # noqa: F401 - fixtures
from services import eventually, free_ports

from notify.backends.relay.backend import RelayBackend
from notify.backends.relay.wire import DEAD, EVENTS, Entry, fields_of
from notify.cli.nagios import Code
from notify.cli.relay import work
from notify.cli.relay_status import judged, status
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.event import Event, Origin, new_id
from notify.relay.look import look
from notify.relay.stream import Stream

pytestmark = pytest.mark.process


def publish(client: redis_package.Redis, count: int) -> None:  # noqa: F811
    for number in range(count):
        now = time.time()
        event = Event(id=new_id(now), time=now, message=f"event {number}", level=25, origin=Origin("a", "A"))
        client.xadd(EVENTS, fields_of(Entry(event)))


def relay(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return python("-m", "notify", "relay", *arguments, **settings)


@pytest.fixture
def worker(server: RedisServer, client: redis_package.Redis) -> Iterator["subprocess.Popen[str]"]:  # noqa: F811
    (port,) = free_ports(1)
    env = environment(
        NOTIFY_RELAY_URL=server.url, NOTIFY_STDOUT="text", HTTP_ENABLED="true", HTTP_PORT=str(port), EXECUTOR_ID="relay"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "notify", "relay"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def well(worker: "subprocess.Popen[str]") -> str:
    """Return where a worker serves its status, as soon as it is well."""
    assert worker.stderr is not None
    url = worker.stderr.readline().split()[-1].removesuffix("/status")
    assert "delivers to stdout" in worker.stderr.readline()
    eventually(lambda: '"ok"' in fetched(f"{url}/healthz"), "it is well")
    return url


def fetched(url: str) -> str:
    """Return what is served there, nothing when that is no 200."""
    try:
        with urllib.request.urlopen(url) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        pass
    return ""


def test_a_worker_prints_what_comes_and_ends_when_it_is_told_to(worker, client) -> None:  # noqa: F811
    publish(client, 3)
    assert worker.stdout is not None

    lines = [worker.stdout.readline() for _ in range(3)]
    worker.send_signal(signal.SIGTERM)

    assert [line.rstrip().endswith(f"event {number}") for number, line in enumerate(lines)] == [True] * 3
    assert worker.wait(5) == 0  # seconds, as promised
    assert client.xpending(EVENTS, "notify")["pending"] == 0


def test_a_worker_serves_its_health_and_the_numbers_of_the_relay(worker, client) -> None:  # noqa: F811
    publish(client, 3)

    url = well(worker)
    eventually(lambda: "notify_relay_events_pending 0" in fetched(f"{url}/metrics"), "all is delivered")
    told = fetched(f"{url}/metrics")
    checked = python("-m", "notify", "check", url)

    assert (checked.returncode, checked.stdout[:18]) == (0, "NOTIFY OK - relay ")
    assert "notify_relay_workers 1" in told
    assert "notify_relay_dead_letters 0" in told
    assert 'notify_events_total{backend="stdout",outcome="delivered"}' in told


def test_what_is_not_ours_or_newer_is_set_aside_and_the_rest_goes_on(worker, client) -> None:  # noqa: F811
    client.xadd(EVENTS, {"hello": "world"})
    client.xadd(EVENTS, {"v": "2", "id": "x", "executor": "a", "event": "{}"})
    client.xadd(EVENTS, {"v": "1", "id": "y", "executor": "a", "name": "A", "icon": "", "event": "no JSON"})
    publish(client, 1)
    assert worker.stdout is not None

    assert worker.stdout.readline().rstrip().endswith("event 0")

    reasons = [fields[b"reason"].decode() for _, fields in client.xrange(DEAD)]
    assert [reason.partition(":")[0] for reason in reasons] == [
        "no entry of notify",
        "an entry of version 2, and this program reads version 1",
        "no entry of notify",
    ]
    eventually(lambda: client.xpending(EVENTS, "notify")["pending"] == 0, "nothing is left")


def test_a_worker_without_a_backend_says_what_to_set(server: RedisServer) -> None:  # noqa: F811
    run = relay(NOTIFY_RELAY_URL=server.url)

    assert run.returncode == 2
    assert run.stderr.startswith("notify: there is no backend to deliver to: set DISCORD_WEBHOOK_URL")
    assert run.stderr.count("\n") == 1


def test_a_worker_without_a_relay_says_what_to_set() -> None:
    run = relay(NOTIFY_STDOUT="text")

    assert (run.returncode, run.stderr) == (
        2,
        "notify: NOTIFY_RELAY_URL: not set; it says which Redis the executors publish to, such as redis://host:6379/0\n",
    )


def test_a_setting_that_nothing_reads_is_named_and_those_for_people_count(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--maxmemory-policy", "allkeys-lru") as unfit:  # so that it ends by itself
        run = relay(
            NOTIFY_RELAY_URL=unfit.url,
            NOTIFY_STDUOT="text",
            DISCORD_WEBHOOK_URL="https://discord.com/api/webhooks/1234567890/abcdefghij",
            DISCORD_EXECUTORS="eth-momentum",
        )

    first, *rest = run.stderr.splitlines()
    assert first == "notify: NOTIFY_STDUOT is no setting of ours; did you mean NOTIFY_STDOUT?"
    assert [line[:24] for line in rest] == ["notify: NOTIFY_RELAY_URL"]


@pytest.mark.parametrize("command", [work, status])
def test_without_redis_both_commands_say_what_to_install(monkeypatch: pytest.MonkeyPatch, command) -> None:
    monkeypatch.setattr("notify.relay.service.find_spec", lambda name: None)
    options = {"any_redis": False} if command is work else {"max_age": 300.0, "timeout": 1.0, "as_json": False}

    with pytest.raises(ConfigError, match=r"^this needs redis: pip install"):
        command(Environment({"NOTIFY_RELAY_URL": "redis://127.0.0.1:9", "NOTIFY_STDOUT": "text"}), **options)


def test_a_worker_that_would_only_print_takes_nothing(server: RedisServer) -> None:  # noqa: F811
    run = relay(NOTIFY_RELAY_URL=server.url, NOTIFY_STDOUT="text", NOTIFY_DRY_RUN="true")

    assert run.returncode == 2
    assert run.stderr.startswith("notify: NOTIFY_DRY_RUN: a worker that only prints would take events")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy is allkeys-lru, and has to be noeviction"),
        (("--appendonly", "no"), "appendonly is off, and has to be yes"),
        (("--requirepass", "hunter2hunter2"), "Redis asks for a password"),
    ],
)
def test_a_redis_that_may_lose_events_or_refuses_us_is_refused_in_one_line(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    with running_redis(tmp_path, *options) as unfit:
        run = relay(NOTIFY_RELAY_URL=unfit.url, NOTIFY_STDOUT="text")

    assert run.returncode == 2
    assert run.stderr.startswith("notify: NOTIFY_RELAY_URL: ")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_it_is_taken_all_the_same_by_who_says_so(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--appendonly", "no") as unfit:
        env = environment(NOTIFY_RELAY_URL=unfit.url, NOTIFY_STDOUT="text")
        command = [sys.executable, "-m", "notify", "relay", "--any-redis"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "delivers to stdout" in process.stderr.readline()
            process.terminate()
            assert process.wait(10) == 0


def users_of_the_page(directory: Path) -> Path:
    page = (Path(__file__).parents[1] / "docs" / "relay.md").read_text()
    users = re.findall(r"^user .*$", page, re.MULTILINE)
    file = directory / "users.acl"
    file.write_text("".join(f"{line}\n" for line in users))
    return file


def test_the_users_on_the_page_can_do_what_they_must_and_no_more(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--aclfile", str(users_of_the_page(tmp_path))) as server:  # noqa: F811
        at = server.url.removeprefix("redis://")
        backend = RelayBackend(f"redis://publisher:password@{at}", Origin("a", "A"), lines=None)
        now = time.time()
        backend.send([Event(id=new_id(now), time=now, message="event 0", level=25)])
        assert "Redis 7" in backend.check()
        backend.close()
        publisher = server.client(username="publisher", password="password")
        with pytest.raises(redis_package.exceptions.NoPermissionError):
            publisher.xrange(EVENTS)
        env = environment(NOTIFY_RELAY_URL=f"redis://relay:password@{at}", NOTIFY_STDOUT="text", EXECUTOR_ID="relay")
        with subprocess.Popen(
            [sys.executable, "-m", "notify", "relay"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().rstrip().endswith("event 0")
            run = relay("status", NOTIFY_RELAY_URL=f"redis://relay:password@{at}")
            process.terminate()
            _, complaints = process.communicate(timeout=10)

    assert run.returncode == Code.OK, run.stdout
    assert complaints == "notify: delivers to stdout (Ctrl-C ends it)\n"


def test_a_redis_with_the_users_on_the_page_has_after_a_kill_what_was_published_and_taken(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--aclfile", str(users_of_the_page(tmp_path)), "--appendfsync", "always") as server:  # noqa: F811
        backend = RelayBackend(f"redis://publisher:password@127.0.0.1:{server.port}", Origin("a", "A"))
        now = time.time()
        backend.send([Event(id=new_id(now), time=now, message=f"event {number}", level=25) for number in range(2)])
        backend.close()
        relay_user = {"username": "relay", "password": "password", "protocol": 2}
        one = Stream(server.client(**relay_user), "one")
        one.join()
        one.take("0-0", 1)

        server.kill()
        server.start()

        overview = look(server.client(**relay_user))
        with pytest.raises(redis_package.exceptions.AuthenticationError):
            server.client(protocol=2).ping()

    assert (overview.waiting, overview.pending) == (1, 1)  # of two, the one that was not taken, and the one that was


# ---- status


def looked(server: RedisServer, capsys: pytest.CaptureFixture[str], *, as_json: bool = False, **settings: str):  # noqa: F811
    env = Environment({"NOTIFY_RELAY_URL": server.url, **settings})
    code = status(env, max_age=300.0, timeout=5.0, as_json=as_json)
    return code, capsys.readouterr().out


def test_a_relay_at_work_is_ok(server, client, capsys) -> None:  # noqa: F811
    Stream(server.client(protocol=2), "one").join()

    code, said = looked(server, capsys)

    assert code == Code.OK
    assert said.startswith("NOTIFY OK - 1 worker, 0 waiting, 0 under way, 0.0 events/s delivered | waiting=0 pending=0")
    assert said.splitlines()[-1].startswith("one")


def test_events_that_wait_without_a_worker_are_critical(server, client, capsys) -> None:  # noqa: F811
    publish(client, 2)

    code, said = looked(server, capsys)

    assert code == Code.CRITICAL
    assert said.startswith("NOTIFY CRITICAL - no worker lives, and events wait; 0 workers, 2 waiting, 0 under way")


def test_what_waits_too_long_was_set_aside_or_fills_redis_is_a_warning(server, client) -> None:  # noqa: F811
    Stream(server.client(protocol=2), "one").join()
    client.xadd(DEAD, {"reason": "discord refused it"})
    overview = look(client)._replace(oldest=3600.0, memory=90, memory_limit=100)

    code, said = judged(overview, max_age=300.0)

    assert code == Code.WARNING
    assert said.startswith(
        "the oldest event waits for 1 h; something was set aside 0 s ago (discord refused it); "
        "Redis uses 90% of its memory; 1 worker"
    )


def test_limits_in_force_are_named(server, client, capsys) -> None:  # noqa: F811
    seconds, _ = client.time()
    client.hset("notify:limit:all", "closed_until", seconds + 500)
    client.hset("notify:limit:webhook:abc", "closed_until", seconds - 5)

    _, said = looked(server, capsys, as_json=True)

    ((only),) = json.loads(said)["limits"]
    assert only["of"] == "all"
    assert 490 < only["seconds"] <= 500  # it was said a moment ago


def test_names_stay_whole_and_what_holds_a_backend_up_stands_below_the_table(server, client, capsys) -> None:  # noqa: F811
    one = Stream(server.client(protocol=2), "strategies-1-4711-3ed727")
    one.join()
    idle = {"delivered": 1_234, "pending": 0, "last_error": "HTTP 500"}
    held_up = {"delivered": 5, "pending": 7, "last_error": "no answer\x1b[2J in time"}
    one.report(json.dumps({"backends": {"discord_momentum": idle, "telegram": held_up}}).encode(), seconds=60)

    _, said = looked(server, capsys)

    first, second, error = said.splitlines()[-3:]  # at the 80 columns of whoever is no terminal
    assert [cell.strip() for cell in first.split("│")][::3] == ["strategies-1-4711-3ed727", "discord_momentum"]
    assert [cell.strip() for cell in second.split("│")][3:] == ["telegram", "5", "7"]
    assert error == "telegram of strategies-1-4711-3ed727 waits: no answer\\x1b[2J in time"


def test_json_has_all_of_it(server, client, capsys) -> None:  # noqa: F811
    one = Stream(server.client(protocol=2), "one")
    one.join()
    publish(client, 3)
    one.take("0-0", 2)

    code, said = looked(server, capsys, as_json=True)
    told = json.loads(said)

    assert (code, told["status"]) == (Code.OK, "OK")
    assert (told["waiting"], told["pending"], told["dead_letters"]) == (1, 2, 0)
    assert told["oldest_seconds"] < 60  # they were published a moment ago
    assert told["server"]["policy"] == "noeviction"
    ((worker),) = told["workers"]
    assert (worker["name"], worker["lives"], worker["pending"]) == ("one", True, 2)


def test_a_redis_that_is_not_there_is_critical_and_a_relay_that_is_not_set_up_unknown(capsys) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        env = Environment({"NOTIFY_RELAY_URL": f"redis://:hunter2hunter2@127.0.0.1:{nobody.getsockname()[1]}"})
        code = status(env, max_age=300.0, timeout=1.0, as_json=False)
    said = capsys.readouterr().out
    run = relay("status")

    assert (code, said) == (Code.CRITICAL, "NOTIFY CRITICAL - Redis was not reached: connection refused\n")
    assert run.returncode == Code.UNKNOWN
    assert run.stdout.startswith("NOTIFY UNKNOWN - NOTIFY_RELAY_URL: not set")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_status_hides_secrets_of_the_process(server, client, capsys, monkeypatch, as_json: bool) -> None:  # noqa: F811
    secret = "c4nary-of-the-process"
    monkeypatch.setenv("RPC_PASSWORD", secret)
    client.xadd(DEAD, {"reason": f"refused: {secret}", "backend": "discord", "entry": "0-1"})
    one = Stream(server.client(protocol=2), "one")
    one.join()
    report = {"backends": {"discord": {"delivered": 1, "pending": 2, "last_error": f"no {secret}"}}}
    one.report(json.dumps(report).encode(), seconds=60)

    _, said = looked(server, capsys, as_json=as_json)

    assert said.count("refused: [redacted]") >= 2  # in the verdict, and of the dead letters
    assert "no [redacted]" in said
    assert "c4nary" not in said
