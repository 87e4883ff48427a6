"""Fakes of every kind of secret that redaction knows, and harmless strings that look like them. Same in every run."""

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from notify.rules.mnemonic_words import PLACES

_DIGITS = "0123456789"
_SMALL = "abcdefghijklmnopqrstuvwxyz"
_LETTERS = _SMALL + _SMALL.upper()
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_URLSAFE = _LETTERS + _DIGITS + "-_"

_STANDARD = [word.decode() for word in PLACES]
# Words of the standard's list (BIP-39) that a trading program says, too.
_WORDS = """
    sell wait spread price trade order position open close error total state cycle strategy time start token asset pair
    pool swap account network update check high volume mean profit cash name type file true false have that you what
    when where will must can any all before because into report train mixed need hundred speed unique access various
"""
WORDS = _WORDS.split()
MNEMONIC = "legal winner thank year wave sausage worth useful legal winner thank yellow"
"""One of the standard's own examples."""


def mnemonic(chance: random.Random, count: int) -> list[str]:
    """Return *count* words as the standard makes them: random bits and the first of their hash, eleven to a word."""
    entropy = chance.randbytes(count // 3 * 4)
    check = f"{hashlib.sha256(entropy).digest()[0]:08b}"[: count // 3]
    bits = "".join(f"{byte:08b}" for byte in entropy) + check
    return [_STANDARD[int(bits[at : at + 11], 2)] for at in range(0, len(bits), 11)]


@dataclass(frozen=True)
class Sample:
    """A text with a secret in it.

    Args:
        kind: what it is.
        before: what stands in front and has to stay.
        secret: what has to go.
        after: what stands behind and has to stay.
    """

    kind: str
    before: str
    secret: str
    after: str = ""

    @property
    def text(self) -> str:
        """The whole of it."""
        return self.before + self.secret + self.after


def secrets(each: int = 8) -> list[Sample]:
    """Return *each* samples of every kind."""
    chance = random.Random(1)  # any seed: the same corpus in every run
    return [sample for _ in range(each) for sample in _one_of_each(chance)]


def _one_of_each(chance: random.Random) -> Iterator[Sample]:
    def some(alphabet: str, length: int) -> str:
        # A digit and a letter, if the alphabet has any, as almost every random key has.
        return "".join(chance.choices(alphabet, k=length - 2)) + "7" + ("b" if "b" in alphabet else "8")

    hexes = _DIGITS + "abcdef"
    snowflake = some(_DIGITS, 18)
    token = some(_URLSAFE, 68)
    host = chance.choice(["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"])
    version = chance.choice(["", "/v8", "/v10"])
    yield Sample("discord", f"POST https://{host}/api{version}/webhooks/{snowflake}/", token, "?wait=true failed")
    yield Sample("discord path", f"Max retries exceeded with url: /api/webhooks/{snowflake}/", token, " (Caused by x)")
    yield Sample("discord quoted", f"next=https%3A%2F%2Fdiscord.com%2Fapi%2Fwebhooks%2F{snowflake}%2F", token, "&x=1")
    yield Sample("discord quoted twice", f"next=https%253A%252F%252Fx%252Fwebhooks%252F{snowflake}%252F", token, "&x=1")
    yield Sample("discord escaped", f'{{"url": "https:\\/\\/discord.com\\/api\\/webhooks\\/{snowflake}\\/', token, '"}')

    bot = some(_DIGITS, 9)
    yield Sample("telegram", f"bot {bot}:", "AA" + some(_URLSAFE, 33), " started")
    yield Sample("telegram url", f"https://api.telegram.org/bot{bot}:", "AA" + some(_URLSAFE, 33), "/sendMessage")
    yield Sample("telegram quoted", f"bot{bot}%3A", "AA" + some(_URLSAFE, 33), "/sendMessage")

    for first in "159":  # M, N and O in base64
        made = base64.b64encode(f"{first}{some(_DIGITS, chance.choice([17, 18]))}".encode()).decode().rstrip("=")
        made = f"{made}.{some(_URLSAFE, 6)}.{some(_URLSAFE, chance.choice([27, 38]))}"
        yield Sample("discord bot", f"login of {made[0]}", made[1:], " as bot")
        yield Sample("discord bot, header", "Authorization: Bot ", made, "\nAccept: */*")

    key = some(hexes, 64)
    yield Sample("key variable", "PRIVATE_KEY=", f"0x{key}", " trade-executor start")
    yield Sample("key variable, bare", "export HOT_WALLET_PRIVATE_KEY='", key, "'")
    yield Sample("key in json", '{"key": "', f"0x{key}", '", "id": 1}')
    yield Sample("key in words", "Loaded private key 0x", key, " from the environment")
    yield Sample("key in capitals", "The private key is 0x", key.upper(), " now")
    yield Sample("key in call", "Account.from_key('0x", key, "')")
    yield Sample("key, short name", "pk=", f"0x{key}", ", nonce=1")
    yield Sample("key, its owner's short name", "DEPLOYER_PK=", f"0x{key}", " nonce=1")
    yield Sample("key in dict, its owner's short name", "{'DEPLOYER_PK': '", f"0x{key}", "', 'nonce': 1}")
    yield Sample("key in a call of viem", "privateKeyToAccount('0x", key, "')")
    yield Sample("key, its owner's in camel case", f"{chance.choice(['ownerPk', 'botPK'])}=", f"0x{key}", ", nonce=1")
    yield Sample("key in json, its owner's in camel case", '{"ownerPk": "', key, '", "nonce": 1}')
    yield Sample("key in camel case", f"{chance.choice(['privateKey', 'walletPrivateKey'])}: ", f"0x{key}", "\nok")
    yield Sample("key of an address", f"private key for 0x{some(hexes, 40)}: 0x", key, " loaded")
    yield Sample("key option", "trade-executor start --private-key ", f"0x{key}", " --id x")
    yield Sample("key, as secret", "wallet secret 0x", key, " used")
    yield Sample("key, of bytes", "Account.from_key(bytes.fromhex('", key, "'))")
    yield Sample("key, of bytes of hex", "PrivateKey(HexBytes('0x", key, "'))")
    yield Sample("key, in the next column", f"PRIVATE_KEY{' ' * 14}0x", key, "\nNAME  x")
    yield Sample(
        "key, behind a word of trading", f"price {chance.choice(['DEPLOYER_PK', 'ownerPk'])}=", f"0x{key}", " x"
    )
    yield Sample("key in a call, behind a word of trading", "the hash of Account.from_key('0x", key, "')")
    for second in "HJK":
        yield Sample("wif", f"wallet 5{second}", some(_BASE58, 49), " imported")
    yield Sample("wif compressed", "wallet K", chance.choice("wxyz") + some(_BASE58, 50), " imported")
    yield Sample("wif compressed, L", "wallet=L", chance.choice("12345") + some(_BASE58, 50), ", imported")
    yield Sample("xprv", f"derive {chance.choice('xyzt')}prv", some(_BASE58, 107), "/44h/60h")

    for count in (12, 15, 18, 21, 24):
        words = mnemonic(chance, count)
        numbered = "  ".join(f"{i}. {word}" for i, word in enumerate(words, start=1))[3:]
        yield Sample("mnemonic", chance.choice(["", "Restored from: ", "words\n"]), " ".join(words), ". Done.")
        yield Sample("mnemonic, lines", "It was:\n\n", "\n".join(words), "\n\nThe end.")
        yield Sample("mnemonic, quoted", '{"wallet": "', " ".join(words), '"}')
        yield Sample("mnemonic, list", "It was ['", "', '".join(words), "'].")
        yield Sample("mnemonic, list in json", '{"x": ["', '","'.join(words), '"]}')
        yield Sample("mnemonic, lines of json", '[\n    "', '",\n    "'.join(words), '"\n]')
        yield Sample("mnemonic, lines in json", '{"x": "a\\n', "\\n".join(words), '"}')
        yield Sample("mnemonic, commas", "of ", ", ".join(words), ".")
        yield Sample("mnemonic, hyphens", "of ", "-".join(words), ".")
        yield Sample("mnemonic, numbered", "1. ", numbered, "\n")
        glued = ", ".join(f"{word}{i}" for i, word in enumerate(words, start=1))
        yield Sample("mnemonic, numbered behind", "of ", glued.removesuffix(str(count)), f"{count}.")
        yield Sample("mnemonic, numbered from 0", "{0: '", str(dict(enumerate(words)))[5:-2], "'}")
        yield Sample("mnemonic, capitals", "It was ", " ".join(words).upper(), ".")
        yield Sample("mnemonic, capital letters", "It was ", " ".join(words).title(), ".")
        # Words of no checksum, such as a mnemonic with a slip of the pen: here it is said what they are.
        chosen = chance.choices(WORDS, k=count)
        yield Sample("mnemonic, said", chance.choice(["Mnemonic: ", "recovery words:\n"]), " ".join(chosen), ". Done.")
        yield Sample("mnemonic, said behind", "loaded (", "', '".join(chosen), ") as recovery words")
        numbered = "\n".join(f"{i}. {word}" for i, word in enumerate(chosen, start=1))[3:]
        yield Sample("mnemonic, said, numbered", "mnemonic\n1. ", numbered)

    signed = f"{_b64({'alg': 'HS256'})}.{_b64({'sub': some(_SMALL, 12)})}.{some(_URLSAFE, 43)}"
    yield Sample("jwt", "session of eyJ", signed[3:], " is over")
    pem = "\n".join(some(_LETTERS + _DIGITS + "+/", 64) for _ in range(4)) + "=="
    encrypted = ".".join(some(_URLSAFE, length) for length in (16, 30, 22))
    yield Sample(
        "jwt, encrypted", "session of eyJ", f"{_b64({'alg': 'RSA-OAEP'})[3:]}.{some(_URLSAFE, 80)}.{encrypted}", " x"
    )
    yield Sample("jwt, encrypted directly", "session of eyJ", f"{_b64({'alg': 'dir'})[3:]}..{encrypted}", " is over")
    of = chance.choice(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
    for der in ("MIIEvgIBADANBgkqhkiG9w0BAQEFAASC", "MIIEpAIBAAKCA", "MIGHAgEAMBMGByqGSM49", "MC4CAQAwBQYDK2VwBCIEI"):
        yield Sample("der", f"KEY {der}", some(_LETTERS + _DIGITS + "+/", 48), " ok")
    yield Sample("openssh", "b3BlbnNzaC1rZXktdjE", some(_LETTERS + _DIGITS + "+/", 90), " ok")
    yield Sample(
        "pem", f"cert:\n-----BEGIN {of}PRIVATE KEY-----", f"\n{pem}\n", f"-----END {of}PRIVATE KEY----- loaded"
    )
    yield Sample("pem in json", f'{{"x": "-----BEGIN {of}PRIVATE KEY-----', json.dumps(f"\n{pem}\n")[1:-1], "-----END")
    yield Sample("pem in html", f"-----BEGIN {of}PRIVATE KEY-----", f"<br/>{pem}<br/>", "-----END")
    yield Sample("pem, cut off", f"-----BEGIN {of}PRIVATE KEY-----", f"\n{pem}", "…[90 characters cut]…")

    yield Sample("pem, quoted lines", f"-----BEGIN {of}PRIVATE KEY-----", f"\n> {pem} <br>\n> ", "-----END of it")
    cut = f"…[{some(_DIGITS, 4)} characters cut]…"
    yield Sample("pem, its end behind a cut", f"{cut}", f"{pem[9:]}\n", f"-----END {of}PRIVATE KEY-----")
    words = mnemonic(chance, 12)
    yield Sample("mnemonic, its end behind a cut", f"{cut}", " ".join(words[5:]), ". Done")
    yield Sample("mnemonic, its beginning before a cut", "It was: ", f"{' '.join(words[:4])} ", f"{cut}0 wei")

    password = some(_LETTERS + _DIGITS + "!$*+.", 14)
    scheme = chance.choice(["redis", "postgresql", "https", "amqp", "mongodb+srv"])
    yield Sample("url password", f"{scheme}://admin:", password, "@db.internal:5432/state")
    yield Sample("url password, no user", f"{scheme}://:", password, "@10.0.0.1/0")
    yield Sample("url password with signs", f"{scheme}://u:", f"{password}@/{password}", "@db.internal/state")
    yield Sample("sentry", "https://", some(hexes, 32), "@o123.ingest.sentry.io/456")

    yield Sample("aws id", "using AKI", f"A{some(_SMALL, 16).upper()}", " in eu-west-1")
    yield Sample("aws id, for a while", "using ASI", f"A{some(_SMALL, 16).upper()}", " in eu-west-1")
    yield Sample("aws key", "aws_secret_access_key = ", some(_LETTERS + _DIGITS + "/+", 40), "\nregion = eu")
    yield Sample(
        "slack", "xox" + chance.choice("bpars") + "-", f"{some(_DIGITS, 12)}-{some(_LETTERS + _DIGITS, 24)}", " ok"
    )
    yield Sample("slack, app", "xapp-", f"1-A{bot}-{some(hexes, 64)}", " ok")
    yield Sample("slack hook", "https://hooks.slack.com/", f"services/T{bot}/B{bot}/{some(_LETTERS, 24)}", " ok")
    yield Sample("github", f"gh{chance.choice('pousr')}_", some(_LETTERS + _DIGITS, 36), " ok")
    yield Sample("github, fine", "github_pat_", some(_LETTERS + _DIGITS + "_", 82), " ok")
    yield Sample("gitlab", "glpat-", some(_URLSAFE, 20), " ok")
    yield Sample("npm", "npm_", some(_LETTERS + _DIGITS, 36), " ok")
    yield Sample("pypi", "pypi-", "AgEIcHlwaS5vcmc" + some(_URLSAFE, 80), " ok")
    yield Sample(
        "stripe", f"{chance.choice('sr')}k_{chance.choice(['live', 'test'])}_", some(_LETTERS + _DIGITS, 24), " ok"
    )
    yield Sample("stripe, hooks", "whsec_", some(_LETTERS + _DIGITS, 32), " ok")
    yield Sample("openai", "sk-", chance.choice(["", "proj-", "ant-api03-"]) + some(_URLSAFE, 48), " ok")
    yield Sample("google", "AI", "za" + some(_URLSAFE, 35), " ok")
    for token in ("gldt-", "glrt-", "glptt-", "glsoat-", "xai-", "pplx-", "GOCSPX-", "NRAK-", "HRKU-", "sq0atp-"):
        yield Sample(f"token of {token}", token, some(_LETTERS + _DIGITS, 26), " ok")
    for token in ("dop_v1_", "dckr_pat_", "glsa_", "shpat_", "shpss_", "sntrys_", "hf_", "gsk_", "sbp_", "ntn_"):
        yield Sample(f"token of {token}", token, some(_LETTERS + _DIGITS, 34), " ok")
    yield Sample("age", "AGE-SECRET-KEY-", "1" + some(_SMALL.upper() + _DIGITS, 58), " ok")
    yield Sample("sendgrid", "SG.", f"{some(_URLSAFE, 22)}.{some(_URLSAFE, 43)}", " ok")
    yield Sample("vault", "hvs.", some(_URLSAFE, 90), " ok")
    yield Sample("teams", "POST https://contoso.webhook.office.com/", f"webhookb2/{UUID(int=5)}@{UUID(int=6)}/x", " ok")
    yield Sample(
        "azure flow", "https://prod-1.westeurope.logic.azure.com:443/", f"workflows/a/run?sig={some(_URLSAFE, 43)}"
    )
    yield Sample("ifttt", "https://maker.ifttt.com/", f"trigger/x/with/key/{some(_URLSAFE, 43)}", " ok")

    opaque = some(_LETTERS + _DIGITS, 32)
    yield Sample("bearer", "Authorization: Bearer ", some(_URLSAFE, 40), "\nAccept: */*")
    yield Sample("bearer alone", "sent Bearer ", some(_URLSAFE, 40), " and got 401")
    yield Sample(
        "basic", "Authorization: Basic ", base64.b64encode(f"user:{password}".encode()).decode(), "\nAccept: */*"
    )
    yield Sample("basic alone", "with Basic ", base64.b64encode(f"user:{password}".encode()).decode(), " it works")
    yield Sample("header in dict", "{'Authorization': 'Bearer ", opaque, "', 'Accept': '*/*'}")
    yield Sample("cookie", "Cookie: ", f"sid={opaque}; theme=dark", "\nAccept: */*")
    yield Sample("set-cookie", "Set-Cookie: ", f"sid={opaque}; Path=/; HttpOnly", "\nAccept: */*")
    yield Sample("cookie in dict", "{'Cookie': '", f"sid={opaque}; theme=dark", "'}")

    name = chance.choice(["password", "API_KEY", "api-key", "apiKey", "client_secret", "db_password", "passphrase"])
    yield Sample("assignment", f"{name}=", password, " user=bob")
    yield Sample("assignment in a call", f"connect({name}='", password, "', user='bob')")
    yield Sample("assignment in json", f'{{"{name}": "', password, '", "user": "bob"}')
    yield Sample("assignment in json in json", f'"{{\\"{name}\\": \\"', password, '\\"}"')
    yield Sample("assignment in a query", f"https://example.com/a?{name}=", opaque, "&limit=10")
    yield Sample("assignment, words", f"the {name}: ", password, ", said bob")
    yield Sample("assignment in bold", f"**{name}:** ", opaque, "\nuser bob")
    yield Sample("assignment in bold, of HTML", f"<b>{name}</b>: ", opaque, " <b>user</b>: bob")
    yield Sample("assignment of code", f"`{name}`: ", opaque, " of bob")
    yield Sample("assignment in colours", f"\x1b[36m{name}\x1b[0m=\x1b[1;35m", opaque, "\x1b[0m user=bob")
    yield Sample("assignment, lined up", f"{name}{' ' * 16}:        ", password, "\nuser              : bob")
    yield Sample("assignment with a type", "    self.api_key: str | None = '", password, "'  # of bob")
    yield Sample("assignment in an expression", f"if ({name} := '", password, "') and bob")
    yield Sample("comparison", f"    assert {name} {chance.choice(['==', '!='])} '", password, "', bob")
    yield Sample("assignment of three quotes", f'{name} = """', password, '""", user')
    yield Sample("list", "api_keys: ", f"['{opaque}', '{password}']", " of bob")
    yield Sample("dict", "credentials=", f"{{'user': 'bob', 'word': ('{opaque}', 1)}}", ", other=1")
    yield Sample("object", "Settings(credentials=", f"Login('bob', word='{opaque}')", ", other=1)")
    yield Sample("pair", f"[('user', 'bob'), ('{name}', '", password, "')]")
    yield Sample("pair of bytes", "[(b'x-api-key', b'", password, "')]")
    yield Sample("pair in json", f'[["user", "bob"], ["{name}", "', password, '"]]')
    yield Sample("pair in json in json", f'"[[\\"{name}\\", \\"', password, '\\"]]"')
    yield Sample("default in a call", f"os.environ.get('{name}', '", password, "') or bob")
    yield Sample("name and value", f'{{"name": "{name}", "value": "', password, '", "x": 1}')
    yield Sample("name and value in xml", f'<add key="{name}" value="', password, '"/>')
    yield Sample("name and value in yaml", f"- name: {name}\n  value: ", password, "\n- name: x")
    yield Sample("element", f"<{name}>", password, f"</{name}>")
    yield Sample(
        "assignment in json, three times",
        f'\\\\\\\\\\\\"{name}\\\\\\\\\\\\": \\\\\\\\\\\\"',
        opaque,
        '\\\\\\\\\\\\", 1',
    )
    yield Sample("assignment in an url in an url", f"https://example.com/?next=%2Fa%3F{name}%3D", opaque, " x")
    yield Sample("assignment in html", f"{{&quot;{name}&quot;: ", f"&quot;{opaque}&quot", ";}")
    yield Sample("block of yaml", f"{name}: |\n  ", opaque, "\nuser: bob")
    yield Sample("dict over lines", f"{{'{name}':\n    '", password, "',\n 'user': 'bob'}")
    yield Sample("beside its name", f"the {name} ", opaque, " of bob")
    yield Sample("said to be it", f"the {name} is '", opaque, "', bob")
    yield Sample("table", f"│ {name} │ ", opaque, " │ bob │")
    yield Sample("table of Markdown", f"| {name} | ", opaque, " | bob |")
    yield Sample("seed", chance.choice(["seed=", "wallet_seed: ", '{"seed": "', "SEED="]), key, "\nok")
    yield Sample("auth", chance.choice(["auth=", "X-Auth: ", "{'auth': '"]), opaque, "\nok")
    yield Sample("session", "session=", opaque, "; theme")
    yield Sample("key, by an adjective", chance.choice(["private=", "priv: ", "sk="]), f"0x{key}", ", bob")
    yield Sample("key of Solana in words", "Loaded private key ", some(_BASE58, 88), " of bob")
    yield Sample("auth of requests", "auth=HTTPBasicAuth('bob', '", password, "'))")
    brief_pass = f"{chance.choice(['DB', 'redis', 'smtp'])}_{chance.choice(['pass', 'PASS'])}"
    yield Sample("pass of something", f"{brief_pass}=", password, " user=bob")
    yield Sample("pass", '{"user": "bob", "pass": "', opaque, '"}')
    yield Sample("key as numbers", "private_key: ", str(list(bytes.fromhex(key))), "")
    brief = some(_DIGITS + _SMALL, 3)
    yield Sample(
        "brief password", f"{chance.choice(['password', 'passwd', 'db_pwd', 'passphrase'])}=", brief, " user=bob"
    )
    yield Sample("brief password in json", '{"password": "', brief, '", "user": "bob"}')
    yield Sample("brief password of digits", "passwd: ", some(_DIGITS, 3)[1:], ", said bob")
    yield Sample("pin", "pin=", some(_DIGITS, 4), " user=bob")
    yield Sample("phrase", 'recovery_phrase="', f"{brief} of {brief}", '" user=bob')
    camel = chance.choice(["accessToken", "refreshToken", "dbPwd", "sessionId", "clientSecret", "signingKey"])
    yield Sample("camel case", f"{camel}: ", password, ", said bob")
    yield Sample("camel case in json", f'{{"{camel}": "', password, '", "user": "bob"}')
    yield Sample("webhook of anyone", "webhookUrl=", "https://n8n.example.com/webhook/of-the-bot", " ok")
    yield Sample("option", "run --password ", password, " --verbose")
    yield Sample(
        "weak name in a query", f"https://example.com/a?{chance.choice(['token', 'key', 'apikey'])}=", opaque, "&x=1"
    )
    yield Sample("weak name in json", '{"token": "', opaque, '"}')

    yield Sample("infura", "Connecting to https://mainnet.infura.io/v3/", some(hexes, 32), " failed")
    yield Sample("infura, websocket", "wss://arbitrum-mainnet.infura.io/ws/v3/", some(hexes, 32))
    yield Sample("alchemy", "https://eth-mainnet.g.alchemy.com/v2/", some(_URLSAFE, 32), ": 429")
    yield Sample("quicknode", "https://cold-misty-snow.quiknode.pro/", some(hexes, 40), "/")
    yield Sample("ankr", "https://rpc.ankr.com/eth/", some(hexes, 64), " timed out")
    yield Sample("blast", "https://eth-mainnet.blastapi.io/", str(UUID(int=chance.getrandbits(128), version=4)), " x")
    yield Sample("chainstack", "https://ethereum-mainnet.core.chainstack.com/", some(hexes, 32))
    yield Sample("drpc", "https://lb.drpc.org/ogrpc?network=ethereum&dkey=", some(_URLSAFE, 44), " x")
    yield Sample("drpc, path", "https://lb.drpc.org/ethereum/", some(_URLSAFE, 44), " x")
    refused = "port=443): Max retries exceeded with url: /"
    yield Sample(
        "infura, refused", f"HTTPSConnectionPool(host='mainnet.infura.io', {refused}v3/", some(hexes, 32), " (x)"
    )
    yield Sample("alchemy, refused", f"(host='eth-mainnet.g.alchemy.com', {refused}v2/", some(_URLSAFE, 32), " (x)")
    yield Sample("quicknode, refused", f"(host='cold-snow.quiknode.pro', {refused}", some(hexes, 40), "/ (x)")
    yield Sample("ankr, refused", f"(host='rpc.ankr.com', {refused}eth/", some(hexes, 64), " (x)")
    yield Sample("infura by another name", "https://rpc.example.com/v3/", some(hexes, 32), " failed")
    yield Sample("infura by another name, refused", f"(host='rpc.example.com', {refused}v3/", some(hexes, 32), " (x)")
    yield Sample("infura, logged", 'https://mainnet.infura.io:443 "POST /v3/', some(hexes, 32), ' HTTP/1.1" 200 None')
    yield Sample("quicknode, logged", 'https://x.quiknode.pro:443 "POST /', some(hexes, 40), '/ HTTP/1.1" 200 None')
    yield Sample("quicknode, its host before a cut", f"{cut}port=443): {refused[11:]}", some(hexes, 40), "/ (x)")
    yield Sample("getblock", "https://go.getblock.io/", some(hexes, 32), "\n")


def _b64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def harmless() -> list[str]:
    """Return strings that a trading program says, and that are no secrets."""
    chance = random.Random(2)
    lines = Path(__file__).with_name("data").joinpath("harmless.txt").read_text().splitlines()
    for _ in range(40):
        hash_ = f"0x{chance.getrandbits(256):064x}"
        address = f"0x{chance.getrandbits(160):040x}"
        solana = "".join(chance.choices(_BASE58, k=44))
        signature = "".join(chance.choices(_BASE58, k=88))
        price = chance.uniform(0.0001, 100_000)
        wei = chance.getrandbits(90)
        lines += [
            f"Broadcasted tx {hash_} from {address}, nonce {wei % 1000}",
            f"KeyError: '{hash_}'",
            f"KeyError: 'uniswap_v3_{address}'",
            f"KeyError: 'ETHUSDT2026{wei % 12 + 1:02}{wei % 28 + 1:02}PERP'",
            f"signing_key_address={address} session_id={wei % 1000} api_key_count={wei % 1000} cookie_count={wei}",
            f"tx_hash={hash_} status=1 gas_used={wei % 10**6}",
            f'{{"blockHash": "{hash_}", "blockNumber": "{wei % 10**8:#x}", "transactionIndex": "0x1"}}',
            f"topics=['{hash_}', '0x{address[2:]:0>64}'] data=0x{chance.getrandbits(512):0128x}",
            f"Signed transaction hash {hash_[2:]} for pool {address}",
            f"Solana transaction {signature} of {solana}",
            f"token: {address}, price: {price:.4f}, amount: {wei} wei, {wei / 10**18:.6f} ETH",
            f"https://etherscan.io/tx/{hash_} https://solscan.io/tx/{signature}",
            f"run {UUID(int=chance.getrandbits(128), version=4)} of commit {chance.getrandbits(160):040x}",
            f"position #{wei % 100}: {price:,.2f} USD ({price % 7:+.2f} %), opened 2026-01-{wei % 28 + 1:02} 12:00:00",
            f'  File "/usr/src/executor/{chance.choice(WORDS)}.py", line {wei % 900}, in {chance.choice(WORDS)}',
            f"Max retries exceeded with url: /api/v3/ticker/price?symbol={chance.choice(WORDS).upper()}USDT (x)",
            f'https://api.example.com:443 "GET /v1/tx/{hash_} HTTP/1.1" 200 None',
            f"pk={wei % 1000} ownerPk={wei % 1000} owner_pk={UUID(int=chance.getrandbits(128), version=4)}",
            f"foreign key {hash_} idempotency_key={UUID(int=chance.getrandbits(128), version=4)}",
            f"secret_names.py:{wei % 400}: secrets={wei % 100} password=None passwd: null, token_pin_count=3",
            f"{', '.join(_without_checksum(chance))} and more of {address}",
            _listed(chance),
            f"Missing settings: ['API_KEY', 'API_SECRET'], ['{chance.choice(WORDS)}', 'PASSWORD']",
            "unknown: ['password', 'email']",
            f"seed={wei} seed: {wei % 1000}, pass={wei % 9} fail: 1, session: {chance.choice(WORDS)}, sk={wei}",
            f"private: true, first_pass: {wei % 9}, bypass=fast, ask={price}, auth=None, session='London 09:00'",
            f"api key for {address}, the access token of {address} is gone; private key of {address}.",
            f"| password | required | api_key {solana[:12]} | token | {hash_} | key | {solana} | pool key {hash_}",
            f"basic strategies, the bearer of {address}, the password is missing, usage: login <user> <password>",
            f"    raise KeyError('key', '{chance.choice(WORDS)}')  # api key provided: none, secret value: unset",
            f"event 0000018f{chance.getrandbits(40):010x}-{wei % 10**6:06x}-{chance.getrandbits(32):08x} delivered",
        ]
    return lines


def _listed(chance: random.Random) -> str:
    """Return a list of things that are called by one of the standard's words and a number, such as `pair1, pair2`."""
    word, joint = chance.choice(WORDS), chance.choice(["", " ", "_", "-"])
    numbers = range(chance.choice([0, 1, 99]), chance.randrange(111, 200))
    return ", ".join(f"{word}{joint}{number}" for number in numbers)


def _without_checksum(chance: random.Random) -> list[str]:
    """Return twelve words as the standard has them, of which the last is not the one that it asks for."""
    words = mnemonic(chance, 12)
    last = PLACES[words[-1].encode()]
    return [*words[:-1], _STANDARD[last ^ 1]]  # its last four bits are the checksum
