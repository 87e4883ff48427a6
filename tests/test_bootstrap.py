"""`setup()`: from an environment to a running notifier, and back to how it was."""

import io
import json
import logging
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.logging import RichHandler

import notify
from notify import bootstrap
from notify.backends.memory import MemoryBackend
from notify.errors import ConfigError
from notify.event import Event
from notify.notifier import Notifier, current_notifier

CANARY = "c4nary"
WEBHOOK = "https://discord.com/api/webhooks/123456789012345678/c4nary-token"

# Every way to be quiet but one's own backends.
QUIET = {"NOTIFY_STDOUT": "off"}


def bare_root() -> logging.Logger:
    """Return the root logger as in a program that has not configured logging. After the test it is as it was."""
    root = logging.getLogger()
    root.handlers.clear()  # pytest's
    root.setLevel(logging.WARNING)  # Python's default
    return root


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


def until(condition: Callable[[], object], timeout: float = 5.0) -> None:
    """Wait until *condition* holds, *timeout* seconds at most."""
    pause = threading.Event()
    for _ in range(int(timeout / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to that")


def sink(env: Mapping[str, str] | None = None, **options: Any) -> tuple[Notifier, MemoryBackend]:
    """Set up with a backend `sink` and nothing else."""
    backend = MemoryBackend()
    return notify.setup(env={**QUIET, **(env or {})}, backends={"sink": backend}, **options), backend


# ---- nothing set


def test_with_nothing_set_it_writes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    with notify.setup(env={}) as notifier:
        logging.getLogger("strategy").info("cycle %d", 7, extra={"pair": "ETH-USDC"})
        notifier.trade("Bought 0.25 ETH")
        logging.getLogger("strategy").debug("too fine")

    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 2
    assert "info       cycle 7 " in lines[0]
    assert "pair=ETH-USDC logger=strategy" in lines[0]
    assert "trade      Bought 0.25 ETH" in lines[1]
    assert err == ""


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_STDOUT", "nonsense")

    with pytest.raises(ConfigError, match="NOTIFY_STDOUT"):
        notify.setup()
    with notify.setup(env={}) as notifier:
        assert list(notifier.stats()) == ["stdout"]


def test_a_second_call_returns_the_same_notifier_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    notifier, backend = sink()
    handlers = list(logging.getLogger().handlers)
    hooks = sys.excepthook, threading.excepthook

    assert notify.setup() is notifier
    assert notify.setup(env={"LOG_LEVEL": "nonsense"}, backends={"other": backend}) is notifier

    assert logging.getLogger().handlers == handlers
    assert (sys.excepthook, threading.excepthook) == hooks
    assert capsys.readouterr().err == "notify: setup() was called again: its arguments are ignored\n"


def test_get_notifier_returns_what_setup_made_also_after_it_was_closed() -> None:
    with pytest.raises(ConfigError, match=r"notify\.setup\(\)"):
        notify.get_notifier()
    notifier, _ = sink()
    assert notify.get_notifier() is notifier

    notifier.close()

    assert notify.get_notifier() is notifier  # whoever speaks last is told by his ticket, not by an exception
    assert notify.get_notifier().notify("too late").wait(0) == {"sink": "dropped: closed"}


def test_after_close_it_can_be_set_up_anew() -> None:
    first, _ = sink()
    first.close()

    second, backend = sink()
    second.notify("again")
    second.close()

    assert second is not first
    assert backend.messages == ["again"]


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
        "NAME": "Gold digger",
    }

    reached, routes = bootstrap.destinations(bootstrap.Settings(env), {})

    assert list(reached) == ["stdout", "discord", "discord_ops", "logstash"]
    assert [routes[name].level for name in reached] == [logging.INFO, notify.TRADE, logging.ERROR, logging.INFO]
    assert str(routes["discord_ops"].topics) == "crash"
    for backend in reached.values():
        backend.close()


# ---- unusable settings

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


# ---- the secrets file


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.env"
    path.write_text("SINK_LEVEL=ERROR\nSINK_TOPICS=gas\n")
    path.chmod(0o600)
    return path


def test_settings_come_from_the_file_and_the_environment_wins(secrets: Path) -> None:
    notifier, backend = sink({"SINK_LEVEL": "INFO"}, env_file=secrets)

    notifier.notify("gas", topic="gas")
    notifier.notify("log")
    notifier.close()

    assert backend.messages == ["gas"]


def test_a_file_that_cannot_be_used_is_an_error(secrets: Path) -> None:
    secrets.chmod(0o644)

    with pytest.raises(ConfigError, match="others can read this file"):
        notify.setup(env={}, env_file=secrets)


# ---- no network

DESTINATIONS = {"DISCORD_WEBHOOK_URL": WEBHOOK, "DISCORD_LEVEL": "INFO", "LOGSTASH_SERVER": "logs.example.com"}


@pytest.mark.parametrize("switch", ["UNIT_TESTING", "SIMULATE", "NOTIFY_DRY_RUN"])
def test_no_socket_is_opened_without_the_network(
    switch: str, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with notify.setup(env={**DESTINATIONS, switch: "true"}) as notifier:
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


def test_a_third_party_backend_is_loaded_and_routed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pager = MemoryBackend()
    monkeypatch.setattr(bootstrap, "load", lambda name, env: pager if name == "pager" else None)

    with notify.setup(env={**QUIET, "NOTIFY_BACKENDS": "pager", "PAGER_LEVEL": "ERROR"}) as notifier:
        notifier.notify("hello")
        notifier.notify("down", level=logging.ERROR)

    assert pager.messages == ["down"]


def test_a_third_party_backend_without_its_settings_is_a_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "load", lambda name, env: None)

    with notify.setup(env={**QUIET, "NOTIFY_BACKENDS": "pager"}) as notifier:
        assert notifier.stats() == {}

    assert "backend 'pager' is named in NOTIFY_BACKENDS but not configured" in capsys.readouterr().err


def test_a_third_party_backend_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(ConfigError, match="NOTIFY_BACKENDS: no backend 'no-such-pager' is installed"):
        notify.setup(env={"NOTIFY_BACKENDS": "no-such-pager"})


# ---- standard output and the handlers that are there


class FakeHandler(logging.Handler):
    def __init__(self, **attributes: object) -> None:
        super().__init__()
        self.__dict__.update(attributes)

    def emit(self, record: logging.LogRecord) -> None:
        """Print nothing."""


def handler_on_stderr() -> logging.Handler:
    return logging.StreamHandler()


def handler_on_stdout() -> logging.Handler:
    return logging.StreamHandler(sys.stdout)


def handler_of_rich() -> logging.Handler:
    return RichHandler()


def handler_in_memory() -> logging.Handler:
    return logging.StreamHandler(io.StringIO())


def handler_with_an_odd_stream() -> logging.Handler:
    return FakeHandler(stream=[])  # not hashable


@pytest.mark.parametrize(
    ("handler", "prints"),
    [
        (handler_on_stderr, True),
        (handler_on_stdout, True),
        (handler_of_rich, True),
        (handler_in_memory, False),
        (handler_with_an_odd_stream, False),
    ],
)
def test_automatic_standard_output_is_off_where_logging_prints_already(
    handler: Callable[[], logging.Handler], prints: bool
) -> None:
    root = bare_root()
    root.addHandler(handler())

    with notify.setup(env={}) as notifier:
        assert ("stdout" not in notifier.stats()) is prints
    with notify.setup(env={"NOTIFY_STDOUT": "text"}) as notifier:
        assert "stdout" in notifier.stats()


@pytest.mark.parametrize("level", ["disabled", "off", "none"])
def test_a_disabled_log_level_switches_standard_output_off(level: str) -> None:
    with notify.setup(env={"LOG_LEVEL": level, "NOTIFY_STDOUT": "text"}) as notifier:
        assert notifier.stats() == {}


def test_the_log_level_is_that_of_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    memory = MemoryBackend()
    with notify.setup(env={"LOG_LEVEL": "ERROR"}, backends={"sink": memory}):
        logging.getLogger("strategy").info("quiet")
        logging.getLogger("strategy").error("loud")

    assert sorted(memory.messages) == ["loud", "quiet"]
    out = capsys.readouterr().out
    assert "loud" in out
    assert "quiet" not in out


def test_the_handlers_that_are_there_stay() -> None:
    root = bare_root()
    mine = FakeHandler()
    root.addHandler(mine)

    notifier, _ = sink()

    assert root.handlers == [mine, notifier.handler]
    notifier.close()
    assert root.handlers == [mine]


def test_a_program_that_cleared_the_handlers_can_attach_ours_again() -> None:
    root = bare_root()
    notifier, backend = sink()
    root.handlers.clear()
    logging.getLogger("strategy").error("lost")

    notifier.attach()
    notifier.attach()
    logging.getLogger("strategy").error("heard")
    notifier.close()

    assert backend.messages == ["heard"]


# ---- the level of the root logger


def test_a_root_logger_that_nobody_configured_is_lowered_to_what_the_routes_want() -> None:
    root = bare_root()
    notifier, _ = sink({"SINK_LEVEL": "DEBUG"})

    assert root.level == logging.DEBUG
    notifier.close()
    assert root.level == logging.WARNING


def test_a_root_logger_is_never_raised() -> None:
    root = bare_root()
    root.setLevel(logging.DEBUG)

    with sink({"SINK_LEVEL": "ERROR"})[0]:
        assert root.level == logging.DEBUG


def test_the_level_of_a_configured_root_logger_stays_and_stderr_says_what_is_not_heard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = bare_root()
    root.addHandler(FakeHandler())

    with sink({"SINK_LEVEL": "TRADE"})[0]:
        assert root.level == logging.WARNING

    assert capsys.readouterr().err == (
        "notify: the root logger is at WARNING and keeps back what is wanted here; "
        "logging.getLogger().setLevel('INFO') lets it through\n"
    )


def test_a_level_that_the_program_has_set_meanwhile_stays_after_close() -> None:
    root = bare_root()
    notifier, _ = sink()
    root.setLevel(logging.ERROR)

    notifier.close()

    assert root.level == logging.ERROR


# ---- warnings and hooks


def test_warnings_are_events_until_close() -> None:
    bare_root()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        notifier, backend = sink()
        warnings.warn("old API", DeprecationWarning, stacklevel=1)
        notifier.close()
        after = warnings.showwarning

    (event,) = backend.events
    assert "DeprecationWarning: old API" in event.message
    assert (event.level, event.logger) == (logging.WARNING, "py.warnings")
    assert after is before


def test_a_program_that_captures_warnings_itself_goes_on_doing_so() -> None:
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        captured = warnings.showwarning

        sink()[0].close()

        assert warnings.showwarning is captured
        logging.captureWarnings(False)


def test_close_puts_the_hooks_back() -> None:
    before = sys.excepthook, threading.excepthook

    notifier, _ = sink()
    during = sys.excepthook, threading.excepthook
    notifier.close()

    assert during[0] is not before[0]
    assert during[1] is not before[1]
    assert (sys.excepthook, threading.excepthook) == before


def test_in_an_interactive_session_a_typing_mistake_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    before = sys.excepthook, threading.excepthook

    with sink()[0]:
        assert (sys.excepthook, threading.excepthook) == before


def test_a_second_setup_puts_the_handler_back_that_something_has_taken_off() -> None:
    notifier, backend = sink()
    logging.getLogger().handlers.clear()

    assert notify.setup() is notifier
    logging.getLogger("strategy").warning("heard again")
    notifier.close()

    assert backend.messages == ["heard again"]


def test_nothing_configured_beside_a_console_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    root = bare_root()
    root.addHandler(logging.StreamHandler())
    root.setLevel(logging.INFO)

    with notify.setup(env={}) as notifier:
        assert notifier.stats() == {}

    assert "there is no backend" in capsys.readouterr().err


def test_an_empty_variable_does_not_hide_what_the_file_has(secrets: Path) -> None:
    notifier, backend = sink({"SINK_LEVEL": ""}, env_file=secrets)
    notifier.notify("below the file's level", topic="gas")
    notifier.close()

    assert backend.messages == []


def test_a_backend_in_place_of_another_has_its_route_and_the_other_is_closed() -> None:
    backend = MemoryBackend()
    env = {**QUIET, "DISCORD_WEBHOOK_URL": DESTINATIONS["DISCORD_WEBHOOK_URL"]}
    with notify.setup(env=env, backends={"discord": backend}) as notifier:
        notifier.notify("an INFO, which Discord does not get")
        notifier.trade("Bought")

    assert backend.messages == ["Bought"]


@pytest.mark.parametrize("name", ["stdout", "logstash", "discord", "discord_ops"])
def test_a_third_party_backend_may_not_be_called_as_one_that_is_built_in(name: str) -> None:
    with pytest.raises(ConfigError, match=r"NOTIFY_BACKENDS: .*built in"):
        notify.setup(env={**QUIET, "NOTIFY_BACKENDS": name})


def test_threads_that_set_up_at_once_get_one_notifier() -> None:
    made: list[Notifier] = []
    begin = threading.Barrier(8)

    def begin_together() -> None:
        begin.wait()
        made.append(notify.setup(env=QUIET))

    threads = [threading.Thread(target=begin_together) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(notifier) for notifier in made}) == 1
    made[0].close()
