"""What is guarded: reported when it raises, and otherwise as if nobody had looked."""

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any

import pytest

from notify.backends.memory import MemoryBackend
from notify.crash.guard import guard
from notify.levels import TRADE
from notify.notifier import Notifier, set_notifier
from notify.rules.routing import Route
from notify.testing import FakeClock

CRASH = ["Crashed in the cycle: ValueError: no price"]


@pytest.fixture
def memory() -> Iterator[MemoryBackend]:
    """What the notifier of `setup()` has delivered, once it was closed by `told`."""
    backend = MemoryBackend()
    with Notifier({"memory": backend}, routes={"memory": Route(logging.NOTSET)}) as notifier:
        set_notifier(notifier)
        backend.notifier = notifier  # type: ignore[attr-defined]  # for `told`
        yield backend


def told(memory: MemoryBackend) -> list[str]:
    memory.notifier.flush()  # type: ignore[attr-defined]  # see above
    return memory.messages


@guard("the cycle")
def plain(fails: bool) -> str:
    """Trade."""
    if fails:
        raise ValueError("no price")
    return "done"


@guard("the cycle")
async def coroutine(fails: bool) -> str:
    await asyncio.sleep(0)
    if fails:
        raise ValueError("no price")
    return "done"


@guard("the cycle")
def generator(fails: bool) -> Generator[str, str, str]:
    got = yield "first"
    if fails:
        raise ValueError("no price")
    return got


@guard("the cycle")
async def async_generator(fails: bool) -> AsyncGenerator[str, str]:
    got = yield "first"
    if fails:
        raise ValueError("no price")
    yield got


def with_statement(fails: bool) -> str:
    with guard("the cycle"):
        return plain.__wrapped__(fails)  # type: ignore[attr-defined,no-any-return]  # the bare function


def run_plain(fails: bool) -> object:
    return plain(fails)


def run_coroutine(fails: bool) -> object:
    return asyncio.run(coroutine(fails))


def run_generator(fails: bool) -> object:
    running = generator(fails)
    assert next(running) == "first"
    with pytest.raises(StopIteration) as ended:
        running.send("done")
    return ended.value.value


def run_async_generator(fails: bool) -> object:
    async def run() -> object:
        running = async_generator(fails)
        assert await anext(running) == "first"
        got = await running.asend("done")
        with pytest.raises(StopAsyncIteration):
            await anext(running)
        return got

    return asyncio.run(run())


EVERY_KIND = pytest.mark.parametrize(
    "run", [with_statement, run_plain, run_coroutine, run_generator, run_async_generator], ids=lambda run: run.__name__
)


# ---- what is raised


@EVERY_KIND
def test_what_is_raised_inside_is_reported_and_raised_again(
    memory: MemoryBackend, run: Callable[[bool], object]
) -> None:
    with pytest.raises(ValueError, match="no price"):
        run(True)

    assert told(memory) == CRASH


@EVERY_KIND
def test_what_ends_well_is_not_mentioned(memory: MemoryBackend, run: Callable[[bool], object]) -> None:
    assert run(False) == "done"
    assert told(memory) == []


@EVERY_KIND
def test_without_setup_it_only_raises_again(run: Callable[[bool], object], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(False) == "done"
    with pytest.raises(ValueError, match="no price"):
        run(True)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "end",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        GeneratorExit(),
        asyncio.CancelledError(),
        BaseExceptionGroup("both", [KeyboardInterrupt(), asyncio.CancelledError()]),
    ],
    ids=lambda end: type(end).__name__,
)
def test_an_end_that_somebody_wanted_is_no_crash(memory: MemoryBackend, end: BaseException) -> None:
    with pytest.raises(type(end)) as raised, guard("the cycle"):
        raise end

    assert raised.value is end
    assert told(memory) == []


def test_a_task_that_is_cancelled_is_no_crash(memory: MemoryBackend) -> None:
    @guard("the task")
    async def waits() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert told(memory) == []


@pytest.mark.usefixtures("memory")
def test_a_generator_that_is_closed_early_is_no_crash(memory: MemoryBackend) -> None:
    running = generator(False)
    next(running)
    running.close()

    async def main() -> None:
        running = async_generator(False)
        await anext(running)
        await running.aclose()

    asyncio.run(main())

    assert told(memory) == []


def test_a_report_that_fails_hides_nothing(
    memory: MemoryBackend, monkeypatch: pytest.MonkeyPatch, internal_errors: list[str]
) -> None:
    monkeypatch.setattr("notify.crash.report._made", None)

    with pytest.raises(ValueError, match="no price"):
        plain(True)

    assert internal_errors == ["crash hook"]


