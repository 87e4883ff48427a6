"""What tests need of the machine that they run on."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, which cannot run here, but fail it on CI, where it has to; *what* says what is not there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
