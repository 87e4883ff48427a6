"""`setup()` in tests: an environment that is quiet, a secrets file, and the root logger as programs have it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import notify
from notify.backends.memory import MemoryBackend
from notify.notifier import Notifier

WEBHOOK = "https://discord.com/api/webhooks/123456789012345678/c4nary-token"

# Every way to be quiet but one's own backends.
QUIET = {"NOTIFY_STDOUT": "off"}


def bare_root() -> logging.Logger:
    """Return the root logger as in a program that has not configured logging. After the test it is as it was."""
    root = logging.getLogger()
    root.handlers.clear()  # pytest's
    root.setLevel(logging.WARNING)  # Python's default
    return root


def secrets_file(directory: Path, content: str) -> Path:
    """Make a secrets file in *directory* that only its owner may read, and return where it is."""
    path = directory / "secrets.env"
    path.write_text(content)
    path.chmod(0o600)
    return path


def sink(env: Mapping[str, str] | None = None, **options: Any) -> tuple[Notifier, MemoryBackend]:
    """Set up with a backend `sink` and nothing else."""
    backend = MemoryBackend()
    return notify.setup(env={**QUIET, **(env or {})}, backends={"sink": backend}, **options), backend
