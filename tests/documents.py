"""Documents of single events, whole."""

from notify.backends.logstash import wire
from notify.backends.logstash.wire import Document, Speaker
from notify.event import Event


def version_1(event: Event, speaker: Speaker) -> Document:
    """Return *event* in python-logstash's schema."""
    ((own, shared),) = wire.version_1((event,), speaker)
    return shared.document | own


def ecs(event: Event, speaker: Speaker) -> Document:
    """Return *event* in the Elastic Common Schema."""
    ((own, shared),) = wire.ecs((event,), speaker)
    return shared.document | own
