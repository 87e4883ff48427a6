"""The last lines of a stream that may never end, in bounded memory."""

import re

from notify.clip import clip

LIMIT = 65_536  # bytes that are kept
LINE_LIMIT = 1000  # code points of a line that is shown

# What a terminal obeys and does not show (ECMA-48): colours and movements, titles and links, single codes.
_FIRST_WORD = re.compile(rb"\S{0,256}")  # what is longer is data rather than a word
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


class Tail:
    """The end of what was added. Not thread-safe."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        """Add what came next."""
        self._kept += data[-LIMIT:]
        self._cut = self._cut or len(data) > LIMIT
        if len(self._kept) > 2 * LIMIT:  # not each time: it moves all that is kept
            del self._kept[:-LIMIT]
            self._cut = True

    def lines(self, most: int) -> list[str]:
        r"""Return the last *most* lines, oldest first, as a terminal would show them.

        A progress bar that was written over with carriage returns is its last state, colours are left out, what is no
        UTF-8 shows as `\xff`. A line is cut after 1000 code points. Empty lines at the end are left out. Of what was
        cut off at the beginning no part is shown that might be half a secret: not the rest of its line, or of its
        word when that line is the only one.
        """
        data = bytes(self._kept[-LIMIT:])
        if self._cut or len(self._kept) > LIMIT:  # the first line has lost its beginning
            _, newline, rest = data.partition(b"\n")
            data = rest if newline and rest else _FIRST_WORD.sub(b"", data, count=1)
        lines = [_shown(line) for line in data.rstrip(b"\r\n\t ").split(b"\n")[-most:]] if most > 0 else []
        return lines if any(lines) else []


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace")
    return clip(_ESCAPES.sub("", text), LINE_LIMIT)
