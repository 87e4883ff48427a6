"""One run of the program, from its start until all is known and said of its end."""

import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from notify import diagnostics
from notify.crash.aftermath import announce
from notify.crash.restarts import Start, note_start
from notify.crash.run_file import NOTHING_SAID
from notify.crash.unclean import How, UncleanEnd, claim_pid
from notify.delivery.ticket import Ticket
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.plain import class_name
from notify.supervisor.child import BY_SIGNAL, Child, Ending, wait_for_stop
from notify.supervisor.death import (
    Death,
    event_of,
    is_being_stopped,
    kind_of,
    may_be_oom_kill,
    stop_title,
    was_asked,
)
from notify.supervisor.hang import HangWatch
from notify.supervisor.last_words import redacted
from notify.supervisor.mark import Mark
from notify.supervisor.oom import OomKills
from notify.supervisor.signals import STOPPING, Signals
from notify.supervisor.streams import Streams

_ABORTING = 10.0  # seconds that a program which hangs has to die of SIGABRT
_PASSING_ON = 1.0  # seconds that a wrapper has to end when its program has died
# Seconds in which what has ended the child may reach us too: a service manager sends it to one after the other.
_SENT_TO_BOTH = 1.0
_PUTTING_AWAY = 0.5  # seconds for a program to end after its wrapper: what it needs to say so, if it is heard at once
_PAUSE = 0.01  # seconds between two looks at that
_ALL_LINES = 65_536  # of stderr: no more are kept, as these are bytes
_NAME = 60  # code points of a directory's name: the 255 bytes of a file system, of four for one at worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run.

    Args:
        name: what it is called.
        command: the program and its arguments.
        env: its environment.
        state_dir: the state directory that it uses, if it uses this package.
        redact_text: takes secrets out of what it wrote to stderr.
        status_url: where people see its status; None: nowhere.
        hang_after: seconds without progress after which it hangs; None: it is not watched.
        kill_hung: end it when it hangs.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    state_dir: Path
    redact_text: Callable[[str], str]
    status_url: str | None = None
    hang_after: float | None = None
    kill_hung: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Args:
        exit_code: for the supervisor to end with.
        seconds: run time.
        asked: how often somebody has asked the program to end; 0 when it ended by itself, or nobody waits for that end
            any more.
        seconds_since_asked: between the last of these and the end.
        is_crash: whether nobody wanted that end.
        death: what is known of it; None when it was wanted, or nothing could be found out.
        ticket: of the event that tells of it. None when the program has told itself, or when it is one of a row of
            crashes of which not each is told.
        has_told: whether the program has told of its crash itself.
    """

    exit_code: int
    seconds: float
    asked: int
    is_crash: bool
    seconds_since_asked: float = 0.0
    death: Death | None = None
    ticket: Ticket | None = None
    has_told: bool = False


class Run:
    """One run of *program*, which begins at once. For the main thread. Raises `StartError` when it cannot.

    Args:
        program: what is run.
        notifier: says how it ended, and sends what it has left in its outbox.
        signals: of this process.
        streams: what the program writes to.
        good_startup: seconds. The status of a run that crashes before them is seen nowhere.
    """

    def __init__(
        self,
        program: Program,
        *,
        notifier: Notifier,
        signals: Signals,
        streams: Streams,
        good_startup: float = 0.0,
    ) -> None:
        self._program = program
        self._good_startup = good_startup
        self._notifier = notifier
        self._signals = signals
        self._streams = streams
        self._hung = False
        self._death: Death | None = None
        self._ticket: Ticket | None = None
        self._has_told = False
        self._oom_kills = OomKills()
        try:
            self._child = Child(program.command, program.env, signals=signals, streams=streams)
        except BaseException:
            self._oom_kills.close()
            raise
        self._mark = Mark(program.state_dir, self._child.pid)

    def outcome(self) -> Outcome:
        """Wait for the end, say what is to be said of it, and return what came of it.

        The notifier then has what was left in the outbox. Raises no Exception for what goes wrong in saying it.
        """
        ending = self._wait()
        by_oom_killer = self._is_oom_kill(ending)
        is_wanted = was_asked(ending) and not by_oom_killer
        asked = len(ending.told) if is_wanted or is_being_stopped(ending) else 0
        if not asked and not by_oom_killer and self._asked_as_well(ending):
            is_wanted, asked = True, 1
        is_crash = self._hung or (ending.returncode != 0 and not is_wanted)
        with _reporting("what became of the program could not be told"):
            has_mark = self._mark.found()
            every = self._note_start()
            if is_crash and has_mark and self._has_said_that_it_stops(ending):
                is_crash = False
            if is_crash:
                self._tell_crash(ending, every, by_oom_killer=by_oom_killer)
            else:
                if is_wanted and not (has_mark and self._says_itself_how_it_ends(ending)):
                    self._tell_stop(ending)
                self._tell_outlived(self._claimed(), every, is_wanted=is_wanted)
        with _reporting("what the program has left could not be looked for"):
            self._notifier.adopt()
        self._oom_kills.close()
        return Outcome(
            exit_code=ending.exit_code,
            seconds=ending.seconds,
            asked=asked,
            seconds_since_asked=ending.seconds_since_told or 0.0,
            is_crash=is_crash,
            death=self._death if is_crash else None,
            ticket=self._ticket,
            has_told=self._has_told,
        )

    def _wait(self) -> Ending:
        ending: Ending | None = None
        if (hang_after := self._program.hang_after) is not None:
            watch = HangWatch(self._notifier, self._child, self._mark, self._program.name, hang_after)
            while ending is None and (ending := self._child.wait(watch.interval)) is None:
                with _reporting("whether the program hangs is not known"):
                    self._hung = watch.look() and self._program.kill_hung
                if self._hung:
                    ending = self._end_hung()
        while ending is None:
            ending = self._child.wait()
        return ending

    def _end_hung(self) -> Ending | None:
        """End the program, and return how the child ended; None when that is a wrapper which goes on."""
        if not self._kill(signal.SIGABRT):  # by which a program writes down where it is
            self._hung = False
            return None
        if (ending := self._child.wait(_ABORTING)) is None:
            self._kill(signal.SIGKILL)
            ending = self._child.wait(None if self._mark.is_childs_own else _PASSING_ON)
        self._hung = ending is not None
        return ending

    def _kill(self, signum: int) -> bool:
        """Send the program a signal, and say whether it was still there. Its number may be another's afterwards."""
        is_there = self._mark.is_childs_own or self._mark.is_alive()
        if is_there:
            self._child.kill(signum, self._mark.pid)
        return is_there

    def _is_oom_kill(self, ending: Ending) -> bool:
        return may_be_oom_kill(ending) and not self._hung and self._oom_kills.has_killed(self._child.pid)

    def _asked_as_well(self, ending: Ending) -> bool:
        """Say whether we were asked to end with what may have ended the child, which got it before we did."""
        by_stopping = ending.exit_code - BY_SIGNAL in STOPPING
        if ending.returncode == 0 or (ending.signal is not None and not by_stopping):
            return False
        return wait_for_stop(self._signals, _SENT_TO_BOTH if by_stopping else 0.0) is not None

    def _has_said_that_it_stops(self, ending: Ending) -> bool:
        """Say whether a program with a mark died of what it announces itself: a signal that we were not sent."""
        return ending.signal in (signal.SIGTERM, signal.SIGINT) and not self._hung and self._has_put_away(ending)

    def _says_itself_how_it_ends(self, ending: Ending) -> bool:
        """Say whether a program with a mark has told that it stops, or would have if it had come to that."""
        return (ending.returncode == 0 and self._mark.is_childs_own) or self._has_put_away(ending)

    def _has_put_away(self, ending: Ending) -> bool:
        """Say whether a program with a mark has come to the end of its run, as it does when it is told to stop.

        Behind a wrapper only an end since then counts, and it may take the program a little longer than the wrapper. If
        only the wrapper was told, the program lives on, and says nothing.
        """
        if self._mark.is_childs_own:
            return not self._mark.is_running()
        since = self._notifier.clock.time() - (ending.seconds_since_told or 0.0) - _SENT_TO_BOTH
        give_up = time.monotonic() + _PUTTING_AWAY
        while self._mark.is_alive() and time.monotonic() < give_up:
            time.sleep(_PAUSE)
        return self._mark.has_ended(since)

    def _tell_crash(self, ending: Ending, every: Start, *, by_oom_killer: bool) -> None:
        pid = self._child.pid
        progress_at, run = self._mark.progress_at(), self._mark.run()
        ends = self._claimed()
        end = ends.pop() if ends else None
        known = end or run  # behind a wrapper, such as a shell, only the former; after an orderly end only the latter
        if end is not None and (progress_at is None or run is None or run.process.pid != end.pid):
            progress_at = end.last_progress_at
        self._has_told = has_told = end is not None and end.how is How.REPORTED and not self._hung
        self._death = death = Death(
            program=self._program.name,
            pid=pid,
            ending=ending,
            at=self._notifier.clock.time(),
            stderr=redacted(self._streams.last_lines(_ALL_LINES), self._program.redact_text),
            fault=end.fault if end is not None else "",
            started_at=known.started_at if known is not None else self._child.started_at,
            last_progress_at=progress_at,
            facts=known.facts if known is not None else NOTHING_SAID,
            status_url=self._program.status_url if ending.seconds >= self._good_startup else None,
            by_oom_killer=by_oom_killer,
            oom_kills=self._oom_kills.count(),
            hung=self._hung,
            unseen=self._unseen(end, ending),
        )
        alike = Start(None, tells=False) if has_told else self._note_end(kind_of(death))
        if alike.tells:
            told = replace(death, restarts=every.phrase, holds_back=bool(alike.phrase))
            self._ticket = self._notifier.accept(event_of(told))
        self._tell_outlived(ends, every, is_wanted=False)

    def _unseen(self, end: UncleanEnd | None, ending: Ending) -> str:
        """Return which program has died behind a wrapper whose own end does not say so.

        An exit code may be that of `os._exit()`, passed on at once, or the wrapper's own, hours later. One report says
        both.
        """
        is_passed_on = ending.signal is None and 0 < ending.exit_code - BY_SIGNAL < signal.NSIG
        if is_passed_on or self._hung or end is None or end.how is How.REPORTED or end.pid == self._child.pid:
            return ""
        return end.program or "a program"

    def _claimed(self) -> list[UncleanEnd]:
        return claim_pid(self._program.state_dir, self._child.pid)

    def _tell_outlived(self, ends: Sequence[UncleanEnd], every: Start, *, is_wanted: bool) -> None:
        """Tell of programs that died behind a wrapper, such as a shell, which did not end of that.

        Of the child itself the exit code says more. And who was told to stop may kill what it has started.
        """
        told = {How.CRASHED_IN_C} if is_wanted else {How.KILLED, How.CRASHED_IN_C}
        outlived = [end for end in ends if end.how in told and end.pid != self._child.pid]
        if outlived and self._note_end("outlived").tells:
            announce(self._notifier, outlived, every.phrase)

    def _note_start(self) -> Start:
        """Return what to make of this start among all of the program's, however they ended.

        They are noted apart from those that the program notes itself, which would be counted twice; and at the end, so
        that after a long run those before it are forgotten.
        """
        return note_start(self._notes(), self._notifier.clock, unclean=False)

    def _note_end(self, kind: str) -> Start:
        """Return what to make of this end among those of its *kind*."""
        return note_start(self._notes() / kind, self._notifier.clock, unclean=True)

    def _notes(self) -> Path:
        """Return the directory of what is counted of this program."""
        return self._program.state_dir / "supervisor" / (_as_file_name(self._program.name) or "program")

    def _tell_stop(self, ending: Ending) -> None:
        """Say what a program that uses this package says itself."""
        self._notifier.notify(stop_title(self._program.name, ending), level=TRADE, topic="shutdown")


def _as_file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name).lstrip(".")[:_NAME]


@contextmanager
def _reporting(consequence: str) -> Iterator[None]:
    """Say on stderr what went wrong: whatever it is, the supervisor goes on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        diagnostics.report("supervisor", f"{consequence}: {class_name(error)}")
