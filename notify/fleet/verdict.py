"""How a strategy is, by what its `/status` says: pure, the time is passed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from notify.clip import clip
from notify.duration import duration
from notify.plain import clean
from notify.plural import plural

MAX_AGE = 3600.0  # seconds without progress, as of NOTIFY_STALE_AFTER

_TEXT = 500  # code points of what a strategy says
_LATEST = 1e11  # epoch seconds: the year 5138. Beyond it are milliseconds, and what is no time


class State(StrEnum):
    """How a strategy is; the worst first."""

    CRASHED = "crashed"
    """Its program says that it has failed."""

    OFFLINE = "offline"
    """Nothing usable answers."""

    STALE = "stale"
    """It answers, and says that it has made no progress for too long."""

    RUNNING = "running"
    """It makes progress."""


class Concern(StrEnum):
    """What a warning is about."""

    FROZEN = "frozen"
    """Positions that are frozen."""

    GAS = "gas"
    """What is left of it in the wallet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a strategy is, and why.

    Args:
        state: how it is.
        reason: why, in words for people; empty when it runs.
        misconfigured: whether it is the look that is wrong, its address or its password: nothing is known of the
            strategy.
        warnings: what a person should look at although it runs, a line each.
        concerns: what each of the warnings is about: the words of one change while it lasts.
        executor_id: what it calls itself.
        started_at: UTC epoch seconds, like the other times. None for what it does not say.
        last_refreshed_at: when it made progress last.
        crashed_at: when it crashed.
        cycles: how many it has begun since it was started.
        version: of its program.
    """

    state: State
    reason: str = ""
    misconfigured: bool = False
    warnings: tuple[str, ...] = ()
    concerns: tuple[Concern, ...] = ()
    executor_id: str | None = None
    started_at: float | None = None
    last_refreshed_at: float | None = None
    crashed_at: float | None = None
    cycles: int | None = None
    version: str | None = None


def offline(reason: str, *, misconfigured: bool = False) -> Verdict:
    """Return the verdict on what gives no usable answer. Args are those of `Verdict`."""
    return Verdict(state=State.OFFLINE, reason=reason, misconfigured=misconfigured)


def judge(status: object, *, now: float, max_age: float = MAX_AGE) -> Verdict:
    """Return how the strategy with this `/status` is. Never raises: a stranger may have answered.

    Args:
        status: what the JSON says.
        now: UTC epoch seconds.
        max_age: seconds without progress after which a strategy is stale.
    """
    if not isinstance(status, Mapping) or not isinstance(status.get("executor_running"), bool):
        return offline("the answer is JSON, but no status of an executor", misconfigured=True)
    refreshed, crashed = epoch_seconds(status.get("last_refreshed_at")), epoch_seconds(status.get("crashed_at"))
    if not status["executor_running"]:
        state, reason = State.CRASHED, _failure(status.get("exception"))
    elif refreshed is None:
        state, reason = State.STALE, "it does not say when it made progress last"
    elif now - refreshed > max_age:
        state, reason = State.STALE, f"no progress for {duration(now - refreshed)}"
    else:
        state, reason = State.RUNNING, ""
    warnings = _warnings(status)
    return Verdict(
        state=state,
        reason=reason,
        warnings=tuple(warnings.values()),
        concerns=tuple(warnings),
        executor_id=_word(status.get("executor_id")),
        started_at=epoch_seconds(status.get("started_at")),
        last_refreshed_at=refreshed,
        crashed_at=crashed,
        cycles=_count(status.get("cycles")),
        version=_version(status.get("version")),
    )


def epoch_seconds(value: object) -> float | None:
    """Return a time that a strategy says, in UTC epoch seconds; None for what is no time."""
    # Compared alone: an integer of 400 digits is no float, and whatever makes one of it raises.
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST:
        return float(value)
    return None


def _warnings(status: Mapping[object, object]) -> dict[Concern, str]:
    found = {}
    frozen = _count(status.get("frozen_positions"))
    if frozen:
        found[Concern.FROZEN] = f"{frozen} frozen {plural(frozen, 'position')}"
    gas = status.get("hot_wallet_gas_warning_message")
    if gas is not None:
        said = _word(gas)
        found[Concern.GAS] = f"low gas: {said}" if said else "low gas"
    return found


def _failure(exception: object) -> str:
    message = exception.get("exception_message") if isinstance(exception, Mapping) else None
    return _word(message) or "it does not say why it stopped"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _version(value: object) -> str | None:
    return _word(value.get("tag")) if isinstance(value, Mapping) else None


def _word(value: object) -> str | None:
    """Return a text on one line, None for what is none or says nothing."""
    if not isinstance(value, str) or not value.strip():
        return None
    return clean(clip(" ".join(value.split()), _TEXT))
