"""What secrets look like.

Looking for a secret that is not there is what almost every event costs, so each pattern begins with one literal: the
rarest character, or a word, that its secret cannot do without. A pattern that begins with a literal costs 0.2 us for
330 characters and one that begins with a class 6, and most are not even tried, for their literal is not there.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from notify.clip import MARK_END
from notify.rules.secret_names import looks_random, name_before, weight

Span = tuple[int, int]
Spans = Callable[[re.Match[str]], Iterable[Span]]


class Rule(NamedTuple):
    """One pattern, and what of a match is secret.

    Args:
        literal: what the pattern begins with.
        pattern: finds a secret and what leads to it.
        spans: where in the match the secrets are.
    """

    literal: str
    pattern: re.Pattern[str]
    spans: Spans


def _groups(match: re.Match[str]) -> Iterable[Span]:
    return [span for span in match.regs[1:] if span[0] >= 0]


def _behind(*beginnings: str) -> str:
    """Return a pattern for the place right behind one of *beginnings*, each of which begins a word."""
    return "|".join(rf"(?<=\b{each})" for beginning in beginnings for each in _spelled(beginning))


def _spelled(beginning: str) -> list[str]:
    """Return the patterns of one length each that `x(?:a|bc)y` stands for: what is looked back at must have one."""
    before, choice, behind = beginning.partition("(?:")
    if not choice:
        return [beginning]
    choices, _, behind = behind.partition(")")
    return [f"{before}{each}{behind}" for each in choices.split("|")]


def _rule(literal: str, *patterns: str, spans: Spans = _groups) -> Rule:
    return Rule(literal, re.compile(f"{literal}(?:{'|'.join(patterns)})"), spans)


def _of_authorization(match: re.Match[str]) -> Iterable[Span]:
    """Tell `Basic dXNlcjpwYXNz`, which is `user:pass`, from `Basic functionality`."""
    basic = match["basic"]
    if basic:
        try:
            if b":" not in base64.b64decode(basic.rstrip("=") + "=" * (-len(basic.rstrip("=")) % 4), altchars=b"-_"):
                return []
        except ValueError:
            return []
    return _groups(match)


def _of_wallet(match: re.Match[str]) -> Iterable[Span]:
    """Tell the key of a wallet from that of a pool, a market or a cache, and from a public one.

    Far from it, in the next column, only what a strong name such as `private key` says is one.
    """
    weighs = weight(name_before(match) + "key")
    return _groups(match) if weighs == 2 or (weighs and not _FAR.search(match[0])) else []


def _of_weak_name(match: re.Match[str]) -> Iterable[Span]:
    return _groups(match) if looks_random(match[1]) else []


def _of_provider(match: re.Match[str]) -> Iterable[Span]:
    """Take the path of a request for a secret where the host named before it has the key there, or may have."""
    before = match.string[max(0, match.start() - _LONGEST_HOST) : match.start()]
    # Where the text was cut before the path, it may have been that of a provider.
    return _groups(match) if _PROVIDER.search(before) or MARK_END in before else []


_BASE58 = "[1-9A-HJ-NP-Za-km-z]"
# Uncompressed ones have 51 characters and begin with 5H, 5J or 5K; compressed ones have 52 and begin with K or L.
# One that begins in the midst of a longer run is part of a signature; an `n` in front may be that of `\n`.
_WIF = rf"(?<=5[HJK])(?<![A-Za-z0-9]{{2}}5[HJK])({_BASE58}{{49}})(?![A-Za-z0-9])"

_PEM_BODY = (
    r"((?=(?:[^A-Za-z0-9+/-]|\\[nr]|<br ?/?>){0,32}[A-Za-z0-9+/]{16})"
    r"(?:[^-…]++|-(?!----END)|…(?!\[\d{1,20} characters cut))++)"
)
_PEM_HEADERS = r"((?:[A-Za-z0-9+/=\s\\:,.\"']|-(?!-))++)"

# A private key in DER, as base64 without the lines of PEM around it: of RSA, of an elliptic curve, Ed25519.
_DER = (
    r"(?:II[A-Za-z0-9+/]{3}IBADANBgkqhkiG9w0BAQEFAASC|II[A-Za-z0-9+/]{3}IBAAKCA|IGHAgEAMBMGByqGSM49"
    r"|HcCAQEEI|C4CAQAwBQYDK2VwBCIEI)([\w+/]{16,}={0,2})"
)

# What a weak name says, whose own letters are too frequent to look for them: only what looks random is a secret.
_OF_SEED = (
    r"(?<=[dhDH\"'].)(?:(?<=(?:[Ss]ee|SEE)[dD].)|(?<=(?:[Aa]ut|AUT)[hH].)|(?<=(?:seed|auth)[\"'].))"
    r"[ \t]{0,4}[\"']?([\w+/.~-]{16,512}=*)"
)
_LOGIN = r"\([ \t]?[\"'][^\"'\n]{0,128}[\"'],[ \t]?[\"'](?!\[redacted\])([^\"'\n]{1,256})[\"']"

# Services whose URLs hold the caller's key in their path: RPC providers, and healthchecks.io.
_KEY_IN_PATH = (
    "infura|alchemy|quiknode|quicknode|ankr|blastapi|chainstack|p2pify|drpc|getblock|nodereal|moralis|tenderly|nodies|"
    "chainnodes|blockpi|validationcloud|omniatech|dwellir|onfinality|llamarpc|bloxroute|grove|nownodes|rpcpool|thirdweb|"
    r"zan\.top|gateway(?:-arbitrum\.network)?\.thegraph|hc-ping|healthchecks"
)
_PROVIDER = re.compile(_KEY_IN_PATH)
_LONGEST_HOST = 128  # characters, and what a client's message says between it and the path
_KEY_BEHIND = r"(?:[\w.-]{1,64}/){0,4}?((?=[\w-]{0,255}[0-9A-Z])[\w-]{16,})"
# The same at a host with any name: Infura's and Alchemy's keys have 32 characters.
_KEY_OF_VERSION = r"(?:ws/)?v[1-9]/((?=[A-Za-z_-]{0,31}[0-9])(?=[0-9_-]{0,31}[A-Za-z])[\w-]{32})(?![\w-])"
# In urllib3's errors and log the host stands further ahead.
_REQUESTED = r"(?:(?<=url: /)|(?<=\"POST /)|(?<=\"GET /))"
# A password up to the last `@`, without going back: hostile texts have very many places that may begin one.
_PART = r"[^\s\"'<>@]"
_MORE = rf"@(?={_PART}{{0,256}}+@){_PART}{{0,256}}+"
_OF_URL = (
    # A user may be a key himself, as with Sentry and GitHub. After a colon comes a password, or a port and a slash.
    r"(?:(?=[^\s/@:]{0,255}[0-9])([\w.~%+-]{16,256})|[^\s/?#@:\[\]\"']{0,256})"
    rf"(?::(?!\[redacted\]@)(?!\d{{1,5}}[/?#])((?:{_PART}{{1,256}}+|{_MORE})(?:{_MORE}){{0,8}}+))?@",
    rf"[^\s/@?#]{{0,128}}(?:{_KEY_IN_PATH})[^\s/@?#]{{0,64}}/{_KEY_BEHIND}",
    rf"[^\s/@?#]{{1,128}}/{_KEY_OF_VERSION}",
    # Slack, Zapier, Teams, IFTTT: who knows the address may write.
    r"(?:hooks\.[^\s/@?#]{1,128}|[\w.-]{1,96}\.(?:webhook\.office|logic\.azure)\.com(?::\d+)?|maker\.ifttt\.com)"
    r"/(?!\[redacted\])([^\s\"'<>]+)",
)

_DISCORD_BOT = r"([DTjz][A-Za-z][A-Za-z0-9]{21,23}\.[\w-]{6}\.[\w-]{27,})"

CASED: tuple[Rule, ...] = (
    _rule(":", r"(?=[\w-]{35})(?<=\d{8}:)([\w-]{35})(?![\w-])"),  # a Telegram bot's token, after its id
    _rule(
        "%",
        r"3[Aa](?<=\d{8}%3.)([\w-]{35})(?![\w-])",
        r"2[Ff](?<=webhooks%2.)\d{5,25}%2[Ff]([\w-]+)",
        r"252[Ff](?<=webhooks%252.)\d{5,25}%252[Ff]([\w-]+)",  # an URL in an URL in an URL
    ),
    _rule(
        "/",
        r"(?<=webhooks/)\d{5,25}/([\w-]+)",
        r"(?<=webhooks\\/)\d{5,25}\\/([\w-]+)",
        rf"(?<=://)(?:{'|'.join(_OF_URL)})",
        rf"{_REQUESTED}{_KEY_OF_VERSION}",
    ),
    _rule("/", rf"{_REQUESTED}{_KEY_BEHIND}", spans=_of_provider),
    # GitHub, Stripe, npm, webhook signing; DigitalOcean, Docker, Grafana, Shopify, Sentry; Hugging Face and its like
    _rule(
        "_",
        r"(?=\w{16})(?<=[a-z0-9]_)(?:"
        rf"(?:{_behind('gh[pousr]_', 'github_pat_', '[sr]k_live_', '[sr]k_test_', 'npm_', 'whsec_')})(\w+)"
        rf"|(?=\w{{20}})(?:{_behind('do[opr]_v1_', 'dckr_pat_', 'glsa_', 'shp(?:at|ss|ca|pa)_', 'sntry[su]_')})(\w+)"
        rf"|(?:{_behind('hf_', 'gsk_', 'sbp_', 'ntn_', 'lin_api_', 'pscale_tkn_')})"
        r"((?=[A-Za-z]{0,64}[0-9])[A-Za-z0-9]{30,}))",
    ),
    # OpenAI and its like, Slack, GitLab, PyPI, Google, New Relic, Heroku, Square, age
    _rule(
        "-",
        r"(?=[\w-]{16})(?<=[a-zKUXY]-)(?:"
        rf"{_behind('sk-', 'xox[a-z]-', 'xapp-', 'gl(?:pa|d|r|cb|pt|f|soa|im|ffc)t-', 'glagent-', 'pypi-')}"
        rf"|{_behind('xai-', 'pplx-', 'GOCSPX-', 'NRAK-', 'HRKU-', 'sq0(?:at|cs)p-', 'AGE-SECRET-KEY-')})"
        r"((?=[\w-]{0,64}[0-9])[\w-]+)",
    ),
    _rule(
        "I",
        r"(?:(?<=AKI)|(?<=ASI))(A[A-Z0-9]{16})(?![A-Za-z0-9])",  # AWS
        r"(?<=AI)(za[\w-]{35})",  # Google
    ),
    _rule("J", r"(?<=eyJ)([\w-]{5,512}+\.\.?[\w-]{5,}+(?:\.[\w-]*+){0,3})", _WIF),  # JWT, and encrypted ones
    _rule("K", rf"(?<![A-Za-z0-9]{{2}}K)([wxyz]{_BASE58}{{50}})(?![A-Za-z0-9])", _WIF),
    _rule("L", rf"(?<![A-Za-z0-9]{{2}}L)([1-5]{_BASE58}{{50}})(?![A-Za-z0-9])"),
    _rule("H", _WIF),
    *(_rule(sign, _OF_SEED, spans=_of_weak_name) for sign in ":="),
    # A Discord bot's token: its id in base64, of whose digits three are four letters, when it was made, and the rest.
    _rule("M", _DISCORD_BOT, _DER),
    _rule("N", _DISCORD_BOT, r"(?<=b3BlbnN)zaC1rZXktdjE([\w+/]{16,}={0,2})"),  # a key of OpenSSH, as below
    _rule("O", _DISCORD_BOT),
    # PEM, up to its end, a cut, or the end of the text. Where no key follows, its first line is only mentioned.
    _rule(
        "G",
        rf"(?<=-----BEG)IN [A-Z ]{{0,32}}PRIVATE KEY(?: BLOCK)?-----(?:{_PEM_BODY}|{_PEM_HEADERS})",
        r"\.(?<=\bSG\.)([\w-]{16,32}\.[\w-]{16,64})",  # SendGrid
    ),
    # An extended private key; Vault
    _rule("v", rf"(?<=[xyztuvXYZTUV]prv)({_BASE58}{{50,}})", r"s\.(?<=\bhvs\.)((?=[\w-]{0,64}[0-9])[\w-]{24,})"),
    _rule(
        "B",
        r"earer[ \t:]{1,4}((?=[\w.~+/-]{0,64}[0-9])[\w.~+/-]{8,}=*|[\w.~+/-]{24,})",
        r"asic[ \t]{1,4}(?P<basic>[\w+/-]{8,}={0,2})",
        rf"asicAuth(?<=HTTPBasicAuth){_LOGIN}",
        spans=_of_authorization,
    ),
)
"""Rules for text as it is."""

# A transaction's hash is 64 hex digits too, so a private key is one only where something says so.
_PRIVATE = (
    r"(?:\W{1,8}|[ \t│|:=]{1,40})(?:(?:is|was|hex|hexbytes|(?:bytes|bytearray)(?:\.fromhex)?)\W{1,3})?"
    # Solana's have 64 bytes in base58, as its signatures have.
    r"b?[\"']?(?:0x)?([0-9a-f]{64}(?![0-9a-f])|[1-9a-z]{86,88}(?![0-9a-z]))"
)
_FAR = re.compile(r"[ \t│|:=]{9}")
_OF_WHAT = r"(?:s|_hex|toaccount| (?:for|of) 0x[0-9a-f]{40}(?![0-9a-f]))"

LOWER: tuple[Rule, ...] = (
    _rule("k", rf"(?:ey{_OF_WHAT}?|(?<=\bpk)|(?<=_pk)){_PRIVATE}", spans=_of_wallet),
    _rule("secret", _PRIVATE),
)
"""Rules for text in small letters."""


def find(text: str, lower: str) -> Iterator[Span]:
    """Yield where secrets stand in *text*, overlaps included.

    Args:
        text: what is searched.
        lower: the same in small letters, and as long.
    """
    for rules, searched in ((CASED, text), (LOWER, lower)):
        for rule in rules:
            if rule.literal in searched:
                for match in rule.pattern.finditer(searched):
                    yield from rule.spans(match)
