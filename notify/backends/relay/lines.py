"""The lines for Logstash that go the relay's way: what its redis input takes from a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from notify.backends.logstash.encoding import encode_all
from notify.backends.logstash.stream import LIMIT
from notify.backends.logstash.wire import Speaker, ecs, version_1
from notify.event import Event, worded
from notify.rules.routing import Route

MOST = 100_000
"""Lines that the list holds at most, the newest: 37 MB of Redis' memory when they are ordinary, of 370 bytes each."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Encodes events as Logstash gets them.

    Args:
        speaker: who speaks, in Logstash's words.
        ecs: use the Elastic Common Schema instead of python-logstash's.
        route: which of the events that are published go there, too.
    """

    speaker: Speaker
    ecs: bool = False
    route: Route = field(default_factory=Route)

    def of(self, events: Sequence[Event]) -> list[bytes]:
        """Return a line for each of *events* that goes there. Never raises an Exception."""
        wanted = [worded(event) for event in events if self.route.wants(event)]
        return encode_all((ecs if self.ecs else version_1)(wanted, self.speaker), LIMIT)
