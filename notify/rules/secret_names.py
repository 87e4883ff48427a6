"""Names of fields and variables that give a secret away."""

import re
from collections.abc import Sequence
from functools import lru_cache

from notify.rules import mnemonic

# What is called so is masked whatever it looks like.
_STRONG = re.compile(
    r"secret|passw|passphrase|passcode|mnemonic|credential|cookie|authorization|(?:seed|recovery)_?phrase|session_?id"
    r"|priv(?:ate)?_?key|(?:api|access|auth|signing|signer|encryption|master|deploy|account)_?key"
    r"|(?:api|access|auth|refresh|bot|bearer|csrf|session|personal|deploy)_?token"
    r"|webhooks?$|webhook_?ur[il]s?$|_pwd$|(?:^|_)pin(?:_?code)?$"
    r"|(?:^|_)(?:db|database|sql|mysql|pg|postgres|mongo|redis|mqtt|amqp|rabbitmq|smtp|imap|e?mail|ftp|http|proxy|rpc"
    r"|user|login|admin|root|wallet|keystore)_?pass$"
)
# A trading program calls a coin a token and a market a pair key, so here the value has to look like a secret too.
_WEAK = re.compile(r"token|auth|key|session|private|seed|bearer|webhook|(?:^|_)(?:pk|sk|priv|pass)$")
_PUBLIC = re.compile(
    r"public|pub_?key|hash|tx|address|symbol|pair|pool|market|position|storage|cache|price|amount|logo"
    r"|foreign|idempotency|trie"
)

# What is about a secret and holds none: `KeyError: 'WETH-USDC'`, `api_key_count=12`, `secret_names.py:52`.
_ABOUT = re.compile(r"(?:error|exception|(?<!ac)count|address|_(?:py|js|ts|rs|sol))$")

_NO_SECRET = frozenset({"", "none", "null", "true", "false", "str", "bytes"})  # the last two are types, in source lines
_MARK = re.compile(r"[*•]+|[<\[(](?:redacted|hidden|masked|filtered|removed|secret)[>\])]?")  # of others who hide
# What is not the secret itself may be a small number: `session_id=5`, `secrets=12`.
_ITSELF = re.compile(
    r"(?:passw(?:or)?d|passcode|pwd|pin(?:_?code)?|phrase|mnemonic|secret|key|token|cookie|credential|authorization)$"
)
_SHORTEST_NUMBER = 4  # digits of such a one that is secret all the same
_SHORTEST_RANDOM = 16

_ONE_NAME = re.compile(r"[\w.-]{1,64}")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# A database's primary key is called so too, and a wallet's key has 32 bytes.
_PK = re.compile(r"[ps]k$", re.IGNORECASE)
_KEY = re.compile(r"(?:0[xX])?[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_COIN = re.compile(r"[1-9A-HJ-NP-Za-km-z]{43,44}")  # a token on Solana: 32 bytes in base58
_RANDOM = re.compile(
    # Letters and digits in one run. How long it is is asked first, for that is what most runs lack.
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]{16})(?=[A-Za-z]{0,64}[0-9])(?=[0-9]{0,64}[A-Za-z])[A-Za-z0-9]{16}"
    # base64
    r"|(?<![\w+/-])(?=[\w+/-]{20})(?=[^0-9]{0,40}[0-9])(?=[^a-z]{0,40}[a-z])(?=[^A-Z]{0,40}[A-Z])[\w+/-]{20}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a UUID
)

# Backwards. A word stands before `key` alone, or the like of it, as in `private key` and `pool key`; that before
# `DEPLOYER_PK` says nothing about it.
_LEFTWARDS = re.compile(r"(?:ot|ooc|irohtua|oohbew)? [\w.-]{1,24}|[\w.-]{0,24}")
_LONGEST_LEFT = 49


@lru_cache(maxsize=4096)
def weight(name: str) -> int:
    """Return 2 for a name that always means a secret, 1 for one that may, 0 for any other. Case is ignored.

    The names of exceptions, counts and addresses are among the others, whatever they begin with.
    """
    plain = re.sub(r"[\s.\-]+", "_", _HUMP.sub("_", name).lower())
    if _ABOUT.search(plain):
        return 0
    if _STRONG.search(plain):
        return 2
    return 1 if _WEAK.search(plain) and not _PUBLIC.search(plain) else 0


def is_secret(name: str, value: object) -> bool:
    """Say whether *value*, called *name*, is a secret.

    Under a strong name such as `password`, everything is but None, booleans, empty values and marks of what is hidden,
    as text too. Where the name goes on behind that word, as in `session_id`, numbers below 1000 are none either.

    Under a weak one such as `token` or `key`, only text that looks random is, or twelve words of a mnemonic: no symbol,
    no name, no sentence, no Ethereum address. Under `token` nothing of 43 or 44 base58 characters is, as Solana's have,
    and under `pk` and `sk` only 32 bytes in hex.
    """
    weighs = weight(name)
    if not weighs or value is None or isinstance(value, bool):
        return False
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if weighs == 1:
        return isinstance(value, str) and _fits(name, value)
    if isinstance(value, str):
        return (
            value.lower() not in _NO_SECRET
            and not _MARK.fullmatch(value.lower())
            and not (value.isdecimal() and len(value) < _SHORTEST_NUMBER and not _ITSELF.search(name.lower()))
        )
    if isinstance(value, dict | list | tuple):
        return bool(value)
    return bool(_ITSELF.search(name.lower())) or sum(map(str.isdigit, str(value))) >= _SHORTEST_NUMBER


def is_pair(items: Sequence[object]) -> bool:
    """Say whether *items* are the name of a secret and its value, as in a list of headers, and not two names."""
    if len(items) != 2:
        return False
    name, value = items
    if type(name) is not str or not _ONE_NAME.fullmatch(name) or not is_secret(name, value):
        return False
    return not (isinstance(value, str) and (weight(value) or (isinstance(items, list) and value.isalpha())))


def _fits(name: str, value: str) -> bool:
    """Say whether *value* is a secret under a weak *name*."""
    if _PK.search(name):
        return _KEY.fullmatch(value) is not None
    if looks_random(value):
        return not ("token" in name.lower() and _COIN.fullmatch(value))
    return mnemonic.is_row(value)


def name_before(match: re.Match[str]) -> str:
    """Return what stands before a match in a text and belongs to its name: its beginning, or one word before it."""
    left = _LEFTWARDS.match(match.string[max(0, match.start() - _LONGEST_LEFT) : match.start()][::-1])
    return left[0][::-1] if left else ""


def looks_random(text: str) -> bool:
    """Say whether *text* looks like a key rather than like a word, a name, an address or a sentence."""
    return len(text) >= _SHORTEST_RANDOM and not _ADDRESS.fullmatch(text) and _RANDOM.search(text) is not None
