"""The command `notify`."""

import io
import os
import sys

from notify.cli.app import app
from notify.errors import ConfigError


def main() -> None:
    """Run the command line. An unusable setting is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without our dashes and frames still gets text
    try:
        app()
    except ConfigError as error:
        print(f"notify: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        _flush()


def _flush() -> None:
    """Write what was printed; `| head` may have gone meanwhile, and Python would complain of that at the end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
