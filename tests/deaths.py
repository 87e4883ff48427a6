"""Programs that die, each in a way of its own, and who says so: when they run alone, and under `notify run`."""

import signal
from collections.abc import Mapping
from typing import NamedTuple

PROGRAM = "the program"
SUPERVISOR = "the supervisor"
NEXT_START = "the next start"

Told = tuple[tuple[str, str], ...]
"""Who speaks, and a part of the title, for each time that somebody does."""

NOBODY: Told = ()


class Death(NamedTuple):
    """A program that dies, and what is to become of it.

    Args:
        script: Python. `notifier` is ours, or None where the program runs without us. It says "ready" when it waits
            for a signal.
        code: that it ends with, as `subprocess` shows it: that of a signal is negative.
        alone: what is told when nobody supervises it.
        supervised: what is told under `notify run`.
        sent: the signal that it gets when it is ready; under `notify run` the supervisor gets it.
        settings: of ours.
        options: of `notify run`.
        ended_with: the exit code of `notify run`, where it is not what becomes of *code*.
    """

    script: str
    code: int
    alone: Told
    supervised: Told
    sent: signal.Signals | None = None
    settings: Mapping[str, str] = {}
    options: tuple[str, ...] = ()
    ended_with: int | None = None

    @property
    def supervised_code(self) -> int:
        """What `notify run` ends with: the code, or 128 + signal."""
        if self.ended_with is not None:
            return self.ended_with
        return self.code if self.code >= 0 else 128 - self.code


def _by_itself(title: str) -> tuple[Told, Told]:
    """Return what is told when the program does that itself: supervised or not, and by nobody else."""
    told = ((PROGRAM, title),)
    return told, told


def _by_others(*, next_start: str, supervisor: str) -> tuple[Told, Told]:
    """Return what is told when no line of the program runs at its end."""
    return ((NEXT_START, next_start),), ((SUPERVISOR, supervisor),)


FAILS = """
def fail():
    raise ValueError("no price")
"""

_THREAD = """
thread = threading.Thread(target={target}, name="worker")
thread.start()
thread.join()
say("goes on")
"""

_UNREAD_TASK = """
import asyncio, gc, {library}

async def fail():
    raise ValueError("no price")

async def main():
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)  # seconds: the task needs one step
    del task
    gc.collect()

with asyncio.Runner(loop_factory={library}.new_event_loop) as runner:
    runner.run(main())
say("goes on")
"""

_FINALISER = """
class Position:
    def __del__(self):
        raise ValueError("no price")

Position()
say("goes on")
"""

# What it runs can be imported by every child, however that was started.
_CHILD = """
import multiprocessing, operator

child = multiprocessing.get_context("{method}").Process(target=operator.truediv, args=(1, 0), name="pricing")
child.start()
child.join()
say(child.exitcode)
"""

# 1 GiB in pieces of 1 MiB, so that next to nothing is left. Nobody touches them, so that they take no real memory.
_MEMORY = """
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
hoard = []
while True:
    hoard.append(bytes(2**20))
"""

# In one line and without a function, so that a traceback is the same wherever in it the signal comes.
_IDLE = r"""
from itertools import chain, repeat

for said in chain([b"ready\n"], repeat(b"")): os.write(1, said); time.sleep(0.01)
"""

# As when the signal comes in the middle of a log line.
_LOCKED = """
with logging.getLogger().handlers[0].lock:
    say("ready")
    idle()
"""

# 2**60 steps. A regular expression looks for signals from time to time.
_REGEX = """
import re

say("ready")
re.match("(a+)+$", "a" * 60 + "b")
"""

# Some tenths of a second in which nobody looks for signals. The first step of it is to say that it is ready.
_DEAF = r"""
from itertools import chain, repeat

sum(chain(map(os.write, [1], [b"ready\n"]), repeat(0, 50_000_000)))
"""

_HANGS_UNTIL_HEARD = """
if notifier is not None:
    notifier.run_state.refresh()
    while not notifier.stats()["discord"]["delivered"]:
        time.sleep(0.01)
"""

