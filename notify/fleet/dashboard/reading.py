"""What `/status`, `/metadata` and `/logs` say, as what a page shows. A stranger may have answered: never raises."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from notify.duration import duration
from notify.fleet.dashboard.text import exact, line, lines
from notify.fleet.verdict import epoch_seconds

LEVELS: Mapping[str, int] = {"info": 20, "trade": 21, "warning": 30, "error": 40}
"""The filters of the log, by the least number of a level."""

_RECORDS = 500  # the newest records of a log
_MESSAGE = 2000  # code points
_TRACEBACK = 32_768  # code points
_LINES = 400  # of a traceback in `formatted_data`
_FRAMES = 100
_BACKENDS = 50
_INTAKE = "intake"
_OUTBOX = "outbox"
_LONG = 1000  # code points of a description or an exception's message
_LONGEST_LAG = 1e11  # seconds: 3,000 years. What is more has no float, or no end
_TRADE_HIGH = "trade_high"  # weighs as much as a trade whatever its number, which is 51 in some programs


class Fact(NamedTuple):
    """One line of the facts of a run.

    Args:
        name: what it is.
        text: how it is.
        at: the moment that the text is about, in UTC epoch seconds; None: none.
    """

    name: str
    text: str
    at: float | None = None


class Frame(NamedTuple):
    """One frame of a traceback."""

    file: str
    line: str
    function: str


class Delivery(NamedTuple):
    """What a backend of a strategy did.

    Args:
        backend: its name.
        delivered: events, like the other counts.
        retried: as above.
        pending: as above.
        dropped: count and reason of what was dropped.
        last_success_at: UTC epoch seconds.
        last_error: in its words.
    """

    backend: str
    delivered: str
    retried: str
    pending: str
    dropped: str
    last_success_at: float | None
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `/status` says.

    Args:
        failure: message of the exception; empty: there is none.
        frames: its traceback, the outermost first.
        facts: of the run.
        deliveries: by backend; None: it does not say.
    """

    failure: str = ""
    frames: tuple[Frame, ...] = ()
    facts: tuple[Fact, ...] = ()
    deliveries: tuple[Delivery, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What `/metadata` says.

    Args:
        description: in a few words.
        icon_url: where its icon is; empty: it has none.
        tags: and badges.
    """

    description: str = ""
    icon_url: str = ""
    tags: tuple[str, ...] = ()


class Record(NamedTuple):
    """One record of a log.

    Args:
        at: UTC epoch seconds; None: it has no time.
        level: name of its level.
        number: of its level.
        message: may have several lines.
        traceback: empty: there is none.
    """

    at: float | None
    level: str
    number: int
    message: str
    traceback: str


def read_status(status: object) -> Status:
    """Return what the JSON of `/status` says."""
    told = _mapping(status)
    failed = _mapping(told.get("exception"))
    delivery = told.get("delivery")
    return Status(
        failure=lines(_string(failed.get("exception_message")), _LONG),
        frames=tuple(_frames(failed)),
        facts=tuple(_facts(told)),
        deliveries=tuple(_deliveries(delivery)) if isinstance(delivery, Mapping) else None,
    )


def read_metadata(metadata: object) -> Metadata:
    """Return what the JSON of `/metadata` says."""
    told = _mapping(metadata)
    named = [tag for key in ("badges", "tags") for tag in _sequence(told.get(key)) if isinstance(tag, str)]
    return Metadata(
        description=line(_string(told.get("short_description")), _LONG),
        icon_url=_string(told.get("icon_url"))[:2049],  # whoever asks for it refuses more than 2048 characters
        tags=tuple(dict.fromkeys(line(tag, 40) for tag in named[:20])),
    )


def read_records(logs: object) -> tuple[Record, ...]:
    """Return what the JSON of `/logs` says, the newest first. What is no record is left out."""
    newest = _sequence(logs)[-_RECORDS:]
    return tuple(_record(each) for each in reversed(newest) if isinstance(each, Mapping))


def wanted(records: Sequence[Record], level: str) -> tuple[Record, ...]:
    """Return those of *records* that are at least as severe as *level*, one of `LEVELS`."""
    return tuple(record for record in records if record.number >= LEVELS[level])


def traceback_of(failure: str, records: Sequence[Record]) -> str:
    """Return the newest traceback of *records* that has a line of *failure*; empty: there is none.

    One of another failure would tell a lie, and what `/status` has of this one is shown where none is found. The line
    need not be the last: notes of an exception stand below it.
    """
    said = failure.partition(" (caused by ")[0].strip().splitlines()
    found = (record.traceback for record in records if record.number >= LEVELS["error"])
    return next((text for text in found if said and _has_line(text, said[-1])), "")


def _has_line(traceback: str, end: str) -> bool:
    return any(line.rstrip().endswith(end) for line in traceback.splitlines())


def _record(told: Mapping[object, object]) -> Record:
    level = line(_string(told.get("level")) or "?", 20).lower()
    number = told.get("level_number")
    severity = number if isinstance(number, int) and 0 <= number < 1000 else LEVELS.get(level, LEVELS["info"])
    formatted = [_string(each) for each in _sequence(told.get("formatted_data"))[-_LINES:]]
    return Record(
        at=epoch_seconds(told.get("timestamp")),
        level=level,
        number=LEVELS["trade"] if level == _TRADE_HIGH else severity,
        message=lines(_string(told.get("message")), _MESSAGE),
        traceback=lines("".join(each if each.endswith("\n") else f"{each}\n" for each in formatted), _TRACEBACK),
    )


def _frames(failed: Mapping[object, object]) -> Iterator[Frame]:
    for _ in range(_FRAMES):
        code = _mapping(_mapping(failed.get("tb_frame")).get("f_code"))
        if code:
            yield Frame(
                line(code.get("co_filename"), 300), line(failed.get("tb_lineno"), 20), line(code.get("co_name"), 100)
            )
        failed = _mapping(failed.get("tb_next"))
        if not failed:
            return


def _facts(told: Mapping[object, object]) -> Iterator[Fact]:
    version = _mapping(told.get("version"))
    for key, name in (("started_at", "Started"), ("last_refreshed_at", "Last refresh"), ("crashed_at", "Crashed")):
        moment = epoch_seconds(told.get(key))
        if moment is not None:
            yield Fact(name, exact(moment), moment)
    counts = (
        ("cycles", "Cycles"), ("completed_cycle", "Last completed cycle"),
        ("position_trigger_checks", "Position trigger checks"), ("position_revaluations", "Position revaluations"),
        ("frozen_positions", "Frozen positions"),
    )  # fmt: skip
    for key, name in counts:
        count = told.get(key)
        if isinstance(count, int) and not isinstance(count, bool):
            yield Fact(name, f"{count:,}" if abs(count) < 2**63 else "?")
    yield from _said("Executor", told.get("executor_id"))
    yield from _said("Version", version.get("tag"))
    yield from _said(
        "Commit", " ".join(filter(None, map(_string, map(version.get, ("commit_hash", "commit_message")))))
    )
    yield from _said("Hot wallet", told.get("hot_wallet_address"))
    yield from _said("Gas in the hot wallet", _number(told.get("hot_wallet_gas")))
    yield from _said("Gas warning below", _number(told.get("hot_wallet_gas_warning_level")))
    lag = told.get("market_data_feed_lag")
    if isinstance(lag, int | float) and not isinstance(lag, bool) and abs(lag) < _LONGEST_LAG:
        yield Fact("Market data lag", duration(lag))


def _said(name: str, text: object) -> Iterator[Fact]:
    if isinstance(text, str) and text.strip():
        yield Fact(name, line(text))


def _deliveries(delivery: Mapping[object, object]) -> Iterator[Delivery]:
    for backend, counts in list(delivery.items())[:_BACKENDS]:
        told = _mapping(counts)
        if backend == _OUTBOX:
            continue  # stands among the backends, and is none
        dropped = _mapping(told.get("dropped"))
        if backend == _INTAKE and not dropped and not told.get("pending"):
            continue  # what no backend wants is nobody's trouble
        yield Delivery(
            backend=line(backend, 60),
            delivered=_count(told.get("delivered")),
            retried=_count(told.get("retried")),
            pending=_count(told.get("pending")),
            dropped=", ".join(f"{_count(n)} {line(why, 60)}" for why, n in list(dropped.items())[:10] if n) or "0",
            last_success_at=epoch_seconds(told.get("last_success_at")),
            last_error=line(_string(told.get("last_error"))),
        )


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else "–"


def _number(value: object) -> str:
    """Return a number as it is written: trade-executor sends some of them as text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) if isinstance(value, int) and abs(value) < 2**63 else _string(value)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []
