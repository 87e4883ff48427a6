import copy
import json
import math
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NoReturn
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.plain import (
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TEXT,
    MAX_TOTAL,
    clean,
    clean_fields,
    clip,
    jsonable,
    keep,
    keep_fields,
    safe_repr,
    safe_str,
)

LONE = "\ud800"  # a surrogate without its other half


class Hostile:
    """Raises from whatever is asked of it."""

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = _refuse


class HostileDict(dict):  # type: ignore[type-arg]  # anything
    def items(self) -> NoReturn:
        raise RuntimeError("no")


class HostileList(list):  # type: ignore[type-arg]  # anything
    def __len__(self) -> NoReturn:
        raise RuntimeError("no")


class HostileInt(int):
    def __int__(self) -> NoReturn:
        raise RuntimeError("no")


class HostileClass:
    @property  # type: ignore[misc]  # that is the point
    def __class__(self) -> NoReturn:  # type: ignore[override]  # that is the point
        raise RuntimeError("no")


class Weight(IntEnum):
    HEAVY = 7


def made(make: Callable[[], object]) -> object:
    return make()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(5000, 5010).map(lambda digits: 10**digits)  # more than Python prints
    | st.floats()
    | st.text(st.characters(), max_size=20)  # surrogates too
    | st.binary(max_size=20)
    | st.decimals()
    | st.datetimes()
    | st.uuids()
    | st.complex_numbers()
)
hostile = st.sampled_from([Hostile, lambda: HostileDict(a=1), lambda: HostileList([1]), HostileInt]).map(made)  # type: ignore[arg-type]  # classes and functions
names = st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5) | st.floats() | st.binary()
anything = st.recursive(
    scalars | hostile | st.just(Weight.HEAVY),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(names, inner, max_size=5)
        | st.dictionaries(names, inner, max_size=5).map(MappingProxyType)
        | st.sets(st.integers())
    ),
    max_leaves=20,
)


def refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


@given(anything)
def test_whatever_is_kept_is_strict_json_in_the_end(value: object) -> None:
    line = json.dumps(jsonable(keep(value)), allow_nan=False, ensure_ascii=False)

    line.encode()  # raises for a lone surrogate
    json.loads(line, parse_constant=refuse_constant)


@given(anything)
def test_fields_of_anything_are_kept_without_raising(value: object) -> None:
    kept = keep_fields({"a": 1, LONE: value, 3: 4})  # type: ignore[dict-item]  # that is the point

    assert next(iter(kept)) == "a"
    assert all(type(name) is str for name in kept)


@given(st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)))
def test_what_was_kept_stays_when_the_caller_changes_what_he_passed(value: Any) -> None:
    kept = keep(value)
    before = copy.deepcopy(kept)

    spoil(value)

    assert kept == before


def spoil(value: Any) -> None:
    """Empty every list and dict in *value*."""
    if isinstance(value, list | dict):
        for item in list(value.values() if isinstance(value, dict) else value):
            spoil(item)
        value.clear()


@pytest.mark.parametrize(
    "value",
    [
        "ETH", 10**30, 1.5, True, None, b"\x00\xff", Decimal("1.10"), UUID(int=7), Fraction(1, 3), 1j,
        datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), timedelta(seconds=3),
    ],
)  # fmt: skip
def test_an_immutable_value_is_kept_as_it_is(value: object) -> None:
    assert keep(value) is value


def test_containers_become_copies_of_pythons_own_types() -> None:
    Pair = namedtuple("Pair", "base quote")

    kept = keep(OrderedDict(pair=Pair("ETH", "USDC"), legs=[1, [2]], frozen=MappingProxyType({"a": (1,)})))

    assert kept == {"pair": ("ETH", "USDC"), "legs": [1, [2]], "frozen": {"a": (1,)}}
    assert type(kept) is dict
    assert type(kept["pair"]) is tuple


def test_subclasses_of_numbers_and_strings_become_numbers_and_strings() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    kept = keep([Weight.HEAVY, HostileInt(3), Text("ETH")])

    assert kept == [7, 3, "ETH"]
    assert [type(item) for item in kept] == [int, int, str]


def test_other_objects_are_kept_as_repr_at_the_top_and_as_str_inside() -> None:
    class Pair:
        def __repr__(self) -> str:
            return "Pair()"

        def __str__(self) -> str:
            return "ETH-USDC"

    assert (keep(Pair()), keep([Pair()])) == ("Pair()", ["ETH-USDC"])
    assert keep({1}) == "{1}"
    assert keep(UserDict(a=1)) == "{'a': 1}"


def test_a_cycle_is_marked_and_a_value_that_occurs_twice_is_not() -> None:
    shared = [1]
    cyclic: list[object] = [shared, shared]
    cyclic.append(cyclic)

    assert keep(cyclic) == [[1], [1], "<cycle>"]


def test_what_lies_too_deep_is_marked() -> None:
    deep: object = "bottom"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]

    kept: Any = keep(deep)

    for _ in range(MAX_DEPTH):
        (kept,) = kept
    assert kept == "<list of 1: too deep>"


