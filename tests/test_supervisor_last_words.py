"""The last lines of stderr as others may see them: no secret, whole or cut."""

from notify.rules.redaction import Redactor
from notify.supervisor.last_words import redacted

KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"  # 64 characters, as in every PEM file
KEY = ["-----BEGIN PRIVATE KEY-----", *[KEY_LINE] * 40, "-----END PRIVATE KEY-----"]  # more than the 30 that are shown


def shown(*lines: str, values: tuple[str, ...] = ()) -> tuple[str, ...]:
    return redacted(lines, Redactor(values).text)


def test_a_private_key_is_taken_out_as_a_whole_however_long_it_is():
    text = "\n".join(shown("before", *KEY, "after"))

    assert KEY_LINE not in text
    assert (text.split("\n")[0], text.split("\n")[-1]) == ("before", "after")


def test_of_a_private_key_that_has_lost_its_beginning_nothing_is_left():
    assert shown(KEY_LINE, *KEY[-5:], "after") == ("[redacted]", "after")


def test_the_end_of_a_second_key_takes_nothing_with_it_that_stands_before_the_first():
    assert shown("before", *KEY, *KEY, "after")[0] == "before"


def test_a_known_value_of_several_lines_is_taken_out():
    assert "second" not in str(shown("x first", "second y", values=("first\nsecond",)))


def test_without_secrets_the_lines_stay_what_they_are():
    assert shown("one", "", "two") == ("one", "", "two")
    assert shown() == ()
