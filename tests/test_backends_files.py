"""Files as services take them."""

import pytest

from notify.backends.files import content_type_of, described, left_out, safe_name
from notify.event import Attachment


def test_a_name_that_is_too_long_keeps_its_ending():
    assert safe_name("x" * 300 + ".csv") == "x" * 60 + ".csv"


@pytest.mark.parametrize(
    ("given", "name", "content_type"),
    [
        ("text/csv", "a.png", "text/csv"),
        (None, "a.png", "image/png"),
        ("text/csv\r\nX-Header: 1", "a.png", "image/png"),
        (None, "a", "application/octet-stream"),
    ],
)
def test_a_media_type_is_the_given_one_unless_it_is_none(given, name, content_type):
    assert content_type_of(Attachment(name, b"1", given), name) == content_type


@pytest.mark.parametrize(
    ("size", "amount"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (50_000_000, "47.7 MiB")],
)
def test_a_file_is_described_by_its_name_and_its_size(size, amount):
    assert described("x" * 300, size) == f"{'x' * 60} ({amount})"


def test_what_is_left_out_is_named_and_the_fourth_is_counted():
    files = [Attachment(f"{name}.bin", b"1") for name in "ab\u202ecde"]

    assert left_out(files[:1], "Pager") == "✂️ Left out, because Pager does not take it: a.bin (1 byte)."
    assert left_out(files, "Pager") == (
        "✂️ Left out, because Pager does not take it: a.bin (1 byte), b.bin (1 byte), \\u202e.bin (1 byte) and 3 more."
    )
    assert left_out([], "Pager") == ""
