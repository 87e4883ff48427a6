"""The environment of a command: the process's, above a secrets file."""

import os
from pathlib import Path

from notify.env_file import read_env_file


def read_environment(env_file: Path | None, *, insecure: bool) -> dict[str, str]:
    """Return the names and values that a command works with.

    Raises `ConfigError` when the file cannot be used.
    """
    below = read_env_file(env_file, insecure=insecure) if env_file is not None else {}
    return {**below, **os.environ}
