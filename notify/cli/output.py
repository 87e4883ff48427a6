"""What a command prints: tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from notify.backends.stdout import escape
from notify.delivery.ticket import CLOSED, DELIVERED, HANDED_OVER, Ticket
from notify.env_file import Environment
from notify.notifier import Notifier

_ENDLESS = 100_000  # columns: more than a row of all that we say has
UNSENT = f"dropped: {CLOSED}"


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, unfolded: Sequence[str] = ()
) -> None:
    """Print *rows* under *columns*. Nothing in them is taken for markup, numbers stand to the right.

    Cells are folded where the terminal is narrow, or as narrow as COLUMNS says, but for those of the columns
    *unfolded*, which people copy. What is no terminal gets each row whole, in one line.
    """
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(row[number].isdigit() for row in rows)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(column, overflow="fold", justify=justify, no_wrap=column in unfolded)
    for row in rows:
        table.add_row(*(Text(escape(cell)) for cell in row))
    console = Console(file=sys.stdout)
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        console.print(table)
        return
    endless = Console(width=_ENDLESS, force_terminal=False)
    with endless.capture() as drawn:
        endless.print(table)
    lines = "\n".join(line.rstrip() for line in drawn.get().splitlines())
    console.print(Text(lines), soft_wrap=True)  # which also knows what to do when nobody reads any more


@contextmanager
def only_json(env: Environment, *, wanted: bool) -> Iterator[Environment]:
    """Yield the environment to work with; when *wanted*, what others write to standard output goes to stderr."""
    if not wanted:
        yield env
        return
    with redirect_stdout(sys.stderr):  # a dry run prints, and so may a third party's backend
        yield env.but(NOTIFY_STDOUT="off")


def print_json(value: object) -> None:
    """Print *value* as one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def say_if_none(backends: Sequence[str]) -> None:
    """Say on stderr that there is no backend, when there is none; an empty table says it badly."""
    if not backends:
        print("notify: nothing was sent: no backend is set up", file=sys.stderr)


def told(ticket: Ticket, notifier: Notifier) -> dict[str, str]:
    """Return what became of an event at each backend, once *notifier* is closed: why, where nothing did."""
    counts = notifier.stats()
    return {
        name: f"not delivered: {counts[name]['last_error'] or 'no answer in time'}" if outcome == UNSENT else outcome
        for name, outcome in ticket.wait(0).items()
    }


def arrived(outcome: str) -> bool:
    """Say whether a backend has the event; of one that is gone, that its stand-in answers for itself."""
    return outcome == DELIVERED or outcome.startswith(HANDED_OVER)


def receipt_rows(outcomes: Mapping[str, str], backends: Sequence[str]) -> list[tuple[str, str]]:
    """Return what each backend answered; those that did not want the event say so."""
    return [(name, outcomes.get(name, "not wanted: its route leaves this level or topic out")) for name in backends]
