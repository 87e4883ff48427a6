"""The conventions of Nagios plugins: one line on standard output, and exit codes from 0 to 3.

Whatever is wrong with the command line itself is UNKNOWN, not the 2 of other commands, which would be CRITICAL.
"""

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand

from notify.backends.stdout import escape
from notify.cli.usage import UsageError, said
from notify.errors import ConfigError
from notify.plain import class_name

_JSON = "--json"  # of every such command


class Code(IntEnum):
    """An exit code of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class NagiosCommand(TyperCommand):
    """A command that ends with UNKNOWN and one line, or JSON where that is wanted, when it cannot do its work."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        as_json = _JSON in args
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            _give_up(said(error), as_json=as_json)

    def invoke(self, ctx: Any) -> Any:
        """Do the work."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except ConfigError as error:
            _give_up(str(error), as_json=ctx.params["json"])
        except Exception as error:  # noqa: BLE001 - Python's exit code would be WARNING
            _give_up(f"notify itself failed: {class_name(error)}", as_json=ctx.params["json"])


def line(code: Code, text: str, data: Mapping[str, str]) -> str:
    """Return the one line of a plugin.

    Args:
        code: how it is.
        text: for people, whoever has said it: on one line, and without the `|` that performance data begin at.
        data: performance data by label, such as `{"time": "0.013s"}`.
    """
    shown = escape(" ".join(text.split())).replace("|", "¦")
    measured = " ".join(f"{label}={value}" for label, value in data.items())
    return f"NOTIFY {code.name} - {shown}{f' | {measured}' if measured else ''}"


def _give_up(text: str, *, as_json: bool) -> NoReturn:
    if as_json:
        print(json.dumps({"code": int(Code.UNKNOWN), "status": Code.UNKNOWN.name, "text": text}, ensure_ascii=False))
    else:
        print(line(Code.UNKNOWN, text, {}))
    raise typer.Exit(Code.UNKNOWN)
