"""A bot's token and its server, as people paste them."""

import pytest

from notify.backends.telegram import TelegramBackend
from notify.backends.telegram.address import parse_base, parse_token
from notify.backends.telegram.limiter import ProcessLimiter
from notify.testing.fake_telegram import TOKEN


def test_a_token_is_taken_without_the_space_around_it():
    assert parse_token(f" {TOKEN}\n") == TOKEN


@pytest.mark.parametrize(
    "text",
    ["", "c4nary", f"bot{TOKEN}", TOKEN.replace(":", ""), TOKEN + "/", TOKEN + "\r\nc4nary", "1:c4nary", "１" + TOKEN],
)
def test_what_is_no_token_is_refused_and_not_shown(text):
    with pytest.raises(ValueError, match="not a bot's token") as raised:
        parse_token(text)

    assert "c4nary" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://api.telegram.org", "https://api.telegram.org"),
        (" https://telegram.example.com:8081/bots/ ", "https://telegram.example.com:8081/bots"),
        ("http://localhost:8081", "http://localhost:8081"),
        ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
        ("http://[::1]:8081", "http://[::1]:8081"),
    ],
)
def test_a_server_of_ones_own_has_tls_or_is_this_machine(text, base):
    assert parse_base(text) == base


@pytest.mark.parametrize(
    "text",
    [
        "", "c4nary", "http://c4nary.example.com", "http://127.0.0.1.c4nary.com", "http://[::ffff:127.0.0.1]:1",
        "ftp://localhost", "https://", "https://user:c4nary@host", "https://host/?c4nary=1", "https://host/#c4nary",
        "https://host\\c4nary", "https://ho st", "https://host:c4nary", "https://[c4nary",
    ],
)  # fmt: skip
def test_an_unusable_server_is_refused_and_not_shown(text):
    with pytest.raises(ValueError, match="not the address of a Bot API server") as raised:
        parse_base(text)

    assert "c4nary" not in str(raised.value)


def test_a_backend_shows_neither_its_token_nor_its_server(clock):
    backend = TelegramBackend(TOKEN, 5, base="http://localhost:1", limiter=ProcessLimiter(clock))

    assert repr(backend) == "TelegramBackend()"
    with pytest.raises(ValueError, match="not a bot's token"):
        TelegramBackend("c4nary", 5)
