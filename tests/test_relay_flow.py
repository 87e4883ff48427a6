"""From `setup()` to Redis: nothing is lost, whoever dies, nothing secret is there, and the caller waits for nobody."""

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import python, running
from raw_server import raw, silent
from redis_server import RedisServer, running_redis
from services import eventually

import notify
from notify.backends.relay.backend import RelayBackend
from notify.backends.relay.wire import EVENTS, LOGSTASH, PREFIX, entry_of
from notify.backends.stdout import StdoutBackend
from notify.destinations import destinations
from notify.event import Event, Origin, Phase
from notify.settings import Settings

QUIET = {"NOTIFY_STDOUT": "off", "EXECUTOR_ID": "eth-1", "NAME": "ETH strategy"}
CANARY = "c4nary-4711-of-a-token"
WEBHOOK = f"https://discord.com/api/webhooks/123456789012345678/{CANARY}-and-more-of-what-they-look-like-0123456789"
LONG = 30.0  # seconds; who waits this long has failed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    directory = tmp_path / "redis"
    directory.mkdir()
    with running_redis(directory) as running_server:
        yield running_server


def published(server: RedisServer) -> list[Event]:
    return [entry_of(fields).event for _, fields in server.client().xrange(EVENTS)]


# ---- what is made of the settings


def made(**env: str) -> dict[str, Any]:
    reached, routes = destinations(Settings({**QUIET, **env}), {})
    for backend in reached.values():
        backend.close()
    return {name: (backend, routes[name]) for name, backend in reached.items()}


PEOPLE = {
    "DISCORD_WEBHOOK_URL": WEBHOOK,
    "DISCORD_OPS_WEBHOOK_URL": WEBHOOK,
    "TELEGRAM_API_KEY": "4711000001:AAF-a-token-of-the-right-length-0123",
    "TELEGRAM_CHAT_ID": "-5",
    "APPRISE_URLS": "json://localhost",
}


def test_the_relay_takes_the_place_of_who_reaches_people_and_of_nobody_else() -> None:
    found = made(**PEOPLE, LOGSTASH_SERVER="127.0.0.1", NOTIFY_RELAY_URL="redis://queue")

    assert list(found) == ["relay", "logstash"]


def test_in_a_relay_people_are_reached_from_here_and_the_url_counts_for_the_stream_only() -> None:
    env = {**QUIET, **PEOPLE, "NOTIFY_RELAY_URL": "redis://queue", "DISCORD_OPS_EXECUTORS": "eth-1,btc-2"}

    reached, routes = destinations(Settings(env), {}, in_relay=True)

    assert list(reached) == ["discord", "discord_ops", "telegram", "apprise"]
    assert routes["discord_ops"].executors == {"eth-1", "btc-2"}
    assert routes["discord"].executors == frozenset()
    for backend in reached.values():
        backend.close()


def test_in_a_relay_an_id_that_is_none_is_an_error_at_once() -> None:
    env = {**QUIET, **PEOPLE, "APPRISE_EXECUTORS": "c4nary one"}

    with pytest.raises(notify.ConfigError, match="APPRISE_EXECUTORS: not a comma list of executor ids") as caught:
        destinations(Settings(env), {}, in_relay=True)

    assert "c4nary" not in str(caught.value)


def test_by_default_all_that_some_backend_of_the_relay_may_want_is_published() -> None:
    ((_, route),) = made(NOTIFY_RELAY_URL="redis://queue").values()

    # Telegram's decisions are at INFO; so is what Logstash gets.
    assert route.level == logging.INFO
    assert made(NOTIFY_RELAY_URL="redis://queue", RELAY_LEVEL="TRADE")["relay"][1].level == notify.TRADE


def test_who_has_no_name_is_shown_as_its_id() -> None:
    reached, _ = destinations(Settings({"EXECUTOR_ID": "eth-1", "NOTIFY_RELAY_URL": "redis://queue"}), {})

    backend = reached["relay"]
    assert isinstance(backend, RelayBackend)
    assert backend._origin == Origin("eth-1", "eth-1", "")


@pytest.mark.parametrize("switch", ["UNIT_TESTING", "SIMULATE"])
def test_offline_nothing_is_even_made(switch: str) -> None:
    assert made(NOTIFY_RELAY_URL="redis://queue", **{switch: "true"}) == {}


def test_a_dry_run_prints_what_would_be_published() -> None:
    ((name, (backend, _)),) = made(NOTIFY_RELAY_URL="redis://queue", NOTIFY_DRY_RUN="true").items()

    assert name == "relay"
    assert isinstance(backend, StdoutBackend)


@pytest.mark.parametrize("url", [f"redis://:{CANARY}#@queue", f"http://:{CANARY}@queue", CANARY])
def test_an_unusable_url_is_an_error_at_start_that_does_not_show_it(url: str) -> None:
    with pytest.raises(notify.ConfigError, match="NOTIFY_RELAY_URL: not an address of Redis") as caught:
        notify.setup(env={**QUIET, "NOTIFY_RELAY_URL": url})

    assert CANARY not in str(caught.value)


