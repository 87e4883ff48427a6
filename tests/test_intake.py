"""The one door that events come in by: what is taken, what wakes the dispatcher, and what is refused."""

import logging
import threading
import time

import pytest
from intakes import an_intake

from notify.delivery import intake as intake_module
from notify.delivery.intake import CAPACITY, HEAVY, Intake, Kept
from notify.event import Event
from notify.levels import TRADE


class Draft:
    ticket = None
    weight = 0

    def __init__(self, number: int = 0, level: int = logging.INFO) -> None:
        self.number = number
        self.level = level

    def event(self) -> Event:
        raise AssertionError("the intake makes no event of what it is given")


LONG = 60.0  # seconds; a test that waits this long has failed by its own timeout or by what it asserts


def waited_in_vain(intake: Intake) -> bool:
    """Say whether nobody had woken the dispatcher."""
    begin = time.monotonic()
    intake.wait(0.02)
    return time.monotonic() - begin >= 0.02


def test_drafts_are_taken_in_the_order_they_came_in() -> None:
    intake = an_intake()
    for number in range(5):
        intake.accept(Draft(number))

    assert [draft.number for draft in intake.take(3)] == [0, 1, 2]  # type: ignore[attr-defined]  # our Draft
    assert [draft.number for draft in intake.take(3)] == [3, 4]  # type: ignore[attr-defined]  # our Draft
    assert intake.take(3) == []
    assert len(intake) == 0


def test_what_was_deferred_is_taken_in_its_turn() -> None:
    intake = an_intake()
    draft = Draft(8)
    intake.waiting.append(("Bought", 10))  # whatever it is made of, and its weight
    intake.accept(draft)

    assert intake.stats()["pending"] == 2
    assert intake.take(3) == [("Bought", 10), draft]


def test_what_was_deferred_is_counted_when_nobody_takes_it() -> None:
    intake = an_intake()
    draft = Draft(8)
    intake.waiting.append(("Bought", 10))
    intake.accept(draft)
    intake.close()

    assert intake.clear() == [draft]  # somebody may have its ticket
    assert intake.dropped == {"closed": 2}


def test_a_full_intake_drops_what_comes_and_counts_it() -> None:
    intake = an_intake()
    intake.capacity = 2

    accepted = [intake.accept(Draft()) for _ in range(5)]

    assert accepted == [True, True, False, False, False]
    assert (len(intake), intake.dropped) == (2, {"intake full": 3})


def test_a_closed_intake_takes_nothing_and_keeps_what_it_has() -> None:
    intake = an_intake()
    intake.accept(Draft())

    intake.close()

    assert not intake.accept(Draft())
    assert len(intake) == 1


def test_an_important_draft_wakes_the_dispatcher_at_once() -> None:
    intake = an_intake(wake_level=21)
    intake.accept(Draft(level=21))

    intake.wait(LONG)

    assert len(intake) == 1


def test_an_ordinary_draft_lets_the_dispatcher_sleep() -> None:
    intake = an_intake(wake_level=21)

    intake.accept(Draft(level=20))

    assert waited_in_vain(intake)


def test_waking_many_times_is_waking_once() -> None:
    intake = an_intake()
    for _ in range(100):
        intake.wake()

    intake.wait(LONG)

    assert waited_in_vain(intake)


def test_no_wake_is_lost_however_it_falls_with_the_dispatchers_looks() -> None:
    intake = an_intake(wake_level=0)
    rounds = 2000
    taken = threading.Semaphore(0)

    def dispatch() -> None:
        left = rounds
        while left:
            intake.wait(LONG)
            new = len(intake.take(rounds))
            left -= new
            taken.release(new)  # the next draft comes while the dispatcher is about to wait again

    dispatcher = threading.Thread(target=dispatch, daemon=True)
    dispatcher.start()
    for number in range(rounds):
        intake.accept(Draft(number))
        assert taken.acquire(timeout=LONG / 6), f"draft {number} woke nobody"
    dispatcher.join()


