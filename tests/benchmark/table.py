"""Rows as a Markdown table, and a page whose last part they become."""

from collections.abc import Sequence
from pathlib import Path

HEADING = "## The last run"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: the first column is text, the others are numbers."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def number(value: float) -> str:
    """Return *value* with as many digits as a measurement of it is good for."""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def ratio(value: float) -> str:
    """Return *value* as how many times."""
    return f"{value:.2f} ×" if value < 10 else f"{value:,.0f} ×"


def write(page: Path, text: str) -> None:
    """Put *text* in place of what is under the heading of *page*.

    Raises `ValueError` when the page has no such heading.
    """
    before, heading, _ = page.read_text().partition(f"{HEADING}\n")
    if not heading:
        raise ValueError(f"{page} has no line {HEADING!r}")
    page.write_text(f"{before}{heading}\n{text}\n")
