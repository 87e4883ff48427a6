"""The pages as HTML."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from notify.duration import duration
from notify.fleet.dashboard.details import Details
from notify.fleet.dashboard.drawing import Mark
from notify.fleet.dashboard.reading import LEVELS, Record, Status, traceback_of, wanted
from notify.fleet.dashboard.rows import Listing, Moment, Row, moment
from notify.fleet.dashboard.text import ago, exact, line
from notify.fleet.verdict import State

if TYPE_CHECKING:
    import jinja2

STATIC: Mapping[str, str] = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "trouble.svg": "image/svg+xml",
}
"""The files that are served as they are, and what they are."""

_RELOAD = 30  # seconds, where there is no JavaScript
_RELOAD_SOON = 2  # seconds, when more is to come
_SHOWN = 200  # records of a log
_HEAD = 300  # code points of a record that are shown at once
_PACKAGE = "notify.fleet.dashboard"
_NO_TIME = Moment(iso="", exact="", ago="")


class Shown(NamedTuple):
    """A record of a log as its page shows it."""

    moment: Moment
    clock: str
    level: str
    look: str
    head: str
    rest: str
    traceback: str


def list_page(listing: Listing, *, problems: Sequence[str], interval: float, now: float) -> str:
    """Return the page of all strategies.

    Args:
        listing: what it shows.
        problems: what is wrong with the list that they come from, a line each.
        interval: seconds between two looks.
        now: UTC epoch seconds.
    """

    def link(state: str) -> str:
        asked = urlencode({key: value for key, value in (("state", state), ("q", listing.query)) if value})
        return f"/strategies?{asked}" if asked else "/strategies"

    return _render(
        "strategies.html",
        now,
        listing=listing,
        trouble=listing.trouble,
        problems=problems,
        interval=duration(interval),
        link=link,
    )


def strategy_page(row: Row, details: Details, *, level: str, interval: float, now: float) -> str:
    """Return the page of one strategy.

    Args:
        row: what the list shows of it.
        details: its own words.
        level: the least level of log records, one of `LEVELS`.
        interval: seconds between two looks.
        now: UTC epoch seconds.
    """
    status = details.status or Status()
    records = details.records
    traceback = traceback_of(status.failure, records or ()) if status.failure else ""
    # The reason has it on one line and cut: it is shown once, and whole.
    reason = status.failure if status.failure and row.state == State.CRASHED.value else row.reason
    is_said = bool(traceback) or status.failure == reason
    shown = wanted(records, level) if records is not None else ()

    def missing(part: str, otherwise: str) -> str:
        problem = line(details.problems.get(part, ""), 500)
        if problem:
            return f"/{part}: {problem}."
        return "It has been asked, and has not answered yet." if details.asking else otherwise

    def outdated(part: str) -> str:
        problem = line(details.problems.get(part, ""), 500)
        if not problem:
            return ""
        return f"/{part}: {problem}. This is what it said {ago(details.as_of[part], now)}."

    return _render(
        "strategy.html",
        now,
        row=row,
        trouble=row.trouble,
        reload_seconds=_RELOAD_SOON if details.asking else _RELOAD,
        interval=duration(interval),
        description=details.metadata.description if details.metadata is not None else "",
        tags=details.metadata.tags if details.metadata is not None else (),
        reason=reason,
        failure="" if is_said else status.failure,
        frames=status.frames,
        traceback=traceback,
        facts=status.facts,
        deliveries=status.deliveries,
        day_in_words=day_in_words(row.bar.marks, row.running),
        moment=lambda seconds: moment(seconds, now),
        levels=tuple(LEVELS),
        level=level,
        counts={each: len(wanted(records or (), each)) for each in LEVELS},
        records=[_shown(record, now) for record in shown[:_SHOWN]] if records is not None else None,
        more=len(shown) if len(shown) > _SHOWN else 0,
        missing=missing,
        outdated=outdated,
    )


def message_page(heading: str, text: str, *, now: float, link_to: str = "") -> str:
    """Return a page that says one thing.

    Args:
        heading: what it is.
        text: what it means.
        now: UTC epoch seconds.
        link_to: where to go from there.
    """
    return _render("message.html", now, heading=heading, text=text, link_to=link_to, trouble=0)


def static(name: str) -> bytes:
    """Return a file of `STATIC`."""
    return _static(name)[0]


def day_in_words(marks: Sequence[Mark], running: str) -> str:
    """Return what a bar shows, for who does not see it."""
    counted: dict[str, int] = {}
    for mark in marks:
        name = mark.state.value if mark.state is not None else "not looked at"
        counted[name] = counted.get(name, 0) + 1
    parts = [f"{name} {duration(count * 1800)}" for name, count in counted.items() if name != "running"]
    return ", ".join([f"running {running}" if running else "nothing was seen", *parts])


def _shown(record: Record, now: float) -> Shown:
    head, _, rest = record.message.partition("\n")
    if len(head) > _HEAD:
        head, rest = f"{head[:_HEAD]}…", record.message
    look = next((name for name in ("error", "warning", "trade") if record.number >= LEVELS[name]), "info")
    at = moment(record.at, now) or _NO_TIME
    # The hour of today, or the day and the hour.
    clock = at.exact[11:19] if at.exact[:10] == exact(now)[:10] else at.exact[5:16]
    return Shown(at, clock, record.level, look, head, rest, record.traceback)


def _render(template: str, now: float, **values: object) -> str:
    return _templates().get_template(template).render(**{"reload_seconds": _RELOAD, "now": f"{now:.1f}", **values})


@cache
def _templates() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # What has changed has another address, so that browsers may keep each for good.
    environment.globals["static"] = lambda name: f"/static/{name}?v={_static(name)[1]}"
    return environment


@cache
def _static(name: str) -> tuple[bytes, str]:
    content = resources.files(_PACKAGE).joinpath("static", name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]
