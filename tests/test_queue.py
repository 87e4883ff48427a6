"""What waits in front of one backend: who goes first, and who goes when there is no room."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.delivery.queue import Entry, LaneQueue, entries_of
from notify.event import Attachment, Event, ExceptionInfo, Matter, Phase


def entry(name: str, level: int = logging.INFO, size: int = 0, *, stored: bool = False) -> Entry:
    return Entry.of(Event(id=name, time=0.0, message="", level=level, body="x" * size), None, stored=stored)


def names(entries: Sequence[Entry]) -> str:
    return " ".join(entry.event.id for entry in entries)


def filled(*entries: Entry, **limits: int) -> LaneQueue:
    queue = LaneQueue(**limits)
    for each in entries:
        assert queue.put([each]) == []
    return queue


def test_entries_that_are_made_together_are_what_each_is_alone_and_as_heavy_as_is_said() -> None:
    events = [Event(id=name, time=0.0, message=name, level=logging.INFO) for name in ("a", "bc")]

    assert entries_of(events, [5, 0]) == [Entry(events[0], None, 5), Entry(events[1], None, 2)]  # its message has more
    assert {type(each) for each in entries_of(events, [5, 0])} == {Entry}


def test_what_is_too_heavy_to_leave_room_for_others_does_not_fit() -> None:
    queue = LaneQueue(max_bytes=100)  # of which a tenth is kept free
    light, heavy = entry("a", size=90), entry("b", size=91)

    assert queue.fitting([light, heavy, light]) == [light, light]
    assert queue.fitting([light]) == [light]
    assert queue.fitting([]) == []


def test_first_in_is_first_out() -> None:
    queue = filled(entry("a"), entry("b", logging.DEBUG), entry("c", logging.WARNING))

    assert names(queue.take(2)) == "a b"


def test_urgent_entries_overtake_the_others_but_not_each_other() -> None:
    queue = filled(entry("a"), entry("b", logging.ERROR), entry("c"), entry("d", logging.CRITICAL))

    assert names(queue.take(4)) == "b d a c"


def test_what_was_taken_counts_until_it_is_acknowledged() -> None:
    queue = filled(entry("a"), entry("b"), entry("c"))
    queue.take(2)

    assert len(queue) == 3
    assert names(queue.acknowledge(1)) == "a"
    assert len(queue) == 2


def test_what_is_given_back_is_taken_again_in_its_order() -> None:
    queue = filled(entry("a"), entry("b"), entry("c"))
    queue.take(2)
    queue.acknowledge(1)

    queue.give_back()

    assert names(queue.take(5)) == "b c"


def test_a_batch_of_urgent_and_ordinary_entries_is_given_back_in_its_order() -> None:
    queue = filled(entry("a"), entry("b", logging.ERROR), entry("c", logging.ERROR), entry("d"))
    queue.take(3)

    queue.give_back()

    assert names(queue.take(5)) == "b c a d"


def test_an_urgent_entry_that_came_meanwhile_overtakes_what_is_given_back() -> None:
    queue = filled(entry("a"), entry("b"))
    queue.take(2)
    queue.put([entry("c", logging.ERROR)])

    queue.give_back()

    assert names(queue.take(3)) == "c a b"


def test_more_than_was_taken_cannot_be_acknowledged() -> None:
    queue = filled(entry("a"), entry("b"))
    queue.take(1)

    assert names(queue.acknowledge(5)) == "a"


def test_clearing_returns_what_waits_in_the_order_of_delivery_and_leaves_what_is_in_flight() -> None:
    queue = filled(entry("a", size=300), entry("b", logging.ERROR, size=300), entry("c", logging.ERROR), max_bytes=1000)
    queue.take(1)

    assert names(queue.clear()) == "c a"
    assert names(queue.taken()) == "b"
    assert queue.put([entry("d", size=700)]) == []  # 300 and 700 have room, 1300 had none


def test_a_full_queue_drops_the_oldest_of_the_least_severe() -> None:
    queue = filled(
        entry("a", logging.WARNING), entry("b"), entry("c", logging.ERROR), entry("d"), entry("e"), capacity=5
    )

    assert names(queue.put([entry("f")])) == "b"
    assert names(queue.take(9)) == "c a d e f"


def test_a_full_queue_drops_what_comes_when_that_is_the_least_severe() -> None:
    queue = filled(*(entry(name, logging.WARNING) for name in "abcde"), capacity=5)

    assert names(queue.put([entry("f")])) == "f"


def test_a_decision_is_dropped_like_a_trade_whatever_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(logging._levelToName, 51, "TRADE_HIGH")  # as some programs have it
    queue = filled(entry("a", logging.WARNING), entry("b", 51), capacity=2)

    assert names(queue.put([entry("c", logging.ERROR)])) == "b"


def test_a_large_queue_frees_a_tenth_at_once() -> None:
    queue = filled(*(entry(str(number)) for number in range(100)), capacity=100)

    dropped = queue.put([entry("new")])

    assert names(dropped) == " ".join(str(number) for number in range(11))  # down to 90, from 101
    assert len(queue) == 90


def test_what_is_in_flight_is_never_dropped() -> None:
    queue = filled(entry("a", logging.DEBUG), entry("b"), entry("c"), capacity=3)
    queue.take(1)

    assert names(queue.put([entry("d")])) == "b"
    assert names(queue.acknowledge(1)) == "a"


def test_heavy_entries_are_dropped_before_the_memory_is_full() -> None:
    queue = filled(entry("a", size=400), entry("b", logging.ERROR, size=400), max_bytes=1000)

    assert names(queue.put([entry("c", size=300)])) == "a"
    assert names(queue.take(9)) == "b c"


def test_what_was_delivered_weighs_no_more() -> None:
    queue = filled(entry("a", size=900), max_bytes=1000)
    queue.take(1)
    queue.acknowledge(1)

    assert queue.put([entry("b", size=900)]) == []


@pytest.mark.parametrize(("size", "fits"), [(900, True), (901, False)])  # a tenth is left for others
def test_one_entry_that_would_leave_no_room_for_others_does_not_fit(size: int, fits: bool) -> None:
    queue = LaneQueue(max_bytes=1000)

    assert queue.fits(entry("a", logging.CRITICAL, size=size)) is fits


def test_many_entries_are_put_at_once_and_make_room_once() -> None:
    queue = LaneQueue(capacity=3)

    dropped = queue.put([entry(name, level) for name, level in zip("abcde", (20, 40, 20, 20, 30), strict=True)])

    assert names(dropped) == "a c"
    assert names(queue.take(9)) == "b d e"


def test_texts_and_files_are_what_an_entry_weighs() -> None:
    event = Event(
        id="1",
        time=0.0,
        message="1234",
        level=logging.INFO,
        body="56",
        exception=ExceptionInfo("ValueError", "", "789"),
        attachments=(Attachment("a", b"0" * 10), Attachment("b", b"0" * 20)),
    )

    assert Entry.of(event, None).weight == 4 + 2 + 3 + 10 + 20


def test_where_order_matters_urgent_entries_wait_their_turn() -> None:
    queue = LaneQueue(in_order=True)
    entries = [entry("a", logging.INFO), entry("b", logging.CRITICAL)]
    for each in entries:
        queue.put([each])

    assert queue.take(2) == entries


# ---- what is on disk, too


def test_a_full_queue_is_rid_of_what_is_on_disk_too_before_anything_is_lost() -> None:
    queue = filled(
        entry("a"),
        entry("b", logging.ERROR, stored=True),
        entry("c", stored=True),
        entry("d", logging.DEBUG),
        capacity=4,
    )

    assert names(queue.put([entry("e")])) == "c"
    assert names(queue.put([entry("f")])) == "b"
    assert names(queue.put([entry("g")])) == "d"


def test_what_is_on_disk_no_more_is_as_easily_lost_as_the_rest_also_when_it_was_in_flight() -> None:
    queue = filled(entry("a", stored=True), entry("b", stored=True), entry("c", stored=True))
    queue.take(1)

    queue.unstore({"a", "b"})

    queue.give_back()
    assert names(queue.stored()) == "c"
    assert names(queue.take(9)) == "a b c"


def test_an_entry_knows_whether_it_is_on_disk() -> None:
    event = entry("a").event

    assert not Entry.of(event, None).stored
    assert Entry.of(event, None, stored=True).stored


@pytest.mark.parametrize(
    ("fields", "weight"),
    [
        ({"a": "1234", "b": 5}, 4),
        ({"a": b"123"}, 3),
        # Each place in a list or dict takes 32 bytes, whatever is there.
        ({"a": ["12", ["34", 5]]}, 4 + 4 * 32),
        ({"a": {"12": "34"}}, 4 + 32),
        ({"a": ("12", {"3": None})}, 3 + 3 * 32),
    ],
)
def test_texts_in_fields_weigh_too(fields: dict[str, object], weight: int) -> None:
    event = Event(id="1", time=0.0, message="", level=logging.INFO, fields=fields, tail=("12345", "67"))

    assert Entry.of(event, None).weight == weight + 7  # and the last log lines


@pytest.mark.parametrize(("waiting", "roomy"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_queue_is_roomy_while_half_of_it_is_free(waiting: int, roomy: bool) -> None:
    queue = filled(*(entry(str(number)) for number in range(waiting)), capacity=4)

    assert queue.roomy is roomy


@pytest.mark.parametrize(("size", "roomy"), [(500, True), (501, False)])
def test_a_queue_of_heavy_entries_is_not_roomy(size: int, roomy: bool) -> None:
    assert filled(entry("a", size=size), max_bytes=1000).roomy is roomy


def test_what_is_in_flight_takes_room() -> None:
    queue = filled(entry("a"), entry("b"), entry("c"), capacity=4)
    queue.take(3)

    assert not queue.roomy
    queue.acknowledge(3)
    assert queue.roomy


def test_what_is_discarded_is_gone_with_its_weight_and_the_rest_keeps_its_order() -> None:
    queue = filled(
        entry("a", size=300), entry("b", size=300), entry("c", logging.ERROR, size=300), entry("d"), max_bytes=1000
    )

    assert sorted(names(queue.discard({"a", "c", "elsewhere"})).split()) == ["a", "c"]

    assert len(queue) == 2
    assert queue.put([entry("e", size=600)]) == []  # 300 and 600 have room, 1500 had none
    assert names(queue.take(9)) == "b d e"


def test_what_is_in_flight_is_not_discarded() -> None:
    queue = filled(entry("a"), entry("b"))
    queue.take(1)

    assert names(queue.discard({"a", "b"})) == "b"
    assert names(queue.acknowledge(1)) == "a"


# ---- what belongs to one matter keeps its order


def told(name: str, matter: str, level: int = logging.INFO, *, at: float = 0.0) -> Entry:
    event = Event(id=name, time=at, message="", level=level, matter=Matter(matter, Phase.ANNOUNCED))
    return Entry.of(event, None)


def test_an_urgent_entry_takes_along_what_waits_of_its_matter() -> None:
    queue = filled(entry("a"), told("resolved", "gas"), entry("b"), told("fine", "pos"), entry("c", logging.ERROR))

    queue.put([told("again", "gas", logging.ERROR)])

    assert names(queue.take(9)) == "c resolved again a b fine"


def test_what_came_with_an_urgent_entry_and_before_it_is_taken_along_and_what_came_after_it_is_not() -> None:
    queue = LaneQueue()

    queue.put([entry("a"), told("1", "gas"), told("2", "gas", logging.ERROR), entry("b"), told("3", "gas")])

    assert names(queue.take(9)) == "1 2 a b 3"


def test_what_is_given_back_comes_before_the_urgent_entry_of_its_matter_that_came_meanwhile() -> None:
    queue = filled(entry("a"), told("resolved", "gas"))
    queue.take(2)
    queue.put([told("again", "gas", logging.ERROR)])

    queue.give_back()

    assert names(queue.take(9)) == "resolved again a"


def test_what_was_taken_along_is_given_back_to_where_it_was() -> None:
    queue = filled(told("resolved", "gas"), told("again", "gas", logging.ERROR), entry("a", logging.ERROR))
    queue.take(1)

    queue.give_back()

    assert names(queue.take(9)) == "resolved again a"


def test_what_is_older_comes_before_the_urgent_entries_of_its_matter_when_it_is_brought_forward() -> None:
    queue = filled(told("again", "gas", logging.ERROR), entry("new", logging.ERROR), entry("old"))
    queue.put([told("out", "gas", logging.ERROR), told("resolved", "gas"), entry("older")])

    queue.bring_forward({"out", "resolved", "older"})

    assert names(queue.take(9)) == "out resolved again new older old"


def test_where_order_matters_nothing_is_taken_along() -> None:
    queue = filled(entry("a"), told("resolved", "gas"), in_order=True)
    queue.put([told("again", "gas", logging.ERROR)])
    queue.take(3)

    queue.give_back()

    assert names(queue.take(9)) == "a resolved again"


def counted(number: int) -> tuple[Counter[str], list[Entry]]:
    """Return ordinary entries, and how often each attribute of their events was looked at."""
    looks: Counter[str] = Counter()

    class Counted(Event):
        def __getattribute__(self, name: str) -> Any:
            looks[name] += 1
            return super().__getattribute__(name)

    events = [Counted(id=str(at), time=0.0, message="", level=logging.INFO) for at in range(number)]
    return looks, [Entry.of(event, None) for event in events]


def test_of_a_long_line_what_was_looked_at_is_not_looked_at_again() -> None:
    looks, ordinary = counted(1000)
    queue = filled(*ordinary)

    for at in range(100):
        queue.put([told(f"urgent {at}", "gas", logging.ERROR)])

    assert looks["matter"] == 1000  # and not for each of the hundred


@given(st.data())
def test_of_one_matter_nothing_overtakes_anything_whatever_happens(data: st.DataObject) -> None:
    queue = LaneQueue(in_order=data.draw(st.booleans()))
    said = st.lists(st.tuples(st.sampled_from(["", "gas", "pos"]), st.sampled_from([logging.INFO, logging.ERROR])))
    put: list[Entry] = []
    done: list[Entry] = []

    def acknowledge(count: int) -> None:
        done.extend(queue.acknowledge(count))
        queue.give_back()

    for _ in range(data.draw(st.integers(1, 8))):
        new: list[Entry] = []
        for matter, level in data.draw(said):
            name = str(len(put) + len(new))
            new.append(told(name, matter, level) if matter else entry(name, level))
        queue.put(new)
        put += new
        queue.take(data.draw(st.integers(0, 6)))
        if data.draw(st.booleans()):
            acknowledge(data.draw(st.integers(0, 6)))
    queue.give_back()
    queue.take(len(put))
    acknowledge(len(put))

    def of(matter: str, entries: Sequence[Entry]) -> str:
        return names([each for each in entries if each.event.matter is not None and each.event.matter.id == matter])

    assert len(done) == len(put)
    for matter in ("gas", "pos"):
        assert of(matter, done) == of(matter, put)


def test_many_urgent_entries_that_come_at_once_look_through_a_long_line_once() -> None:
    looks, ordinary = counted(1000)
    queue = filled(*ordinary, *(told(f"{at}", f"matter {at}") for at in range(100)))

    queue.put([told(f"{at} again", f"matter {at}", logging.ERROR) for at in range(100)])

    assert looks["matter"] == 2 * 1000  # for what they are of, and to move those that are among them
    assert names(queue.take(100)) == " ".join(map(str, range(100)))


def test_an_alarm_that_comes_back_from_disk_does_not_take_along_its_end_which_is_younger() -> None:
    queue = filled(told("end", "gas", at=2.0), told("older", "gas", at=0.5))

    queue.put([told("alarm", "gas", logging.ERROR, at=1.0)])
    queue.put([told("next alarm", "gas", logging.ERROR, at=3.0)])

    assert names(queue.take(9)) == "older alarm end next alarm"
