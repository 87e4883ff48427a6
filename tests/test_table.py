"""Rows and columns in a monospace font."""

import math
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.plain import keep, keep_fields
from notify.table import PHONE, columns_of, table_of


def drawn(rows, most=None):
    table = table_of(rows)
    assert table is not None
    return table.draw(most).split("\n")


# ---- what is a table


@pytest.mark.parametrize(
    "value",
    [
        [],
        [{}],
        [[1, 2]],
        [1, 2],
        ["a", "b"],
        [{"a": 1}, 2],
        [[1], []],
        {"a": 1},
        "text",
        None,
        [{"a": 1}, "a word"],
        ["… 3 more"],
        [{"a": "x" * 501}],
    ],
)
def test_what_has_no_rows_and_columns_is_no_table(value):
    assert table_of(value) is None


@pytest.mark.parametrize("value", [[{"a": 1}], ({"a": 1},), [[1], [2]], [(1, 2), (3, 4)], [[1, 2], [3]]])
def test_a_list_of_dicts_or_of_several_lists_is_a_table(value):
    assert table_of(value) is not None


def test_what_notify_keeps_of_a_long_list_is_a_table_with_a_word_on_the_rest():
    kept = keep([{"number": number} for number in range(103)])  # 100 items are kept

    table = table_of(kept)

    assert len(table) == 100
    assert table.draw().endswith("\n    99\n… 3 more")


# ---- how it looks


def test_numbers_stand_to_the_right_below_their_name_and_text_to_the_left():
    rows = [
        {"pair": "ETH-USDC", "value": 3450.1, "profit": "+3.50 %", "age": "3 d"},
        {"pair": "AAVE", "value": -12, "profit": "-10.25 %", "age": "12 d"},
    ]

    assert drawn(rows) == [
        "pair         value    profit   age",
        "ETH-USDC  3,450.10   +3.50 %   3 d",
        "AAVE        -12.00  -10.25 %  12 d",
    ]


def test_lists_may_have_their_names_in_the_first_row():
    assert drawn([["pair", "USD"], ["ETH", "1.00"], ["AAVE", "-20.00"]]) == [
        "pair     USD",
        "ETH     1.00",
        "AAVE  -20.00",
    ]


def test_emoji_and_east_asian_characters_take_two_columns():
    rows = [
        {"": "🌲", "name": "損益", "n": 1},
        {"": "⚠️", "name": "abcd", "n": 22},
        {"": "👩‍👩‍👧‍👦", "name": "e\u0301", "n": 3},
        {"": "👍🏽", "name": "🇫🇮", "n": 4},
    ]

    assert drawn(rows) == [
        "    name   n",
        "🌲  損益   1",
        "⚠️  abcd  22",
        "👩‍👩‍👧‍👦  e\u0301      3",
        "👍🏽  🇫🇮     4",
    ]


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("損", 2), ("…×–", 3), ("❤️", 2), ("\u200b", 0), ("ﾊ", 1), ("Ａ", 2)]
)
def test_the_columns_of_a_text_are_those_of_a_terminal(text, columns):
    assert columns_of(text) == columns


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, 2000.0], ["1", "2,000"]),
        ([0.1 + 0.2, 1], ["0.30", "1.00"]),
        ([0.12345, 1.5], ["0.12345", "1.50000"]),
        ([8354.51421181, 0.25], ["8,354.5142", "0.2500"]),
        ([60_000.5, 0.00001234567], ["60,000.5000000", "0.0000123"]),
        ([0.0, 0.0], ["0", "0"]),
        ([1e-12, 1.5], ["1e-12", "1.5"]),
        ([1e300, 1.5], ["1e+300", "1.5"]),
        ([math.nan, math.inf, -1.25], ["nan", "inf", "-1.25"]),
        ([-(10**400), 1.5], [str(-(10**400)), "1.5"]),  # more than a float can be
        ([1, 20_000], ["1", "20000"]),
        ([Decimal("0.10"), Decimal("12.000")], ["0.10", "12.000"]),
        ([True, False], ["True", "False"]),
        ([None, 1.5], ["–", "1.50"]),
        (["", "$1,000.00"], ["", "$1,000.00"]),
        ([[1, {"a": "ä"}], "two\n lines"], ['[1, {"a": "ä"}]', "two lines"]),
    ],
)
def test_values_are_shown_as_people_read_them(values, shown):
    lines = drawn([{"v": value} for value in values])

    assert [line.strip() for line in lines[1:]] == shown


def test_a_cell_that_a_row_lacks_is_a_dash():
    assert drawn([{"a": "x"}, {"b": "y"}]) == ["a  b", "x  –", "–  y"]


def test_lists_of_different_lengths_are_filled_up():
    assert drawn([["a", "b"], ["c"]]) == ["a  b", "c"]


# ---- narrow


def test_columns_that_find_no_room_go_on_below_beside_the_first():
    rows = [{"pair": "ETH-USDC", "value": 3450.1, "share": "33.1 %", "profit": "+3.50 %", "opened": "3 days ago"}]

    assert drawn(rows, PHONE) == [
        "pair         value   share",
        "ETH-USDC  3,450.10  33.1 %",
        "",
        "pair       profit  opened",
        "ETH-USDC  +3.50 %  3 days ago",
    ]


def test_a_cell_that_is_too_wide_is_folded_between_words_if_it_can_be():
    rows = [{"tx": "0x" + "ab" * 10, "note": "reverted because of slippage that was more than allowed"}]

    assert drawn(rows, PHONE) == [
        "tx                note",
        "0xababababababab  reverted because",
        "ababab" + " " * 12 + "of slippage",
        " " * 18 + "that was more",
        " " * 18 + "than allowed",
    ]


def test_the_first_rows_say_how_many_more_there_are():
    table = table_of([{"n": number} for number in range(5)])

    assert table.first(2).draw() == "n\n0\n1\n… 3 more"
    assert table.first(5) is table


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=60),
    st.text(alphabet="a 損🌲️\u200d\u0301\n", max_size=60),
    st.lists(st.integers(), max_size=3),
)
ROWS = st.one_of(
    st.lists(st.dictionaries(st.text(max_size=30), CELLS, min_size=1, max_size=6), min_size=1, max_size=6),
    st.lists(st.lists(CELLS, min_size=1, max_size=6), min_size=2, max_size=6),
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(min_value=10, max_value=80))
def test_no_line_is_wider_than_asked_for_and_no_character_of_a_cell_is_lost(rows, most):
    table = table_of(keep_fields({"rows": rows})["rows"])

    narrow = table.draw(most)

    assert max(map(columns_of, narrow.split("\n"))) <= most
    lost = _characters("".join("".join(row) for row in table.rows)) - _characters(narrow)
    assert lost == Counter()


def _characters(text: str) -> "Counter[str]":
    return Counter("".join(text.split()))
