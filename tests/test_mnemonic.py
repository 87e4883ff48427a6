"""Mnemonics: which rows of words are one, and which are a sentence."""

import hashlib
import random

import pytest
import secret_corpus

from notify.event import Event
from notify.rules.mnemonic_words import PLACES
from notify.rules.redaction import MASK, Redactor

BLIND = Redactor()
WORDS = secret_corpus.MNEMONIC.split()
NO_CHECKSUM = [*WORDS[:-1], "zoo"]  # its last word would have to be `yellow`
SENTENCE = "sell wait spread price trade order position open close error total state"


def test_the_list_is_the_standards():
    file = b"".join(word + b"\n" for word in PLACES)

    # Of `bip-0039/english.txt` in the standard's repository.
    assert hashlib.sha256(file).hexdigest() == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    assert list(PLACES.values()) == list(range(2048))  # eleven bits a word


# The standard's own examples, at each length that it has.
@pytest.mark.parametrize(
    "words",
    [
        secret_corpus.MNEMONIC,
        "abandon " * 11 + "about",
        "zoo " * 11 + "wrong",
        "abandon " * 17 + "agent",
        "zoo " * 23 + "vote",
    ],
)
def test_words_with_the_checksum_of_a_mnemonic_are_masked(words):
    assert BLIND.text(f"It was {words}.") == f"It was {MASK}."


def listed(word: str, count: int, form: str = "{word}{number}", between: str = ", ") -> str:
    return between.join(form.format(word=word, number=number) for number in range(1, count + 1))


@pytest.mark.parametrize(
    "form", ["{word}{number}", "{word} {number}", "{word}_{number}", "{number}. {word}", "{word}-{number}"]
)
@pytest.mark.parametrize("count", [12, 13, 24, 61, 300])  # from 61 on no checksum is asked for
@pytest.mark.parametrize("word", ["pair", "word", "asset", "ball", "action", "cause"])  # of any checksum
def test_one_word_that_is_numbered_is_a_list_of_something(word, count, form):
    said = listed(word, count, form)

    assert BLIND.text(said) == said
    assert said[10:] in BLIND.text(f"mnemonic: {said}")  # whose value begins with the first, as of any such name


def test_only_the_list_is_no_part_of_a_mnemonic_beside_it():
    said = f"{listed('pair', 12)} {secret_corpus.MNEMONIC} {listed('asset', 40)} and {listed('pair', 14)}"

    assert BLIND.text(said) == said.replace(secret_corpus.MNEMONIC, MASK)


@pytest.mark.parametrize("form", ["{number}. {word}", "{word}{number}", "{number}: '{word}'"])
@pytest.mark.parametrize(
    "words", [secret_corpus.MNEMONIC, "abandon " * 11 + "about", "zoo " * 11 + "wrong", "zoo " * 23 + "vote"]
)
def test_a_mnemonic_that_is_numbered_is_masked_even_if_it_says_one_word_often(words, form):
    said = ", ".join(form.format(word=word, number=number) for number, word in enumerate(words.split(), start=1))

    shown = BLIND.text(said)

    assert MASK in shown
    assert words.split()[0] not in shown


def test_twelve_of_the_standards_words_without_the_checksum_are_a_sentence():
    assert BLIND.text(" ".join(NO_CHECKSUM)) == " ".join(NO_CHECKSUM)
    assert BLIND.text(SENTENCE) == SENTENCE


def test_of_random_rows_of_the_standards_words_one_in_sixteen_is_taken_for_a_mnemonic():
    chance = random.Random(3)  # any seed
    rows = [" ".join(chance.choices(secret_corpus.WORDS, k=12)) for _ in range(1600)]

    masked = sum(BLIND.text(row) != row for row in rows)

    assert 50 < masked < 150  # 100 are expected, give or take five times their square root


@pytest.mark.parametrize("before", ["Mnemonic: ", "the SEED is ", "recovery words:\n", 'my_seed_words="'])
def test_beside_a_name_that_says_so_no_checksum_is_asked_for(before):
    assert BLIND.text(f"{before}{SENTENCE}.") == f"{before}{MASK}."


def test_a_name_behind_the_words_says_so_too():
    assert BLIND.text(f"{SENTENCE} (your mnemonic)") == f"{MASK} (your mnemonic)"


def test_a_mnemonic_of_which_one_word_is_not_the_standards_is_a_sentence():
    words = " ".join([*WORDS[:6], "the", *WORDS[6:]])

    assert BLIND.text(words) == words


def test_only_the_words_of_the_mnemonic_are_masked_in_a_sentence():
    assert BLIND.text(f"please restore the wallet {secret_corpus.MNEMONIC} which was lost") == (
        f"please restore the wallet {MASK} which was lost"
    )


def test_a_mnemonic_in_the_midst_of_more_of_the_standards_words_is_masked():
    shown = BLIND.text(f"sell wait {secret_corpus.MNEMONIC} trade order")

    assert shown.count("legal") == shown.count("yellow") == 0


def test_a_row_of_hundreds_of_words_is_masked_as_a_whole():
    assert BLIND.text("zoo " * 300) == f"{MASK} "


def test_a_mnemonic_behind_an_escaped_line_break_is_masked():
    assert BLIND.text(f'{{"said": "wallet\\n{secret_corpus.MNEMONIC}"}}') == f'{{"said": "wallet\\n{MASK}"}}'


def an_event(**fields: object) -> Event:
    return Event(id="1", time=1.5, level=20, message="Bought 1.25 WETH", fields=fields)


def test_a_list_of_words_in_a_field_is_masked_when_it_is_a_mnemonic():
    event = an_event(words=WORDS, deep={"a": tuple(WORDS)})

    assert BLIND.event(event).fields == {"words": MASK, "deep": {"a": MASK}}


@pytest.mark.parametrize("value", [NO_CHECKSUM, SENTENCE.split(), [*WORDS[:-1], 7], WORDS[:-1]])
def test_a_list_of_other_words_in_a_field_stays(value):
    event = an_event(words=value)

    assert BLIND.event(event) is event


@pytest.mark.parametrize("name", ["seed", "seed_words", "recovery"])
def test_a_list_in_a_field_whose_name_says_so_is_masked_without_a_checksum(name):
    assert BLIND.event(an_event(**{name: NO_CHECKSUM})).fields == {name: MASK}


def test_a_text_in_a_field_called_seed_is_masked_without_a_checksum():
    event = an_event(seed=SENTENCE, wallet_seed=SENTENCE.upper(), said=SENTENCE)

    assert BLIND.event(event).fields == {"seed": MASK, "wallet_seed": MASK, "said": SENTENCE}
