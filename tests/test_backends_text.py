"""Text as people see it, whatever shows it."""

import pytest

from notify.backends import text


def test_control_characters_and_text_that_turns_around_are_written_out():
    hostile = "a\x00b\x1b[31mc\x7fd\x9be\u202ef\u2066g\r\nh\u2028i\ud800\tj"

    assert text.visible(hostile) == "a␀b␛[31mc␡d\\x9be\\u202ef\\u2066g\nh\ni\\ud800\tj"


@pytest.mark.parametrize("blank", ["", " \n\t ", "\u200b\u200d", "\u3164", "\u2800", "\xa0\u2003", "\x00"])
def test_text_with_nothing_to_see_is_blank(blank):
    assert text.is_blank(blank)


@pytest.mark.parametrize("shown", ["a", " . ", "\ue000", "❌", "\u0301"])
def test_text_with_something_to_see_is_not_blank(shown):
    assert not text.is_blank(shown)


def test_length_counts_an_emoji_twice_because_discord_may():
    assert (text.length("abc"), text.length("損"), text.length("🚀")) == (3, 1, 2)


def test_a_line_of_one_ellipsis_separates_sections():
    assert text.sections("a…\n…\n  \n …  \nb\n\nc  \n…") == ["a…", "b\n\nc"]


@pytest.mark.parametrize(
    ("section", "table"),
    [
        ("x" * 61, False),
        ("short\n" + "word " * 30, False),
        ("| pair | value |\n| ETH  | 1     |", True),
        ("either|or\nand|that", False),
        ('Thread 0x7f (most recent call first):\n  File "a.py", line 3 in step', True),
        ("equity    1,000 USD\ncash         10 USD", True),
        ("equity    1,000 USD\nand that is all", False),
        ("  indented\n  text", False),
    ],
)
def test_columns_and_stacks_need_a_monospace_font_and_long_lines_do_not(section, table):
    assert text.is_table(section) is table


@pytest.mark.parametrize("character", ["👩‍👩‍👧‍👦", "❤️", "👍🏽", "e\u0301"])
def test_a_beginning_of_whole_characters_ends_before_one_that_has_no_room(character):
    whole = "ab" + character

    for most in range(2, len(whole)):
        assert text.whole_characters(whole, most) == 2  # of "ab"
    assert text.whole_characters(whole, len(whole)) == len(whole)


def test_joiners_without_end_are_no_character_and_are_cut_anywhere():
    assert text.whole_characters("a" + "\u0301" * 100, 50) == 50
