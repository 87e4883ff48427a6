"""One matter that goes on: who was told of it, how often it has happened, and how much of that is known."""

import math
from dataclasses import dataclass, replace

from notify.clip import clip_end
from notify.event import Event, Matter, Origin, Phase

_TITLE = 300  # code points
_NAME = 200  # of a topic, a key or the name of a logger
_ORIGIN = 3000  # code points of two names and an address; they are no use when they are cut
_BACKENDS = 100  # that one matter was told to


@dataclass(slots=True)
class Going:
    """What is known of one matter.

    Args:
        id: of the matter.
        named: the program may say that it has ended.
        since: UTC epoch seconds of the first time, as all times here.
        last: of the last time.
        severity: the gravest that was announced, in logging's numbers.
        told: the backends that know of it.
        elsewhere: those that do not, since others know of it in their place.
        count: how often it has happened.
        shown: as much of the count as those know that change their messages.
        summed: as much as the others know.
        shown_at: when that was.
        summed_at: likewise.
        reminded_at: when those that change their messages got a new one.
        waits: what was said of it last has not arrived yet.
        own: there are messages of this process, which it may change.
        executors: how many programs have told of it, where a relay counts those of many together.
        origin: who announced it there.
        title: the message of its announcement.
        level: of that, like the next three.
        topic: routes chose by it.
        key: what the program calls it.
        logger: name of the logger.
        timer: when to look at it again.
    """

    id: str
    named: bool
    since: float
    last: float
    severity: int = 0
    told: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    count: int = 1
    shown: int = 0
    summed: int = 0
    shown_at: float = 0.0
    summed_at: float = 0.0
    reminded_at: float = 0.0
    waits: bool = False
    own: bool = True
    executors: int = 1
    origin: Origin | None = None
    title: str = ""
    level: int = 0
    topic: str = "log"
    key: str | None = None
    logger: str = ""
    timer: float = math.inf

    def describe(self, event: Event) -> None:
        """Take over the texts of its announcement."""
        self.title = clip_end(event.message, _TITLE)
        self.level = event.level
        self.topic = clip_end(event.topic, _NAME)
        self.key = None if event.key is None else clip_end(event.key, _NAME)
        self.logger = clip_end(event.logger, _NAME)
        if (origin := event.origin) is not None and sum(map(len, _said_by(origin))) <= _ORIGIN:
            self.origin = origin

    def matter(self, phase: Phase) -> Matter:
        """Return it as an event has it that says *phase* of it."""
        return Matter(self.id, phase, self.count, self.since, self.last, self.executors)

    def forget_told(self) -> None:
        """Have its count told again: what was said of it has not arrived."""
        self.shown = min(self.shown, self.count - 1)
        self.summed = min(self.summed, self.count - 1)

    def copy(self) -> "Going":
        """Return it as it is now."""
        return replace(self)

    def as_plain(self) -> dict[str, object]:
        """Return it as JSON has it, without its id. What has not arrived yet was told to nobody."""
        if self.waits:
            unsure = replace(self, waits=False)
            unsure.forget_told()
            return unsure.as_it_is()
        return self.as_it_is()

    def as_it_is(self) -> dict[str, object]:
        """Return it as JSON has it, for others who know what has arrived. What most matters do not have is left out."""
        more: dict[str, object] = {"waits": True} if self.waits else {}
        if self.executors != 1:
            more["executors"] = self.executors
        if self.origin is not None:
            more["origin"] = list(_said_by(self.origin))
        return {
            "named": self.named,
            "times": [self.since, self.last, self.shown_at, self.summed_at, self.reminded_at],
            "counts": [self.count, self.shown, self.summed],
            "severity": self.severity,
            "told": sorted(self.told),
            "elsewhere": sorted(self.elsewhere),
            "title": self.title,
            "level": self.level,
            "topic": self.topic,
            "key": self.key,
            "logger": self.logger,
            **more,
        }

    @classmethod
    def from_plain(cls, matter_id: str, plain: object, now: float) -> "Going | None":
        """Return what `as_plain` or `as_it_is` was made of, None when that is nothing of the kind.

        No time of it is later than *now*: the clock may have been set back.
        """
        match plain:
            case {
                "named": bool(named),
                "times": [*times],
                "counts": [int(count), int(shown), int(summed)],
                "severity": int(severity),
                "told": [*told],
                "title": str(title),
                "level": int(level),
                "topic": str(topic),
                "key": None | str() as key,
                "logger": str(logger),
                **more,
            } if len(times) == 5 and all(type(at) in (int, float) and math.isfinite(at) for at in times):
                since, last, shown_at, summed_at, reminded_at = (min(float(at), now) for at in times)
                names = _names(told)
            case _:
                return None
        if min(count, shown, summed) < 0:
            return None
        executors = more.get("executors", 1)
        origin = None
        match more.get("origin"):
            case [str(executor), str(name), str(icon_url)]:
                origin = Origin(executor, name, icon_url)
        return cls(
            id=matter_id,
            named=named,
            since=since,
            last=last,
            severity=severity,
            told=names,
            elsewhere=_names(more.get("elsewhere")),
            count=count,
            shown=min(shown, count),
            summed=min(summed, count),
            shown_at=shown_at,
            summed_at=summed_at,
            reminded_at=reminded_at,
            title=title[:_TITLE],
            level=level,
            topic=topic[:_NAME],
            key=key,
            logger=logger[:_NAME],
            waits=more.get("waits") is True,
            executors=executors if isinstance(executors, int) else 1,
            origin=origin,
        )


def _names(listed: object) -> frozenset[str]:
    return (
        frozenset(name for name in listed[:_BACKENDS] if isinstance(name, str))
        if isinstance(listed, list)
        else frozenset()
    )


def _said_by(origin: Origin) -> tuple[str, str, str]:
    return origin.executor, origin.name, origin.icon_url


def is_told_of_a_row(count: int) -> bool:
    """Say whether the *count*-th of a row is told: the 1st, 2nd, 5th, 10th, 20th, 50th, 100th …"""
    return str(count).rstrip("0") in ("1", "2", "5")
