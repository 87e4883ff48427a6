"""The words of what is told of a fleet."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from notify.duration import duration
from notify.fleet.matter import Step
from notify.fleet.observe import Observation
from notify.fleet.verdict import Concern, State, Verdict
from notify.levels import TRADE
from notify.ordinal import ordinal
from notify.plural import plural

NETWORK = "down:*"
"""The key of what concerns all strategies at once."""

_GRAVITY = {State.CRASHED: logging.CRITICAL, State.OFFLINE: logging.ERROR, State.STALE: logging.ERROR}
_GONE = {Concern.FROZEN: "no position is frozen any more", Concern.GAS: "there is enough gas again"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What to say. The good news are of level TRADE: the least that reaches people by default.

    Args:
        message: what happened, on one line.
        level: severity, in logging's numbers.
        key: the matter that it belongs to.
        body: more text.
        fields: names and values.
    """

    message: str
    level: int
    key: str
    body: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


def of_outage(what: Step, seen: Observation, *, lasted: float, count: int, steady_for: float) -> Announcement:
    """Return what to say of a strategy that does not run, or runs again.

    Args:
        what: has become of the outage.
        seen: the look that shows it.
        lasted: seconds of the outage so far.
        count: outages of the last day, this one included.
        steady_for: seconds that it has to run before that is told.
    """
    strategy, key = seen.strategy, f"down:{seen.strategy.id}"
    if what is Step.ENDED:
        return Announcement(
            message=f"{strategy.name} is up again after {duration(lasted)}",
            level=TRADE,
            key=key,
            body=f"It has been up for {duration(steady_for)}." if steady_for else "",
            fields={"url": strategy.url},
        )
    verdict = seen.verdict
    message = f"{strategy.name} {_is(verdict)}: {verdict.reason}"
    if what is Step.GOES_ON:
        message = f"Down for {duration(lasted)}: {message}"
    body = ""
    if steady_for:
        body = f"It is down for the {ordinal(count)} time in 24 hours, and counts as up after {duration(steady_for)}."
    return Announcement(
        message=message, level=_GRAVITY[verdict.state], key=key, body=body, fields=_facts(seen, lasted=lasted)
    )


def of_network(what: Step, seen: Observation, *, lasted: float, size: int) -> Announcement:
    """Return what to say when nobody answers, or somebody does again.

    Args:
        what: has become of it.
        seen: the look that shows it.
        lasted: seconds that it has lasted so far.
        size: how many strategies are watched.
    """
    if what is Step.ENDED:
        return Announcement(
            message=f"Strategies answer again after {duration(lasted)}",
            level=TRADE,
            key=NETWORK,
            body="Those that still do not are told one by one.",
        )
    for_long = f" for {duration(lasted)}" if what is Step.GOES_ON else ""
    return Announcement(
        message=f"None of {size} strategies answers{for_long}: {seen.verdict.reason}",
        level=logging.ERROR,
        key=NETWORK,
        body="All at once: look at the network of the machine that watches, and at what they have in common, first.",
    )


def of_concern(what: Step, concern: Concern, seen: Observation, *, lasted: float, text: str) -> Announcement:
    """Return what to say of what a person should look at.

    Args:
        what: has become of it.
        concern: what it is about.
        seen: the look that shows it.
        lasted: seconds that it has lasted so far.
        text: what the strategy warns of; of no use when that has ended.
    """
    strategy, key = seen.strategy, f"{concern}:{seen.strategy.id}"
    if what is Step.ENDED:
        message = f"{strategy.name}: {_GONE[concern]}, after {duration(lasted)}"
        return Announcement(message=message, level=TRADE, key=key, fields={"url": strategy.url})
    return Announcement(
        message=f"{strategy.name}: {text}", level=logging.WARNING, key=key, fields={"url": strategy.url}
    )


def not_watched(key: str, name: str) -> Announcement:
    """Return what to say when a strategy with an open matter is not on the list any more."""
    return Announcement(
        message=f"{name} is not watched any more, and was not well when it was last looked at", level=TRADE, key=key
    )


def list_problems(problems: Sequence[str]) -> Announcement:
    """Return what to say of what is wrong with the list of strategies: who is not on it is watched by nobody."""
    count = len(problems)
    return Announcement(
        message=f"{count} {plural(count, 'thing is', 'things are')} wrong with TS_PUBLIC_STRATEGIES",
        level=logging.WARNING,
        key="list",
        body="\n".join(problems),
    )


def _is(verdict: Verdict) -> str:
    if verdict.misconfigured:
        return "cannot be watched"
    return "has crashed" if verdict.state is State.CRASHED else f"is {verdict.state}"


def _facts(seen: Observation, *, lasted: float) -> dict[str, object]:
    verdict = seen.verdict
    facts: dict[str, object] = {"url": seen.strategy.url, "down_for": duration(lasted)}
    if verdict.cycles is not None:
        facts["cycles"] = verdict.cycles
    if verdict.version is not None:
        facts["version"] = verdict.version
    return facts