def test_a_setting_that_counts_for_nothing_here_is_told_at_start(capsys: pytest.CaptureFixture[str]) -> None:
    env = {"DISCORD_WEBHOOK_URL": WEBHOOK, "TELEGRAM_EXECUTORS": "eth-1", "LOGSTASH_SERVER": "127.0.0.1"}

    notify.setup(env={**QUIET, **env, "NOTIFY_RELAY_URL": "redis://127.0.0.1:1", "NOTIFY_RELAY_LOGSTASH": "1"}).close(0)

    said = capsys.readouterr().err
    assert "TELEGRAM_EXECUTORS has no effect here: it is for `notify relay`, where many executors speak" in said
    assert "DISCORD_WEBHOOK_URL has no effect with NOTIFY_RELAY_URL: `notify relay` reaches people from there" in said
    assert "LOGSTASH_SERVER has no effect with NOTIFY_RELAY_LOGSTASH" in said
    assert CANARY not in said


def test_logstash_by_way_of_a_relay_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    notify.setup(env={**QUIET, "NOTIFY_RELAY_LOGSTASH": "true"}).close(0)

    assert "NOTIFY_RELAY_LOGSTASH has no effect without NOTIFY_RELAY_URL" in capsys.readouterr().err


# ---- what arrives


@pytest.mark.process
def test_what_a_program_says_arrives_with_who_says_it(server: RedisServer) -> None:
    env = {**QUIET, "NOTIFY_RELAY_URL": server.url, "NOTIFY_RELAY_LOGSTASH": "true", "LOGSTASH_TAGS": "live"}
    with notify.setup(env=env) as notifier:
        notifier.trade("Bought", fields={"amount": 3})
        notifier.notify("an INFO")
        notifier.notify("down", key="rpc", level=logging.ERROR)
        notifier.resolve("rpc")
        assert notifier.flush(LONG)

    found = published(server)
    assert [event.message for event in found] == ["Bought", "an INFO", "down", ""]
    assert {event.origin for event in found} == {Origin("eth-1", "ETH strategy")}
    assert [event.matter and event.matter.phase for event in found] == [None, None, Phase.ANNOUNCED, Phase.RESOLVED]
    lines = [json.loads(line) for line in server.client().lrange(LOGSTASH, 0, -1)]
    assert [line["message"] for line in lines] == ["Bought", "an INFO", "down", "Resolved: rpc"]
    assert [line["event_id"] for line in lines] == [event.id for event in found]
    assert {(line["application"], *line["tags"]) for line in lines} == {("executor-eth-1", "live")}


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.process
def test_hostile_content_arrives_marked_and_can_be_read_again(server: RedisServer) -> None:
    deep: list[object] = []
    deep.append(deep)
    said = ["\ud800 lone", "NUL \0 and \x1b[31m", "x" * 300_000, Hostile(), 10**5000, float("nan"), b"\xff", deep]
    with notify.setup(env={**QUIET, "NOTIFY_RELAY_URL": server.url, "NOTIFY_RELAY_LOGSTASH": "true"}) as notifier:
        for one in said:
            notifier.notify(one, fields={"it": one, "\ud800": one}, topic=str(type(one)))  # type: ignore[arg-type]
        assert notifier.flush(LONG)

        assert notifier.stats()["relay"]["delivered"] == len(said)
    assert len(published(server)) == len(said)
    assert len([json.loads(line) for line in server.client().lrange(LOGSTASH, 0, -1)]) == len(said)


@pytest.mark.process
def test_nothing_secret_is_in_redis_nor_on_its_disk(server: RedisServer, tmp_path: Path) -> None:
    server.client().execute_command(f"ACL SETUSER publisher on >{CANARY}-password ~notify:* +@all")
    url = server.url.replace("://", f"://publisher:{CANARY}-password@")
    env = {
        **QUIET, "NOTIFY_RELAY_URL": url, "NOTIFY_RELAY_LOGSTASH": "true", "DISCORD_WEBHOOK_URL": WEBHOOK,
        "RPC_API_KEY": f"{CANARY}-key",
    }  # fmt: skip
    with notify.setup(env=env) as notifier:
        for secret in (WEBHOOK, url, f"{CANARY}-password", f"{CANARY}-key"):
            notifier.notify(f"it is {secret}", body=secret, fields={"a": secret}, key=f"of {secret}", level=30)
            notifier.notify("raised", level=40, exc=ValueError(secret))
        notifier.resolve(f"of {WEBHOOK}")
        assert notifier.flush(LONG)
        stats = notifier.stats()

    client = server.client()
    keys = [key.decode() for key in client.scan_iter()]
    dumped = b"".join(client.dump(key) or b"" for key in keys)
    entries = repr(client.xrange(EVENTS)) + repr(client.lrange(LOGSTASH, 0, -1))
    assert sorted(keys) == [EVENTS, LOGSTASH]
    assert all(key.startswith(PREFIX) for key in keys)
    assert client.xlen(EVENTS) == 9  # four times two, and the end
    assert "[redacted" in entries
    assert CANARY not in entries
    assert CANARY.encode() not in dumped
    assert CANARY not in repr(stats)
    server.stop()
    assert not [file for file in (tmp_path / "redis").rglob("*") if file.is_file() and CANARY in _text(file)]


