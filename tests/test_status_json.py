"""Any value as strict JSON: what programs put into their run state, and what nobody should."""

import json
import math
import threading
from collections import OrderedDict, UserDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.rules.redaction import Redactor
from notify.status.strict_json import dumps, plain

MASK = "[redacted]"


def as_is(text: str) -> str:
    return text


def served(value: object, redact: Any = as_is, name: str = "") -> Any:
    """What a reader of the JSON gets."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(dumps(plain(value, redact, name)), parse_constant=refuse)


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Nested(Enum):
    LATER = timedelta(seconds=2)


class Text(str):
    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        ("naïve ✓", "naïve ✓"),
        (Decimal("25.0"), "25.0"),
        (Decimal(25), "25"),
        (Decimal("NaN"), None),
        (Decimal("-Infinity"), None),
        (Decimal("sNaN"), None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (datetime(2026, 1, 1, 0, 0, 0, 250_000), 1_767_225_600.25),  # naive is UTC
        (datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 1_767_225_600),
        (date(2026, 1, 1), "2026-01-01"),
        (time(12, 30), "12:30:00"),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (Nested.LATER, 2),
        (Text("text"), "text"),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (deque([1]), [1]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({None: 1, True: 2, 3: 4, Colour.RED: 5, Decimal(4): 6}, {"null": 1, "true": 2, "3": 4, "red": 5, "4": 6}),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/srv/state"), "/srv/state"),
        (Fraction(1, 3), "1/3"),
        (b"\x00\xff", "<bytes of 2>"),
        ("\ud800", r"\ud800"),
        ({"\ud800": 1}, {r"\ud800": 1}),
    ],
    ids=repr,
)
def test_a_value_is_served_as_readers_know_it(value: object, expected: object) -> None:
    found = served(value)

    assert found == expected
    assert type(found) is type(expected) or isinstance(expected, int)  # 1.0 is served where 1 is meant, and is equal


def test_times_do_not_depend_on_where_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import time as clock

    monkeypatch.setenv("TZ", "America/New_York")
    clock.tzset()
    try:
        assert served(datetime(2026, 1, 1)) == 1_767_225_600
        assert served(datetime(2026, 1, 1, tzinfo=UTC)) == 1_767_225_600
    finally:
        monkeypatch.undo()
        clock.tzset()


def test_a_dataclass_is_served_with_its_fields() -> None:
    @dataclass
    class Version:
        tag: str | None
        built: datetime

    assert served(Version("v1", datetime(2026, 1, 1))) == {"tag": "v1", "built": 1_767_225_600}


def test_numbers_of_numpy_are_numbers() -> None:
    # It is not among what the tests install, and the program that we serve has it.
    integer = type("int64", (), {"__module__": "numpy", "ndim": 0, "item": lambda self: 3})
    matrix = type("ndarray", (), {"__module__": "numpy", "ndim": 2, "item": lambda self: 1 / 0})

    assert served({"one": integer(), "many": matrix()}) == {"one": 3, "many": "<ndarray>"}


# ---- code of the program does not run


class Hostile:
    """Whatever is done with it, it says that it was."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")

    def __repr__(self) -> str:
        raise AssertionError("shown")

    __str__ = __repr__

    def __hash__(self) -> int:
        return 1

    def __len__(self) -> int:
        raise AssertionError("measured")


def test_an_object_of_the_program_is_named_and_left_alone() -> None:
    assert served({"state": Hostile(), Hostile(): 1}) == {"state": "<Hostile>", "<Hostile>": 1}


def test_an_object_whose_repr_waits_for_a_lock_is_no_obstacle() -> None:
    lock = threading.Lock()

    class Locked:
        def __repr__(self) -> str:
            with lock:
                return "locked"

    with lock:
        assert served(Locked()) == "<Locked>"


def test_subclasses_are_read_past_their_own_methods() -> None:
    class Dict(dict[str, int]):
        def items(self) -> Any:
            raise AssertionError

    class List(list[int]):
        def __iter__(self) -> Any:
            raise AssertionError

    @dataclass
    class Version:
        tag: str

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError

    class Float(float):
        def __float__(self) -> float:
            raise AssertionError

    class Int(int):
        def __str__(self) -> str:
            raise AssertionError

    found = served([Dict(a=1), List([2]), Version("v1"), Float(1.5), Int(7_000_000)])

    assert found == [{"a": 1}, [2], {"tag": "v1"}, 1.5, 7_000_000]


def test_what_only_looks_like_a_mapping_is_not_walked_through() -> None:
    assert served(UserDict(a=1)) == "<UserDict>"


def test_one_value_that_cannot_be_read_costs_no_other() -> None:
    class Broken(datetime):
        @property
        def tzinfo(self) -> Any:
            raise ValueError("secret of the program")

    assert served({"a": Broken(2026, 1, 1), "b": 2}) == {"a": "<unreadable Broken: ValueError>", "b": 2}


