"""Which backends `setup()` makes, what they get, and what it says of settings that are unusable."""

import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lanes import until
from set_up import QUIET, WEBHOOK, bare_root, sink

import notify
from notify import destinations
from notify.backends.memory import MemoryBackend
from notify.errors import ConfigError, Gone
from notify.event import Event
from notify.notifier import current_notifier
from notify.settings import Settings
from notify.testing.fake_discord import FakeDiscord
from notify.testing.fake_telegram import TOKEN, FakeTelegram

CANARY = "c4nary"
# A minute of the day that no test run comes near.
SIX_HOURS_AWAY = (datetime.now(UTC) + timedelta(hours=6)).strftime("%H:%M-") + (
    datetime.now(UTC) + timedelta(hours=6, minutes=1)
).strftime("%H:%M")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to the network, which is out of reach."""
    done: list[str] = []

    def note(name: str) -> Callable[..., Any]:
        def refuse(*args: object, **kwargs: object) -> Any:
            done.append(name)
            raise OSError(f"{name} is out of reach")

        return refuse

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, note(name))
    return done


# ---- what reaches which backend


@pytest.mark.parametrize(
    ("env", "messages"),
    [
        ({}, ["info", "trade", "gas", "error"]),
        ({"SINK_LEVEL": "TRADE"}, ["trade", "gas", "error"]),
        ({"SINK_LEVEL": "debug"}, ["debug", "info", "trade", "gas", "error"]),
        ({"SINK_TOPICS": "trade,gas"}, ["trade", "gas"]),
        ({"SINK_TOPICS": "!trade"}, ["info", "gas", "error"]),
        ({"SINK_LEVEL": "ERROR", "SINK_TOPICS": "!gas"}, ["error"]),
        ({"SINK_LEVEL": "disabled"}, []),
    ],
)
def test_a_backend_gets_what_its_level_and_topics_say(env: dict[str, str], messages: list[str]) -> None:
    notifier, backend = sink(env)

    notifier.notify("debug", level=logging.DEBUG)
    notifier.notify("info")
    notifier.trade("trade")
    notifier.notify("gas", level=logging.WARNING, topic="gas")
    notifier.flush()  # or the error, which is urgent, would overtake
    notifier.notify("error", level=logging.ERROR)
    notifier.close()

    assert backend.messages == messages


def test_a_trade_of_a_logger_is_about_trades() -> None:
    bare_root()
    notifier, backend = sink({"SINK_LEVEL": "TRADE"})

    logging.getLogger("strategy").trade("Bought %s", "ETH")  # type: ignore[attr-defined]  # ours
    notifier.close()

    (event,) = backend.events
    assert (event.message, event.topic, event.level) == ("Bought ETH", "trade", notify.TRADE)


def test_every_kind_of_backend_may_be_passed() -> None:
    got: list[Event] = []
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]  # a handler in one line
    memory = MemoryBackend()
    passed = {"function": got.append, "handler": handler, "backend": memory}

    with notify.setup(env=QUIET, backends=passed) as notifier:
        notifier.notify("hello")

    assert [event.message for event in got] == ["hello"]
    assert [record.getMessage() for record in records] == ["hello"]
    assert memory.messages == ["hello"]


def test_a_passed_backend_takes_the_place_of_one_of_the_environment(opened: list[str]) -> None:
    mine = MemoryBackend()

    with notify.setup(env={**QUIET, "LOGSTASH_SERVER": "localhost"}, backends={"logstash": mine}) as notifier:
        notifier.notify("hello")

    assert mine.messages == ["hello"]
    assert opened == []


@pytest.mark.parametrize("rubbish", [None, WEBHOOK, 42, MemoryBackend])
def test_rubbish_as_a_backend_is_an_error_that_does_not_show_it(rubbish: object) -> None:
    with pytest.raises(ConfigError, match=r"^backends\['sink'\]: ") as caught:
        notify.setup(env=QUIET, backends={"sink": rubbish})

    assert CANARY not in str(caught.value)
    assert current_notifier() is None


def test_what_the_environment_asks_for_is_made_with_its_routes() -> None:
    env = {
        "DISCORD_WEBHOOK_URL": WEBHOOK,
        "DISCORD_OPS_WEBHOOK_URL": WEBHOOK,
        "DISCORD_OPS_LEVEL": "ERROR",
        "DISCORD_OPS_TOPICS": "crash",
        "LOGSTASH_SERVER": "tcp://logs.example.com:6000",
        **TELEGRAM,
        "APPRISE_URLS": "json://localhost/?to=a,b, json://localhost/two json://localhost/three",
        "NAME": "Gold digger",
    }

    reached, routes = destinations.destinations(Settings(env), {})

    assert list(reached) == [
        "stdout", "discord", "discord_ops", "logstash", "telegram", "apprise", "apprise_2", "apprise_3",
    ]  # fmt: skip
    assert [routes[name].level for name in reached] == [
        logging.INFO, notify.TRADE, logging.ERROR, logging.INFO, logging.INFO, *[logging.ERROR] * 3,
    ]  # fmt: skip
    assert str(routes["discord_ops"].topics) == "crash"
    assert str(routes["telegram"].topics) == "decision"
    for backend in reached.values():
        backend.close()


@pytest.mark.parametrize(
    ("quiet_hours", "silent", "flags"),
    [
        ("00:00-12:00,12:00-00:00", "", [4096, 4096, None]),  # Discord's SUPPRESS_NOTIFICATIONS
        ("00:00-12:00,12:00-00:00", "gas", [4096, 4096, None]),
        (SIX_HOURS_AWAY, "", [None, None, None]),
        (SIX_HOURS_AWAY, "gas", [4096, None, None]),
    ],
    ids=["now", "now and gas", "later", "later and gas"],  # the same in every process, whatever the time
)
def test_in_quiet_hours_everything_arrives_and_only_what_is_critical_sounds(
    quiet_hours: str, silent: str, flags: list[int | None]
) -> None:
    with FakeDiscord() as discord:
        env = {"DISCORD_WEBHOOK_URL": discord.url, "DISCORD_SILENT": silent, "NOTIFY_QUIET_HOURS": quiet_hours}
        reached, _ = destinations.destinations(Settings(env), {})
        for level, topic in ((logging.WARNING, "gas"), (logging.ERROR, "log"), (logging.CRITICAL, "crash")):
            reached["discord"].send([Event(id="1", time=0.0, message="hello", level=level, topic=topic)])
        for backend in reached.values():
            backend.close()

    assert [message.payload.get("flags") for message in discord.messages] == flags


@pytest.mark.parametrize(("level", "silent"), [(logging.ERROR, True), (logging.CRITICAL, False)])
def test_in_quiet_hours_telegram_is_as_quiet(level: int, silent: bool) -> None:
    with FakeTelegram(speed=60) as telegram:
        env = {
            "TELEGRAM_API_KEY": TOKEN,
            "TELEGRAM_CHAT_ID": str(telegram.chat_id),
            "TELEGRAM_API_BASE": telegram.base,
            "NOTIFY_QUIET_HOURS": "00:00-12:00,12:00-00:00",
        }
        reached, _ = destinations.destinations(Settings(env), {})
        reached["telegram"].send([Event(id="1", time=0.0, message="hello", level=level)])
        for backend in reached.values():
            backend.close()

    assert [message.silent for message in telegram.messages] == [silent]


# ---- unusable settings

BOT = "4711000001:AAc4nary-of-a-bot-that-is-not-there"
TELEGRAM = {"TELEGRAM_API_KEY": BOT, "TELEGRAM_CHAT_ID": "-5"}

UNUSABLE = [
    ("DISCORD_WEBHOOK_URL", {"DISCORD_WEBHOOK_URL": f"https://example.com/api/webhooks/1/{CANARY}"}),
    ("DISCORD_WEBHOOK_URL", {"DISCORD_WEBHOOK_URL": CANARY}),
    ("DISCORD_WEBHOOK_URL", {"DISCORD_WEBHOOK_URL": WEBHOOK.replace("https", "http")}),
    ("DISCORD_OPS_WEBHOOK_URL", {"DISCORD_OPS_WEBHOOK_URL": CANARY}),
    ("DISCORD_LEVEL", {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_LEVEL": CANARY}),
    ("DISCORD_OPS_LEVEL", {"DISCORD_OPS_WEBHOOK_URL": WEBHOOK, "DISCORD_OPS_LEVEL": CANARY}),
    ("DISCORD_TOPICS", {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_TOPICS": f"{CANARY},,"}),
    ("DISCORD_MENTION", {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_MENTION": CANARY}),
    ("DISCORD_OPS_MENTION", {"DISCORD_OPS_WEBHOOK_URL": WEBHOOK, "DISCORD_OPS_MENTION": CANARY}),
    ("DISCORD_SILENT", {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_SILENT": f"{CANARY},,"}),
    ("NOTIFY_QUIET_HOURS", {"DISCORD_WEBHOOK_URL": WEBHOOK, "NOTIFY_QUIET_HOURS": f"22:00-07:00 {CANARY}"}),
    ("NOTIFY_QUIET_HOURS", {"DISCORD_WEBHOOK_URL": WEBHOOK, "NOTIFY_QUIET_HOURS": "22:00-07:00,06:00-08:00"}),
    ("DISCORD_THREAD_ID", {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_THREAD_ID": CANARY}),
    ("DISCORD_AVATAR_URL", {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_AVATAR_URL": CANARY}),
    ("ICON_URL", {"DISCORD_WEBHOOK_URL": WEBHOOK, "ICON_URL": CANARY}),
    ("LOGSTASH_SERVER", {"LOGSTASH_SERVER": f"smtp://{CANARY}"}),
    ("LOGSTASH_SERVER", {"LOGSTASH_SERVER": f"tls://user:{CANARY}@host"}),
    ("LOGSTASH_SERVER", {"LOGSTASH_SERVER": f"host:{CANARY}"}),
    ("LOGSTASH_PORT", {"LOGSTASH_SERVER": "host", "LOGSTASH_PORT": CANARY}),
    ("LOGSTASH_LEVEL", {"LOGSTASH_SERVER": "host", "LOGSTASH_LEVEL": CANARY}),
    ("LOGSTASH_TOPICS", {"LOGSTASH_SERVER": "host", "LOGSTASH_TOPICS": f"{CANARY} {CANARY}"}),
    ("LOGSTASH_ECS", {"LOGSTASH_SERVER": "host", "LOGSTASH_ECS": CANARY}),
    ("TELEGRAM_API_KEY", {"TELEGRAM_API_KEY": CANARY, "TELEGRAM_CHAT_ID": "5"}),
    ("TELEGRAM_API_KEY", {"TELEGRAM_CHAT_ID": "5"}),
    ("TELEGRAM_CHAT_ID", {"TELEGRAM_API_KEY": BOT}),
    ("TELEGRAM_CHAT_ID", {"TELEGRAM_API_KEY": BOT, "TELEGRAM_CHAT_ID": f"@{CANARY}"}),
    ("TELEGRAM_LEVEL", {**TELEGRAM, "TELEGRAM_LEVEL": CANARY}),
    ("TELEGRAM_TOPICS", {**TELEGRAM, "TELEGRAM_TOPICS": f"{CANARY},,"}),
    ("TELEGRAM_API_BASE", {**TELEGRAM, "TELEGRAM_API_BASE": CANARY}),
    ("TELEGRAM_API_BASE", {**TELEGRAM, "TELEGRAM_API_BASE": f"http://{CANARY}.example.com"}),
    ("APPRISE_URLS", {"APPRISE_URLS": CANARY}),
    ("APPRISE_URLS", {"APPRISE_URLS": f"json://localhost, {CANARY}://{CANARY}"}),
    ("APPRISE_URLS", {"APPRISE_URLS": f"tgram://{CANARY}"}),
    ("APPRISE_URLS", {"APPRISE_URLS": ","}),
    ("APPRISE_LEVEL", {"APPRISE_URLS": "json://localhost", "APPRISE_LEVEL": CANARY}),
    ("APPRISE_TOPICS", {"APPRISE_URLS": "json://localhost", "APPRISE_TOPICS": f"{CANARY},,"}),
    ("LOG_LEVEL", {"LOG_LEVEL": CANARY}),
    ("STDOUT_TOPICS", {"STDOUT_TOPICS": f"!{CANARY}!"}),
    ("NOTIFY_STDOUT", {"NOTIFY_STDOUT": CANARY}),
    ("NOTIFY_BACKENDS", {"NOTIFY_BACKENDS": f"{CANARY}/../"}),
    ("SINK_LEVEL", {"SINK_LEVEL": CANARY}),
    ("SINK_TOPICS", {"SINK_TOPICS": f"{CANARY},"}),
    ("UNIT_TESTING", {"UNIT_TESTING": CANARY}),
    ("SIMULATE", {"SIMULATE": CANARY}),
    ("NOTIFY_DRY_RUN", {"NOTIFY_DRY_RUN": CANARY}),
]


@pytest.mark.parametrize(("variable", "env"), UNUSABLE)
def test_an_unusable_setting_is_named_never_shown_and_leaves_nothing_behind(
    variable: str, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers, hooks = list(logging.getLogger().handlers), (sys.excepthook, threading.excepthook)

    with pytest.raises(ConfigError) as caught:
        notify.setup(env=env, backends={"sink": MemoryBackend()})

    assert str(caught.value).startswith(f"{variable}: ")
    assert CANARY not in str(caught.value) + "".join(capsys.readouterr())
    assert caught.value.__suppress_context__  # or a traceback would print what it came from
    assert current_notifier() is None
    assert (list(logging.getLogger().handlers), (sys.excepthook, threading.excepthook)) == (handlers, hooks)


def test_an_unusable_setting_that_nothing_reads_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    wrong = {"DISCORD_LEVEL": CANARY, "NOTIFY_QUIET_HOURS": "22-7", "HTTP_PORT": CANARY}

    with notify.setup(env={**QUIET, **wrong}):
        pass

    said = sorted(capsys.readouterr().err.splitlines())
    assert [line.split(": ")[:2] for line in said] == [["notify", name] for name in sorted(wrong)]
    assert all(line.endswith("; nothing here reads it, so the program goes on") for line in said)
    assert "not a level; use DEBUG, INFO" in said[0]
    assert CANARY not in "".join(said)


def test_a_dry_run_finds_what_is_unusable_too() -> None:
    with pytest.raises(ConfigError, match="DISCORD_WEBHOOK_URL"):
        notify.setup(env={"NOTIFY_DRY_RUN": "true", "DISCORD_WEBHOOK_URL": "x"})


def test_an_unknown_setting_is_a_line_on_stderr_with_what_it_resembles(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    with notify.setup(env={**QUIET, "NOTIFY_STDUOT": CANARY, "NOTIFY_FLAVOUR": CANARY}):
        pass

    assert capsys.readouterr().err.splitlines() == [
        "notify: NOTIFY_FLAVOUR is no setting of ours",
        "notify: NOTIFY_STDUOT is no setting of ours; did you mean NOTIFY_STDOUT?",
    ]


# ---- no network

DESTINATIONS = {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_LEVEL": "INFO", "LOGSTASH_SERVER": "logs.example.com"}
MORE = {**TELEGRAM, "TELEGRAM_TOPICS": "log,trade", "APPRISE_URLS": "json://localhost", "APPRISE_LEVEL": "INFO"}


@pytest.mark.parametrize("switch", ["UNIT_TESTING", "SIMULATE", "NOTIFY_DRY_RUN"])
def test_no_socket_is_opened_without_the_network(
    switch: str, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with notify.setup(env={**DESTINATIONS, **MORE, switch: "true"}) as notifier:
        notifier.notify("hello")

    assert opened == []
    assert "hello" in capsys.readouterr().out


def test_the_network_would_have_been_noticed(opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    notifier = notify.setup(env={**DESTINATIONS, **QUIET})
    notifier.notify("hello")
    until(lambda: opened)
    notifier.close(0.1)

    assert "next attempt in" in capsys.readouterr().err


@pytest.mark.parametrize("switch", ["UNIT_TESTING", "SIMULATE"])
def test_in_tests_settings_of_the_network_may_be_dummies(switch: str) -> None:
    with notify.setup(env={switch: "true", "DISCORD_WEBHOOK_URL": "dummy", "NOTIFY_BACKENDS": "none"}) as notifier:
        assert list(notifier.stats()) == ["stdout"]


def test_a_dry_run_prints_what_would_be_sent_and_where_to(capsys: pytest.CaptureFixture[str]) -> None:
    with notify.setup(env={**DESTINATIONS, **QUIET, "DISCORD_LEVEL": "TRADE", "NOTIFY_DRY_RUN": "1"}) as notifier:
        notifier.notify("hello")
        notifier.flush()
        notifier.trade("Bought")

    out = capsys.readouterr().out
    assert out.count("hello") == out.count("(dry run, for logstash) hello") == 1
    assert "(dry run, for discord) Bought" in out
    assert "(dry run, for logstash) Bought" in out


def test_a_dry_run_prints_what_telegram_and_apprise_would_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    with notify.setup(env={**MORE, **QUIET, "TELEGRAM_TOPICS": "", "NOTIFY_DRY_RUN": "1"}) as notifier:
        notifier.notify("hello")
        logging.getLogger("strategy").log(notify.TRADE_HIGH, "decided")

    out = capsys.readouterr().out
    assert "(dry run, for apprise) hello" in out
    assert "(dry run, for telegram) hello" not in out  # decisions only
    assert "(dry run, for telegram) decided" in out


def test_a_dry_run_prints_json_where_json_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    env = {**DESTINATIONS, "NOTIFY_STDOUT": "json", "NOTIFY_DRY_RUN": "1"}
    with notify.setup(env=env) as notifier:
        notifier.notify("hello")

    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {document.get("dry_run") for document in documents} == {None, "discord", "logstash"}


def test_a_name_that_does_not_resolve_is_counted_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(*args: object, **kwargs: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    notifier = notify.setup(env={**QUIET, "LOGSTASH_SERVER": "no.such.host.invalid"})

    for number in range(3):
        notifier.notify(f"hello {number}")
    until(lambda: notifier.stats()["logstash"]["retried"])
    stats = notifier.stats()["logstash"]
    notifier.close(0.1)

    assert (stats["accepted"], stats["delivered"]) == (3, 0)
    assert stats["pending"] == 3
    assert stats["last_error"]
    assert notifier.stats()["logstash"]["dropped"] == {"closed": 3}
    out, err = capsys.readouterr()
    assert out == ""
    assert len([line for line in err.splitlines() if "next attempt in" in line]) == 1
    assert "Traceback" not in err


# ---- third-party backends


def test_apprise_where_it_is_not_installed_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ConfigError, match=r"^APPRISE_URLS: needs Apprise: pip install 'executor-notify\[apprise\]'$"):
        notify.setup(env={"APPRISE_URLS": "json://localhost"})


def test_the_place_of_an_unusable_url_of_apprise_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^APPRISE_URLS: number 2 is not a URL that Apprise understands$"):
        notify.setup(env={"APPRISE_URLS": "json://localhost c4nary://x"})


def test_a_third_party_backend_is_loaded_and_routed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pager = MemoryBackend()
    monkeypatch.setattr(destinations, "load", lambda name, env: pager if name == "pager" else None)

    with notify.setup(env={**QUIET, "NOTIFY_BACKENDS": "pager", "PAGER_LEVEL": "ERROR"}) as notifier:
        notifier.notify("hello")
        notifier.notify("down", level=logging.ERROR)

    assert pager.messages == ["down"]


def test_a_third_party_backend_without_its_settings_is_a_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(destinations, "load", lambda name, env: None)

    with notify.setup(env={**QUIET, "NOTIFY_BACKENDS": "pager"}) as notifier:
        assert notifier.stats() == {}

    assert "backend 'pager' is named in NOTIFY_BACKENDS but not configured" in capsys.readouterr().err


def test_a_third_party_backend_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(ConfigError, match="NOTIFY_BACKENDS: no backend 'no-such-pager' is installed"):
        notify.setup(env={"NOTIFY_BACKENDS": "no-such-pager"})


def test_a_backend_in_place_of_another_has_its_route_and_the_other_is_closed() -> None:
    backend = MemoryBackend()
    env = {**QUIET, "DISCORD_WEBHOOK_URL": DESTINATIONS["DISCORD_WEBHOOK_URL"]}
    with notify.setup(env=env, backends={"discord": backend}) as notifier:
        notifier.notify("an INFO, which Discord does not get")
        notifier.trade("Bought")

    assert backend.messages == ["Bought"]


@pytest.mark.parametrize(
    "name", ["stdout", "logstash", "discord", "discord_ops", "telegram", "apprise", "apprise_2", "relay"]
)
def test_a_third_party_backend_may_not_be_called_as_one_that_is_built_in(name: str) -> None:
    with pytest.raises(ConfigError, match=r"NOTIFY_BACKENDS: .*built in"):
        notify.setup(env={**QUIET, "NOTIFY_BACKENDS": name})


@pytest.mark.parametrize("name", ["intake", "outbox"])
def test_no_backend_may_have_a_name_that_means_something_else_in_stats(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"backends\['{name}'\]: this name stands for something else"):
        notify.setup(env=QUIET, backends={name: MemoryBackend()})

    assert current_notifier() is None


# ---- fallbacks


def test_a_fallback_is_named_by_a_setting_and_gets_what_was_for_who_is_gone() -> None:
    sink, second = MemoryBackend([Gone("deleted")]), MemoryBackend()
    env = {**QUIET, "SINK_FALLBACK": "Second", "SECOND_TOPICS": "nothing"}
    notifier = notify.setup(env=env, backends={"sink": sink, "second": second})

    outcome = notifier.notify("hello").wait(60)
    notifier.close()

    assert outcome == {"sink": "handed over to second", "second": "delivered"}
    assert "hello" in second.messages


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"SINK_FALLBACK": CANARY}, "SINK_FALLBACK: not the name of a backend; here there is second"),
        ({"SINK_FALLBACK": f"{CANARY} x"}, "SINK_FALLBACK: not the name of a backend"),
        ({"SINK_FALLBACK": "sink"}, "SINK_FALLBACK: a backend cannot stand in for itself"),
        (
            {"SINK_FALLBACK": "second", "SECOND_FALLBACK": "sink"},
            "SINK_FALLBACK: goes round in a circle: sink → second → sink",
        ),
        ({"SECOND_FALLBACK": "outbox"}, "SECOND_FALLBACK: not the name of a backend; here there is sink"),
    ],
)
def test_a_fallback_that_cannot_be_one_is_an_error_that_names_the_variable(env: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        notify.setup(env={**QUIET, **env}, backends={"sink": MemoryBackend(), "second": MemoryBackend()})

    assert str(caught.value) == text
    assert current_notifier() is None


def test_each_discord_channel_has_a_fallback_of_its_own() -> None:
    env = {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_OPS_WEBHOOK_URL": WEBHOOK, "NOTIFY_DRY_RUN": "1"}
    config = Settings({**env, "DISCORD_FALLBACK": "discord_ops", "DISCORD_OPS_FALLBACK": "stdout"})

    _, routes = destinations.destinations(config, {"stdout": MemoryBackend()})

    assert {name: route.fallback for name, route in routes.items()} == {
        "discord": "discord_ops",
        "discord_ops": "stdout",
        "stdout": None,
    }


def test_what_has_a_fallback_works_in_tests_too_where_that_is_not_made() -> None:
    config = Settings({**QUIET, "SINK_FALLBACK": "telegram", "UNIT_TESTING": "1"})

    _, routes = destinations.destinations(config, {"sink": MemoryBackend()})

    assert routes["sink"].fallback is None
