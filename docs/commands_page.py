"""Prints the page docs/commands.md from the commands' own functions: `python docs/commands_page.py > docs/commands.md`.

Typer is not asked what it makes of them: that changes with its version, and the page would, too.
"""

import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.models import ArgumentInfo, OptionInfo

from notify.cli.app import app

HEAD = """# The command line

Every command says the same of itself with `--help`. Those that need settings read them from the environment, and from the secrets file
that `--env-file` names, below it. `--json` prints for programs.

| command | what it does |
|---|---|
"""
WIDTH = 150  # characters of a line of prose
NO_BREAK = "\0"  # stands for a space where no line may end
METAVARS = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "FILE"}


class Parameter(NamedTuple):
    """What a command takes.

    Args:
        name: of the function's parameter.
        type: without `None` and `list`.
        many: whether it may be given more than once.
        info: what Typer is told of it.
        default: `inspect.Parameter.empty` for what has to be given.
    """

    name: str
    type: type
    many: bool
    info: Any
    default: object

    @property
    def metavar(self) -> str:
        """What stands for its value; empty for a flag."""
        if self.type is bool:
            return ""
        if issubclass(self.type, Enum):
            return "|".join(each.value for each in self.type)
        if isinstance(self.info, ArgumentInfo):
            return self.info.metavar or self.name.upper()
        return self.info.metavar or METAVARS[self.type]

    @property
    def is_required(self) -> bool:
        """Whether the command cannot do without it."""
        return self.default is inspect.Parameter.empty

    @property
    def names(self) -> list[str]:
        """What an option is called on the command line."""
        # Typer keeps the first name where a default would stand.
        given = [self.info.default, *(self.info.param_decls or ())]
        return [each for each in given if isinstance(each, str)] or [f"--{self.name.replace('_', '-')}"]


def page() -> str:
    """Return the page."""
    commands = dict(walk(app, "notify"))
    index = (
        f"| [`{name}`](#{name.replace(' ', '-')}) | {summary(function)} |\n" for name, function in commands.items()
    )
    return HEAD + "".join(index) + "".join(section(name, function) for name, function in commands.items())


def walk(group: typer.Typer, name: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the whole name and the function of every command, those of a group behind all others."""
    itself = group.registered_callback
    if itself is not None and itself.callback is not None and itself.invoke_without_command is True:
        yield name, itself.callback
    for command in group.registered_commands:
        if command.callback is not None:
            yield f"{name} {command.name or command.callback.__name__.strip('_').replace('_', '-')}", command.callback
    for below in group.registered_groups:
        if below.typer_instance is not None:
            yield from walk(below.typer_instance, f"{name} {below.name}")


def parameters(function: Callable[..., object]) -> list[Parameter]:
    """Return what a command takes, arguments first."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is typer.Context:
            continue
        kind, info = hints[name].__origin__, hints[name].__metadata__[0]
        alternatives = [each for each in typing.get_args(kind) if each is not type(None)]
        if type(None) in typing.get_args(kind):
            (kind,) = alternatives
        many = typing.get_origin(kind) is list
        found.append(Parameter(name, typing.get_args(kind)[0] if many else kind, many, info, parameter.default))
    return sorted(found, key=lambda each: isinstance(each.info, OptionInfo))


def section(name: str, function: Callable[..., object]) -> str:
    """Return what the page says of a command."""
    taken = parameters(function)
    arguments = [each for each in taken if isinstance(each.info, ArgumentInfo)]
    has_options = len(taken) > len(arguments)
    usage = " ".join([name, *(["[OPTIONS]"] if has_options else []), *map(usage_of, arguments)])
    table = "\n|  |  | default |\n|---|---|---|\n" + "".join(map(row, taken)) if taken else ""
    return f"\n## {name}\n\n```text\n{usage}\n```\n\n{wrapped(inspect.getdoc(function) or '')}\n{table}"


def usage_of(argument: Parameter) -> str:
    """Return how an argument stands in the command's line."""
    shown = argument.metavar + (" …" if argument.many else "")
    return shown if argument.is_required else f"[{shown}]"


def row(parameter: Parameter) -> str:
    """Return a parameter's line in its command's table."""
    if isinstance(parameter.info, ArgumentInfo):
        shown = f"`{parameter.metavar}`"
    else:
        value = parameter.metavar and f" {parameter.metavar}"
        shown = ", ".join(f"`{name.replace('/', '` / `')}{value}`" for name in parameter.names)
    told = joined(parameter.info.help or "")
    return f"| {escaped(shown)} | {escaped(told)} | {default(parameter)} |\n"


def default(parameter: Parameter) -> str:
    """Return what holds when it is not given."""
    value = parameter.default
    if parameter.is_required:
        return "required"
    if isinstance(value, bool) and "/" in parameter.names[0]:
        return f"`{parameter.names[0].split('/')[0 if value else 1]}`"
    if value is None or value is False or value == "":
        return "–"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def summary(function: Callable[..., object]) -> str:
    """Return the first sentence of what a command says of itself."""
    first = joined(inspect.getdoc(function) or "").split("\n\n")[0]
    return re.split(r"(?<=\.) |: `", first)[0].rstrip(".")


def joined(text: str) -> str:
    """Return a text with each paragraph in a line of its own."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def wrapped(text: str) -> str:
    """Return a text with its paragraphs in lines that can be read, none of which ends within a piece of code."""
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", NO_BREAK), joined(text))
    lines = [
        textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
        for paragraph in whole.split("\n\n")
    ]
    return "\n\n".join(lines).replace(NO_BREAK, " ")


def escaped(text: str) -> str:
    """Return a text for a table's cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
