"""Which events are about the same matter: those of one key, or of one place and kind."""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from notify.event import Event, Phase
from notify.plain import safe_str

_PLACEHOLDER = re.compile(r"%(?:\([^)]*\))?[#0\- +]*[\d*]*(?:\.[\d*]+)?[a-zA-Z%]")
_TEMPLATES = 1024  # of which it is remembered whether they say something
_BYTES = 16  # of a digest: of a billion matters no two have the same


class Subject(NamedTuple):
    """What an event is about.

    Args:
        id: the same for all events of one matter, and no longer than any other.
        topic: routes choose by it.
        named: the program has given it a name, and may say that it has ended.
        living: each event replaces the one before it.
        rarely: told again at the 2nd, 5th, 10th, 20th … time, however soon that is.
        reported: people have got it already, in the report of a crash.
    """

    id: str
    topic: str
    named: bool = False
    living: bool = False
    rarely: bool = False
    reported: bool = False


def id_of_key(key: str) -> str:
    """Return the id of the matter that a program calls *key*."""
    return _digest("key", key)


def id_in_fleet(matter_id: str, executor: str | None) -> str:
    """Return the id that a matter of one of many programs has among those of all.

    Args:
        matter_id: what it has in its program, which is somebody else's text.
        executor: whose matter it is alone; None: all that tell of it have it in common.
    """
    return _digest("common", matter_id) if executor is None else _digest("of one", executor, matter_id)


def subject_of_log(logger: str, template: str, message: str, raised: str, topic: str) -> Subject | None:
    """Return what a log record is about.

    Args:
        logger: its name.
        template: of the message, before its arguments were put in.
        message: counts in place of a template such as `%s: %s`, which says nothing.
        raised: type of the exception and where it was raised; empty without one.
        topic: of the event.
    """
    if topic == "crash":
        return None
    return Subject(_digest("log", logger, template if _says_something(template) else message, raised), topic)


def subject_of_event(event: Event) -> Subject | None:
    """Return what *event* is about, that was not logged. None for what is always told: how processes have ended.

    What is reported as a crash, and may end the process, is told again ever more rarely.
    """
    topic = safe_str(event.topic)
    if event.key is not None:
        living = event.matter is not None and event.matter.phase is Phase.LIVING
        return Subject(id_of_key(safe_str(event.key)), topic, named=True, living=living)
    raised = event.exception.type if event.exception is not None else ""
    place = f"{event.source.path}:{event.source.line} {event.source.function}"
    if topic == "crash":
        return Subject(_digest("crash", place, raised), topic, rarely=True) if raised else None
    return Subject(_digest("said", place, safe_str(event.message), topic, raised), topic)


@lru_cache(maxsize=_TEMPLATES)
def _says_something(template: str) -> bool:
    return any(map(str.isalpha, _PLACEHOLDER.sub("", template)))


def _digest(*parts: str) -> str:
    # With their lengths: parts that hold each other's separators must not be taken for one another.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=_BYTES).hexdigest()
