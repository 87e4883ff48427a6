"""What was seen of every strategy in the last 24 hours: counted by slots of time, in memory and on disk."""

import threading
from contextlib import suppress
from pathlib import Path

from notify import diagnostics
from notify.clock import Clock, SystemClock
from notify.delivery.outbox.errors import StoreError
from notify.delivery.state_dir import StateDirError
from notify.fleet.dashboard.history_file import ASIDE, HistoryFile, Row, Seen
from notify.fleet.observe import Observation
from notify.fleet.verdict import State
from notify.threads import Worker

SLOT = 600  # seconds: three of them are a mark of the 24 hours' bar, one is a point of the response times
SLOTS = 145  # a day of them, and the one that has begun

_WRITE_EVERY = 2.0  # seconds: what a process that is killed may lose
_RETRY_EVERY = 60.0  # seconds after the disk has failed


class History:
    """Counts observations. Thread-safe.

    One thread writes, so that neither who observes nor who reads waits for a disk. While the disk fails, the history
    goes on in memory, which is said once; what could not be written is written when it works again.

    Args:
        directory: the state directory; None: in memory alone.
        clock: tells the time.
    """

    def __init__(self, directory: Path | None, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._seen: dict[str, dict[int, Seen]] = {}  # by strategy and slot
        self._unwritten: set[tuple[str, int]] = set()
        self._closing = False
        self._failing = False
        self._file = _opened(directory) if directory is not None else None
        self._writer: Worker | None = None
        if self._file is not None:
            self._load(self._file)
            self._writer = Worker("history", self._write_on)

    def add(self, observation: Observation) -> None:
        """Count *observation*. Never waits for the disk."""
        name, slot = observation.strategy.id, slot_of(observation.at)
        state = observation.verdict.state
        with self._changed:
            slots = self._seen.setdefault(name, {})
            before = slots.get(slot, Seen())
            counted: Seen = before._replace(**{state.value: getattr(before, state.value) + 1})
            if state is not State.OFFLINE:
                counted = counted._replace(seconds=counted.seconds + observation.seconds)
            is_new = slot not in slots
            slots[slot] = counted
            if is_new and len(slots) > SLOTS:
                for old in [each for each in slots if each <= slot - SLOTS]:
                    del slots[old]
            if self._file is not None:
                self._unwritten.add((name, slot))
        if self._writer is not None:
            self._writer.revive()  # the system may have refused its thread

    def last_day(self, strategy: str, now: float) -> list[Seen | None]:
        """Return what was seen of *strategy* in each slot of the last 24 hours, the current one last; None: nothing.

        Args:
            strategy: its id.
            now: UTC epoch seconds.
        """
        last = slot_of(now)
        with self._changed:
            slots = self._seen.get(strategy, {})
            return [slots.get(slot) for slot in range(last - SLOTS + 1, last + 1)]

    def close(self) -> None:
        """Write what is not written yet and close the file. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.revive()  # as above: somebody has to write
            self._writer.join(5.0)  # seconds; a disk that hangs keeps it, and not us

    # ---- the writer's thread

    def _write_on(self) -> None:
        assert self._file is not None  # noqa: S101 - the thread is started with it only
        wait = 0.0
        while self._wait(wait):
            wait = _WRITE_EVERY if self._write(self._file) else _RETRY_EVERY
        self._write(self._file)
        self._file.close()

    def _wait(self, seconds: float) -> bool:
        """Wait, and say whether to go on."""
        deadline = self._clock.monotonic() + seconds
        with self._changed:
            while not self._closing and self._clock.monotonic() < deadline:
                self._clock.wait_until(self._changed, deadline)
            return not self._closing

    def _write(self, file: HistoryFile) -> bool:
        """Write what is not written yet, and say whether the disk takes it."""
        oldest = slot_of(self._clock.time()) - SLOTS + 1
        with self._changed:
            self._forget(oldest)
            names, self._unwritten = self._unwritten, set()
            rows = [
                Row(name, slot, seen)
                for name, slot in sorted(names)
                if (seen := self._seen.get(name, {}).get(slot)) is not None
            ]
        if not rows:
            return True
        try:
            file.write(rows, since=oldest)
        except StoreError as error:
            with self._changed:
                self._unwritten |= names
            if not self._failing:
                diagnostics.report("history", f"the dashboard's history goes on in memory: {error}")
            self._failing = True
            return False
        if self._failing:
            diagnostics.report("history is back", "the dashboard's history is on disk again")
        self._failing = False
        return True

    def _forget(self, oldest: int) -> None:
        self._unwritten = {(name, slot) for name, slot in self._unwritten if slot >= oldest}
        for name, slots in list(self._seen.items()):
            if max(slots, default=0) < oldest:
                del self._seen[name]

    def _load(self, file: HistoryFile) -> None:
        now = slot_of(self._clock.time())
        with suppress(StoreError):  # the first write fails too, and says so
            for name, slot, seen in file.rows(now - SLOTS + 1):
                if slot <= now:  # a clock that was ahead has written what is still to come
                    self._seen.setdefault(name, {})[slot] = seen


def slot_of(seconds: float) -> int:
    """Return the number of the slot that a moment, in UTC epoch seconds, belongs to."""
    return int(seconds // SLOT)


def _opened(directory: Path) -> HistoryFile | None:
    try:
        file = HistoryFile(directory)
    except (StoreError, StateDirError) as error:
        diagnostics.report("history", f"the dashboard's history is kept in memory alone: {error}")
        return None
    if file.fault:
        diagnostics.report(
            "history", f"the dashboard's history begins anew: {file.fault}; what was there is kept as {ASIDE}"
        )
    return file
