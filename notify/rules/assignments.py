"""Secrets in text that the name in front of them gives away: `api_key=…`, `"password": "…"`, `Cookie: …`."""

import re
from collections.abc import Iterator

from notify.rules.secret_names import is_secret, looks_random, name_before, weight

# What makes a name bold or coloured: Markdown, HTML, a terminal's codes.
_MARKUP = r"(?:\*{1,3}|`|</?[a-z]{1,8}>|\x1b\[[0-9;]{0,16}m)"
# `password: str = "…"`, in a source line of a traceback.
_TYPE = r"(?:typing\.)?(?:str|bytes|secretstr|final|optional)(?:\[[\w.]{1,16}\])?(?: ?\| ?none)?"
_SIGN = rf"(?::[ \t]{{0,3}}{_TYPE}[ \t]{{0,3}}=(?!=)|[=!:]=|=>|[:=]|%3[ad](?=\S{{8}}))"
# A quote, as it is, escaped by up to three layers of JSON, in HTML or in an URL.
_QUOTE = r"(?:\\{0,7}[\"']|&(?:quot|apos|#3[49]|#x2[27]);|%2[27])"
# The value on the next line: as YAML begins a block, and as `pprint` breaks a dict.
_NEXT_LINE = r"(?:[|>][+-]?\r?\n[ \t]{1,64}|\r?\n[ \t]{1,64}(?=[bru]{0,2}[\"']))"
# What stands between a name and its value: the rest of the name, its closing quote, and the sign, which may be lined up
# with those of other lines. Or the two are a pair, an object of a name and a value, an element of XML, or only beside
# each other.
_UP_TO_VALUE = (
    rf"(?P<rest>[\w.-]{{0,24}}+)(?:{_QUOTE}?[\])]?{_MARKUP}{{0,2}}[ \t]{{0,32}}+{_SIGN}"
    rf"(?:{_MARKUP}{{1,2}}(?=[ \t]))?[ \t\xa0]{{0,32}}{_NEXT_LINE}?(?:\x1b\[[0-9;]{{0,16}}m)?"
    rf"|(?:{_QUOTE},?\s{{0,32}}+|\n[ \t]{{0,32}}){_QUOTE}?value{_QUOTE}?[ \t]{{0,4}}[:=][ \t]{{0,4}}"
    rf"|(?P<pair>\\{{0,7}}[\"'],[ \t]{{0,4}})(?=[bru]{{0,2}}\\{{0,7}}[\"'])"
    r"|(?P<element>>)(?=[^<>\s]{3,256}</[\w:.-]{3,64}>)"
    r"|(?P<beside>[ \t]{0,32}+(?:(?:is|was|[|│]|->|→)[ \t]{1,32}|(?<=[ \t]))[\"'`]?)(?=[\w+/.~-]{16})"
    r"(?=[\w+/.~-]{0,64}[0-9]))"
)

# Each begins with its literal, in small letters; whether the whole name is a secret's is asked later.
STARTS = {
    "k": re.compile(rf"k(?:ey|(?<=tok)en|(?<=cook)ie|(?<=[ps]k)(?<![a-z0-9]sk)|(?<=webhook)_?ur[il]){_UP_TO_VALUE}"),
    "secret": re.compile(rf"secret{_UP_TO_VALUE}"),
    "p": re.compile(
        r"p(?:ass(?:(?=w|code)|(?![a-z]))|hrase|wd|in(?:_?code)?(?![a-z])|riv(?:ate)?(?![a-z]|[_ -]?key))"
        + _UP_TO_VALUE
    ),
    "mnemonic": re.compile(rf"mnemonic{_UP_TO_VALUE}"),
    "credential": re.compile(rf"credential{_UP_TO_VALUE}"),
    "session": re.compile(rf"session{_UP_TO_VALUE}"),
    "z": re.compile(rf"z(?<=authoriz)ation{_UP_TO_VALUE}"),
}
_OPTION = re.compile(r"(?<!\S)[\"']?--([A-Za-z][\w-]{1,32})[\"']?,?[ \t]{1,4}[\"']?(?!-|\[redacted\])([^\s\"']+)")
OPTION_HINT = r"-(?<=--)[A-Za-z](?<![^\s\"']--.)"

