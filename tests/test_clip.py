"""Long text made short, with no part of a word left at the cut."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.clip import MARK, MARK_END, clip, clip_end

KEY = "0x" + "ab12" * 16


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
    assert MARK.fullmatch(f"…[{mark}]…")
    assert MARK_END in cut


@pytest.mark.parametrize("words", range(40, 140))
def test_of_a_word_that_a_cut_falls_into_nothing_is_left(words: int) -> None:
    # The key lies left of the first cut, on it or right of it; then the same at the second.
    for text in ("word " * words + KEY + " word" * 1000, "word " * 1000 + KEY + " word" * words):
        cut = clip(text, 1000)

        assert KEY in cut or "ab12" not in cut


@pytest.mark.parametrize("limit", [100, 300, 500])
@pytest.mark.parametrize("words", range(0, 40, 3))
def test_of_a_long_word_nothing_is_left_where_there_is_room_for_little_else(words: int, limit: int) -> None:
    url = "https://discord.com/api/webhooks/187244670084704778/" + "ab12" * 17

    cut = clip("word " * 1000 + url + " word" * words, limit)

    assert url in cut or "ab12" not in cut


@pytest.mark.parametrize("name", ["Private key", "Bearer", "--db-password", "API_KEY", "a secret", "its passphrase"])
def test_what_stands_behind_a_name_is_not_left_without_it(name: str) -> None:
    for where in range(60):
        cut = clip("word " * 1000 + name + " abc " + "w" * where + " word" * 52, 1000)

        assert "abc" not in cut or name.split()[-1] in cut


@pytest.mark.parametrize("where", range(0, 120, 7))
@pytest.mark.parametrize("said", ["password=abc", '"password": "abc"', "x, the password = abc"])
def test_what_a_name_stands_for_is_not_left_without_the_name(said: str, where: int) -> None:
    # The end holds 324 code points, of which up to 256 are left out.
    text = "word " * 1000 + said + " " + "w" * where + " word" * 40

    cut = clip(text, 1000)

    assert "abc" not in cut or "password" in cut


@pytest.mark.parametrize("between", [" ", "\n", ",", '","', "&", ";"])
def test_words_are_told_apart_by_what_data_is_written_with(between: str) -> None:
    cut = clip(between.join(["abcdef"] * 1000), 1000)

    assert set(re.findall("[a-z]+", MARK.sub(" ", cut))) == {"abcdef"}


def test_a_cut_between_two_words_costs_no_more_than_it_has_to() -> None:
    text = "word\n" * 1000

    assert len(clip(text, 1000)) > 1000 - 2 * len("word\n")


def test_text_that_is_one_word_is_cut_where_the_room_ends() -> None:
    assert len(clip("x" * 5000, 1000)) == 1000


def test_short_text_is_the_same_object() -> None:
    text = "x" * 1000

    assert clip(text, 1000) is text


@pytest.mark.parametrize("piece", ["x", " ", "word ", "\n", "a,", "'"])
def test_cutting_a_megabyte_takes_no_time(piece: str) -> None:
    text = piece * (2**20 // len(piece))
    started = time.process_time()

    clip(text, 2**19)

    assert time.process_time() - started < 0.1  # it copies the text, which takes 0.0002 s, and looks at 512 characters


@pytest.mark.parametrize("words", range(40))
def test_of_a_word_that_the_cut_of_an_end_falls_into_nothing_is_left(words: int) -> None:
    cut = clip_end("word " * words + KEY + " word" * 100, 120)

    assert len(cut) <= 120
    assert KEY in cut or "ab12" not in cut
    assert cut.endswith(MARK_END)


def test_what_is_short_keeps_its_end() -> None:
    assert clip_end("word " * 20, 100) == "word " * 20
