"""What is told of a fleet while it is watched: pure, from what is known and one observation to the next.

When everything is unreachable at once, it is rather the network of the watcher than each strategy. That is so when a
strategy is about to be told offline, the last look at each of the others found nobody either (of those that are looked
at as often as it is), and not all of them have been told before. It is then one matter of its own, told once, until
somebody answers. Whoever does not answer after that is told after two failed looks of his own.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from notify.fleet.matter import Matter, Step, step
from notify.fleet.observe import Observation
from notify.fleet.say import Announcement, list_problems, not_watched, of_concern, of_network, of_outage
from notify.fleet.verdict import Concern, State

LOOKS = 2
"""Failed looks in a row before a strategy is told."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one strategy.

    Args:
        name: what people call it.
        silent: whether the last look got no answer.
        down: that it does not run.
        concerns: what it warns of.
    """

    name: str = ""
    silent: bool = False
    down: Matter = field(default_factory=Matter)
    concerns: Mapping[Concern, Matter] = field(default_factory=dict)

    @property
    def is_worth_knowing(self) -> bool:
        """Whether it says more than that a strategy runs and has run."""
        return self.silent or any(matter != Matter() for matter in (self.down, *self.concerns.values()))


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is known of all strategies.

    Args:
        known: by id, of those of whom anything is worth knowing.
        network: that nobody answers.
        problems: of the list of strategies that are told.
    """

    known: Mapping[str, Known] = field(default_factory=dict)
    network: Matter = field(default_factory=Matter)
    problems: tuple[str, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether it is told that nobody answers, and nobody has since."""
        return self.network.told_at is not None and self.network.well_since is None


def observed(
    fleet: Fleet, seen: Observation, *, intervals: Mapping[str, float]
) -> tuple[Fleet, tuple[Announcement, ...]]:
    """Return what is known after *seen*, and what to say.

    Args:
        fleet: what was known.
        seen: of one strategy. Those of one strategy come in the order of their times.
        intervals: seconds between two looks at a strategy, by the ids of all that are watched.
    """
    said: list[Announcement] = []
    answered = seen.verdict.state is not State.OFFLINE
    if answered:
        fleet = _somebody_answers(fleet, seen, len(intervals), said)
    before = fleet.known.get(seen.strategy.id, Known())
    after = replace(before, name=seen.strategy.name, silent=not answered)
    down, what = step(
        before.down,
        failed=seen.verdict.state is not State.RUNNING,
        at=seen.at,
        looks=LOOKS,
        reminded=not fleet.is_silent,
    )
    if what is Step.BEGAN and not answered and _nobody_answers(fleet, seen, intervals):
        down = before.down  # for as long as nobody does
        fleet = _all_are_silent(fleet, seen, len(intervals), said)
    elif what is not None:
        told = before.down if what is Step.ENDED else down
        said.append(
            of_outage(what, seen, lasted=told.lasted(seen.at), count=len(told.told), steady_for=told.steady_for())
        )
    after = replace(after, down=down)
    if answered:
        after = replace(after, concerns=dict(_concerns(before, seen, said)))
    return _knowing(fleet, seen.strategy.id, after), tuple(said)


def resumed(fleet: Fleet, ids: Collection[str], problems: tuple[str, ...]) -> tuple[Fleet, tuple[Announcement, ...]]:
    """Return what is known when the watch begins, and what to say then.

    Args:
        fleet: what the run before this one knew.
        ids: of those who are watched now. Of the others what was wrong is told to be watched no more.
        problems: of the list. They are told unless the run before has told the same.
    """
    gone = {name: known for name, known in fleet.known.items() if name not in ids}
    said = [list_problems(problems)] if problems and problems != fleet.problems else []
    for name, known in sorted(gone.items()):
        matters = {"down": known.down, **{str(concern): each for concern, each in known.concerns.items()}}
        said += [
            not_watched(f"{what}:{name}", known.name) for what, each in matters.items() if each.told_at is not None
        ]
    left = {name: known for name, known in fleet.known.items() if name in ids}
    return replace(fleet, known=left, problems=problems), tuple(said)


def _nobody_answers(fleet: Fleet, seen: Observation, intervals: Mapping[str, float]) -> bool:
    if fleet.is_silent:
        return True
    mine = intervals[seen.strategy.id]
    others = [
        fleet.known.get(name, Known())
        for name, interval in intervals.items()
        if interval <= mine and name != seen.strategy.id
    ]
    return all(each.silent for each in others) and any(each.down.told_at is None for each in others)


def _all_are_silent(fleet: Fleet, seen: Observation, size: int, said: list[Announcement]) -> Fleet:
    since = min(known.down.since for known in fleet.known.values() if _is_noted(known) and known.down.since is not None)
    network, what = step(replace(fleet.network, since=fleet.network.since or since), failed=True, at=seen.at, looks=1)
    if what is not None:
        said.append(of_network(what, seen, lasted=network.lasted(seen.at), size=size))
    return replace(fleet, network=network)


def _somebody_answers(fleet: Fleet, seen: Observation, size: int, said: list[Announcement]) -> Fleet:
    known = fleet.known
    if fleet.is_silent:
        # What was noted of them meanwhile says nothing of them.
        known = {
            name: replace(each, down=Matter(told=each.down.told)) if _is_noted(each) else each
            for name, each in known.items()
        }
    network, what = step(fleet.network, failed=False, at=seen.at, looks=1)
    if what is not None:
        said.append(of_network(what, seen, lasted=fleet.network.lasted(seen.at), size=size))
    return replace(fleet, known=known, network=network)


def _is_noted(known: Known) -> bool:
    """Say whether failed looks are noted that nobody was told of."""
    return known.down.since is not None and known.down.told_at is None


def _concerns(before: Known, seen: Observation, said: list[Announcement]) -> Iterator[tuple[Concern, Matter]]:
    found = dict(zip(seen.verdict.concerns, seen.verdict.warnings, strict=True))
    for concern in Concern:
        matter = before.concerns.get(concern, Matter())
        after, what = step(matter, failed=concern in found, at=seen.at, looks=1, reminded=False)
        if what is not None:
            told = matter if what is Step.ENDED else after
            said.append(of_concern(what, concern, seen, lasted=told.lasted(seen.at), text=found.get(concern, "")))
        if after != Matter():
            yield concern, after


def _knowing(fleet: Fleet, name: str, known: Known) -> Fleet:
    if fleet.known.get(name) == known:
        return fleet
    others = {each: fleet.known[each] for each in fleet.known if each != name}
    return replace(fleet, known={**others, name: known} if known.is_worth_knowing else others)
