"""The rows of the list: what is known of each strategy, in words, trouble first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from notify.duration import duration
from notify.fleet.dashboard.board import Known
from notify.fleet.dashboard.drawing import Bar
from notify.fleet.dashboard.text import ago, exact, initials, iso, line, percent, response_time
from notify.fleet.fetch import DEADLINE
from notify.fleet.verdict import State

WAITING = "waiting"
"""The state of what was not seen yet."""

STATES = (*(state.value for state in State), WAITING)
_LATE_LOOKS = 3  # intervals without a look, after which what is shown is said to be old
TROUBLE = frozenset({State.CRASHED.value, State.OFFLINE.value, State.STALE.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment as a page shows it."""

    iso: str
    exact: str
    ago: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A strategy as the list shows it.

    Args:
        id: what machines call it.
        name: what people call it.
        path: of its own page.
        initials: for who has no icon.
        icon: name of its icon; empty: it has none.
        state: one of `STATES`.
        reason: why, in words; empty when it runs.
        lasting: how long it has been so; empty: it is not known.
        warnings: what a person should look at although it runs.
        refreshed: when it made progress last.
        cycles: how many; empty: it does not say.
        version: of its program.
        bar: its last 24 hours.
        running: the share of them in which it ran.
        response_line: path of its response times.
        response: the last one.
        looked: when it was looked at last.
    """

    id: str
    name: str
    path: str
    initials: str
    icon: str
    state: str
    reason: str
    lasting: str
    warnings: tuple[str, ...]
    refreshed: Moment | None
    cycles: str
    version: str
    bar: Bar
    running: str
    response_line: str
    response: str
    looked: Moment | None

    @property
    def trouble(self) -> bool:
        """Whether it is not as it should be."""
        return self.state in TROUBLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the list shows.

    Args:
        rows: those that were asked for.
        total: how many strategies there are.
        counts: of each state, whatever was asked for.
        trouble: how many are not as they should be.
        state: the state that was asked for; empty: any.
        query: the text that was asked for.
        warned: how many have a warning.
        own_intervals: some are looked at at intervals of their own.
    """

    rows: tuple[Row, ...]
    total: int
    counts: dict[str, int]
    trouble: int
    warned: int
    own_intervals: bool
    state: str
    query: str


def moment(seconds: float | None, now: float) -> Moment | None:
    """Return a moment as a page shows it; None for none."""
    if seconds is None:
        return None
    return Moment(iso=iso(seconds), exact=exact(seconds), ago=ago(seconds, now))


def row(known: Known, *, now: float, interval: float, icon: str = "") -> Row:
    """Return what is known of a strategy as the list shows it.

    Args:
        known: what is known.
        now: UTC epoch seconds.
        interval: seconds between two looks, unless it has an interval of its own.
        icon: name of its icon.
    """
    strategy, last, facts = known.strategy, known.last, known.facts
    name = line(strategy.name)
    verdict = last.verdict if last is not None else None
    answered = last is not None and last.verdict.state is not State.OFFLINE
    return Row(
        id=line(strategy.id),
        name=name,
        path=f"/strategies/{quote(strategy.id, safe='')}",
        initials=initials(name),
        icon=icon,
        state=verdict.state.value if verdict is not None else WAITING,
        reason=line(verdict.reason, 500) if verdict is not None else "",
        lasting=_lasting(known, now),
        warnings=tuple(_warnings(known, now, strategy.interval or interval)),
        refreshed=moment(facts.last_refreshed_at, now) if facts is not None else None,
        cycles=f"{facts.cycles:,}" if facts is not None and facts.cycles is not None else "",
        version=line(facts.version, 60) if facts is not None and facts.version else "",
        bar=known.bar,
        running=percent(known.bar.running) if known.bar.running is not None else "",
        response_line=known.response_line,
        response=response_time(last.seconds) if last is not None and answered else "",
        looked=moment(last.at, now) if last is not None else None,
    )


def listing(
    all_known: Sequence[Known],
    *,
    now: float,
    interval: float,
    icon_of: Callable[[str], str],
    state: str = "",
    query: str = "",
) -> Listing:
    """Return what the list shows, trouble on top, then those with a warning, each by name.

    Args:
        all_known: what is known of every strategy.
        now: UTC epoch seconds.
        interval: seconds between two looks at a strategy that has no interval of its own.
        icon_of: returns the name of the icon of a strategy, by its id.
        state: one of `STATES`: only those; anything else: all.
        query: only those with this text in their name or id, in any case.
    """
    rows = [row(known, now=now, interval=interval, icon=icon_of(known.strategy.id)) for known in all_known]
    state = state if state in STATES else ""
    sought = query.strip().casefold()
    shown = [
        each
        for each in rows
        if (not state or each.state == state) and (sought in each.name.casefold() or sought in each.id.casefold())
    ]
    shown.sort(key=lambda each: (_RANK[each.state], not each.warnings, each.name.casefold(), each.id))
    return Listing(
        rows=tuple(shown),
        total=len(rows),
        counts={name: sum(each.state == name for each in rows) for name in STATES},
        trouble=sum(each.trouble for each in rows),
        warned=sum(bool(each.warnings) for each in rows),
        own_intervals=any(known.strategy.interval for known in all_known),
        state=state,
        query=query,
    )


# What was not seen yet may be anything, and does not hide what runs with a warning.
_RANK = {name: number for number, name in enumerate(STATES)}


def _warnings(known: Known, now: float, interval: float) -> Iterator[str]:
    if known.last is None:
        return
    for warning in known.last.verdict.warnings:
        yield line(warning, 300)
    age = now - known.last.at
    if age > _LATE_LOOKS * interval + DEADLINE:  # this machine slept, or has too much to do
        yield f"not looked at for {duration(age)}"


def _lasting(known: Known, now: float) -> str:
    verdict = known.last.verdict if known.last is not None else None
    if verdict is None or verdict.state is State.RUNNING or verdict.state is State.STALE:
        return ""  # how long it is stale stands in its reason
    since = verdict.crashed_at or known.since
    return duration(now - since) if since is not None else ""
