"""`setup()`: from an environment to a running notifier, and back to how it was."""

import logging
import stat
import sys
import threading
from pathlib import Path

import pytest
from children import python
from set_up import QUIET, bare_root, secrets_file, sink

import notify
from notify.backends.memory import MemoryBackend
from notify.errors import ConfigError
from notify.notifier import Notifier

pytestmark = pytest.mark.interpreter

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


def test_a_call_that_asks_for_the_same_again_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bare_root()
    backend = MemoryBackend()

    for _ in range(2):  # as a cell of a notebook does
        notifier = notify.setup(env=dict(QUIET), backends={"sink": backend})
    notifier.close()

    assert capsys.readouterr().err == ""


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


# ---- the secrets file


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return secrets_file(tmp_path, "SINK_LEVEL=ERROR\nSINK_TOPICS=gas\n")


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


def test_an_empty_variable_does_not_hide_what_the_file_has(secrets: Path) -> None:
    notifier, backend = sink({"SINK_LEVEL": ""}, env_file=secrets)
    notifier.notify("below the file's level", topic="gas")
    notifier.close()

    assert backend.messages == []


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


# ---- the outbox


def durable_setup(state: Path, **env: str) -> Notifier:
    """Set up with a durable backend `discord` and *state* as the state directory."""
    backends = {"discord": MemoryBackend(durable=True)}
    return notify.setup(env={**QUIET, "NOTIFY_STATE_DIR": str(state), **env}, backends=backends)


def test_a_durable_backend_has_an_outbox_in_the_state_directory(state: Path) -> None:
    with durable_setup(state) as notifier:
        assert notifier.trade("Bought").durable
        assert notifier.stats()["outbox"]["broken"] is None
        assert not notifier.notify("info").durable

    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert any(state.iterdir())


def test_the_state_directory_that_nobody_names_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    with notify.setup(env={**QUIET, "EXECUTOR_ID": "gold"}, backends={"discord": MemoryBackend(durable=True)}):
        assert (tmp_path / "notify" / "gold").is_dir()


@pytest.mark.parametrize("level", ["off", "disabled"])
def test_a_durable_level_that_is_off_leaves_the_disk_alone(state: Path, level: str) -> None:
    with durable_setup(state, NOTIFY_DURABLE_LEVEL=level) as notifier:
        assert not notifier.notify("crash", level=logging.CRITICAL).durable
        assert "outbox" not in notifier.stats()

    assert not state.exists()


def test_the_storm_limit_and_the_repeat_interval_are_those_of_the_settings(state: Path) -> None:
    people = MemoryBackend(durable=True)
    people.folds = True  # type: ignore[misc]  # for people
    env = {**QUIET, "NOTIFY_STATE_DIR": str(state), "NOTIFY_STORM_LIMIT": "2", "NOTIFY_REPEAT_INTERVAL": "7200"}
    with notify.setup(env=env, backends={"people": people}) as notifier:
        for number in range(4):
            notifier.notify(f"error {number}", level=logging.ERROR)
        assert notifier.flush(30)
        assert people.messages == ["error 0", "error 1"]
        grouping = notifier._pipeline._folding._grouping
        assert grouping._interval == 7200


def test_the_durable_level_is_that_of_the_setting(state: Path) -> None:
    with durable_setup(state, NOTIFY_DURABLE_LEVEL="WARNING") as notifier:
        assert not notifier.trade("Bought").durable
        assert notifier.notify("gas", level=logging.WARNING).durable


@pytest.mark.process
def test_without_a_durable_backend_the_disk_is_left_alone_and_sqlite_is_not_loaded(state: Path) -> None:
    script = """if True:
        import sys
        import notify

        with notify.setup(env={"NOTIFY_STATE_DIR": sys.argv[1]}) as notifier:
            print(notifier.trade("Bought").durable, "sqlite3" in sys.modules)
    """
    run = python("-c", script, state)

    assert "False False" in run.stdout.splitlines()
    assert not state.exists()


# ---- the end of the program


AT_EXIT = """if True:
    import atexit
    import notify
    from notify import threads
    from notify.backends.memory import MemoryBackend

    # What is registered first runs last.
    atexit.register(lambda: print(backend.messages, "no more threads:", threads._at_exit))
    backend = MemoryBackend()
    notifier = notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"sink": backend})
    notifier.notify("last words")
    %s
"""


@pytest.mark.process
@pytest.mark.parametrize(("before", "no_more"), [("", True), ("notifier.close()", False)])
def test_at_the_end_an_open_notifier_delivers_what_waits_and_starts_no_thread(before: str, no_more: bool) -> None:
    run = python("-c", AT_EXIT % before)

    assert (run.stdout, run.stderr) == (f"['last words'] no more threads: {no_more}\n", "")
