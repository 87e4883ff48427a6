"""One row of the outbox: an event for one destination, as it is on disk."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import NamedTuple, TypeVar

from notify.event import Event
from notify.event_json import encode
from notify.levels import severity

Name = tuple[str, str]
"""Destination and event id: what a row is known by. Its number is not: SQLite gives free numbers again."""

Sized = tuple[Name, int]
"""A row's name and the bytes of its payload."""

T = TypeVar("T")

AT_ONCE = 200  # rows changed by one statement, at most: callers wait meanwhile
BYTES_AT_ONCE = 2**20  # of their payloads: a row may be of megabytes, and is written anew as a whole


class Row(NamedTuple):
    """The columns, in their order.

    Args:
        seq: place in the order of writing; None lets SQLite choose it.
        destination: the backend's name.
        event_id: of the event.
        severity: of its level, in logging's numbers.
        created: when the event happened, UTC epoch seconds.
        owner: mark of the process that delivers it.
        dead_at: when it was given up, UTC epoch seconds; None while it waits.
        dead_reason: why.
        checksum: see `checksum_of`.
        payload: the event as JSON.
    """

    seq: int | None
    destination: str
    event_id: str
    severity: int
    created: float
    owner: str
    dead_at: float | None
    dead_reason: str | None
    checksum: int
    payload: bytes

    def owned_by(self, owner: str) -> "Row":
        """Return the row as one of *owner*. Callers wait for this, and `_replace` takes four calls."""
        return tuple.__new__(Row, (*self[:_OWNER], owner, *self[_OWNER + 1 :]))

    def checked_payload(self) -> bytes:
        """Return the payload. Raises `ValueError` when it, or what the row is known by, is not what was written."""
        sound = isinstance(self.payload, bytes) and isinstance(self.destination, str) and isinstance(self.event_id, str)
        if not sound or checksum_of(self.destination, self.event_id, zlib.crc32(self.payload)) != self.checksum:
            raise ValueError("the row is damaged")
        return self.payload


_OWNER = Row._fields.index("owner")


def checksum_of(destination: str, event_id: str, checksum_of_payload: int) -> int:
    """Return the CRC-32 of a row: SQLite does not notice a changed byte inside a value."""
    return zlib.crc32(f"{destination} {event_id}".encode(), checksum_of_payload)


def rows_of(event: Event, destinations: Sequence[str]) -> list[Row]:
    """Return the rows of *event*, without an owner. Raises what an event that was made by hand may cause."""
    if not isfinite(event.time):
        raise ValueError("an event without a time")
    payload = encode(event)
    of_payload = zlib.crc32(payload)
    return [
        Row(
            seq=None,
            destination=destination,
            event_id=event.id,
            severity=severity(event.level),
            created=event.time,
            owner="",
            dead_at=None,
            dead_reason=None,
            checksum=checksum_of(destination, event.id, of_payload),
            payload=payload,
        )
        for destination in destinations
    ]


def rows_or_none(event: Event, destination: str) -> list[Row]:
    """Return the row of *event*, or none when it cannot have one. Never raises an Exception."""
    try:
        return rows_of(event, [destination])
    except Exception:  # noqa: BLE001 - an event made by hand may hold anything
        return []


def in_parts(
    sized: Iterable[tuple[T, int]], *, count: int = AT_ONCE, size: int = BYTES_AT_ONCE
) -> Iterator[list[tuple[T, int]]]:
    """Yield *sized* in parts of *count* and of *size* bytes at most, or of one that has more."""
    part: list[tuple[T, int]] = []
    room = size
    for each in sized:
        if part and (len(part) == count or each[1] > room):
            yield part
            part, room = [], size
        part.append(each)
        room -= each[1]
    if part:
        yield part
