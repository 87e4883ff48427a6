"""Trouble with the disk is told once, shown in `stats()`, costs nothing that is said, and ends by itself."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from lanes import LONG, Hanging, until, waits

from notify.backends.memory import MemoryBackend
from notify.delivery.outbox import Outbox, listing
from notify.delivery.outbox import store as outbox_store
from notify.delivery.outbox.errors import StoreError
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.store import VERSION
from notify.delivery.state_dir import StateDirError
from notify.delivery.ticket import DELIVERED
from notify.errors import RetryLater
from notify.notifier import Notifier

BACK = "The outbox works again: events are kept on disk."

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(durable=True)


@pytest.fixture
def people() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def notifiers() -> Iterator[list[Notifier]]:
    """Those that a test makes, to be closed after it."""
    made: list[Notifier] = []
    yield made
    for notifier in made:
        notifier.close(0)


def begin(notifiers: list[Notifier], directory: Path, *backends: MemoryBackend) -> Notifier:
    names = ("discord", "people")
    notifiers.append(Notifier(dict(zip(names, backends, strict=False)), outbox=Outbox(directory)))
    return notifiers[-1]


def look_after(notifier: Notifier) -> None:
    """Have done now what is done once a minute."""
    notifier._pipeline._housekeeping.wake()


def alerts(backend: MemoryBackend) -> list[str]:
    return [event.message for event in backend.events if event.topic == "alert"]


def broken(notifier: Notifier) -> object:
    return notifier.stats()["outbox"]["broken"]


def on_disk(state: Path) -> list[str]:
    """Return what waits on disk, which may have lost its file."""
    try:
        return [listed.event.message for listed in listing.waiting(state, 10) if listed.event]
    except (StoreError, StateDirError):
        return []


def a_file(state: Path) -> Path:
    state.write_text("a file")
    return state


def nowhere(state: Path) -> Path:
    return Path("/proc/no/such/place")  # where not even root can make a directory


def a_link(state: Path) -> Path:
    elsewhere = state.with_name("elsewhere")
    elsewhere.mkdir()
    state.symlink_to(elsewhere)
    return state


@pytest.mark.parametrize("make", [a_file, nowhere, a_link])
def test_a_directory_that_cannot_be_used_is_told_once_and_events_are_delivered_from_memory(
    state: Path,
    backend: MemoryBackend,
    people: MemoryBackend,
    notifiers: list[Notifier],
    capsys: pytest.CaptureFixture[str],
    make: object,
) -> None:
    directory = make(state)  # type: ignore[operator]  # one of the functions above
    notifier = begin(notifiers, directory, backend, people)

    tickets = [notifier.trade(str(number)) for number in range(3)]

    assert {ticket.durable for ticket in tickets} == {False}
    assert [ticket.wait(LONG) for ticket in tickets] == [{"discord": DELIVERED, "people": DELIVERED}] * 3
    until(lambda: alerts(backend) and alerts(people))
    for _ in range(2):
        look_after(notifier)
    notifier.close(LONG)
    assert str(directory) in str(broken(notifier))
    (said,) = alerts(backend)
    assert alerts(people) == [said]
    assert said.startswith(f"The outbox cannot be used: {directory}: ")
    assert capsys.readouterr().err == f"notify: {said}\n"


def test_a_directory_that_can_be_used_again_is_used_and_that_is_told(
    state: Path, backend: MemoryBackend, notifiers: list[Notifier]
) -> None:
    notifier = begin(notifiers, a_file(state), backend)
    assert not notifier.trade("a").durable
    state.unlink()

    look_after(notifier)

    until(lambda: BACK in alerts(backend))
    assert broken(notifier) is None
    assert notifier.trade("b").durable


def test_a_disk_that_fails_in_the_middle_is_told_at_once(
    state: Path,
    backend: MemoryBackend,
    notifiers: list[Notifier],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> NoReturn:
        raise StoreError("the disk is full")

    notifier = begin(notifiers, state, backend)
    assert notifier.trade("a").durable
    until(lambda: waits("housekeeping", "_run"))  # for a minute
    with monkeypatch.context() as patched:
        patched.setattr(outbox_store.Store, "insert", fail)
        patched.setattr(outbox_store.Store, "touch", fail)
        tickets = [notifier.trade("b"), notifier.trade("c")]
        until(lambda: alerts(backend))

        assert {ticket.durable for ticket in tickets} == {False}
        assert broken(notifier) == "the disk is full"
    look_after(notifier)
    until(lambda: BACK in alerts(backend))

    assert broken(notifier) is None
    assert notifier.trade("d").durable
    notifier.close(LONG)
    assert [message for message in backend.messages if len(message) == 1] == ["a", "b", "c", "d"]
    assert len(alerts(backend)) == 2
    assert capsys.readouterr().err.count("the disk is full") == 1


def test_a_directory_that_somebody_removed_is_made_again(
    state: Path, backend: MemoryBackend, notifiers: list[Notifier]
) -> None:
    notifier = begin(notifiers, state, backend)
    assert notifier.trade("a").durable
    until(lambda: waits("housekeeping", "_run"))  # for a minute
    shutil.rmtree(state)

    look_after(notifier)

    until(lambda: BACK in alerts(backend))
    assert notifier.trade("b").durable
    notifier.close(LONG)
    assert listing.waiting(state, 10) == []
    assert set(backend.messages) > {"a", "b"}


def rubbish(file: Path) -> None:
    file.write_bytes(b"rubbish" * 1000)


def newer(file: Path) -> None:
    Outbox(file.parent).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


@pytest.mark.parametrize("make", [rubbish, newer])
def test_a_file_that_is_no_outbox_of_ours_is_set_aside_and_that_is_told(
    state: Path,
    backend: MemoryBackend,
    people: MemoryBackend,
    notifiers: list[Notifier],
    capsys: pytest.CaptureFixture[str],
    make: object,
) -> None:
    state.mkdir(0o700)
    make(state / NAME)  # type: ignore[operator]  # one of the functions above
    before = (state / NAME).read_bytes()

    notifier = begin(notifiers, state, backend, people)

    assert notifier.trade("a").durable
    assert broken(notifier) is None
    until(lambda: alerts(backend) and alerts(people))
    notifier.close(LONG)
    (said,) = alerts(backend)
    assert alerts(people) == [said]
    assert capsys.readouterr().err == f"notify: {said}\n"
    (aside,) = state.glob(f"*.damaged{Path(NAME).suffix}")
    assert aside.name in said
    assert aside.read_bytes() == before


def test_what_waits_is_on_disk_again_when_somebody_has_removed_it(state: Path) -> None:
    hanging = Hanging(durable=True)
    with Notifier({"discord": hanging}, outbox=Outbox(state)) as notifier:
        waiting = notifier.trade("waiting")
        assert waiting.durable
        until(lambda: waits("housekeeping", "_run"))  # for a minute
        shutil.rmtree(state)

        assert not notifier.trade("unlucky").durable

        until(lambda: notifier.stats()["outbox"]["broken"] is None)
        until(lambda: on_disk(state) == ["waiting"])
        hanging.let.set()
        assert notifier.flush()
    assert listing.waiting(state, 10) == []


def test_what_waits_when_somebody_removes_it_and_nothing_is_said_any_more_is_on_disk_for_the_next(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    postponing = MemoryBackend([RetryLater(after=3600)], durable=True)  # seconds: long after the end
    notifier = Notifier({"discord": postponing}, outbox=Outbox(state))
    tickets = [notifier.trade(str(number)) for number in range(3)]
    until(lambda: notifier.stats()["discord"]["retried"])
    shutil.rmtree(state)

    notifier.close(LONG)  # which waits for nobody, and leaves all that time to the last look at the disk

    assert {ticket.wait(0)["discord"] for ticket in tickets} == {"pending"}
    assert "its file was moved or removed" in capsys.readouterr().err
    backend = MemoryBackend(durable=True)
    with Notifier({"discord": backend}, outbox=Outbox(state)):
        assert [event.message for event in backend.wait_for(3)] == ["0", "1", "2"]


def test_what_was_removed_is_made_again_while_a_backend_that_hangs_is_waited_for_at_the_end(state: Path) -> None:
    hanging = Hanging(durable=True)
    notifier = Notifier({"discord": hanging}, outbox=Outbox(state))
    tickets = [notifier.trade(str(number)) for number in range(3)]
    assert hanging.called.wait(LONG)
    shutil.rmtree(state)

    closing = threading.Thread(target=notifier.close, args=(LONG,))
    closing.start()
    until(lambda: on_disk(state) == ["0", "1", "2"])
    hanging.let.set()
    closing.join()

    assert {ticket.wait(0)["discord"] for ticket in tickets} == {DELIVERED}
    assert listing.waiting(state, 10) == []
