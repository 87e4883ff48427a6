"""What is wrong with a command line: one line in our own words, whichever versions of typer and click have found it."""

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from notify.backends.stdout import escape

# Typer has it from click, or, in later versions, inside itself.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What is wrong with a command line."""

_HELP_IS_THE_ANSWER = "NoArgsIsHelpError"  # the oldest click has no such class
_TOO_MANY = re.compile(r"Got unexpected extra argument\S* \((.*)\)\.?", re.DOTALL)


class Group(TyperGroup):
    """Commands whose usage errors are one line on stderr and exit code 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command's name."""
        with _one_line(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that *args* begin with."""
        if self.get_command(ctx, args[0]) is None:
            raise UsageError(f"there is no command {args[0]}{_instead(args[0], self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Find the command, read its command line and do its work."""
        with _one_line(ctx):
            return super().invoke(ctx)


def said(error: Any) -> str:
    """Return what a `UsageError` says, without what looks like a secret and stands in the wrong place."""
    from notify.rules.redaction import Redactor

    return Redactor().text(_said(error))


def _said(error: Any) -> str:
    message = str(error.message or "").strip()
    if hasattr(error, "possibilities"):
        return f"there is no option {error.option_name}{_instead(error.option_name, error.possibilities or ())}"
    if isinstance(error, typer.BadParameter):
        name = _name(error)
        if hasattr(error, "param_type"):
            return f"{name} is missing"
        return f"{name}: {message}" if name else message
    if found := _TOO_MANY.fullmatch(message):
        return f"more arguments than it takes: {found[1]}; what holds spaces needs quotes"
    return message[:1].lower() + message[1:].rstrip(".")


def _instead(name: str, others: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(others), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _name(error: Any) -> str:
    """Return what the operator calls the parameter, empty where it is about several."""
    if error.param is None:
        return str(error.param_hint or "")
    if error.param.param_type_name == "argument":
        return str(error.param.metavar or error.param.name.upper())
    return str(max(error.param.opts, key=len))


@contextmanager
def _one_line(ctx: Any) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if type(error).__name__ == _HELP_IS_THE_ANSWER:
            raise
        is_of_value = isinstance(error, typer.BadParameter) and not hasattr(error, "param_type")
        hint = "" if is_of_value else f" (see `{_command(error, ctx)} --help`)"
        print(f"notify: {escape(said(error))}{hint}", file=sys.stderr)
        raise typer.Exit(2) from None


def _command(error: Any, ctx: Any) -> str:
    """Return the command that the error is of. The group knows it where the error does not."""
    if error.ctx is not None:
        return str(error.ctx.command_path)
    return " ".join(filter(None, (ctx.command_path, ctx.invoked_subcommand)))
