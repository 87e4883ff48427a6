"""Files as services take them."""

import pytest

from notify.backends.files import content_type_of, described, safe_name
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
    ("size", "amount"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (50_000_000, "47.7 MiB")]
)
def test_a_file_is_described_by_its_name_and_its_size(size, amount):
    assert described("x" * 300, size) == f"{'x' * 60} ({amount})"