def test_drafts_of_many_threads_all_arrive() -> None:
    intake = an_intake(wake_level=0)

    def say() -> None:
        for number in range(1000):
            intake.accept(Draft(number))

    callers = [threading.Thread(target=say) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert len(intake.take(10_000)) == 8 * 1000


# ---- what is kept on disk


class Keeper:
    """Keeps what it is shown, on disk if it may."""

    def __init__(self, level: int = TRADE, *, disk: bool = True, wants: bool = True) -> None:
        self.level = level
        self.disk = disk
        self.wants = wants
        self.shown: list[int] = []

    def keep(self, draft: Draft) -> Kept | None:
        self.shown.append(draft.level)
        event = Event(id=str(draft.number), time=0.0, message="kept", level=draft.level)
        return Kept(event, None, self.disk) if self.wants else None


def full_intake(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> Intake:
    """Return an intake with room for nothing."""
    monkeypatch.setattr(intake_module, "CAPACITY", 0)
    monkeypatch.setattr(intake_module, "RESERVE", 0)
    return an_intake(keeper=keeper)  # type: ignore[arg-type]  # our Draft


def test_what_was_kept_takes_the_place_of_its_draft() -> None:
    intake = an_intake(keeper=Keeper())  # type: ignore[arg-type]  # our Draft

    intake.accept(Draft(level=TRADE))

    (draft,) = intake.take(9)
    assert type(draft) is Kept
    assert draft.event().message == "kept"


def test_what_the_keeper_does_not_want_goes_on_as_it_is() -> None:
    intake = an_intake(keeper=Keeper(wants=False))  # type: ignore[arg-type]  # our Draft
    draft = Draft(level=TRADE)

    intake.accept(draft)

    assert intake.take(9) == [draft]


@pytest.mark.parametrize("least", [logging.DEBUG, TRADE, logging.ERROR])
def test_a_keeper_sees_every_draft_from_its_level_on(least: int) -> None:
    keeper = Keeper(least)
    intake = an_intake(wake_level=TRADE, keeper=keeper)  # type: ignore[arg-type]  # our Draft

    for level in (least - 1, least, logging.CRITICAL):
        intake.accept(Draft(level=level))

    assert keeper.shown == [least, logging.CRITICAL]
    assert intake.wake_level == min(TRADE, least)  # or the handler would put it past the keeper


def test_what_is_on_disk_and_finds_no_room_is_parked_and_not_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    intake = full_intake(Keeper(), monkeypatch)

    assert [intake.accept(Draft(number, TRADE)) for number in range(2)] == [False, False]

    assert (intake.dropped, len(intake)) == ({}, 0)
    assert [kept.made.id for kept in intake.take_parked()] == ["0", "1"]
    assert intake.take_parked() == []
    assert capsys.readouterr().err == ""


def test_what_is_not_on_disk_and_finds_no_room_is_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    intake = full_intake(Keeper(disk=False), monkeypatch)

    assert not intake.accept(Draft(level=TRADE))

    assert (intake.dropped, intake.take_parked()) == ({"intake full": 1}, [])
    assert capsys.readouterr().err == "notify: an event was dropped: intake full\n"


def test_a_flood_of_ordinary_events_leaves_room_for_important_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "CAPACITY", 2)
    monkeypatch.setattr(intake_module, "RESERVE", 1)
    intake = an_intake(wake_level=TRADE)
    for _ in range(3):
        intake.accept(Draft(level=logging.INFO))

    assert len(intake) == 2
    assert [intake.accept(Draft(level=TRADE)) for _ in range(2)] == [True, False]


def test_what_was_refused_is_counted_by_reason() -> None:
    intake = an_intake()
    intake.capacity = 1
    intake.accept(Draft())
    intake.accept(Draft())
    assert intake.refusal == "intake full"
    intake.close()
    intake.accept(Draft())

    assert intake.refusal == "closed"
    assert intake.stats() == {
        "accepted": 2,
        "delivered": 0,
        "retried": 0,
        "pending": 1,
        "dropped": {"intake full": 1, "closed": 1},
        "unrouted": 0,
        "last_success_at": None,
        "last_error": None,
    }


def test_a_closed_intake_has_no_reserve_either() -> None:
    intake = an_intake(wake_level=TRADE)

    intake.close()

    assert not intake.accept(Draft(level=logging.CRITICAL))


def test_a_forked_child_forgets_what_its_parent_had(monkeypatch: pytest.MonkeyPatch) -> None:
    intake = full_intake(Keeper(), monkeypatch)
    intake.accept(Draft(level=TRADE))
    intake.waiting.append(Draft())
    intake.wake()

    intake.forget()

    assert (len(intake), intake.take_parked()) == (0, [])
    intake.wake()
    begin = time.monotonic()
    intake.wait(LONG)
    assert time.monotonic() - begin < LONG / 2  # though its parent had not seen the last wake
    assert waited_in_vain(intake)  # and of that one the child knows nothing


@pytest.mark.parametrize(("disk", "dropped", "pending"), [(False, {"closed": 1}, 0), (True, {}, 1)])
def test_what_nobody_has_taken_at_the_end_is_dropped_or_pending_on_disk(
    disk: bool, dropped: dict[str, int], pending: int
) -> None:
    intake = an_intake(keeper=Keeper(disk=disk))  # type: ignore[arg-type]  # our Draft
    intake.accept(Draft(1, TRADE))
    intake.close()

    (left,) = intake.clear()

    assert left.event().id == "1"
    assert (len(intake), intake.dropped) == (0, dropped)
    assert (intake.stats()["accepted"], intake.stats()["pending"]) == (1, pending)
    assert intake.take_parked() == []


def test_who_was_given_the_counts_does_not_see_them_change() -> None:
    intake = an_intake()
    intake.close()
    before = intake.dropped

    intake.accept(Draft())

    assert (before, intake.dropped) == ({}, {"closed": 1})


# ---- what is heavy


def heavy(number: int, places: int, level: int = logging.INFO) -> Draft:
    draft = Draft(number, level)
    draft.weight = (places - 1) * HEAVY  # and one that every draft takes
    return draft


def test_what_is_heavy_takes_more_places_so_that_few_fill_the_intake() -> None:
    intake = an_intake()
    intake.capacity = 20

    accepted = [intake.accept(heavy(number, 10)) for number in range(3)]

    assert accepted == [True, True, False]
    assert intake.dropped == {"intake full": 1}


def test_an_event_of_many_megabytes_is_taken_while_there_is_room_for_a_small_one() -> None:
    intake = an_intake()

    assert intake.accept(heavy(1, intake.capacity + 1))
    assert not intake.accept(Draft(2))


def test_what_is_heavy_is_taken_once_and_in_its_order_and_leaves_no_place_behind() -> None:
    intake = an_intake()
    for number, places in enumerate((1, 3, 1, 1000, 2)):
        intake.accept(heavy(number, places))

    assert intake.stats()["pending"] == 5  # events, and not the 1007 places that they take
    assert [draft.number for draft in intake.take(3)] == [0, 1, 2]  # type: ignore[attr-defined]  # our Draft
    assert [draft.number for draft in intake.take(3)] == [3, 4]  # type: ignore[attr-defined]  # our Draft
    assert len(intake) == 0


def test_a_flood_of_heavy_events_leaves_room_for_important_ones() -> None:
    intake = an_intake(wake_level=TRADE)
    while intake.accept(heavy(0, 1000)):
        pass

    assert len(intake) == CAPACITY
    assert intake.accept(heavy(1, 1000, TRADE))


def test_what_is_heavy_and_on_disk_is_parked_when_there_is_no_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event(id="1", time=0.0, message="x" * 10 * HEAVY, level=TRADE)

    class Disk(Keeper):
        def keep(self, draft: Draft) -> Kept:
            return Kept(event, None, stored=True)

    intake = an_intake(keeper=Disk())  # type: ignore[arg-type]  # our Draft
    intake.capacity, intake._reserve = 11, 0

    assert [intake.accept(Draft(level=TRADE)) for _ in range(2)] == [True, False]
    assert len(intake) == 11
    assert [kept.made for kept in intake.take_parked()] == [event]


def test_places_of_many_threads_are_all_given_back_and_a_child_has_none_of_its_parents() -> None:
    intake = an_intake(wake_level=100)
    intake.capacity = 500  # so that some are refused

    def say() -> None:
        for number in range(1000):
            intake.accept(heavy(number, 1 + number % 7))

    callers = [threading.Thread(target=say) for _ in range(4)]
    for caller in callers:
        caller.start()
    taken = 0
    while any(caller.is_alive() for caller in callers):
        taken += len(intake.take(10))
    for caller in callers:
        caller.join()
    taken += len(intake.take(10_000))

    assert len(intake) == 0
    assert taken + intake.dropped["intake full"] == 4 * 1000
    intake.accept(heavy(1, 10))
    intake.forget()
    assert len(intake) == 0


def test_what_is_heavy_wakes_the_dispatcher_since_it_would_soon_leave_no_room_for_others() -> None:
    intake = an_intake()

    intake.accept(heavy(1, 2))
    began = time.monotonic()
    intake.wait(LONG)

    assert time.monotonic() - began < LONG / 2  # it does not wait


class Interrupted(BaseException):
    """What a signal or another thread raises in the middle of a call."""


class Interrupting(Draft):
    @property
    def weight(self) -> int:  # type: ignore[override]  # asked between the disk and the queue
        raise Interrupted


def test_whoever_is_interrupted_on_the_way_has_said_it_all_the_same() -> None:
    intake = an_intake()
    draft = Interrupting(level=TRADE)

    with pytest.raises(Interrupted):
        intake.accept(draft)

    assert intake.take(1) == [draft]


def test_what_is_rescued_is_refused_as_all_else_where_nothing_is_taken_any_more() -> None:
    intake = an_intake()
    intake.close()

    intake.rescue(Draft())

    assert len(intake) == 0
    assert intake.dropped == {"closed": 1}