def test_after_the_notifier_was_closed_it_only_raises_again(memory: MemoryBackend) -> None:
    memory.notifier.close()  # type: ignore[attr-defined]  # of the fixture

    with pytest.raises(ValueError, match="no price"):
        plain(True)

    assert memory.messages == []


# ---- what it looks like


def test_a_guarded_function_is_of_the_kind_that_it_was() -> None:
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert (plain.__name__, plain.__doc__) == ("plain", "Trade.")


def test_what_is_thrown_into_a_guarded_generator_reaches_it(memory: MemoryBackend) -> None:
    @guard("the cycle")
    def forgiving() -> Generator[str, Any, None]:
        try:
            yield "first"
        except KeyError:
            yield "caught"

    @guard("the cycle")
    async def forgiving_too() -> AsyncGenerator[str, Any]:
        try:
            yield "first"
        except KeyError:
            yield "caught"

    async def main() -> str:
        running = forgiving_too()
        await anext(running)
        return await running.athrow(KeyError())

    running = forgiving()
    next(running)

    assert running.throw(KeyError()) == "caught"
    assert asyncio.run(main()) == "caught"
    assert told(memory) == []


def test_an_asynchronous_generator_that_is_closed_cleans_up_before_that_returns(memory: MemoryBackend) -> None:
    cleaned: list[str] = []

    @guard("the cycle")
    async def holding() -> AsyncGenerator[str, None]:
        try:
            yield "first"
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    async def main() -> None:
        running = holding()
        await anext(running)
        await running.aclose()
        assert cleaned == ["up"]

    asyncio.run(main())


def test_a_method_is_guarded_with_its_object(memory: MemoryBackend) -> None:
    class Strategy:
        price = 3

        @guard("the cycle")
        def decide(self, *, factor: int) -> int:
            return self.price * factor

    assert Strategy().decide(factor=2) == 6


def test_without_parentheses_it_says_how_it_is_meant() -> None:
    with pytest.raises(TypeError, match=r"@notify\.guard\('main loop'\)"):
        guard(plain)  # type: ignore[arg-type]  # that is the point


# ---- announced


@pytest.fixture
def announced() -> Iterator[tuple[FakeClock, MemoryBackend]]:
    clock, backend = FakeClock(1_800_000_000.0), MemoryBackend()
    with Notifier({"memory": backend}, clock=clock) as notifier:
        set_notifier(notifier)
        backend.notifier = notifier  # type: ignore[attr-defined]  # for `told`
        yield clock, backend


def test_an_announced_run_says_when_it_starts_and_how_long_it_took(announced: tuple[FakeClock, MemoryBackend]) -> None:
    clock, memory = announced

    with guard("nightly sync", announce=True):
        clock.advance(11_527)

    assert told(memory) == ["Started: nightly sync", "Finished: nightly sync, after 3 h 12 min"]
    assert [(event.level, event.topic) for event in memory.events] == [(TRADE, "startup"), (TRADE, "shutdown")]


def test_of_a_crash_only_the_crash_is_said(announced: tuple[FakeClock, MemoryBackend]) -> None:
    _, memory = announced

    with pytest.raises(ValueError, match="no price"), guard("nightly sync", announce=True):
        raise ValueError("no price")

    # Sorted, since a crash overtakes what waits.
    assert sorted(told(memory)) == ["Crashed in nightly sync: ValueError: no price", "Started: nightly sync"]


def test_what_was_stopped_says_by_what(announced: tuple[FakeClock, MemoryBackend]) -> None:
    clock, memory = announced

    @guard("nightly sync", announce=True)
    def sync() -> None:
        clock.advance(2)
        raise SystemExit

    with pytest.raises(SystemExit):
        sync()

    assert told(memory) == ["Started: nightly sync", "Stopped: nightly sync, after 2 s, by SystemExit"]


def test_guards_in_each_other_measure_each_their_own_time(announced: tuple[FakeClock, MemoryBackend]) -> None:
    clock, memory = announced
    watched = guard("sync", announce=True)

    with watched:
        clock.advance(1)
        with watched:
            clock.advance(2)

    assert told(memory)[2:] == ["Finished: sync, after 2 s", "Finished: sync, after 3 s"]


def test_what_begins_before_setup_is_announced_when_it_ends() -> None:
    memory = MemoryBackend()

    with guard("sync", announce=True):
        notifier = Notifier({"memory": memory})
        set_notifier(notifier)
    notifier.close()

    assert [message.partition(",")[0] for message in memory.messages] == ["Finished: sync"]
