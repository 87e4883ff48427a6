"""The durable part of the lanes: a table in the state directory, and who writes, reads and repairs it when."""

from notify.delivery.outbox.adoption import Adopted
from notify.delivery.outbox.front import Outbox
from notify.delivery.outbox.limits import Dropped, Limits
from notify.delivery.outbox.upkeep import Upkeep

__all__ = ["Adopted", "Dropped", "Limits", "Outbox", "Upkeep"]
