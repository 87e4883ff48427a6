"""What is decided of an event that belongs to a matter, and what is to be said of a matter later."""

from enum import Enum, auto
from typing import NamedTuple

from notify.event import Phase
from notify.rules.matter import Going


class Verdict(Enum):
    """What becomes of an event at the backends that fold."""

    ANNOUNCE = auto()
    """They get it."""
    FOLD = auto()
    """It is counted in its matter."""
    HOLD = auto()
    """It is counted in the digest of a storm."""


class Saying(NamedTuple):
    """What is to be said of a matter now.

    Args:
        going: the matter.
        phase: what to say of it.
        to: backends.
    """

    going: Going
    phase: Phase
    to: frozenset[str]
