"""Takes secrets out of what the executor serves by itself."""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from notify.bootstrap import redactor_of
from notify.notifier import current_notifier
from notify.settings import Settings

if TYPE_CHECKING:
    from notify.rules.redaction import Redactor


def redaction() -> Callable[[str], str]:
    """Return what takes secrets out of a text: what looks like one, the values that secret variables have by now, and
    all that `notify.setup()` was given.
    """
    of_variables = _redactor(tuple(Settings(os.environ).secrets())).text
    notifier = current_notifier()
    given = None if notifier is None else redactor_of(notifier)
    return of_variables if given is None else lambda text: given.text(of_variables(text))


@lru_cache(maxsize=1)
def _redactor(values: tuple[str, ...]) -> "Redactor":
    from notify.rules.redaction import Redactor  # for those who serve anything

    return Redactor(values)
