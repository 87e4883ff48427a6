"""What a backend notes of its messages."""

import pytest

from notify.delivery.folding.posted import Posted


def test_it_is_a_mapping_that_tells_what_changes():
    told: list[tuple[str, str | None]] = []
    posted = Posted({"old": "1"}, lambda name, value: told.append((name, value)))

    posted["a"] = "2"
    posted["a"] = "3"
    del posted["old"]

    assert dict(posted) == {"a": "3"}
    assert len(posted) == 1
    assert told == [("a", "2"), ("a", "3"), ("old", None)]
    with pytest.raises(KeyError):
        posted["old"]
    with pytest.raises(KeyError):
        del posted["old"]


def test_the_oldest_make_room_by_number_and_by_size():
    posted = Posted({})
    for number in range(3000):
        posted[str(number)] = "x"
    assert len(posted) == 2000
    assert "999" not in posted
    assert "1000" in posted

    for number in range(10):
        posted[f"large {number}"] = "x" * 2**18  # of characters; eight of them are all that there is room for
    assert sum(map(len, posted.values())) <= 2 * 2**20
    assert "large 9" in posted
    assert "2999" not in posted


def test_what_is_noted_anew_is_not_the_oldest_any_more():
    posted = Posted({})
    for number in range(2000):
        posted[str(number)] = "x"
    posted["0"] = "y"
    posted["new"] = "z"

    assert "0" in posted
    assert "1" not in posted
