"""Text as Discord shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.backends.discord import text

ZERO_WIDTH_SPACE = "\u200b"


@pytest.mark.parametrize(
    "plain",
    [
        "snake_case_name and CamelCase",
        r"C:\trading\logs\new",
        "#1 of 3, -5 %, 2 > 1, a#b",
        "~/notify costs ~5 USD | approx.",
        "https://example.com/a_b/_next?x=1#_top_",
        "[INFO] list[0] (see below)",
        "- one\n- two\n1. three",
        "<not a mention> a <b> 1<2",
        "損益 +3.5 % 🚀 ünïcödé",
        ":rocket: @everyone",
    ],
)
def test_text_that_discord_would_show_as_it_is_stays_byte_for_byte(plain):
    assert text.escape(plain) == plain


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("1*2", r"1\*2"),
        ("**bold**", r"\*\*bold\*\*"),
        ("_italic_", r"\_italic\_"),
        ("__init__", r"\_\_init\_\_"),
        ("a__b__c", r"a\_\_b\_\_c"),
        ("é_a_é", r"é\_a\_é"),
        ("~~gone~~ ~one", r"\~\~gone\~\~ ~one"),
        ("||secret||", r"\|\|secret\|\|"),
        ("`code`", r"\`code\`"),
        ("> quote\n  > quote\n>>> all", "\\> quote\n  \\> quote\n\\>>> all"),
        ("# one\n## two\n### three\n-# small", "\\# one\n\\## two\n\\### three\n\\-# small"),
        ("[click](https://evil.example)", r"[click]\(https://evil.example)"),
        ("<@1> <@&2> <#3> <:a:4> <a:b:5> <t:6:R> </c:7> <id:home>", None),
        ("\\*", r"\\\*"),
        ("ends in \\", "ends in \\\\"),
    ],
)
def test_what_discord_would_act_on_is_escaped(plain, escaped):
    if escaped is None:
        escaped = plain.replace("<", "\\<")

    assert text.escape(plain) == escaped


@given(st.text(alphabet="ab *_~|`\\<>@#[]()-\n:t", max_size=60))
def test_taking_discords_escapes_back_gives_the_text(plain):
    escaped = text.escape(plain)

    # What Discord does: a backslash before what is no letter, digit or space goes.
    shown, rest = "", escaped
    while rest:
        if (
            rest[0] == "\\"
            and len(rest) > 1
            and not (rest[1].isascii() and rest[1].isalnum())
            and not rest[1].isspace()
        ):
            rest = rest[1:]
        shown, rest = shown + rest[0], rest[1:]
    assert shown == plain


@given(st.text(alphabet="`a \n", max_size=40))
def test_nothing_ends_a_fence_from_inside(inside):
    fenced = text.fence(inside)

    assert fenced.startswith("```\n")
    assert fenced.endswith("\n```")
    assert "```" not in fenced[3:-3]
    assert fenced[4:-4].replace(ZERO_WIDTH_SPACE, "") == inside.strip("\n")


def test_a_head_ends_between_words_when_a_space_is_near():
    assert text.head_that_fits("one two three four five", 20, str) == ("one two three four", False)
    assert text.head_that_fits("one " + "x" * 50, 20, str) == ("one " + "x" * 16, False)


def test_a_head_that_is_everything_says_so():
    assert text.head_that_fits("one two", 7, str) == ("one two", True)


@pytest.mark.parametrize("character", ["👩‍👩‍👧‍👦", "❤️", "👍🏽", "e\u0301"])
def test_a_head_never_ends_inside_what_is_seen_as_one_character(character):
    for limit in range(1, text.length("ab" + character)):
        head, _ = text.head_that_fits("ab" + character, limit, str)

        assert head in ("a", "ab")


def test_a_tail_begins_at_a_line_and_says_that_something_is_missing():
    assert text.tail_that_fits("first line\nsecond\nthird", 18, str) == ("…\nsecond\nthird", False)


@given(
    st.text(alphabet="a_*`\\ \n🚀\u200d<@", max_size=200),
    st.integers(min_value=0, max_value=150),
    st.sampled_from([text.escape, text.fence, text.bold, str]),
    st.sampled_from([text.head_that_fits, text.tail_that_fits]),
)
def test_what_fits_fits_whatever_the_text(plain, limit, render, cut):
    shown, whole = cut(plain, limit, render)

    assert text.length(shown) <= limit
    assert not whole or shown == render(plain)


def test_a_masked_link_is_none_when_an_address_stands_before_it():
    assert text.escape("[https://bank.example](https://evil.example)") == (
        r"[https://bank.example]\(https://evil.example)"
    )
