"""What is bound with `structlog.contextvars` becomes fields of what plain logging says."""

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest
from children import python
from lanes import LONG
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, unbind_contextvars

from notify.backends.memory import MemoryBackend
from notify.capture import context
from notify.notifier import Notifier

logger = logging.getLogger("strategy")


@pytest.fixture(autouse=True)
def _nothing_bound() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


@pytest.fixture
def fields(notifier: Notifier, backend: MemoryBackend) -> "Fields":
    logging.getLogger().setLevel(logging.DEBUG)
    notifier.attach()
    return Fields(notifier, backend)


class Fields:
    """The fields of what was said, by its message."""

    def __init__(self, notifier: Notifier, backend: MemoryBackend) -> None:
        self._notifier = notifier
        self._backend = backend

    def of(self, message: str) -> object:
        assert self._notifier.flush(LONG)
        (event,) = (event for event in self._backend.events if event.message == message)
        return event.fields


def test_what_is_bound_is_there_until_it_is_unbound(fields: Fields) -> None:
    logger.info("before")
    bind_contextvars(cycle=17, pair="ETH-USDC")
    logger.info("bound")
    unbind_contextvars("pair")
    logger.info("one less")
    clear_contextvars()
    logger.info("after")

    assert fields.of("before") == {}
    assert fields.of("bound") == {"cycle": 17, "pair": "ETH-USDC"}
    assert fields.of("one less") == {"cycle": 17}
    assert fields.of("after") == {}


def test_extras_of_the_call_win(fields: Fields) -> None:
    with bound_contextvars(cycle=17, pair="ETH-USDC"):
        logger.info("said", extra={"pair": "BTC-USDC"})

    assert fields.of("said") == {"cycle": 17, "pair": "BTC-USDC"}


def test_each_task_and_each_thread_has_its_own(fields: Fields) -> None:
    async def strategy(name: str) -> None:
        bind_contextvars(strategy=name)
        await asyncio.sleep(0)  # the other one binds meanwhile
        logger.info("task %s", name)

    async def both() -> None:
        await asyncio.gather(strategy("a"), strategy("b"))

    asyncio.run(both())
    thread = threading.Thread(target=lambda: logger.info("thread"))
    with bound_contextvars(cycle=17):
        thread.start()
        thread.join()

    assert fields.of("task a") == {"strategy": "a"}
    assert fields.of("task b") == {"strategy": "b"}
    assert fields.of("thread") == {}


def test_a_topic_that_is_bound_is_the_topic(notifier: Notifier, backend: MemoryBackend, fields: Fields) -> None:
    with bound_contextvars(topic="gas"):
        logger.warning("low")

    assert fields.of("low") == {}
    assert backend.events[0].topic == "gas"


def test_a_structlog_that_keeps_its_variables_elsewhere_is_asked_each_time(
    fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ModuleType("structlog.contextvars")
    other.get_contextvars = lambda: {"cycle": 17}  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "structlog.contextvars", other)
    monkeypatch.setattr(context, "is_known", False)
    monkeypatch.setattr(context, "bound", {})

    logger.info("said")

    assert fields.of("said") == {"cycle": 17}


def test_a_module_that_another_thread_is_importing_is_left_alone(
    fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "structlog.contextvars", ModuleType("structlog.contextvars"))
    monkeypatch.setattr(context, "is_known", False)
    monkeypatch.setattr(context, "bound", {})

    logger.info("meanwhile")
    monkeypatch.undo()
    logging.getLogger().setLevel(logging.DEBUG)
    with bound_contextvars(cycle=17):
        logger.info("after")

    assert fields.of("meanwhile") == {}
    assert fields.of("after") == {"cycle": 17}


@pytest.mark.process
def test_structlog_may_be_imported_at_any_time_and_is_not_imported_for_it() -> None:
    script = """if True:
        import logging, sys
        import notify
        heard = []
        notifier = notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"list": heard.append})
        logging.getLogger("strategy").info("before")
        notifier.flush()
        assert "structlog" not in sys.modules
        import structlog
        structlog.contextvars.bind_contextvars(cycle=17)
        logging.getLogger("strategy").info("after")
        notifier.close()
        print([event.fields for event in heard])
    """

    run = python("-c", script)

    assert (run.stdout, run.stderr) == ("[{}, {'cycle': 17}]\n", "")
