"""Secrets in text that the name in front of them gives away: `api_key=…`, `"password": "…"`, `Cookie: …`."""

import re
from collections.abc import Iterator

from notify.rules.secret_names import is_secret, name_before, weight

# What makes a name bold or coloured: Markdown, HTML, a terminal's codes.
_MARKUP = r"(?:\*{1,3}|`|</?[a-z]{1,8}>|\x1b\[[0-9;]{0,16}m)"
# `password: str = "…"`, in a source line of a traceback.
_TYPE = r"(?:typing\.)?(?:str|bytes|secretstr|final|optional)(?:\[[\w.]{1,16}\])?(?: ?\| ?none)?"
_SIGN = rf"(?::[ \t]{{0,3}}{_TYPE}[ \t]{{0,3}}=(?!=)|[=!:]=|=>|[:=])"
# What stands between a name and its value: the rest of the name, its closing quote, and the sign, which may be lined up
# with those of other lines.
_UP_TO_VALUE = (
    rf"(?P<rest>[\w.-]{{0,24}}+)(?:\\{{0,3}}[\"'])?[\])]?{_MARKUP}{{0,2}}[ \t]{{0,32}}+{_SIGN}"
    rf"(?:{_MARKUP}{{1,2}}(?=[ \t]))?[ \t]{{0,32}}(?:\x1b\[[0-9;]{{0,16}}m)?"
)

# Each begins with its literal, in small letters; whether the whole name is a secret's is asked later.
STARTS = {
    "k": re.compile(rf"k(?:ey|(?<=tok)en|(?<=cook)ie|(?<=pk)|(?<=webhook)_?ur[il]){_UP_TO_VALUE}"),
    "secret": re.compile(rf"secret{_UP_TO_VALUE}"),
    "p": re.compile(rf"p(?:ass(?=w|code)|hrase|wd|in(?:_?code)?(?![a-z])){_UP_TO_VALUE}"),
    "mnemonic": re.compile(rf"mnemonic{_UP_TO_VALUE}"),
    "credential": re.compile(rf"credential{_UP_TO_VALUE}"),
    "session": re.compile(rf"session(?=_?id){_UP_TO_VALUE}"),
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
    rf"\"{_SCHEME}((?:[^\"\\\n]|\\.)++)|'{_SCHEME}((?:[^'\\\n]|\\.)++)|\\{{1,3}}[\"']{_SCHEME}([^\"'\\\n]++)"
    rf"|({_HELD})"
    rf"|(?!\\{{0,3}}[\"']|{_EMPTY}){_SCHEME}({_BARE}))"
)
_BEGINNING = re.compile(r"\\{0,3}[\"']?(?!\[redacted\])([^\s\"'\\,;&=]{16,68})")  # enough to see what it is
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
            value = _assigned(text[begins : match.end("rest")], text, match.end())
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
        return _VALUE.match(text, at) if beginning and is_secret(name, beginning[1]) else None
    value = (_COOKIES if "cookie" in name.lower() else _VALUE).match(text, at) if weighs else None
    return value if value and is_secret(name, value[value.lastindex or 0]) else None
