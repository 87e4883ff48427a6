"""Takes secrets out of what the executor serves by itself."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from notify.bootstrap import redactor
from notify.settings import Settings

if TYPE_CHECKING:
    from notify.rules.redaction import Redactor


def without_secrets(text: str) -> str:
    """Return *text* without values of secret variables, and without what looks like a secret."""
    return _redactor().text(text)


@lru_cache(maxsize=1)
def _redactor() -> "Redactor":
    return redactor(Settings(os.environ))
