import copy
import json
import math
from collections import OrderedDict, UserDict, deque, namedtuple
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
    class_name,
    clean,
    jsonable,
    keep,
    keep_fields,
    safe_repr,
    safe_str,
    unshared,
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


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_long_bytes_are_told_by_their_length(kind: Callable[[int], object]) -> None:
    assert keep(kind(MAX_TEXT + 1)) == f"<{kind.__name__} of {MAX_TEXT + 1}>"


def test_short_bytes_that_can_change_are_shown() -> None:
    assert keep(bytearray(b"ab")) == "bytearray(b'ab')"


def test_bytes_of_a_class_of_the_programs_own_become_bytes_without_asking_it() -> None:
    class HostileBytes(bytes):
        def _refuse(self, *_: object) -> NoReturn:
            raise RuntimeError("no")

        __len__ = __getitem__ = __iter__ = __str__ = __repr__ = _refuse  # type: ignore[assignment]  # that is the point

    kept = keep(HostileBytes(b"ab"))

    assert type(kept) is bytes
    assert kept == b"ab"


# ---- what JSON has no type for


@pytest.mark.parametrize(
    "value",
    [{1}, frozenset("a"), deque([1.5, "a"], maxlen=9), {"a": 1}.keys(), {"a": 1}.items(), set(), deque([Decimal(1)])],
    ids=repr,
)
def test_small_collections_are_shown_as_python_shows_them(value: object) -> None:
    assert keep(value) == repr(value)


@pytest.mark.parametrize("kind", [set, frozenset, deque, lambda many: dict.fromkeys(many).keys()])
def test_of_long_collections_the_first_items_are_shown(kind: Callable[[object], object]) -> None:
    kept = str(keep(kind(range(MAX_ITEMS + 5))))

    assert "0, 1, 2, 3, " in kept
    assert f"{MAX_ITEMS - 1}, … 5 more" in kept
    assert str(MAX_ITEMS) not in kept


def test_the_items_of_a_collection_are_bounded_too() -> None:
    long = tuple(range(MAX_ITEMS + 5))

    assert "'… 5 more'" in str(keep({long}))
    assert keep(deque([bytes(MAX_TEXT + 1)])) == f"deque([<bytes of {MAX_TEXT + 1}>])"
    assert "…" in str(keep(deque([deque([long])])))


def test_a_small_collection_whose_text_would_be_endless_is_cut() -> None:
    looked_at: list[str] = []

    class Counting:
        def __str__(self) -> str:
            looked_at.append("")
            return "lol"

    laughs: object = Counting()
    for _ in range(3):
        laughs = deque([laughs] * MAX_ITEMS)  # a million items

    keep(laughs)

    assert 0 < len(looked_at) <= MAX_TOTAL


def test_a_collection_that_holds_itself_ends() -> None:
    ring: deque[object] = deque()
    ring.append(ring)

    assert "too deep" in str(keep(ring))


def test_a_collection_shows_what_cannot_be_printed_beside_what_can() -> None:
    assert keep(deque([1, Hostile()])) == "deque([1, <unprintable Hostile: RuntimeError>])"