# Where nobody ends it, it has to end by itself.
_HANGS_FOR_GOOD = """
if notifier is not None:
    time.sleep(0.1)  # seconds: progress in the first hundredth of one is not told from the beginning
    notifier.run_state.refresh()
if "NOTIFY_SUPERVISOR" in os.environ:
    threading.Event().wait()
"""

_KILLED = "The last run was killed: no Python code ran at its end"
_IN_TASK = _by_itself("Crashed in an asyncio task: ValueError: no price")
_ON_TERM = _by_itself("Told to stop: SIGTERM")
_TERM, _INT, _KILL, _ABRT, _SEGV = signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV

DEATHS: dict[str, Death] = {
    # ---- exceptions
    "main thread": Death(f"{FAILS}\nfail()", 1, *_by_itself("Crashed in the main thread: ValueError: no price")),
    "thread": Death(
        FAILS + _THREAD.format(target="fail"), 0, *_by_itself("Crashed in thread worker: ValueError: no price")
    ),
    "SystemExit in a thread": Death(_THREAD.format(target="sys.exit"), 0, NOBODY, NOBODY),
    "unread task of asyncio": Death(_UNREAD_TASK.format(library="asyncio"), 0, *_IN_TASK),
    "unread task of uvloop": Death(_UNREAD_TASK.format(library="uvloop"), 0, *_IN_TASK),
    "__del__": Death(_FINALISER, 0, *_by_itself("Crashed in Position.__del__: ValueError: no price")),
    **{
        f"child by {method}": Death(
            _CHILD.format(method=method), 0, *_by_itself("Crashed in process pricing: ZeroDivisionError: division by")
        )
        for method in ("fork", "forkserver", "spawn")
    },
    "memory limit": Death(_MEMORY, 1, *_by_itself("Crashed in the main thread: MemoryError")),
    # A program may end so whenever it likes; what its exit code says is for who has started it to hear.
    "sys.exit with a text": Death("sys.exit('no price')", 1, NOBODY, ((SUPERVISOR, "ended with exit code 1 after"),)),
    # ---- signals that ask
    "SIGTERM while idle": Death(_IDLE, -_TERM, *_ON_TERM, sent=_TERM),
    "SIGTERM while a lock is held": Death(_LOCKED, -_TERM, *_ON_TERM, sent=_TERM),
    "SIGTERM in a regular expression": Death(_REGEX, -_TERM, *_ON_TERM, sent=_TERM),
    "SIGTERM in a deaf call into C": Death(_DEAF, -_TERM, *_ON_TERM, sent=_TERM),
    "SIGINT": Death(_IDLE, -_INT, *_by_itself("Told to stop: SIGINT"), sent=_INT),
    # ---- ends without Python
    "SIGKILL": Death("kill_me()", -_KILL, *_by_others(next_start=_KILLED, supervisor="was killed by SIGKILL after")),
    "os._exit": Death("os._exit(3)", 3, *_by_others(next_start=_KILLED, supervisor="ended with exit code 3 after")),
    "abort": Death(
        "os.abort()", -_ABRT, *_by_others(next_start="The last run crashed in C: Aborted", supervisor="s: aborted")
    ),
    "segmentation fault": Death(
        "import ctypes\nctypes.string_at(0)",
        -_SEGV,
        *_by_others(next_start="The last run crashed in C: Segmentation fault", supervisor="s: segmentation fault"),
    ),
    # ---- hangs
    "hang seen from inside": Death(
        _HANGS_UNTIL_HEARD,
        0,
        *_by_itself("The program hangs: no progress for"),
        settings={"NOTIFY_HANG_AFTER": "0.2"},  # seconds
    ),
    "hang seen from outside": Death(
        _HANGS_FOR_GOOD,
        0,
        NOBODY,
        ((SUPERVISOR, "hangs: no progress for"), (SUPERVISOR, "hung and was ended after")),
        options=("--hang-after", "2", "--kill-hung"),  # seconds: the least that it takes
        ended_with=128 + _ABRT,
    ),
}
