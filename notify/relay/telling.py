"""What a worker itself has to tell people."""

import logging
from collections import Counter
from collections.abc import Sequence

from notify.delivery.announcer import Announcer
from notify.delivery.lane import Lane
from notify.plural import plural
from notify.relay.stream import Away, Stream


class Telling:
    """Says what has become of destinations, through the others. For lanes and for the worker's thread.

    Args:
        stream: knows what other workers have said.
        announcer: puts it into lanes.
    """

    def __init__(self, stream: Stream, announcer: Announcer) -> None:
        self._stream = stream
        self._announcer = announcer
        self._told: dict[str, Counter[str]] = {}

    def gone(self, about: str, text: str, stand_in: str | None) -> None:
        """Tell that the destination *about* is gone, or there again, unless another worker has done so.

        Who stands in hears it whatever his route wants.
        """
        try:
            if not self._stream.is_first_to_say(text):
                return
        except Away:  # then each worker says it
            pass
        self._announcer.say(text, level=logging.ERROR, but_not_to=about, also_to=stand_in)

    def emptied(self) -> None:
        """Tell that Redis has lost what it had: nobody knows what of it was delivered."""
        self._announcer.say(
            "The relay's Redis has lost its group of workers, as when it was emptied: what waited there may be gone or "
            "come twice.",
            level=logging.ERROR,
        )

    def dropped(self, lanes: Sequence[Lane]) -> None:
        """Tell what lanes have given up since the last time."""
        for lane in lanes:
            dropped = lane.dropped()
            for reason, count in (dropped - self._told.get(lane.name, Counter())).items():
                events = f"{count:,} {plural(count, 'event')}"
                self._announcer.say(
                    f"Not delivered to {lane.name}: {events} ({reason}), kept in notify:dead.", but_not_to=lane.name
                )
            self._told[lane.name] = dropped