class Walked:
    """Has a length, and a repr that walks through all of it."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        if self.length > MAX_TOTAL:
            raise AssertionError("the caller would wait for this")
        return "small"


def test_an_object_with_more_items_than_are_ever_copied_is_told_by_its_length() -> None:
    assert keep(Walked(MAX_TOTAL + 1)) == f"<Walked of {MAX_TOTAL + 1}>"
    assert keep([Walked(MAX_TOTAL)]) == ["small"]


def test_what_raises_when_it_is_looked_at_is_marked() -> None:
    assert keep(Hostile()) == "<unprintable Hostile: RuntimeError>"
    assert keep(HostileDict(a=1)) == "<unprintable HostileDict: RuntimeError>"
    assert keep(HostileList([1])) == "<unprintable HostileList: RuntimeError>"
    assert "HostileClass object at" in str(keep([HostileClass()]))  # what says of itself what it is not asked for


def test_one_hostile_item_does_not_cost_its_neighbours() -> None:
    assert keep([1, Hostile()]) == [1, "<unprintable Hostile: RuntimeError>"]
    assert keep({"a": HostileDict(a=1), "b": 2}) == {"a": "<unprintable HostileDict: RuntimeError>", "b": 2}


@pytest.mark.parametrize("fields", [[1, 2], "text", 7])
def test_fields_that_are_no_mapping_are_shown(fields: object) -> None:
    assert keep_fields(fields) == {"fields": fields}  # type: ignore[arg-type]  # that is the point


def test_fields_that_cannot_be_read_are_marked() -> None:
    assert keep_fields(HostileDict()) == {"fields": "<unreadable HostileDict: RuntimeError>"}


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


# ---- mappings of the program's own


class Pairs:
    """No dict, but it has items: those given, and then it raises."""

    def __init__(self, *pairs: object) -> None:
        self.pairs = pairs

    def items(self) -> Iterator[object]:
        yield from self.pairs
        raise RuntimeError("no")


def test_of_fields_that_raise_halfway_what_came_is_kept() -> None:
    kept = keep_fields(Pairs(("a", 1), ("b", [2])))  # type: ignore[arg-type]  # that is the point

    assert kept == {"a": 1, "b": [2], "…": "<unreadable from here: RuntimeError>"}


def test_of_fields_with_a_pair_that_is_none_what_came_is_kept() -> None:
    kept = keep_fields(Pairs(("a", 1), 7))  # type: ignore[arg-type]  # that is the point

    assert kept == {"a": 1, "…": "<unreadable Pairs: TypeError>"}


def test_of_a_dict_or_list_that_raises_halfway_what_came_is_kept() -> None:
    class Torn(dict):  # type: ignore[type-arg]  # anything
        items = Pairs(("a", 1)).items  # type: ignore[assignment]  # that is the point

    class TornList(list):  # type: ignore[type-arg]  # anything
        def __iter__(self) -> Iterator[object]:
            yield 1
            raise RuntimeError("no")

    mark = "<unreadable from here: RuntimeError>"
    assert keep(Torn(a=1, b=2)) == {"a": 1, "…": mark}
    assert keep(TornList([1, 2])) == [1, mark]


# ---- what an object may raise, and what a signal


def raising(error: BaseException) -> object:
    class Raising:
        def __str__(self) -> str:
            raise error

        __repr__ = __str__

    return Raising()


class Odd(BaseException):
    """What nobody expects."""


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), Odd()], ids=lambda error: type(error).__name__)
def test_an_object_that_would_end_the_program_is_marked(error: BaseException) -> None:
    mark = f"<unprintable Raising: {type(error).__name__}>"

    assert safe_str(raising(error)) == mark
    assert keep(raising(error)) == mark
    assert keep_fields({"x": raising(error), raising(error): 1}) == {"x": mark, mark: 1}  # type: ignore[dict-item]  # odd


def test_a_mapping_that_would_end_the_program_is_marked() -> None:
    class Exiting:
        def items(self) -> NoReturn:
            raise SystemExit

    assert keep_fields(Exiting()) == {"fields": "<unreadable Exiting: SystemExit>"}  # type: ignore[arg-type]  # odd


def test_ctrl_c_reaches_the_program() -> None:
    with pytest.raises(KeyboardInterrupt):
        keep([raising(KeyboardInterrupt())])


# ---- classes that lie


class Secretive(type):
    """Refuses to say anything about its classes."""

    def __getattribute__(cls, name: str) -> NoReturn:
        raise SystemExit

    def __instancecheck__(cls, instance: object) -> NoReturn:
        raise SystemExit


def secret() -> object:
    class Secret(metaclass=Secretive):
        def __str__(self) -> str:
            raise RuntimeError("no")

    return Secret()


def test_the_name_of_a_class_is_known_though_its_metaclass_refuses_to_tell_it() -> None:
    assert class_name(secret()) == "Secret"
    assert safe_str(secret()) == "<unprintable Secret: RuntimeError>"
    assert keep([1, secret()]) == [1, "<unprintable Secret: SystemExit>"]


def test_an_object_that_says_it_is_of_another_class_is_taken_for_what_it_is() -> None:
    class Pretender:
        @property
        def __class__(self) -> type:  # type: ignore[override]  # that is the point
            return dict

        def __repr__(self) -> str:
            return "Pretender()"

    assert keep(Pretender()) == "Pretender()"


def test_a_text_of_a_class_of_the_programs_own_becomes_text_without_asking_it() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return self

        def _refuse(self, *_: object) -> NoReturn:
            raise RuntimeError("no")

        isascii = encode = __len__ = __getitem__ = _refuse  # type: ignore[assignment]  # that is the point

    for shown in (clean(Text("ETH")), safe_str(Text("ETH")), keep(Text("ETH"))):
        assert type(shown) is str
        assert shown == "ETH"


# ---- for those who may change it


def test_an_unshared_value_is_equal_and_can_be_changed_without_changing_the_other() -> None:
    kept = {"legs": [1, {"pair": "ETH"}], "both": ([2], "x"), "price": Decimal("1.1")}
    before = copy.deepcopy(kept)

    own = unshared(kept)

    assert own == kept
    spoil(own)
    own["both"] = None
    assert kept == before


def test_fields_from_an_endless_generator_are_cut() -> None:
    class Endless:
        def items(self) -> Iterator[tuple[str, int]]:
            number = 0
            while True:
                yield str(number), number
                number += 1

    kept = keep_fields(Endless())  # type: ignore[arg-type]  # that is the point

    assert kept["99"] == MAX_ITEMS - 1


def test_names_that_become_one_in_json_lose_no_value():
    kept = keep({"legs": {1: "a", "1": "b", None: "c", "null": "d", "1'": "e"}})

    assert jsonable(kept) == {"legs": {"1": "a", "1'": "b", "null": "c", "null'": "d", "1''": "e"}}
