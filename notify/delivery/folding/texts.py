"""What is said of a matter that goes on, and of what a storm held back."""

import logging
import os
import threading
from dataclasses import replace

from notify.duration import duration
from notify.event import Event, Phase, Source, new_id
from notify.plain import iso_time
from notify.plural import plural
from notify.rules.matter import Going
from notify.rules.storm import Held

_UNKNOWN = "(its text is not known any more)"


def clock_time(at: float, now: float) -> str:
    """Return UTC epoch seconds as `03:11:07 UTC`, with the day before it when that is not today's."""
    day, _, time = iso_time(at)[:19].partition("T")
    return f"{time} UTC" if day == iso_time(now)[:10] else f"{day} {time} UTC"


def goes_on(going: Going, phase: Phase, now: float) -> Event:
    """Return what tells how often a matter has happened by now, and that it goes on if that is so."""
    matter = going.matter(phase)
    return Event(
        id=new_id(now),
        time=now,
        message=f"{going.title or _UNKNOWN} {matter.often}",
        body=f"First {clock_time(going.since, now)}, last {clock_time(going.last, now)}.",
        level=going.level or logging.WARNING,
        topic=going.topic,
        key=going.key,
        logger=going.logger,
        source=_here(),
        matter=matter,
        origin=going.origin if going.executors == 1 else None,
    )


def resolved(event: Event, going: Going, at: float) -> Event:
    """Return *event*, which says that a matter has ended, with how long it lasted and how often it happened.

    Args:
        event: without a message when nobody had more to say.
        going: the matter.
        at: UTC epoch seconds of its end, by the clock that its beginning was told by.
    """
    often = "once" if going.count == 1 else f"{going.count} times"
    told = f"It happened {often}, and was over after {duration(at - going.since)}."
    return replace(
        event,
        message=event.message or f"Resolved: {going.title or _UNKNOWN}",
        body=told,
        topic=going.topic,
        logger=going.logger,
        matter=replace(going.matter(Phase.RESOLVED), last=at),
    )


def digest(held: Held, now: float) -> Event:
    """Return what tells of the events that a storm has held back."""
    matters = f"more than {len(held.matters)} matters" if held.more else _counted(len(held.matters), "matter")
    return Event(
        id=new_id(now),
        time=now,
        message=f"Held back: {_counted(held.events, 'event')} of {matters}",
        body="\n".join(["Too many different ones at once. Some of them:", *held.samples]) if held.samples else "",
        level=held.severity,
        topic="alert",
        logger="notify",
        source=_here(),
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {plural(count, what)}"


def _here() -> Source:
    return Source(process=os.getpid(), thread=threading.current_thread().name)
