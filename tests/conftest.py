"""What every test leaves as it found it, what no test may leave behind, and the set-ups that many tests begin with."""

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from executors import Executor, executors
from hypothesis import HealthCheck, settings
from lanes import Bench, Hanging, benches
from supervised import Terminal

from notify import diagnostics
from notify.backends.discord import limiter
from notify.backends.memory import MemoryBackend
from notify.backends.telegram import limiter as telegram_limiter
from notify.bootstrap import stop_serving
from notify.notifier import Notifier, current_notifier, set_notifier
from notify.rules.routing import Route
from notify.testing import FakeClock

# Kinds of report that mean a defect of ours, wherever they turn up.
INTERNAL = frozenset({"handler", "draft", "crash hook"})
ENDING = 30.0  # seconds that a thread which is about to end may take; it needs a thousandth

# No deadline, and examples may be slow to come: two busy cores are slow for reasons of their own. No database: nothing
# is left behind.
settings.register_profile(
    "notify", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("notify")

# A job in the background of a shell ignores these, and so would every program that a test starts and interrupts.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have the size of the long tests chosen on the command line."""
    group = parser.getgroup("notify", "how hard notify is tried")
    group.addoption("--kills", type=int, default=300, metavar="N", help="processes that the crash oracle kills (300)")
    group.addoption("--signals", type=int, default=10_000, metavar="N", help="signals whose handler notifies (10000)")
    group.addoption("--forks", type=int, default=200, metavar="N", help="forks while something is delivered (200)")
    group.addoption("--strategies", type=int, default=100, metavar="N", help="strategies that are watched (100)")
    group.addoption("--executors", type=int, default=100, metavar="N", help="executors behind one relay (100)")
    group.addoption("--records", type=int, default=500, metavar="N", help="hostile records that are logged (500)")


@pytest.fixture
def internal_errors(_noted: list[str]) -> list[str]:
    """The kinds of internal errors reported so far. A test that asks for this may cause them."""
    return _noted


@pytest.fixture
def _noted() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _internal_errors_fail(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _noted: list[str]
) -> Iterator[None]:
    report = diagnostics.report

    def noting(kind: str, text: str) -> None:
        if kind in INTERNAL:
            _noted.append(kind)
        report(kind, text)

    monkeypatch.setattr(diagnostics, "report", noting)
    yield
    if _noted and "internal_errors" not in request.fixturenames:
        pytest.fail(f"internal errors were reported: {_noted}")


@pytest.fixture(autouse=True)
def _limits_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a ban that another one has drawn upon the process."""
    monkeypatch.setattr(limiter, "_of_process", limiter.ProcessLimiter())
    monkeypatch.setattr(telegram_limiter, "_of_process", telegram_limiter.ProcessLimiter())


@pytest.fixture(autouse=True)
def _state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test finds what another one left undelivered, nor leaves anything in the home of who runs it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Undo what `setup()` and programs do to the process; no thread of ours may outlive its test."""
    hooks = sys.excepthook, threading.excepthook
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    threads = set(threading.enumerate())
    diagnostics.forget()
    yield
    notifier = current_notifier()
    if notifier is not None:
        notifier.close(0)
    stop_serving()
    set_notifier(None)
    sys.excepthook, threading.excepthook = hooks
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(False)
    diagnostics.forget()
    left = [thread for thread in threading.enumerate() if thread.name.startswith("notify-") and thread not in threads]
    for thread in left:
        thread.join(ENDING)
    alive = [thread.name for thread in left if thread.is_alive()]
    if alive:
        pytest.fail(f"threads outlived the test: {alive}")


# ---- set-ups


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that is not there yet."""
    return tmp_path / "state"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers wait ten seconds for others at the outbox and at matters, where 50 ms are too few on a busy machine."""
    for module in ("outbox.writer", "folding.front"):
        monkeypatch.setattr(f"notify.delivery.{module}._PATIENCE", 10.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bench(clock: FakeClock) -> Iterator[Bench]:
    with benches(clock) as bench:
        yield bench


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """A backend that hangs until the test, or its end, lets it."""
    backend = Hanging()
    yield backend
    backend.let.set()  # its thread ends, and the fixture that looks for threads sees it end


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(max_batch=100)


@pytest.fixture
def notifier(backend: MemoryBackend) -> Iterator[Notifier]:
    """A notifier whose backend gets everything, whatever its level."""
    with Notifier({"memory": backend}, routes={"memory": Route(logging.NOTSET)}) as notifier:
        yield notifier


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal to run programs on."""
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file into which a supervised program's supervisor writes how it ended."""
    path = tmp_path / "report.json"
    monkeypatch.setenv("REPORT", str(path))
    return path


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """An executor with a channel, a group and a Logstash, of which nothing is set up yet."""
    with executors(monkeypatch) as executor:
        yield executor
