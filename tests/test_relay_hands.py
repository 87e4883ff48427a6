"""What lanes have of a worker's entries, and what the server is told of it."""

from collections.abc import Iterable

from notify.event import Event
from notify.relay.hands import ROOM, ROOM_BYTES, Hand, Hands
from notify.relay.stream import Away, LeaseLost, Settled


class Noting:
    """A stream that notes what it is told, after it has raised what it was told to."""

    def __init__(self, *failures: Exception) -> None:
        self.settled: list[Settled] = []
        self._failures = list(failures)

    def settle(self, settled: Iterable[Settled]) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.settled += settled


def event(number: int) -> Event:
    return Event(id=f"event-{number}", time=0.0, message="hello", level=20)


def held(hands: Hands, number: int, *names: str, has: set[str] | None = None, weight: int = 10) -> Hand:
    hand = Hand(f"{number}-0", b"a", frozenset(names) | (has or set()), has or set())
    hands.hold(event(number), hand, dict.fromkeys(names, weight))
    return hand


def test_an_entry_is_in_hand_until_every_lane_has_said_what_became_of_it() -> None:
    stream = Noting()
    hands = Hands(stream, ["here", "there"])  # type: ignore[arg-type]
    held(hands, 1, "here", "there")

    hands.delivered("here", ["event-1"])
    assert hands.of("1-0") is not None
    hands.delivered("there", ["event-1"])

    assert hands.of("1-0") is None
    assert hands.was_settled("1-0")
    assert [(each.backend, each.others) for each in stream.settled] == [
        ("here", frozenset({"there"})),
        ("there", frozenset()),  # what this worker knows to be there needs no look in Redis
    ]


def test_what_is_refused_is_told_with_the_reason_and_to_the_worker() -> None:
    stream = Noting()
    hands = Hands(stream, ["here"])  # type: ignore[arg-type]
    held(hands, 1, "here")

    hands.dead("here", "event-1", "no such chat")

    assert [each.reason for each in stream.settled] == ["no such chat"]
    assert [(refused.id, name) for refused, name in hands.refused] == [("event-1", "here")]


def test_a_lane_waits_until_the_server_knows_what_was_delivered() -> None:
    stream = Noting(Away("connection lost"), Away("connection refused"))
    hands = Hands(stream, ["here"])  # type: ignore[arg-type]
    held(hands, 1, "here")

    hands.delivered("here", ["event-1"])

    assert len(stream.settled) == 1
    assert hands.is_unsure


def test_who_has_lost_his_lease_waits_for_nothing() -> None:
    hands = Hands(Noting(LeaseLost()), ["here"])  # type: ignore[arg-type]
    held(hands, 1, "here")

    hands.delivered("here", ["event-1"])

    assert hands.is_lost


def test_room_is_taken_by_count_and_by_weight_and_given_back() -> None:
    hands = Hands(Noting(), ["here", "there"])  # type: ignore[arg-type]
    assert hands.room("here") == ROOM

    for number in range(ROOM):
        held(hands, number, "here")
    held(hands, ROOM, "there", weight=ROOM_BYTES)
    assert (hands.room("here"), hands.room("there")) == (0, 0)

    hands.delivered("there", [f"event-{ROOM}"])
    hands.delivered("here", ["event-0"])
    assert (hands.room("here"), hands.room("there")) == (1, ROOM)
    assert hands.room("here", part=0.25) == 0  # of its room one in a thousand is free


def test_what_a_lane_gives_back_is_to_be_handed_out_once_more() -> None:
    hands = Hands(Noting(), ["here"])  # type: ignore[arg-type]
    held(hands, 1, "here")

    hands.park("here", ["event-1"])

    assert hands.is_unsure
    assert hands.of("1-0") is None
    assert not hands.was_settled("1-0")


def test_what_was_survived_for_long_is_named_once() -> None:
    hands = Hands(Noting(), ["here"])  # type: ignore[arg-type]
    held(hands, 1, "here")

    assert hands.harmless(60) == []  # seconds; it came a moment ago
    assert hands.harmless(0) == ["1-0"]
    assert hands.harmless(0) == []


def standing_in(*failures: Exception) -> tuple[Noting, Hands]:
    """Return hands of two that are gone, of two that may stand in for them, and of one that is there."""
    stream = Noting(*failures)
    return stream, Hands(stream, ["one", "two", "chat", "mail", "here"])  # type: ignore[arg-type]


