"""An event that waits to be delivered, as a draft."""

import logging
import threading

import pytest

from notify.delivery.made import Made
from notify.delivery.ticket import Ticket
from notify.event import Event


def test_what_waits_is_no_larger_than_its_parts() -> None:
    made = Made(
        Event(id="a", time=0.0, message="down", level=logging.ERROR),
        Ticket("a", changed=threading.Condition()),
        folds=True,
    )

    with pytest.raises(AttributeError):  # tens of thousands may wait: none has a dictionary of its own
        made.note = "more"  # type: ignore[attr-defined]  # that is the point
