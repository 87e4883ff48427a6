"""Names that give a secret away, in fields at every depth."""

import pytest

from notify.event import Event
from notify.rules.redaction import MASK, Redactor
from notify.rules.secret_names import is_secret

REDACTOR = Redactor()


def an_event(fields: dict[str, object]) -> Event:
    return Event(id="1", time=1.5, level=20, message="Bought 1.25 WETH", fields=fields)


@pytest.mark.parametrize(
    "name",
    [
        "password", "DB_PASSWORD", "passwd", "passphrase", "secret", "client_secret", "mnemonic", "private_key",
        "privateKey", "PRIVATE-KEY", "privkey", "api_key", "apikey", "X-Api-Key", "api_token", "auth_token",
        "access_token", "Authorization", "cookie", "Set-Cookie", "session_id", "seed_phrase", "credentials",
        "DISCORD_WEBHOOK_URL", "webhook", "db_pwd", "aws_secret_access_key", "signing_key", "TELEGRAM_API_KEY", "pin",
        "secret_account", "apiKey", "accessToken", "walletPrivateKey", "sessionId", "dbPwd", "userPin", "clientSecret",
    ],
)  # fmt: skip
def test_a_strong_name_hides_any_value(name):
    event = an_event({name: "x", "deep": [{name: 123456}]})

    assert REDACTOR.event(event).fields == {name: MASK, "deep": [{name: MASK}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "USDC"),
        ("token", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
        ("token", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
        ("token_address", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
        ("base_token", "Wrapped Ether"),
        ("token_count", 123456),
        ("gas_token", "ETH"),
        ("author", "Mikko Ohtamaa"),
        ("authority", "0x7fD7Bd4D5E5fC9fE9cA0e4Dd5dA1Ec1Cd4d8D4B6"),
        ("auth", "basic"),
        ("key", "eth-usdc-1h-2026-01-01"),
        ("pair_key", "0x" + "ab12" * 16),
        ("tx_hash", "0x" + "ab12" * 16),
        ("private", "yes"),
        ("session", "the first session of 2026"),
        ("webhook_port", 3456),
        ("signature", "5" * 88),
        ("public_key", "04" + "ab12" * 32),
        ("pk", 42),
        ("pk", "42"),
        ("ownerPk", "550e8400-e29b-41d4-a716-446655440000"),
        ("position_pk", "0x" + "ab12" * 16),
        ("apk", "ab12" * 16),
        ("password", "<hidden>"),
        ("secret_names.py", "12"),
        ("password", None),
        ("password", True),
        ("password", ""),
        ("secrets", 12),
        ("session_id", "5"),
        ("api_key_count", 123456),
        ("cookieCount", "12345"),
        ("signing_key_address", "0x7fD7Bd4D5E5fC9fE9cA0e4Dd5dA1Ec1Cd4d8D4B6"),
        ("KeyError", "0x" + "ab12" * 16),
        ("AuthException", "Zk3x9QpL2mN8vB5tR7wY"),
    ],
)
def test_what_a_trading_program_calls_token_or_key_stays_readable(name, value):
    event = an_event({name: value})

    assert not is_secret(name, value)
    assert REDACTOR.event(event) is event


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "Zk3x9QpL2mN8vB5tR7wY"),
        ("token", "Zk3x-9QpL_2mN8-vB5t-R7wY"),
        ("auth", "8f14e45fceea167a5a36dedd4bea2543"),
        ("session", "550e8400-e29b-41d4-a716-446655440000"),
        ("key", "0x" + "ab12" * 16),
        ("tokens", ["USDC", "Zk3x9QpL2mN8vB5tR7wY"]),
        ("pk", "0x" + "ab12" * 16),
        ("ownerPk", "AB12" * 16),
        ("OWNER_PK", "ab12" * 16),
        ("key", b"8f14e45fceea167a5a36dedd4bea2543"),
    ],
)
def test_what_looks_random_under_a_weak_name_is_masked(name, value):
    redacted = REDACTOR.event(an_event({name: value})).fields[name]

    assert redacted == (["USDC", MASK] if isinstance(value, list) else MASK)


@pytest.mark.parametrize("value", ["1", "x", "123", 1, 123, 1.5])
def test_a_password_is_masked_however_short_it_is(value):
    assert REDACTOR.event(an_event({"password": value})).fields == {"password": MASK}
