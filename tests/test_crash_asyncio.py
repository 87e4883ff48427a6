"""What tasks and callbacks raise and nobody awaits: heard on asyncio and on uvloop, and said once."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
from crashes import run, run_both

from notify.backends.memory import MemoryBackend
from notify.crash import asyncio_errors
from notify.notifier import Notifier

pytestmark = pytest.mark.interpreter

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])

# `main` is what each test has to say.
PROGRAM = """
import asyncio, gc

async def fail():
    raise ValueError("no price")

async def main():
{main}

def new_loop():
    if sys.argv[3] == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    return asyncio.new_event_loop()

with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main())
print("goes on")
"""


def program(main: str) -> str:
    return PROGRAM.replace("{main}", indent(main, "    "))


LOST_TASK = "task = asyncio.ensure_future(fail())\nawait asyncio.sleep(0.01)\ndel task\ngc.collect()"
LOST_FUTURE = (
    "future = asyncio.get_running_loop().create_future()\n"
    "try:\n    await fail()\nexcept ValueError as error:\n    future.set_exception(error)\n"
    "del future\ngc.collect()"
)
CALLBACK = "asyncio.get_running_loop().call_soon([].pop)\nawait asyncio.sleep(0.01)"


@pytest.mark.process
@LOOPS
@pytest.mark.parametrize(
    ("main", "message"),
    [
        (LOST_TASK, "Crashed in an asyncio task: ValueError: no price"),
        (LOST_FUTURE, "Crashed in an asyncio future: ValueError: no price"),
        (CALLBACK, "Crashed in an asyncio callback: IndexError: pop from empty list"),
    ],
    ids=["task", "future", "callback"],
)
def test_what_nobody_awaits_is_told_once_and_logged_as_ever(tmp_path: Path, loop: str, main: str, message: str) -> None:
    ran = run_both(tmp_path, program(main), loop)

    (told,) = ran.told  # the crash, and not the log record too
    assert told["message"] == message
    assert ran.stdout == "goes on\n"
    assert ran.stderr.startswith("asyncio ERROR ")


@pytest.mark.process
@LOOPS
@pytest.mark.parametrize(
    "main",
    [
        "task = asyncio.ensure_future(asyncio.sleep(30))\nawait asyncio.sleep(0)\ntask.cancel()",
        "try:\n    await asyncio.ensure_future(fail())\nexcept ValueError:\n    pass",
        "asyncio.get_running_loop().set_exception_handler(lambda *args: print('theirs', flush=True))\n" + LOST_TASK,
    ],
    ids=["cancelled", "caught", "handled"],
)
def test_what_the_program_deals_with_itself_is_no_crash(tmp_path: Path, loop: str, main: str) -> None:
    assert run_both(tmp_path, program(main), loop).told == []


@pytest.mark.process
@LOOPS
def test_what_ends_the_main_coroutine_is_told_once(tmp_path: Path, loop: str) -> None:
    ran = run_both(tmp_path, program("await fail()"), loop)

    assert ran.messages == ["Crashed in the main thread: ValueError: no price"]
    assert ran.code == 1


@pytest.mark.process
@LOOPS
def test_a_handler_that_passes_on_to_the_default_is_told_once(tmp_path: Path, loop: str) -> None:
    main = (
        "loop = asyncio.get_running_loop()\n"
        "loop.set_exception_handler(lambda loop, context: loop.default_exception_handler(context))\n" + LOST_TASK
    )

    assert run(tmp_path, program(main), loop).messages == ["Crashed in an asyncio task: ValueError: no price"]


@pytest.mark.process
def test_asyncio_is_not_imported_for_it() -> None:
    script = """if True:
        import sys
        from notify.crash import asyncio_errors
        from notify.notifier import Notifier
        with Notifier({}) as notifier:
            asyncio_errors.install(notifier)
        print("asyncio" in sys.modules)
    """

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout == "False\n"


# ---- the logger


@pytest.fixture
def heard() -> Iterator[tuple[Notifier, MemoryBackend]]:
    memory = MemoryBackend()
    with Notifier({"memory": memory}) as notifier:
        notifier.at_close(asyncio_errors.install(notifier))
        notifier.attach()
        notifier.at_close(notifier.detach)
        yield notifier, memory


def topics(heard: tuple[Notifier, MemoryBackend]) -> list[str]:
    notifier, memory = heard
    notifier.flush()
    return [event.topic for event in memory.events]


def test_a_connection_that_a_peer_broke_is_a_log_line_and_no_crash(heard: tuple[Notifier, MemoryBackend]) -> None:
    said = "SSL handshake failed\nprotocol: <P>\ntransport: <T>"
    logging.getLogger("asyncio").error(said, exc_info=ConnectionResetError())

    assert topics(heard) == ["log"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)])
def test_an_end_that_somebody_wanted_is_a_log_line_and_no_crash(
    heard: tuple[Notifier, MemoryBackend], end: BaseException
) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=end)

    assert topics(heard) == ["log"]


def test_a_record_without_an_exception_is_a_log_line(heard: tuple[Notifier, MemoryBackend]) -> None:
    logging.getLogger("asyncio").error("Task was destroyed but it is pending!")
    logging.getLogger("asyncio").warning("slow", exc_info=ValueError())

    assert topics(heard) == ["log", "log"]


def test_what_another_logger_says_of_a_crash_is_said_all_the_same(heard: tuple[Notifier, MemoryBackend]) -> None:
    error = ValueError("no price")
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=error)
    logging.getLogger("strategy").error("Cycle 7 has failed", exc_info=error)

    assert sorted(topics(heard)) == ["crash", "log"]


def test_a_record_that_was_told_as_a_crash_is_in_the_tail_of_the_next(heard: tuple[Notifier, MemoryBackend]) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=ValueError("no price"))

    assert heard[0].tail(1)[0].endswith("ERROR asyncio: Task exception was never retrieved [ValueError: no price]")


def test_after_the_notifier_was_closed_the_logger_is_as_it_was(heard: tuple[Notifier, MemoryBackend]) -> None:
    heard[0].close()

    assert logging.getLogger("asyncio").filters == []
    logging.getLogger("asyncio").error("late", exc_info=ValueError())
    assert heard[1].events == []


@pytest.mark.parametrize("exc_info", [True, (ValueError,), "no price", (ValueError, "no price", None)])
def test_a_record_whose_exception_is_none_is_no_crash_and_raises_nothing(
    heard: tuple[Notifier, MemoryBackend], exc_info: object
) -> None:
    record = logging.makeLogRecord({"name": "asyncio", "levelno": logging.ERROR, "msg": "no", "exc_info": exc_info})

    passes = logging.getLogger("asyncio").filter(record)  # not `handle`: other handlers may not know what to make of it

    assert passes
    assert topics(heard) == []
