"""What the delivery itself has to tell people."""

import logging
import os
import threading
from collections.abc import Sequence

from notify.clock import Clock
from notify.delivery.lane import Lane
from notify.delivery.queue import Entry
from notify.event import Event, Source, new_id


class Announcer:
    """Puts events of the topic `alert` into every lane that wants them, but for the one that they are about.

    They do not pass through the intake, which may be full, nor through the outbox, which may be broken. Thread-safe.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lanes: Sequence[Lane] = ()
        """All there are, as soon as they have been made."""

    def say(
        self, text: str, *, level: int = logging.WARNING, but_not_to: str | None = None, also_to: str | None = None
    ) -> None:
        """Tell *text*, which must hold no credentials; to the lane *also_to* whatever that one wants."""
        now = self._clock.time()
        event = Event(
            id=new_id(now),
            time=now,
            message=text,
            level=level,
            topic="alert",
            logger="notify",
            source=Source(process=os.getpid(), thread=threading.current_thread().name),
        )
        lanes = [
            lane for lane in self.lanes if lane.name == also_to or (lane.name != but_not_to and lane.route.wants(event))
        ]
        to = frozenset(lane.name for lane in lanes)  # whoever stands in for one of them knows whether it has it anyway
        for lane in lanes:
            lane.put([Entry.of(event, None)._replace(to=to, but_not_to=but_not_to)])
