"""Repeats of one matter are counted rather than sent, and what is said of it later."""

from notify.delivery.folding.front import Folding, ToSay
from notify.delivery.folding.judged import Addressed, Judged, Judging

__all__ = ["Addressed", "Folding", "Judged", "Judging", "ToSay"]
