"""Mnemonics: which rows of words are one, and which are a sentence."""

import secret_corpus

from notify.rules import mnemonic
from notify.rules.redaction import MASK, Redactor

BLIND = Redactor()


def test_twelve_words_of_which_one_is_ordinary_are_a_sentence():
    words = secret_corpus.WORDS[:12]

    assert BLIND.text(" ".join(words)) == MASK
    assert BLIND.text(" ".join([*words[:6], "the", *words[6:11]])) == " ".join([*words[:6], "the", *words[6:11]])


def test_none_of_the_standards_words_counts_as_ordinary():
    assert [word for word in secret_corpus.WORDS if mnemonic.is_ordinary(word)] == []


def test_only_the_words_of_the_mnemonic_are_masked_in_a_sentence():
    words = " ".join(secret_corpus.WORDS[:12])

    assert BLIND.text(f"please restore the wallet {words} which was lost") == (
        f"please restore the wallet {MASK} which was lost"
    )


def test_a_mnemonic_behind_an_escaped_line_break_is_masked():
    words = " ".join(["multiply", *secret_corpus.WORDS[:11]])  # with the n of \n the first has nine letters

    assert BLIND.text(f'{{"said": "wallet\\n{words}"}}') == f'{{"said": "wallet\\n{MASK}"}}'
