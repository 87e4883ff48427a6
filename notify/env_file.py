"""Reads a secrets env file, and refuses one that others can read."""

import io
import os
import shlex
import stat
from collections.abc import Mapping
from types import MappingProxyType

from notify.errors import ConfigError

_MAX_BYTES = 1_000_000  # no secrets file is larger; a device or a log given by mistake is


class Environment(dict[str, str]):
    """Names and values, and what a secrets file has, also where the environment wins over it."""

    file: Mapping[str, str] = MappingProxyType({})

    def but(self, **values: str) -> "Environment":
        """Return the same with other values for some names."""
        changed = Environment(self)
        changed.file = self.file
        changed.update(values)
        return changed


def above_file(env: Mapping[str, str], path: str | os.PathLike[str] | None, *, insecure: bool = False) -> Environment:
    """Return *env* and, below it, what the secrets file at *path* has; an empty value of *env* hides nothing.

    Raises `ConfigError` as `read_env_file` does.
    """
    below = read_env_file(path, insecure=insecure) if path is not None else {}
    merged = Environment(below)
    merged.update((name, value) for name, value in env.items() if value.strip() or name not in below)
    merged.file = {**getattr(env, "file", {}), **below}
    return merged


def read_env_file(path: str | os.PathLike[str], *, insecure: bool = False) -> dict[str, str]:
    """Return the names and values of an env file: `NAME=value` lines, comments, optional quotes, no substitution.

    Args:
        path: of the file.
        insecure: take it even if others than its owner can read it.

    Raises `ConfigError` when it is missing, no regular file, larger than 1 MB, no UTF-8 text, or readable by others;
    the text says what to do and shows none of the content.
    """
    try:
        # Opening a FIFO without O_NONBLOCK waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        # Everything below looks at the open file, so that nobody can swap it between the look and the read.
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(f"{path}: not a regular file")
        if about.st_mode & 0o077 and not insecure:
            raise ConfigError(f"{path}: others can read this file; run `chmod 600 {shlex.quote(str(path))}`")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path}: larger than 1 MB, not a secrets file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    if "\0" in text:
        raise ConfigError(f"{path}: not a text file: it has a NUL character in it")

    from dotenv.parser import parse_stream

    # Not dotenv_values(): it skips what it cannot read, and replaces ${…}, though a secret may contain a dollar
    # sign and docker reads the same file without replacing any.
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise ConfigError(f"{path}: line {binding.original.line} is not of the form NAME=value")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values