def test_long_containers_are_cut_and_say_by_how_much() -> None:
    many = range(MAX_ITEMS + 5)

    assert keep(list(many))[-2:] == [MAX_ITEMS - 1, "… 5 more"]  # type: ignore[index]  # a list
    assert list(keep(dict.fromkeys(many)).items())[-1] == ("…", "5 more")  # type: ignore[attr-defined]  # a dict
    assert keep(set(many)) == f"<set of {MAX_ITEMS + 5}>"
    assert keep_fields({str(number): number for number in many})["…"] == "5 more"


def test_a_small_object_whose_copy_would_be_endless_is_cut() -> None:
    laughs: object = "lol"
    for _ in range(MAX_DEPTH):
        laughs = [laughs] * MAX_ITEMS  # a trillion items, six lists

    assert count(keep(laughs)) <= MAX_TOTAL + MAX_DEPTH * MAX_ITEMS  # and the marks of what is missing


def count(kept: Any) -> int:
    return sum(map(count, kept)) + len(kept) if isinstance(kept, list) else 0


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: [text], lambda text: {text: 1}])
def test_long_strings_are_cut_at_every_depth(wrap: Callable[[str], object]) -> None:
    kept: Any = keep(wrap("x" * (MAX_TEXT + 1)))

    text = kept if isinstance(kept, str) else next(iter(kept))
    assert len(text) <= MAX_TEXT
    assert "characters cut" in text


def test_long_bytes_are_told_by_their_length() -> None:
    assert keep(bytes(MAX_TEXT + 1)) == f"<bytes of {MAX_TEXT + 1}>"


def test_what_raises_when_it_is_looked_at_is_marked() -> None:
    assert keep(Hostile()) == "<unprintable Hostile: RuntimeError>"
    assert keep(HostileDict(a=1)) == "<unprintable HostileDict: RuntimeError>"
    assert keep(HostileList([1])) == "<unprintable HostileList: RuntimeError>"
    assert keep(HostileClass()) == "<unprintable HostileClass: RuntimeError>"


def test_one_hostile_item_does_not_cost_its_neighbours() -> None:
    assert keep([1, Hostile()]) == [1, "<unprintable Hostile: RuntimeError>"]
    assert keep({"a": HostileDict(a=1), "b": 2}) == {"a": "<unprintable HostileDict: RuntimeError>", "b": 2}


@pytest.mark.parametrize("fields", [[1, 2], "text", 7])
def test_fields_that_are_no_mapping_are_shown(fields: object) -> None:
    assert keep_fields(fields) == {"fields": fields}  # type: ignore[arg-type]  # that is the point


def test_fields_that_cannot_be_read_are_marked() -> None:
    assert keep_fields(HostileDict()) == {"fields": "<unreadable HostileDict: RuntimeError>"}


@given(st.text(), st.integers(min_value=60, max_value=200))  # the mark takes up to 30 code points
def test_clipping_keeps_to_the_limit_and_counts_what_it_cut(text: str, limit: int) -> None:
    text = text + "x" * 100

    cut = clip(text, limit)

    if len(text) <= limit:
        assert cut == text
        return
    head, mark, tail = cut.split("…[")[0], cut.split("…[")[-1].split("]…")[0], cut.rsplit("]…", 1)[-1]
    assert len(cut) <= limit
    assert text.startswith(head)
    assert text.endswith(tail)
    assert int(mark.split()[0]) == len(text) - len(head) - len(tail)


@given(st.text(st.characters()))
def test_clean_text_can_be_encoded_and_valid_text_is_left_alone(text: str) -> None:
    cleaned = clean(text)

    cleaned.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        assert cleaned != text
    else:
        assert cleaned is text


def test_a_lone_surrogate_is_written_out() -> None:
    assert clean(f"損{LONE}") == r"損\ud800"
    assert clean_fields({LONE: LONE, 3: None}) == {r"\ud800": r"\ud800", "3": None}  # type: ignore[dict-item]  # odd


def test_names_inside_a_kept_value_are_valid_unicode_too() -> None:
    assert keep([{LONE: 1}]) == [{r"\ud800": 1}]


def test_an_integer_with_more_digits_than_python_prints_is_shown_in_hex() -> None:
    shown = safe_str(10**5000)

    assert shown.startswith("0x")
    assert int(shown, 16) == 10**5000
    assert safe_repr(10**5000) == shown


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (Decimal("1.10"), "1.10"),
        ({None: 1, True: 2, 1.5: 3}, {"null": 1, "true": 2, "1.5": 3}),
        ((1, [math.nan]), [1, [None]]),
    ],
)
def test_json_gets_what_it_has_a_type_for(value: object, json_value: object) -> None:
    assert jsonable(value) == json_value


def test_what_json_has_no_type_for_is_shown_as_the_caller_wants() -> None:
    assert jsonable([b"a"], other=lambda value: f"<{value!r}>") == ["<b'a'>"]


def test_a_dict_that_another_thread_changes_meanwhile_is_still_kept() -> None:
    changing: dict[str, object] = {}

    class Meddler:
        def __str__(self) -> str:
            changing.pop("b", None)
            return "meddler"

    changing.update(a=Meddler(), b=2)

    assert keep(changing) == {"a": "meddler", "b": 2}


def test_fields_from_an_endless_generator_are_cut() -> None:
    class Endless:
        def items(self) -> Iterator[tuple[str, int]]:
            number = 0
            while True:
                yield str(number), number
                number += 1

    kept = keep_fields(Endless())  # type: ignore[arg-type]  # that is the point

    assert kept["99"] == MAX_ITEMS - 1
