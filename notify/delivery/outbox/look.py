"""A look at a state directory that leaves it as it is: what waits there, and what a program would find wrong."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME, fault, is_full, readable_rows
from notify.delivery.outbox.store import Store
from notify.delivery.state_dir import StateDirError, inspect, inspect_file
from notify.plural import plural

_PATIENCE = 2.0  # seconds to wait for processes that write


class Look(NamedTuple):
    """What is in a state directory.

    Args:
        trouble: why a program of this user could not use it, in words for people; None: it could.
        made: whether the directory is there. One that is missing is made at the next start.
        waiting: events that wait, each once per destination.
        dead: dead letters.
        oldest: when the first of those that wait happened, UTC epoch seconds; None when none waits.
        destinations: how many wait for each destination.
    """

    trouble: str | None = None
    made: bool = True
    waiting: int = 0
    dead: int = 0
    oldest: float | None = None
    destinations: Mapping[str, int] = MappingProxyType({})


def look(directory: Path) -> Look:
    """Say what is in *directory*, making and changing nothing in it. Raises nothing for what is wrong there."""
    path = directory / NAME
    try:
        if not inspect(directory):
            return Look(made=False)
        if is_full(os.statvfs(directory)):
            return Look(f"{directory}: the disk is full")
        if inspect_file(path) is None:
            return Look()
        with _untouched(path) as file:
            reason = fault(file)
            return _counted(file) if reason is None else Look(f"{path}: {_set_aside(file, reason)}")
    except StateDirError as error:
        return Look(str(error))
    except StoreError as error:
        return Look(f"{path}: {error}")
    except OSError as error:
        return Look(f"{error.filename or directory}: {error.strerror}")


def _counted(file: Path) -> Look:
    with closing(Store(file, patience=_PATIENCE, read_only=True)) as store:
        waiting, dead = store.counts()
        first = store.waiting(1)
        oldest = first[0].created if first and isinstance(first[0].created, float) else None
        return Look(None, True, waiting, dead, oldest, store.by_destination())


def _set_aside(file: Path, reason: str) -> str:
    count = sum(1 for _ in readable_rows(file))
    events = f"{count:,} {plural(count, 'event')}" if count else "no event"
    return f"{reason}; it would be set aside at the next start; {events} in it can be read"


@contextmanager
def _untouched(path: Path) -> Iterator[Path]:
    """Yield what can be read in place of *path* without a trace.

    SQLite makes a log beside a file that has none, also for a reader. But a file without one is open nowhere, so that
    a copy shows the same.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists():
        with TemporaryDirectory(prefix="notify-") as directory:
            copy = Path(directory) / path.name
            shutil.copyfile(path, copy)
            if not log.exists():  # otherwise somebody has opened it meanwhile, and the copy may be torn
                yield copy
                return
    yield path
