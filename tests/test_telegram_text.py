"""Text as Telegram shows it: escaped, within its limits, torn nowhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.backends.telegram.text import Block, Style, escape, html, plain, split, tail
from notify.backends.text import is_blank, length, visible
from notify.testing.telegram_rules import MAX_TEXT, check_size, check_text, shown

ALPHABET = "ab <>&;\n🚀\u200d️&lt;</pre>損\u0301"
BLOCKS = st.lists(
    st.builds(
        Block,
        st.text(alphabet=ALPHABET, max_size=300),
        st.sampled_from(Style),
        st.integers(min_value=0, max_value=300),
        st.sampled_from(["\n", "\n\n"]),
    ),
    max_size=6,
)


def squeezed(text):
    return re.sub(r"\s+", "", text)


@given(st.text(alphabet=ALPHABET))
def test_telegram_shows_what_is_escaped_as_it_is(text):
    assert shown(escape(text)) == text


@pytest.mark.parametrize(
    ("block", "marked_up"),
    [
        (Block("a < b & c"), "a &lt; b &amp; c"),
        (Block("price: 5", bold=5), "<b>price</b>: 5"),
        (Block("all of it", bold=99), "<b>all of it</b>"),
        (Block("<b>1</b>", Style.MONOSPACE), "<pre>&lt;b&gt;1&lt;/b&gt;</pre>"),
        (Block("small", Style.SMALL), "<i>small</i>"),
    ],
)
def test_a_block_is_marked_up_by_its_style(block, marked_up):
    assert html([block]) == marked_up


def test_what_stands_between_blocks_stands_before_no_message():
    part = [Block("a", gap="\n\n"), Block("b", gap="\n"), Block("c", Style.SMALL)]

    assert html(part) == "a\nb\n\n<i>c</i>"
    assert plain(part) == "a\nb\n\nc"


@given(BLOCKS, st.integers(min_value=100, max_value=1000))
def test_messages_are_valid_html_within_the_limit_and_lose_nothing(blocks, limit):
    parts = list(split(blocks, limit))

    for part in parts:
        assert length(html(part)) <= limit
        assert shown(html(part)) == plain(part)  # it parses, and markup changes no text
        assert not is_blank(plain(part))
    seen = squeezed("".join(plain(part) for part in parts))
    # Messages with nothing to see are left out: a joiner or a selector alone may be.
    whole = squeezed("".join(block.text for block in blocks))
    assert re.sub("[\u200d\ufe0f\u0301]", "", seen) == re.sub("[\u200d\ufe0f\u0301]", "", whole)


@given(st.text(max_size=9000))
def test_any_text_is_split_into_messages_that_telegram_takes(text):
    for style in Style:
        for part in split([Block(visible(text), style)], MAX_TEXT):
            check_size(html(part))
            check_text(shown(html(part)), caption=False)


def test_a_long_text_is_split_at_a_lines_end():
    lines = [f"line {number:03}" for number in range(40)]  # 9 characters with their end

    parts = list(split([Block("\n".join(lines))], 100))

    assert plain(parts[0]) == "\n".join(lines[:11])  # 98 characters; with a twelfth line 107
    assert "\n".join(plain(part) for part in parts) == "\n".join(lines)


def test_a_long_line_is_split_between_words():
    text = " ".join(["word"] * 50)

    parts = [plain(part) for part in split([Block(text)], 100)]

    assert " ".join(parts) == text
    assert all(set(part.split()) == {"word"} for part in parts)


def test_a_line_without_words_is_split_anywhere_and_no_character_is_torn():
    family = "👩‍👩‍👧‍👦"  # 11 UTF-16 units, 7 code points

    parts = [plain(part) for part in split([Block(family * 30)], 106)]  # nine, and more than half of the tenth

    assert "".join(parts) == family * 30
    assert all(part == family * 9 for part in parts[:-1])  # 99 units


def test_each_piece_of_a_table_is_monospace():
    rows = "\n".join(f"{number:>3}  x" for number in range(40))

    parts = [html(part) for part in split([Block(rows, Style.MONOSPACE)], 100)]

    assert len(parts) > 1
    assert all(part.startswith("<pre>") and part.endswith("</pre>") for part in parts)


def test_what_is_bold_stays_bold_where_it_is_split():
    parts = [html(part) for part in split([Block("x" * 150 + " y", bold=150)], 100)]

    assert parts == [f"<b>{'x' * 93}</b>", f"<b>{'x' * 57}</b> y"]  # 7 units are tags


def test_a_short_block_stays_whole_in_the_next_message():
    parts = list(split([Block("a" * 80), Block("b " * 20)], 100))

    assert [plain(part) for part in parts] == ["a" * 80, "b " * 20]


def test_messages_are_made_as_they_are_asked_for():
    huge = Block("x" * 10_000_000)

    assert length(html(next(split([huge], MAX_TEXT)))) == MAX_TEXT


@pytest.mark.parametrize(
    ("text", "room", "end"),
    [
        ("short", 10, "short"),
        ("one\ntwo\nthree", 9, "three"),
        ("one\ntwo\nthree", 10, "two\nthree"),
        ("xxxxxxxx", 3, "xxx"),
        ("<<<<", 9, "<<"),  # each is four units when escaped
        ("🚀🚀", 3, "🚀"),
        ("x", 0, ""),
    ],
)
def test_an_end_that_fits_begins_at_a_line_if_one_is_near(text, room, end):
    assert tail(text, room) == end
