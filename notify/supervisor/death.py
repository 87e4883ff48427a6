"""What is said of a child's death: what killed it in one short line, then all that is known of it."""

import logging
import os
import signal
from dataclasses import dataclass

from notify.backends.text import SECTION_BREAK
from notify.clip import clip
from notify.crash import fault as faults
from notify.crash.run_file import NOTHING_SAID, Facts
from notify.duration import duration
from notify.event import Attachment, Event, Source, new_id
from notify.plain import clean, iso_time
from notify.plural import plural
from notify.supervisor.child import BY_SIGNAL, Ending
from notify.supervisor.signals import STOPPING

TAIL = 30
"""Lines of stderr that go with a death."""

_ASKED_LATELY = 600.0  # seconds that a program may take to end when it is asked to: it may finish a cycle first
# Seconds from SIGTERM to SIGKILL. Docker waits 10 before it loses patience, Kubernetes 30; systemd's 90 are left out,
# for so long after SIGTERM it is as likely that somebody else has killed the program.
_IMPATIENT = 30.0
# What ends programs. SIGHUP and SIGQUIT, which have other uses too, are only looked at when a program dies of them.
_ASKS = frozenset({signal.SIGTERM, signal.SIGINT})

# Of defects in C code, or found by it.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}
)
_LONG = 3000  # code points of a C traceback, from which on it is a file: 25 frames of a usual width
_NAME = 24  # code points of the program's name in the title: Discord shows 80 as one


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A child that has died of something that nobody wanted.

    Args:
        program: what it is called.
        pid: of it.
        ending: how it ended.
        at: UTC epoch seconds.
        stderr: its last lines, oldest first; all that are known, without secrets.
        fault: what faulthandler wrote for it elsewhere.
        started_at: UTC epoch seconds; None: so long before its end as it has run.
        last_progress_at: UTC epoch seconds; None when it has noted none.
        facts: what the program has said of its run.
        status_url: where people see its status; None: nowhere.
        by_oom_killer: whether the kernel's out-of-memory killer killed it.
        oom_kills: processes of its memory cgroup that were killed so while it ran.
        hung: whether we have ended it, since it hung.
        unseen: what a program behind it is called that has died without Python, where the end of the child, a wrapper,
            does not say if it came of that; empty when there is none. The fault, the start, the progress
            and the facts are those of that program.
        restarts: how often it was started lately, such as `5th start in 10 minutes`; empty when that says nothing.
        holds_back: whether not each of the ends that are like it, and follow it, will be told.
    """

    program: str
    pid: int
    ending: Ending
    at: float
    stderr: tuple[str, ...] = ()
    fault: str = ""
    started_at: float | None = None
    last_progress_at: float | None = None
    facts: Facts = NOTHING_SAID
    status_url: str | None = None
    by_oom_killer: bool = False
    oom_kills: int = 0
    hung: bool = False
    unseen: str = ""
    restarts: str = ""
    holds_back: bool = False


def was_asked(ending: Ending) -> bool:
    """Say whether a program ended as it was asked to.

    It died of a signal that it was sent in order to end it, or ended by itself within ten minutes after SIGTERM or
    SIGINT, or was killed within half a minute after SIGTERM. Who dies of any other signal meanwhile has crashed.
    """
    killer = ending.exit_code - BY_SIGNAL
    if killer in ending.told:
        return True
    since = ending.seconds_since_told
    if since is None:
        return False
    if killer == signal.SIGKILL:
        return since <= _IMPATIENT and signal.SIGTERM in ending.told
    if killer in _CRASHES or (ending.signal is not None and ending.signal not in STOPPING):
        return False
    return since <= _ASKED_LATELY and not _ASKS.isdisjoint(ending.told)


def is_being_stopped(ending: Ending) -> bool:
    """Say whether a program, however it ended, was asked to so lately that whoever asked still waits for it."""
    since = ending.seconds_since_told
    return since is not None and since <= _IMPATIENT and not _ASKS.isdisjoint(ending.told)


def may_be_oom_kill(ending: Ending) -> bool:
    """Say whether a program ended as it does by the out-of-memory killer: of SIGKILL, itself or what a shell runs."""
    return ending.exit_code == BY_SIGNAL + signal.SIGKILL


def title(death: Death) -> str:
    """Return in one short line what became of the program, for a phone."""
    name = clip(clean(death.program), _NAME)
    signum = death.ending.signal
    when = f" ({death.restarts})" if death.restarts else f" after {duration(death.ending.seconds)}"
    if death.hung:
        return f"{name} hung and was ended{when}"
    if death.by_oom_killer:
        return f"{name} was killed by the OOM killer{when}"
    if signum is None:
        return f"{name} ended with exit code {death.ending.returncode}{when}"
    if signum in _CRASHES:
        return f"{name} crashed{when}: {(signal.strsignal(signum) or '').lower()}"
    return f"{name} was killed by {signal_name(signum)}{when}"


def stop_title(program: str, ending: Ending) -> str:
    """Return in one short line that a program ended as it was asked to, and how if not by the signal alone."""
    name = clip(clean(program), _NAME)
    told = f" on {signal_name(ending.told[-1])}" if ending.told else " when asked"
    how = ""
    if ending.exit_code not in {0, *(BY_SIGNAL + signum for signum in (ending.told or _ASKS))}:
        code = f"exit code {ending.returncode}"
        how = f" with {code if ending.signal is None else signal_name(ending.signal)}"
    return f"{name} stopped{told}{how} after {duration(ending.seconds)}"


def event_of(death: Death) -> Event:
    """Return the event that tells of a death. Level CRITICAL, topic `crash`."""
    trace, lines = faults.of_crash(death.fault), death.stderr
    if not trace and death.ending.exit_code - BY_SIGNAL in _CRASHES:
        trace, lines = _fault_in(lines)
    shown = faults.crashed_thread(trace)
    stack = shown if len(shown) <= _LONG else ""
    is_file = bool(trace) and trace != stack
    told: list[str] = []
    if cycles := death.facts.cycles:
        told.insert(0, f"It ended after {cycles:,} {plural(cycles, 'cycle')}.")
    if death.unseen:
        told.insert(0, _of_unseen(clean(death.unseen), crashed=bool(trace)))
    if death.oom_kills and not death.by_oom_killer:
        killed = plural(death.oom_kills, "process", "processes")
        told.insert(0, f"While it ran, the OOM killer killed {death.oom_kills} {killed} of its memory cgroup.")
    if death.holds_back:
        told.append("Not each end like this is told: in ten minutes the 1st, 2nd, 5th, 10th, 20th, 50th … of a row.")
    parts = ["\n".join(told), stack]
    return Event(
        id=new_id(death.at),
        time=death.at,
        message=title(death),
        body=clean(f"\n{SECTION_BREAK}\n".join(filter(None, parts))),
        level=logging.CRITICAL,
        topic="crash",
        fields=_facts(death),
        attachments=(Attachment("c-traceback.txt", clean(trace).encode()),) if is_file else (),
        tail=tuple(clean(line) for line in lines[-TAIL:]),
        source=Source(process=death.pid),
    )


def kind_of(death: Death) -> str:
    """Return in one word what ended the program: those that end alike are a row, and one row hides no other."""
    if death.hung:
        return "hung"
    if death.by_oom_killer:
        return "oom"
    signum = death.ending.signal
    kind = f"exit-{death.ending.returncode}" if signum is None else signal_name(signum).replace(" ", "-")
    return f"{kind}-unseen" if death.unseen else kind


def signal_name(signum: int) -> str:
    """Return `SIGKILL` and the like; `signal 40` for those without a name."""
    return signum.name if isinstance(signum, signal.Signals) else f"signal {signum}"


def _of_unseen(name: str, *, crashed: bool) -> str:
    how = "crashed in C" if crashed else "was killed, or ended by os._exit(): no Python code ran at its end"
    return f"{name}, which ran behind it, {how}. Progress, cycles and version are those of {name}."


def _fault_in(lines: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return what faulthandler wrote to stderr as the last thing, and the lines before it."""
    starts = [number for number, line in enumerate(lines) if line.startswith(faults.FATAL)]
    if not starts:
        return "", lines
    return "\n".join(lines[starts[-1] :]), lines[: starts[-1]]


def _facts(death: Death) -> dict[str, object]:
    ending = death.ending
    facts: dict[str, object] = {
        "program": clean(death.program),
        "exit_code": None if ending.signal is not None else ending.returncode,
        "signal": None if ending.signal is None else signal_name(ending.signal),
        "core_dumped": True if ending.dumped_core else None,
        "run_time": duration(ending.seconds),
        "cpu_time": duration(ending.usage.ru_utime + ending.usage.ru_stime),
        "memory_peak": _memory_peak(ending),
        "last_progress": None if death.last_progress_at is None else iso_time(death.last_progress_at),
        "completed_cycle": death.facts.completed_cycle or None,
        "cycles": death.facts.cycles,
        "version": death.facts.version or None,
        "host": clean(os.uname().nodename),
        "process": death.pid,
        "status": death.status_url,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _memory_peak(ending: Ending) -> str:
    """Return the most memory that the program had; or at most had, where it may as well have been the supervisor."""
    peak = ending.usage.ru_maxrss
    return f"{'' if peak > ending.own_peak else 'at most '}{peak / 2**10:.1f} MiB"  # KiB on Linux: getrusage(2)
