"""Severity: logging's levels, and the two that a trading program adds to them."""

import logging
from typing import Any

_TRADE = 21
_TRADE_HIGH = 22

# trade-executor registers TRADE_HIGH above CRITICAL (51) in some commands and as 22 in others.
# It says "decision", not "emergency", so it weighs as much as a trade whatever its number.
_DECISION_SEVERITY = 22


def _trade(self: logging.Logger, msg: object, *args: object, **kwargs: Any) -> None:
    """Log *msg* at TRADE: something was bought or sold."""
    if self.isEnabledFor(TRADE):
        self._log(TRADE, msg, args, **_one_frame_up(kwargs))


def _trade_high(self: logging.Logger, msg: object, *args: object, **kwargs: Any) -> None:
    """Log *msg* at TRADE_HIGH: the outcome of a decision."""
    level: int = getattr(logging, "TRADE_HIGH")  # noqa: B009 - the number in force, which no stub knows
    if self.isEnabledFor(level):
        self._log(level, msg, args, **_one_frame_up(kwargs))


def _one_frame_up(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1}


def _register(name: str, number: int, method: object) -> int:
    """Add one level to logging unless the program has done so, and return the number in force."""
    registered = getattr(logging, name, None)
    if registered is None:
        registered = logging.getLevelName(name)  # a number if the program only called addLevelName()
    if not isinstance(registered, int):
        registered = number
    if logging.getLevelName(registered) != name:
        logging.addLevelName(registered, name)
    if not hasattr(logging, name):
        setattr(logging, name, registered)
    if not hasattr(logging.Logger, name.lower()):
        setattr(logging.Logger, name.lower(), method)
    return registered


TRADE: int = _register("TRADE", _TRADE, _trade)
TRADE_HIGH: int = _register("TRADE_HIGH", _TRADE_HIGH, _trade_high)


def number_trade_high(level: int) -> None:
    """Have logging use *level* for TRADE_HIGH from now on. Records of the number before are as good as ever."""
    logging.addLevelName(level, "TRADE_HIGH")
    logging.TRADE_HIGH = level  # type: ignore[attr-defined]  # ours
    logging.Logger.trade_high = _trade_high  # type: ignore[attr-defined]  # ours


def level_name(level: int) -> str:
    """Return the name of *level* as logging knows it, `Level 23` for a number without one."""
    return logging.getLevelName(level)


def severity(level: int) -> int:
    """Return how grave *level* is, in logging's numbers.

    The same number, except for TRADE_HIGH, which some programs register above CRITICAL so that a
    threshold selects it: wherever it is, it is graded just above TRADE.
    """
    # Above CRITICAL the name is asked for: the program may have registered it after this module was imported.
    if level == TRADE_HIGH or (level > logging.CRITICAL and logging.getLevelName(level) == "TRADE_HIGH"):
        return _DECISION_SEVERITY
    return level


def parse_level(text: str) -> int:
    """Return the number of a level given by name (any case) or number.

    Raises `ValueError`, without the text, when it is neither.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    number = logging.getLevelName(text.upper())
    if isinstance(number, int):
        return number
    raise ValueError("not a level; use DEBUG, INFO, TRADE, TRADE_HIGH, WARNING, ERROR, CRITICAL or a number")
