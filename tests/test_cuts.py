"""Secrets that `clip` has cut through."""

import time

import pytest
import secret_corpus

from notify.clip import clip
from notify.event import Event
from notify.rules.redaction import MASK, Redactor

PHRASE = "correct horse battery staple, said Bob in 2026 to nobody"
MARK = "…[90 characters cut]…"
LINES = "".join(f"{line * 64}\n" for line in "MIIEvQ")
PEM = f"-----BEGIN PRIVATE KEY-----\n{LINES}-----END PRIVATE KEY-----\n"
LIMIT = 2000  # code points: its first cut lies near 1,300
BLIND = Redactor()


def left(text: str, said: str, least: int) -> bool:
    """Say whether any part of *said* of *least* characters is in *text*."""
    return any(said[at : at + least] in text for at in range(len(said) - least + 1))


@pytest.mark.parametrize("place", range(1100, 1340, 11))
def test_a_known_value_of_several_words_is_masked_where_a_cut_goes_through_it(place: int) -> None:
    redactor = Redactor([PHRASE])
    for text in ("x " * (place // 2) + PHRASE + " y" * 5000, "x " * 5000 + PHRASE + " y" * ((place - 660) // 2)):
        shown = redactor.text(clip(text, LIMIT))

        assert not left(shown, PHRASE, 7)  # what has fewer than six characters is in any text


@pytest.mark.parametrize("place", range(900, 1340, 13))
def test_a_mnemonic_is_masked_where_a_cut_goes_through_it(place: int) -> None:
    words = secret_corpus.MNEMONIC.split()
    for between in (" ", "\n", ", ", "', '"):
        text = "x " * (place // 2) + between.join(words) + " y" * 5000
        shown = BLIND.text(clip(text, LIMIT))

        assert sum(word in shown for word in set(words)) <= 2  # two are no help with the other ten


def test_a_list_of_one_numbered_word_stays_where_a_cut_goes_through_it() -> None:
    shown = clip(", ".join(f"pair{number}" for number in range(1000)), LIMIT)

    assert MARK[-12:] in shown
    assert BLIND.text(shown) == shown


@pytest.mark.parametrize("place", range(900, 1340, 13))
def test_the_key_in_a_pem_block_is_masked_where_a_cut_goes_through_it(place: int) -> None:
    for text in ("x " * (place // 2) + PEM + "y\n" * 5000, "x " * 5000 + PEM + "y\n" * ((place - 660) // 2)):
        shown = BLIND.text(clip(text, LIMIT))

        assert not left(shown, LINES, 8)


def test_a_pem_block_around_the_cut_is_masked_on_both_sides() -> None:
    text = f"-----BEGIN PRIVATE KEY-----\n{LINES}{MARK}{LINES}-----END PRIVATE KEY-----"

    assert BLIND.text(text) == f"-----BEGIN PRIVATE KEY-----{MASK}{MARK}{MASK}-----END PRIVATE KEY-----"


def test_an_end_of_a_pem_block_that_begins_behind_the_cut_leaves_what_stands_between() -> None:
    assert BLIND.text(f"{MARK} so it was.\n{PEM}") == (
        f"{MARK} so it was.\n-----BEGIN PRIVATE KEY-----{MASK}-----END PRIVATE KEY-----\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"a correct horse{MARK}b", f"a {MASK}{MARK}b"),
        (f"a{MARK}2026 to nobody b", f"a{MARK}{MASK} b"),
        (f"{MARK}a correct horse {MARK}to nobody", f"{MARK}a {MASK}{MARK}{MASK}"),
        (f"correct correct {MARK}", f"correct {MASK}{MARK}"),
        (f"{MARK}nobody to nobody", f"{MARK}{MASK} to nobody"),
        (f"a correct horse c{MARK}", f"a correct horse c{MARK}"),
        (f"{MARK}a to nobody", f"{MARK}a to nobody"),
        ("a correct horse", "a correct horse"),
        (f"sell wait price {MARK}", f"{MASK}{MARK}"),
        (f"sell wait {MARK}price", f"sell wait {MARK}price"),
        (f"sell wait price of {MARK} of sell wait price", f"sell wait price of {MARK} of sell wait price"),
    ],
)
def test_only_what_touches_a_cut_is_taken_for_part_of_a_secret(text: str, shown: str) -> None:
    assert Redactor([PHRASE]).text(text) == shown


def test_a_field_that_was_cut_is_searched_too() -> None:
    event = Event(id="1", time=1.5, level=20, message="m", fields={"x": f"a correct horse{MARK}"})

    assert Redactor([PHRASE]).event(event).fields == {"x": f"a {MASK}{MARK}"}


def test_among_thousands_of_cuts_a_secret_is_found_and_nobody_is_kept_waiting() -> None:
    redactor = Redactor([PHRASE, *(f"{number}-{'x' * 30}" for number in range(100_000, 100_050))])
    text = f"a correct horse{MARK}" + MARK * 10_000 + f"{MARK}2026 to nobody b"
    started = time.process_time()

    shown = redactor.text(text)

    # 0.2 s here; to look for each form of each value at each cut takes 5 s.
    assert time.process_time() - started < 2
    assert shown.startswith(f"a {MASK}{MARK}")
    assert shown.endswith(f"{MARK}{MASK} b")
