"""How many different matters may be announced a minute, and what was held back beyond that."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_WINDOW = 60.0  # seconds
_MATTERS = 1000  # that are told apart
_SAMPLES = 5
_SAMPLE = 200  # code points


@dataclass(slots=True)
class Held:
    """What one backend was spared, and has to be told in sum.

    Args:
        events: how many.
        matters: ids of the matters they were of, a thousand at most.
        more: whether there were more matters than that.
        severity: of the gravest, in logging's numbers.
        samples: the first lines of some of them.
    """

    events: int = 0
    matters: set[str] = field(default_factory=set)
    more: bool = False
    severity: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, subject_id: str, severity: int, events: int = 1) -> None:
        """Count *events* of one matter."""
        self.events += events
        self.severity = max(self.severity, severity)
        if len(self.matters) < _MATTERS:
            self.matters.add(subject_id)
        elif subject_id not in self.matters:
            self.more = True


class Storm:
    """Counts announcements, and what is held back. Time is passed in; not thread-safe.

    Args:
        limit: different matters announced a minute.
    """

    def __init__(self, limit: int) -> None:
        self._announced: deque[float] = deque(maxlen=max(1, limit))
        self.held: dict[str, Held] = {}
        """By backend."""
        self.digest_at = math.inf
        """When what was held back is to be told."""

    def is_full(self, now: float) -> bool:
        """Say whether no further matter may be announced at present."""
        announced = self._announced
        return len(announced) == announced.maxlen and abs(now - announced[0]) < _WINDOW

    def count(self, now: float) -> None:
        """Note an announcement."""
        self._announced.append(now)

    def hold(self, backends: Iterable[str], subject_id: str, severity: int, now: float, *, events: int = 1) -> None:
        """Count *events* of one matter that *backends* are not sent."""
        for name in backends:
            self.held.setdefault(name, Held()).add(subject_id, severity, events)
        if self.held:
            self.digest_at = min(self.digest_at, now + _WINDOW)

    def sample(self, backends: Iterable[str], text: str) -> None:
        """Keep the first line of an event that was held back, if it is one of the first."""
        line = text.strip().partition("\n")[0][:_SAMPLE]
        for name in backends:
            held = self.held.get(name)
            if held is not None and line and len(held.samples) < _SAMPLES and line not in held.samples:
                held.samples.append(line)

    def take(self) -> dict[str, Held]:
        """Return what was held back, by backend, and begin anew."""
        held, self.held = self.held, {}
        self.digest_at = math.inf
        return held

    def as_plain(self) -> dict[str, object]:
        """Return what was held back as JSON has it."""
        return {
            name: [held.events, sorted(held.matters), held.more, held.severity, held.samples]
            for name, held in self.held.items()
        }

    def as_it_is(self) -> dict[str, object]:
        """Return all there is as JSON has it, for others who go on with it."""
        digest_at = None if self.digest_at == math.inf else self.digest_at
        return {"announced": list(self._announced), "held": self.as_plain(), "digest_at": digest_at}

    def become(self, plain: Mapping[str, object]) -> None:
        """Take the place of what `as_it_is` was told by. What is nothing of that kind is left out."""
        self._announced.clear()
        self.take()
        match plain:
            case {"announced": [*times], "held": {} as held, "digest_at": None | int() | float() as digest_at}:
                self._announced.extend(float(at) for at in times if isinstance(at, int | float))
                self.restore(held, math.inf if digest_at is None else float(digest_at))

    def restore(self, plain: Mapping[str, object], now: float) -> None:
        """Take up what `as_plain` has returned. What is nothing of that kind is left out."""
        for name, given in plain.items():
            match given:
                case [int(events), [*matters], bool(more), int(severity), [*samples]] if events > 0:
                    kept = {one for one in matters[:_MATTERS] if isinstance(one, str)}
                    lines = [line[:_SAMPLE] for line in samples[:_SAMPLES] if isinstance(line, str)]
                    self.held[name] = Held(events, kept, more, severity, lines)
                    self.digest_at = now