def rooms(hands: Hands) -> dict[str, int]:
    return {name: hands.room(name) for name in ("one", "two", "chat", "mail", "here")}


ALL_FREE = dict.fromkeys(("one", "two", "chat", "mail", "here"), ROOM)


def test_what_a_stand_in_has_takes_the_room_of_who_is_gone_until_it_has_arrived() -> None:
    _, hands = standing_in()
    held(hands, 1, "one")

    hands.move("one", [event(1)], "chat")
    assert rooms(hands) == ALL_FREE | {"one": ROOM - 1}  # or a slow stand-in would have all of the stream in memory

    hands.delivered("chat", ["event-1"])
    assert rooms(hands) == ALL_FREE
    assert hands.was_settled("1-0")


def test_what_one_has_in_the_place_of_two_goes_home_to_both() -> None:
    _, hands = standing_in()
    hand = held(hands, 1, "one", "two")
    hands.move("one", [event(1)], "chat")
    hands.move("two", [event(1)], "chat")

    hands.move("chat", [event(1)], "one")
    hands.move("chat", [event(1)], "two")

    assert (hand.wanted, hand.in_place_of) == ({"one", "two"}, {})
    assert rooms(hands) == ALL_FREE | {"one": ROOM - 1, "two": ROOM - 1}
    hands.delivered("two", ["event-1"])
    assert not hands.was_settled("1-0")
    hands.delivered("one", ["event-1"])
    assert hands.was_settled("1-0")
    assert rooms(hands) == ALL_FREE


def test_what_comes_to_one_in_the_place_of_two_is_noted_for_both_and_no_second_time() -> None:
    stream, hands = standing_in()
    held(hands, 1, "one", "two", "here")
    hands.move("one", [event(1)], "chat")
    hands.move("two", [event(1)], "chat")

    hands.delivered("chat", ["event-1"])
    hands.delivered("chat", ["event-1"])

    assert [each.backend for each in stream.settled] == ["chat", "one", "two"]
    assert rooms(hands) == ALL_FREE | {"here": ROOM - 1}


def test_a_stand_in_of_a_stand_in_has_it_in_the_place_of_the_first() -> None:
    stream, hands = standing_in()
    hand = held(hands, 1, "one", "here")
    hands.move("one", [event(1)], "chat")
    hands.move("chat", [event(1)], "mail")
    assert hand.in_place_of == {"mail": {"one"}}

    hands.dead("mail", "event-1", "no such address")

    # The last of them says that all of them have it: until then nobody could take the entry off.
    assert [(each.backend, each.others, each.reason) for each in stream.settled] == [
        ("mail", {"one", "here"}, "no such address"),
        ("one", {"here"}, ""),
    ]
    assert rooms(hands) == ALL_FREE | {"here": ROOM - 1}


def test_what_a_stand_in_gives_back_is_to_be_handed_out_to_who_was_to_have_it() -> None:
    _, hands = standing_in()
    hand = held(hands, 1, "one")
    hands.move("one", [event(1)], "chat")

    hands.park("chat", ["event-1"])

    assert rooms(hands) == ALL_FREE
    assert (hand.wanted, hand.in_place_of, hand.weights) == ({"one"}, {}, {})


def test_what_comes_to_a_stand_in_for_another_while_the_server_is_told_is_not_forgotten() -> None:
    stream, hands = standing_in()
    held(hands, 1, "one", "two")
    hands.move("one", [event(1)], "chat")
    settle = stream.settle

    def slowly(settled: Iterable[Settled]) -> None:
        stream.settle = settle  # type: ignore[method-assign]
        hands.move("two", [event(1)], "chat")
        settle(settled)

    stream.settle = slowly  # type: ignore[method-assign]
    hands.delivered("chat", ["event-1"])
    assert not hands.was_settled("1-0")

    hands.delivered("chat", ["event-1"])

    assert [(each.backend, each.others) for each in stream.settled] == [
        ("chat", {"one", "two"}),
        ("one", {"two"}),
        ("chat", {"two"}),
        ("two", frozenset()),  # the last: the entry is done
    ]
    assert hands.was_settled("1-0")
    assert rooms(hands) == ALL_FREE
