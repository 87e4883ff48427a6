"""Tables of what became of events."""

import json
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *columns*. Nothing in them is taken for markup."""
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    Console(file=sys.stdout, highlight=False, emoji=False).print(table)


def print_json(value: object) -> None:
    """Print *value* as one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def receipt_rows(outcomes: Mapping[str, str], backends: Sequence[str]) -> list[tuple[str, str]]:
    """Return what each backend answered; those that did not want the event say so."""
    return [(name, outcomes.get(name, "not wanted: its route leaves this level or topic out")) for name in backends]


def _plain(cell: str) -> str:
    return cell.replace("[", "\\[")
