"""The command `notify`."""

import sys

from notify.cli.app import app
from notify.errors import ConfigError


def main() -> None:
    """Run the command line. An unusable setting is one line on stderr and exit code 2."""
    try:
        app()
    except ConfigError as error:
        print(f"notify: {error}", file=sys.stderr)
        sys.exit(2)
