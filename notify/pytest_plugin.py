"""The pytest fixture `notify_outbox`: what the code under test would have sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from notify.testing.caught import Caught


@pytest.fixture
def notify_outbox() -> Iterator[Caught]:
    """Catch every event that is logged or notified during the test; nothing reaches the network.

    `notify.setup()` in the code under test returns the notifier of this fixture.
    """
    # Imported here: the plugin is loaded in every test run of every project that has the package installed.
    from notify.testing.caught import caught

    with caught() as outbox:
        yield outbox