def _text(file: Path) -> str:
    return file.read_bytes().decode("latin-1")


# ---- whoever dies


@pytest.mark.process
def test_while_redis_is_away_nothing_is_lost_and_the_order_is_kept(server: RedisServer) -> None:
    with notify.setup(env={**QUIET, "NOTIFY_RELAY_URL": server.url}) as notifier:
        notifier.trade("number 0")
        assert notifier.flush(LONG)
        server.kill()
        for number in range(1, 201):
            level = logging.ERROR if number % 10 == 0 else notify.TRADE
            notifier.notify(f"number {number}", level=level, topic="trade")
        assert not notifier.flush(2.0)  # seconds: two or three attempts
        # The first attempt may have lost the connection that was killed.
        eventually(
            lambda: notifier.stats()["relay"]["last_error"] == "Redis was not reached: connection refused", "it says so"
        )
        server.start()
        assert notifier.flush(LONG)

    # What is urgent overtakes in the workers' lanes, not here: they count by the order.
    assert [event.message for event in published(server)] == [f"number {number}" for number in range(201)]


@pytest.mark.process
def test_what_a_killed_program_has_said_is_published_by_the_next(server: RedisServer, tmp_path: Path) -> None:
    server.kill()
    script = """
        import notify
        from notify.delivery.outbox import writer
        writer._PATIENCE = 10.0  # seconds, where 50 ms are too few on a busy machine
        notifier = notify.setup()
        for number in range(20):
            ticket = notifier.trade(f"number {number}")
            assert ticket.durable
        os.kill(os.getpid(), signal.SIGKILL)
    """
    env = {**QUIET, "NOTIFY_RELAY_URL": server.url, "NOTIFY_STATE_DIR": str(tmp_path / "state")}
    with running(script, **env) as process:
        assert process.wait(LONG) == -9

    server.start()
    again = "import notify; notifier = notify.setup(); assert notifier.flush(30); notifier.close()"
    ended = python("-c", again, **env)

    assert ended.returncode == 0, ended.stderr
    found = [event.message for event in published(server)]
    assert found[:20] == [f"number {number}" for number in range(20)]
    assert len(found) == 21  # the last of which is the next run's own
    assert found[20].startswith("The last run was killed")


@pytest.mark.process
def test_with_a_wrong_password_the_lane_stops_and_the_others_are_told(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--requirepass", "the right one") as server:
        memory = notify.testing.MemoryBackend()
        env = {**QUIET, "NOTIFY_RELAY_URL": server.url.replace("://", f"://:{CANARY}@")}
        with notify.setup(env=env, backends={"memory": memory}) as notifier:
            notifier.trade("Bought")
            (told,) = [event.message for event in memory.wait_for(2, LONG) if event.topic == "alert"]

        assert told == (
            "relay takes no messages any more: Redis refuses the name or the password. It is tried again every ten "
            "minutes."
        )


# ---- what it costs the caller


@pytest.mark.process
def test_a_redis_that_hangs_costs_the_caller_nothing() -> None:
    with raw(silent) as server:
        notifier = notify.setup(env={**QUIET, "NOTIFY_RELAY_URL": f"redis://{server.authority}"})
        logger = logging.getLogger("caller")
        took = []
        for number in range(200):
            began = time.monotonic()
            notifier.trade(f"number {number}")
            logger.error("node %d", number)
            took.append(time.monotonic() - began)
        notifier.close(0)

    # Two rows on disk are some hundred microseconds, and Redis would cost its deadline of 5 s.
    assert sorted(took)[100] < 0.02
    assert max(took) < 4.0


@pytest.mark.process
def test_callers_do_nothing_of_the_relays_and_find_it_loaded(server: RedisServer) -> None:
    script = """
        import notify, threading
        notifier = notify.setup()
        import notify.backends.relay.backend as relay
        here = threading.get_ident()
        seen = set()
        send = relay.RelayBackend.send
        def noting(self, events):
            seen.add(threading.get_ident())
            return send(self, events)
        relay.RelayBackend.send = noting
        say("redis" in sys.modules)
        notifier.trade("Bought")
        assert notifier.flush(30)
        say(here in seen, len(seen))
        notifier.close()
    """
    with running(script, **QUIET, NOTIFY_RELAY_URL=server.url) as process:
        said, _ = process.communicate(timeout=LONG)

    assert said.decode().split("\n")[:2] == ["True", "False 1"]  # `setup()` has loaded it
    assert os.getpid() != process.pid
