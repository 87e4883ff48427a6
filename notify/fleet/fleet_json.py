"""What is known of a fleet as JSON, and back."""

import json
from collections.abc import Mapping

from notify.clip import clip
from notify.fleet.matter import Matter
from notify.fleet.outages import LOOKS, Fleet, Known
from notify.fleet.verdict import Concern
from notify.plain import clean

_VERSION = 1
_NAME = 200  # code points, as of the list
_FRESH = 600.0  # seconds after which a failed look that was not told yet says nothing any more
_FAR = 1e15  # seconds: no clock has them, and what is more may be no float
_MOST = 100  # times of one matter; it keeps a tenth of that


class NewerVersion(ValueError):
    """A later version of this package wrote it."""


def encode(fleet: Fleet) -> bytes:
    """Return *fleet* as one JSON document."""
    said = {
        "version": _VERSION,
        "problems": list(fleet.problems),
        "network": _matter_said(fleet.network),
        "strategies": {
            name: {
                "name": known.name,
                "silent": known.silent,
                "down": _matter_said(known.down),
                "concerns": {concern: _matter_said(matter) for concern, matter in known.concerns.items()},
            }
            for name, known in fleet.known.items()
        },
    }
    return json.dumps(said).encode()


def decode(data: bytes, *, now: float) -> Fleet:
    """Return what *data* says.

    Failed looks that nobody was told of are forgotten when they are older than ten minutes: there were none since, and
    two in a row are to be told.

    Args:
        data: of `encode`, or anything else.
        now: UTC epoch seconds.

    Raises `NewerVersion`, and `ValueError` when it is damaged.
    """
    try:
        said = json.loads(data)
    except RecursionError:
        raise ValueError("damaged") from None
    version = _mapping(said).get("version")
    if type(version) is int and version > _VERSION:
        raise NewerVersion("written by a later version")
    if version != _VERSION:
        raise ValueError("damaged")
    known = {name: _known(_mapping(each), now) for name, each in _mapping(said.get("strategies")).items()}
    problems = said.get("problems")
    if not isinstance(problems, list) or not all(isinstance(each, str) for each in problems):
        raise ValueError("damaged")
    known = {name: each for name, each in known.items() if each.is_worth_knowing}
    return Fleet(known, _matter(said.get("network")), tuple(problems))


def _matter_said(matter: Matter) -> list[object]:
    return [matter.failures, matter.since, matter.told_at, matter.well_since, list(matter.told)]


def _known(said: Mapping[str, object], now: float) -> Known:
    name, silent = said.get("name"), said.get("silent")
    if not isinstance(name, str) or not isinstance(silent, bool):
        raise ValueError("damaged")
    down = _matter(said.get("down"))
    if down.told_at is None and down.since is not None and abs(now - down.since) > _FRESH:
        down, silent = Matter(told=down.told), False
    concerns = {Concern(what): _matter(each) for what, each in _mapping(said.get("concerns")).items()}
    return Known(clean(clip(name, _NAME)), silent, down, concerns)


def _matter(said: object) -> Matter:
    match said:
        case [int() as failures, since, told_at, well_since, [*told]] if 0 <= failures <= LOOKS and len(told) <= _MOST:
            began = _time(since)
            if (began is None) is not (failures == 0) or (began is None and (told_at, well_since) != (None, None)):
                raise ValueError("damaged")
            return Matter(failures, began, _time(told_at), _time(well_since), tuple(map(_sure_time, told)))
    raise ValueError("damaged")


def _time(said: object) -> float | None:
    return None if said is None else _sure_time(said)


def _sure_time(said: object) -> float:
    if type(said) not in (int, float) or not abs(said) < _FAR:  # type: ignore[arg-type]  # it is a number by then
        raise ValueError("damaged")
    return said  # type: ignore[return-value]  # as above


def _mapping(said: object) -> Mapping[str, object]:
    if not isinstance(said, dict):
        raise ValueError("damaged")
    return said