def test_a_list_that_another_thread_changes_is_served() -> None:
    growing: list[int] = []
    facts: dict[str, int] = {}
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            facts[str(len(growing) % 500)] = 1
            growing.append(1)
            if len(growing) > 500:
                growing.clear()
                facts.clear()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        found = [plain([growing, facts], as_is) for _ in range(300)]
    finally:
        stop.set()
        writer.join()

    kinds = [type(one) for both in found for one in both]
    assert {list, dict} <= set(kinds)
    assert kinds.count(str) <= 6  # of 600 are `<unreadable dict: …>`: the collector may let another thread in anywhere


# ---- bounds


def test_what_holds_itself_ends() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)

    assert served(cycle) == [1, "<cycle>"]


def test_what_is_too_deep_is_left_out() -> None:
    deep: Any = 1
    for _ in range(1000):
        deep = [deep]

    text = dumps(plain(deep, as_is)).decode()

    assert text == "[" * 32 + '"<list: too deep>"' + "]" * 32  # levels that are served


def test_a_list_that_holds_itself_many_times_over_ends() -> None:
    wide: Any = ["x"] * 10
    for _ in range(20):  # 10 ** 21 items, if all were shown
        wide = [wide] * 10

    # 100,000 items, and a mark for each list that is not complete.
    assert len(dumps(plain(wide, as_is))) < 2_000_000


def test_a_million_of_anything_is_cut_and_says_so() -> None:
    numbers = plain(list(range(1_000_000)), as_is)
    named = plain({str(number): number for number in range(1_000_000)}, as_is)
    nested = plain([list(range(200_000)), 1], as_is)
    inside = plain({"a": list(range(200_000)), "b": 1, "c": 1}, as_is)

    # The items of a document, and the mark.
    assert (len(numbers), numbers[-1]) == (100_001, "… more")
    assert (len(named), named["…"]) == (100_001, "more")
    assert nested[1] == "… more"
    assert list(inside) == ["a", "…"]


def test_a_curve_of_ninety_days_by_the_hour_is_served_whole() -> None:
    curve = [(datetime(2026, 1, 1) + timedelta(hours=hour), hour / 7) for hour in range(90 * 24)]

    assert len(served(curve)) == 2160


def test_a_huge_text_is_cut() -> None:
    assert len(served("x " * 10**6)) < 40_000


@pytest.mark.parametrize("number", [10**5000, -(10**5000)], ids=["positive", "negative"])
def test_a_number_with_more_digits_than_python_shows_is_served(number: int) -> None:
    assert served(number).lstrip("-").startswith("0x")


# ---- secrets

PASSWORD = "correct-horse-4711"
MNEMONIC = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.mark.parametrize(
    "value",
    [
        f"login with {PASSWORD} failed",
        {"reason": [f"{PASSWORD}"]},
        {PASSWORD: 1},
        {"password": "anything"},
        {"nested": {"api_key": "abc123abc123"}},
        Path(f"/srv/{PASSWORD}"),
        MNEMONIC.split(),
        {"words": tuple(MNEMONIC.split())},
        ["run", "--db-password", "anything"],
        {"keys": ["0123456789abcdef0123abc123abc123"]},
        ["-----BEGIN PRIVATE KEY-----", "MHcCAQEEIIGlVmS9sausage", "-----END PRIVATE KEY-----"],
        87_654_321,
        Colour.RED,
    ],
    ids=repr,
)
def test_no_secret_is_served_wherever_it_is(value: object) -> None:
    redact = Redactor([PASSWORD, "87654321", "red-is-secret"]).text
    hidden = [PASSWORD, "87654321", "anything", "abc123abc123", "sausage"]

    text = dumps(plain(value, redact)).decode()

    assert [secret for secret in hidden if secret in text] == []
    assert (MASK in text) is (value is not Colour.RED)  # the one that has none


def test_what_is_called_a_secret_is_masked() -> None:
    assert served("hunter2", name="password") == MASK


def test_a_text_that_cannot_be_searched_is_not_shown() -> None:
    def fails(text: str) -> str:
        raise ValueError

    def says_nothing(text: str) -> Any:
        return None

    assert served({"a": "text"}, fails) == {MASK: MASK}
    assert served(["text"], says_nothing) == [MASK]


def test_of_a_pair_of_a_name_and_a_secret_the_name_is_served() -> None:
    headers = [("Accept", "*/*"), ("X-Api-Key", "a7!"), ("password", "hunter")]

    assert served({"headers": headers}) == {"headers": [["Accept", "*/*"], ["X-Api-Key", MASK], ["password", MASK]]}
    assert served({"missing": ["password", "email"]}) == {"missing": ["password", "email"]}


def test_what_replaces_a_secret_cannot_break_the_json() -> None:
    assert served(["secret"], lambda text: '"]}\n\ud800') == ['"]}\n\\ud800']


# ---- anything


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.decimals() | st.binary()
    | st.datetimes() | st.timedeltas() | st.dates() | st.fractions() | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
)  # fmt: skip


@given(anything)
def test_anything_becomes_strict_json(value: object) -> None:
    served(value, Redactor().text)
