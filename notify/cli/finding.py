"""What `notify doctor` finds."""

from typing import NamedTuple

OK, WARNING, WRONG = "ok", "warning", "wrong"


class Finding(NamedTuple):
    """What was looked at and what was found."""

    subject: str
    verdict: str
    text: str
