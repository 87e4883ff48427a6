"""Intakes to test with."""

import sys

from notify.delivery.intake import Intake, Keeper, NewDraft
from notify.levels import TRADE


class KeepsNothing:
    """Sees nothing of what is said, and so keeps none of it."""

    level = sys.maxsize

    def keep(self, draft: NewDraft) -> None:
        raise AssertionError("no draft is so severe")


def an_intake(*, wake_level: int = TRADE, keeper: Keeper | None = None) -> Intake:
    return Intake(wake_level=wake_level, keeper=keeper or KeepsNothing())
