import itertools
import os
import re
from dataclasses import FrozenInstanceError, replace

import pytest
from children import python

from notify.event import Attachment, Event, Matter, Origin, Phase, Source, event_of_record, new_id, new_ids, with_matter

NOW = 1_767_225_600.0  # 2026-01-01


def test_ids_made_one_after_the_other_sort_in_that_order() -> None:
    ids = [new_id(NOW) for _ in range(1000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_sort_by_the_time_of_their_events_before_all_else() -> None:
    later = new_id(NOW + 0.001)  # ids count milliseconds
    earlier = new_id(NOW)

    assert earlier < later


def test_an_id_is_safe_in_file_names_and_urls() -> None:
    assert re.fullmatch(r"[0-9a-f]+(-[0-9a-f]+){2}", new_id(NOW))


@pytest.mark.process
def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    script = """if True:
        import os
        from notify.event import new_id
        if os.fork() == 0:
            print(new_id(0), flush=True)
            os._exit(0)
        os.wait()
        print(new_id(0))
    """

    run = python("-c", script)

    child, parent = run.stdout.split()
    assert child.split("-")[:2] == parent.split("-")[:2], "the counter is shared, as the child is a copy"
    assert child != parent


@pytest.mark.parametrize("made", [0, 0xF0, 0xFFF0, 0xFFFFF0])  # the next byte changes among them, or begins anew
def test_ids_made_together_are_those_made_one_by_one(made: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # As they are in a burst, over half a millisecond before the next, exactly at it, and back again.
    times = [NOW + step / 32_768 for step in (*range(40), 32, 31, 0)]

    monkeypatch.setattr("notify.event._sequence", itertools.count(made))
    together = new_ids(times)
    monkeypatch.setattr("notify.event._sequence", itertools.count(made))
    one_by_one = [new_id(time) for time in times]

    assert together == one_by_one
    assert [made_id.split("-")[0] for made_id in together] == [f"{int(time * 1000):012x}" for time in times]
    assert [made_id.split("-")[1] for made_id in together] == [f"{(made + n) % 2**24:06x}" for n in range(len(times))]


def test_an_event_cannot_be_changed() -> None:
    event = Event(id="1", time=NOW, message="Bought", level=20)

    with pytest.raises(FrozenInstanceError):
        event.message = "Sold"  # type: ignore[misc]  # that is the point


def test_an_event_takes_keywords_only() -> None:
    with pytest.raises(TypeError):
        Event("1", NOW, "Bought", 20)  # type: ignore[call-arg]  # that is the point


def test_the_fields_of_one_event_are_not_those_of_another() -> None:
    first, second = (Event(id="1", time=NOW, message="", level=20) for _ in range(2))

    assert first.fields is not second.fields


@pytest.mark.parametrize("data", ["text", bytearray(b"abc"), None, 3])
def test_an_attachment_of_anything_but_bytes_is_refused(data: object) -> None:
    with pytest.raises(TypeError, match="must be bytes"):
        Attachment("chart.png", data)  # type: ignore[arg-type]  # that is the point


def test_an_attachment_whose_name_is_no_string_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a string"):
        Attachment(3, b"")  # type: ignore[arg-type]  # that is the point


def test_the_name_of_a_file_that_is_not_utf_8_becomes_valid_unicode() -> None:
    name = os.fsdecode(b"caf\xe9.png")

    assert Attachment(name, b"").filename == r"caf\udce9.png"


def test_the_content_of_an_attachment_does_not_show_in_its_repr() -> None:
    assert "secret" not in repr(Attachment("a.txt", b"secret"))


def test_an_event_of_a_record_is_what_the_constructor_makes_and_as_frozen() -> None:
    source = Source("/app/runner.py", 12, "tick", 1, "MainThread")
    event = event_of_record("1", NOW, "Bought", 20, "body", "trade", {"pair": "ETH"}, None, "strategy", source)

    assert event == Event(
        id="1",
        time=NOW,
        message="Bought",
        level=20,
        body="body",
        topic="trade",
        fields={"pair": "ETH"},
        logger="strategy",
        source=source,
    )
    assert type(event) is Event
    assert replace(event, message="Sold").message == "Sold"
    with pytest.raises(FrozenInstanceError):
        event.message = "Sold"  # type: ignore[misc]  # that is the point


def test_an_event_with_a_matter_is_otherwise_the_same_and_as_frozen() -> None:
    event = Event(id="1", time=1.0, message="down", level=40, key="rpc", tail=("a",), origin=Origin("eth-1", "ETH"))
    matter = Matter("m", Phase.ANNOUNCED)

    changed = with_matter(event, matter)

    assert type(changed) is Event
    assert changed == replace(event, matter=matter)
    assert event.matter is None
    with pytest.raises(FrozenInstanceError):
        changed.message = "up"  # type: ignore[misc]  # the point


@pytest.mark.parametrize(
    ("made", "number"), [(0, "000000"), (0x12345, "012345"), (0xFFFFFF, "ffffff"), (2**24, "000000")]
)
def test_the_number_in_an_id_has_six_digits_however_many_were_made(
    made: int, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify.event._sequence", itertools.count(made))

    assert new_id(NOW).split("-")[1] == number