# A comma, bracket or quote ends a value where something else begins behind it, and is part of it where not.
_ENDS = r"[\"',;&)\]}>]"
_BEHIND_END = r"(?:[\s\"',;&)\]}>\x1b]|\Z|[\w-]{1,32}=)"
_BARE = rf"(?:[^\s\"',;&)\]}}>\x1b]++|{_ENDS}(?!{_BEHIND_END}))++"
_EMPTY = rf"(?:\[\]|\(\)|\{{\}})(?=\s|\Z|{_ENDS}{_BEHIND_END})"
# A list, a dict or a call, with others in it: all of it, for each part may be the secret.
_HELD = (
    r"[A-Za-z_.]{0,48}[\[({](?![\])}])(?:[^\[\](){}]++|[\[({][^\[\](){}]*+[\])}])++[\])}]"
    rf"(?=\s|\x1b|\Z|{_ENDS}{_BEHIND_END})"
)
_SCHEME = r"(?:(?i:bearer|basic|digest|token|bot|apikey|negotiate)[ \t]+)?+(?!\[redacted\])"
_VALUE = re.compile(
    r"(?:[bru]{1,2}(?=[\"']))?+(?:\"\"(?=\")|''(?='))?+(?:"
    rf"\"{_SCHEME}((?:[^\"\\\n]|\\.)++)|'{_SCHEME}((?:[^'\\\n]|\\.)++)|\\{{1,7}}[\"']{_SCHEME}([^\"'\\\n]++)"
    rf"|({_HELD})"
    rf"|(?!\\{{0,7}}[\"']|{_EMPTY}){_SCHEME}({_BARE}))"
)
# Enough of it to see what it is. What looks random has a digit.
_BEGINNING = re.compile(rf"{_QUOTE}?(?!\[redacted\])(?=[^\s\"'\\,;&=]{{0,67}}[0-9])([^\s\"'\\,;&=]{{16,68}})")
_OPENING = re.compile(r"([(\[])[bru]{0,2}\\{0,7}[\"']$")
_PAIRED = re.compile(r"[bru]{0,2}\\{0,7}[\"'](?!\[redacted\])((?:[^\"'\\\n]|\\.)+?)\\{0,7}[\"'][)\]]")
_LISTED = re.compile(r"[a-z_]+")  # a name among others, rather than the second of a pair
_ELEMENT = re.compile(r"(?!\[redacted\])([^<>\s]+)")
_BESIDE = re.compile(r"(?:0x)?([\w+/.~-]{15,512}[\w+/~-]=*)")
_COOKIES = re.compile(r"[\"']?(?!\[redacted\])([^\r\n\"']+)")  # up to the end of the line: they hold `;` and `=`


def find(text: str, lower: str) -> Iterator[tuple[int, int]]:
    """Yield where values stand in *text* whose names say that they are secrets.

    Args:
        text: what is searched.
        lower: the same in small letters, and as long.
    """
    for literal, start in STARTS.items():
        if literal not in lower:
            continue
        done = 0
        for match in start.finditer(lower):
            if match.start() < done:
                continue
            begins = match.start() - len(name_before(match))
            name = text[begins : match.end("rest")]
            if match.lastgroup == "rest":
                value = _assigned(name, text, match.end())
            else:
                value = _beside(match.lastgroup, name, text, begins, match.end())
            if value is not None:
                yield value.span(value.lastindex or 0)
                done = value.end()
    if "--" in text:
        for option in _OPTION.finditer(text):
            if is_secret(option[1], option[2]):
                yield option.span(2)


def _assigned(name: str, text: str, at: int) -> re.Match[str] | None:
    weighs = weight(name)
    if weighs == 1:  # most such values are none, so no long one is read to its end for nothing
        beginning = _BEGINNING.match(text, at)
        is_one = beginning and looks_random(beginning[1]) and is_secret(name, beginning[1])
        return _VALUE.match(text, at) if is_one else None
    value = (_COOKIES if "cookie" in name.lower() else _VALUE).match(text, at) if weighs else None
    return value if value and is_secret(name, value[value.lastindex or 0]) else None


def _beside(how: str | None, name: str, text: str, begins: int, at: int) -> re.Match[str] | None:
    """Return the value where no sign says that it is one: other names stand in pairs, too, and words beside a name."""
    if not weight(name):
        return None
    if how == "pair":
        opening = _OPENING.search(text, max(0, begins - 12), begins)
        value = _PAIRED.match(text, at) if opening else None
        if not opening or not value or weight(value[1]) or (opening[1] == "[" and _LISTED.fullmatch(value[1])):
            return None
        return value if is_secret(name, value[1]) else None
    if how == "element":
        value = _ELEMENT.match(text, at)
        return value if value and text[begins - 1 : begins] == "<" and is_secret(name, value[1]) else None
    value = _BESIDE.match(text, at) if weight(name) == 2 else None
    return value if value and looks_random(value[0]) else None
