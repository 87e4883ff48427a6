"""Takes secrets out of what the executor serves by itself."""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from notify.settings import Settings

if TYPE_CHECKING:
    from notify.rules.redaction import Redactor


def redaction() -> Callable[[str], str]:
    """Return what takes out of a text the values that secret variables have by now, and what looks like a secret."""
    return _redactor(tuple(Settings(os.environ).secrets())).text


@lru_cache(maxsize=1)
def _redactor(values: tuple[str, ...]) -> "Redactor":
    from notify.rules.redaction import Redactor  # for those who serve anything

    return Redactor(values)
