"""How options are declared, and those that several commands have.

What reads a value says itself what is wrong with it: typer's own words name the types of Python.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

_ENDLESS = 1e8  # of seconds three years, and what every wait of the system takes


def flag(told: str, *names: str, **more: Any) -> Any:
    """Declare an option that takes no value: *told* is what the help says of it."""
    return typer.Option(*names, metavar="", help=told, **more)  # typer would say that it takes a bool


def whole(told: str, *names: str, least: int, most: int) -> Any:
    """Declare an option for a whole number from *least* to *most*."""
    return _number(int, "a whole number", "NUMBER", told, names, least, most)


def number(told: str, *names: str, least: float) -> Any:
    """Declare an option for a number that is not below *least*."""
    return _number(float, "a number", "NUMBER", told, names, least, _ENDLESS)


def seconds(told: str, *names: str, least: float, most: float = _ENDLESS) -> Any:
    """Declare an option for a number of seconds from *least* to *most*."""
    return _number(float, "a number of seconds", "SECONDS", told, names, least, most)


def choice(told: str, *names: str, of: type[StrEnum]) -> Any:
    """Declare an option for one of the values of *of*."""

    def parse(text: str) -> StrEnum:
        try:
            return of(text)
        except ValueError:
            raise typer.BadParameter(f"not one of {', '.join(of)}") from None

    return typer.Option(*names, parser=parse, metavar="|".join(of), help=told)


def path(told: str, *names: str, metavar: str = "FILE") -> Any:
    """Declare an option for a file or a directory."""
    return typer.Option(*names, parser=parse_path, metavar=metavar, help=told)


def parse_path(text: str) -> Path:
    """Read a path. An empty one is the value of a variable that is not set, and would be the working directory."""
    if not str(text):
        raise typer.BadParameter("is empty")
    return Path(text)


def _number(
    kind: type[int] | type[float],
    what: str,
    metavar: str,
    told: str,
    names: tuple[str, ...],
    least: float,
    most: float,
) -> Any:
    open_ended = most >= _ENDLESS
    within = f"{least:g} or more" if open_ended else f"{least:g} to {most:g}"

    def parse(text: str | float) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(least) - 1
        if not least <= value <= most:  # nor is what is no number
            raise typer.BadParameter(f"not {what}{',' if open_ended else ' from'} {within}")
        return value

    return typer.Option(*names, parser=parse, metavar=metavar, help=f"{told} [{within}]")


EnvFile = Annotated[Path | None, path("Secrets file; the environment wins over it.", "--env-file")]
Insecure = Annotated[bool, flag("Take a secrets file that others can read.", "--insecure")]
Json = Annotated[bool, flag("Print JSON for programs.", "--json")]
Auth = Annotated[bool, flag("Send HTTP_USERNAME and HTTP_PASSWORD of the environment or the secrets file.", "--auth")]
