"""Long text made short: the beginning, a mark that counts what is missing, and the end.

Secrets are looked for in what is left, so no part of one may be left that nobody would recognise. Therefore the word
that a cut falls into goes as a whole. What a cut does to secrets of several words, `rules/cuts.py` mends.
"""

import re

MARK = re.compile(r"…\[[0-9]{1,20} characters cut\]…")
MARK_END = " characters cut]…"
"""What every mark holds. Looking for it costs nothing in text that is ASCII."""

_WORD = 256  # characters: a longer run of them is data rather than a word
# Where the end of a text may begin, best first: what is beside a name, or behind a sign, may be a secret by that alone.
_NO_NAME = "".join(f"(?<!{name})" for name in ("key", "token", "secret", "word", "phrase", "bearer", "basic"))
_BEGINNINGS = tuple(map(re.compile, (r"\n", r"[,;.]\s+", rf"(?i)[\w)]{_NO_NAME}\s+(?![\s:=])")))
_OTHER_BEGINNINGS = tuple(map(re.compile, (r"\s", r"[,;&\"']")))
_ENDS = tuple(map(re.compile, (r"\s", r"[,;&\"']")))


def clip(text: str, limit: int) -> str:
    """Return *text*, with its middle replaced by a count when it is longer than *limit* code points.

    Of each side up to 256 code points more are left out, so that neither ends within a word. Where there is room for
    less than that, a longer word goes as a whole.
    """
    if len(text) <= limit:
        return text
    room = max(0, limit - len(f"…[{len(text)} characters cut]…"))
    head, tail = _end_of_head(text, room - room // 3), _beginning_of_tail(text, room // 3)
    return f"{text[:head]}…[{tail - head} characters cut]…{text[tail:]}"


def clip_end(text: str, limit: int) -> str:
    """Return *text*, with a count in place of its end when it is longer than *limit* code points.

    Cuts as `clip` does.
    """
    if len(text) <= limit:
        return text
    head = _end_of_head(text, max(0, limit - len(f"…[{len(text)} characters cut]…")))
    return f"{text[:head]}…[{len(text) - head} characters cut]…"


def _end_of_head(text: str, room: int) -> int:
    # Backwards, and from one character further: where a white space follows, no word is cut.
    window = text[room - min(_WORD, room) : room + 1][::-1]
    for pattern in _ENDS:
        found = pattern.search(window)
        if found:
            return min(room, room + 1 - found.start())
    return room if room >= _WORD else 0


def _beginning_of_tail(text: str, room: int) -> int:
    start = len(text) - room
    for patterns in (_BEGINNINGS, _OTHER_BEGINNINGS):
        for length in (min(_WORD, room // 2), min(_WORD, room)):  # more of a short end is left out only if it has to be
            for pattern in patterns:
                found = pattern.search(text, start - 1, start + length)
                if found:
                    return found.end()
    return start if room >= _WORD else len(text)
