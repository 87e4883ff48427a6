"""The last lines of stderr, without the secrets that stand in them."""

import re
from collections.abc import Callable, Iterable

from notify.rules.redaction import MASK

_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY")
_END = re.compile(r"-----END [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----")


def redacted(lines: Iterable[str], redact_text: Callable[[str], str]) -> tuple[str, ...]:
    """Return *lines* without the secrets in them.

    They are searched as one text, for a secret may go over several lines. Of a private key whose first line is not
    among them all is taken out up to its last line.

    Args:
        lines: all that are known, so that no secret has lost its beginning. The fewer that are shown are chosen later.
        redact_text: takes secrets out of a text.
    """
    text = "\n".join(lines)
    end = _END.search(text)
    if end is not None and not _BEGIN.search(text, 0, end.start()):
        text = MASK + text[end.end() :]
    text = redact_text(text)
    return tuple(text.split("\n")) if text else ()
