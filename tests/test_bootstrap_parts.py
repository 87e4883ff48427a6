"""What `setup()` leaves open when it raises: nothing."""

import logging
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from set_up import QUIET, bare_root

import notify
from notify.backends.memory import MemoryBackend
from notify.bootstrap import front, parts
from notify.errors import ConfigError
from notify.notifier import current_notifier

pytestmark = pytest.mark.interpreter


class Kept(MemoryBackend):
    """A backend that is worth an outbox, and counts how often it is closed."""

    def __init__(self) -> None:
        super().__init__(durable=True)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def interrupted(*args: object, **kwargs: object) -> NoReturn:
    raise KeyboardInterrupt


def open_now() -> tuple[set[Path], set[threading.Thread]]:
    """Return what the process has open, and its threads."""
    return set(Path("/dev/fd").iterdir()), set(threading.enumerate())


def the_call_raises(state: Path, kind: type[BaseException], **env: str) -> Kept:
    """Set up with a durable backend, which raises, and return the backend."""
    backend = Kept()
    with pytest.raises(kind):
        notify.setup(env={**QUIET, "NOTIFY_STATE_DIR": str(state), **env}, backends={"sink": backend})
    return backend


@pytest.mark.parametrize(
    "variable",
    ["NOTIFY_DURABLE_LEVEL", "NOTIFY_REPEAT_INTERVAL", "NOTIFY_STORM_LIMIT", "NOTIFY_HANG_AFTER", "SINK_LEVEL"],
)
def test_a_setting_that_is_unusable_is_found_before_anything_is_opened(state: Path, variable: str) -> None:
    before = open_now()

    for _ in range(3):
        the_call_raises(state, ConfigError, **{variable: "abc"})

    assert open_now() == before
    assert not state.exists()


@pytest.mark.parametrize("module", [parts, front], ids=["before there is a notifier", "after that"])
def test_what_is_opened_is_closed_when_the_rest_does_not_come_about(
    state: Path, monkeypatch: pytest.MonkeyPatch, module: object
) -> None:
    root = bare_root()
    before = open_now()
    monkeypatch.setattr(module, "Notifier" if module is parts else "_mark_run", interrupted)

    backends = [the_call_raises(state, KeyboardInterrupt) for _ in range(3)]

    assert open_now() == before
    assert [backend.closed for backend in backends] == [1, 1, 1]
    assert list((state / "owners").iterdir()) != []  # there was an outbox to close
    assert (root.handlers, root.level, current_notifier()) == ([], logging.WARNING, None)
