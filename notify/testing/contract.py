"""The contract of `notify.backend` as a test that a backend's author runs on his class."""

import logging
import time
from collections.abc import Callable, Sequence

from notify.backend import Backend
from notify.errors import DeliveryError
from notify.event import Attachment, Event, ExceptionInfo, Matter, Phase, Source, new_id
from notify.levels import TRADE

_PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x03\x00\x08\xfc\x02\xfe\xa7\x9a\xa0\xa0\x00\x00\x00\x00IEND\xaeB`\x82"
)  # one white pixel


def check_backend(make: Callable[[], Backend], *, secrets: Sequence[str] = ()) -> None:
    """Check that the backends that *make* returns keep the contract of `notify.backend`.

        def test_the_pager_keeps_the_contract():
            check_backend(lambda: Pager(server.url), secrets=[server.token])

    Ordinary and hostile events are sent, one by one and as a batch; each must be delivered or refused in the
    way the contract says, and `close` must work after that.

    Args:
        make: returns a new backend each time, whose destination is a fake that answers well.
        secrets: texts that must show in no error and no `repr`.

    Raises `AssertionError` that names what is broken.
    """
    backend = make()
    assert isinstance(backend, Backend), "it needs the methods send(events) and close()"
    size = getattr(backend, "max_batch", 1)
    assert isinstance(size, int), "max_batch is a number of events"
    assert size >= 1, "max_batch is at least 1"
    for name in ("durable", "folds"):
        assert isinstance(getattr(backend, name, False), bool), f"{name} is True or False"
    _shows_none(secrets, repr(backend), "repr()")

    assert _send(backend, [ordinary_event()], secrets), "an ordinary event was not delivered, though all is well there"
    for event in hostile_events():
        _send(backend, [event], secrets)
    batch = [ordinary_event(f"event {number} of a batch") for number in range(size)]
    while batch:
        batch = batch[_send(backend, batch, secrets) or 1 :]
    _close(backend)
    _close(make())  # a notifier that is closed at once has sent nothing


def ordinary_event(message: str = "Bought 0.25 ETH at 3,450.10 USDC") -> Event:
    """Return an event as a trading program says it."""
    now = time.time()
    return Event(
        id=new_id(now),
        time=now,
        message=message,
        level=TRADE,
        topic="trade",
        body="First section\n…\nSecond section",
        fields={"pair": "ETH-USDC", "price": 3450.10, "slippage": None, "route": ["uniswap", "3000"]},
        attachments=(Attachment("chart.png", _PNG, "image/png"),),
        logger="strategy",
        source=Source("strategy.py", 42, "decide", 4711, "MainThread"),
    )


def hostile_events() -> list[Event]:
    """Return events that are legal and that careless code breaks on."""
    texts = {
        "empty": "",
        "spaces only": " \n\t ",
        "very long": "x" * 300_000,
        "not ASCII": "損益 🚀 " * 5_000,
        "control characters": "\x00\x1b[31mred\x07 a\r\nb \u202eright to left",
        "markup": "``` @everyone <@1> [a](http://b) <b>&amp;</b> %s {} ${x}",
    }
    events = [_event(text, level=logging.ERROR, body=text, fields={name: text}) for name, text in texts.items()]
    events.append(_event("numbers", fields={"wei": 10**24, "nan": float("nan"), "inf": float("inf"), "low": -(2**63)}))
    events.append(_event("many", fields={f"field {number}": "v" * 2000 for number in range(100)}))
    events.append(_event("names", fields={"": 1, "@timestamp": 2, "message": 3, "level": 4, "host": 5, "a.b": 6}))
    events.append(_event("an unknown level", level=17))
    events.append(
        _event(
            "a crash",
            level=logging.CRITICAL,
            topic="crash",
            exception=ExceptionInfo("ValueError", "```", "Traceback\n" + '  File "x.py", line 1\n' * 9_000),
            tail=("12:00:00 INFO strategy: one", "12:00:01 INFO strategy: two"),
        )
    )
    events += [_event(phase.value, level=logging.ERROR, matter=Matter("a1", phase, 412, 1.0, 2.0)) for phase in Phase]
    events.append(_event("files", attachments=(Attachment("../../a b.txt", b""), Attachment("a.bin", bytes(100_000)))))
    return events


def _event(message: str, *, level: int = logging.INFO, **parts: object) -> Event:
    now = time.time()
    return Event(id=new_id(now), time=now, message=message, level=level, **parts)  # type: ignore[arg-type]  # parts of Event


def _send(backend: Backend, events: Sequence[Event], secrets: Sequence[str]) -> int:
    """Return how many were delivered, 0 when the backend refused in the way the contract says."""
    name = events[0].message[:30]
    try:
        count = backend.send(events)
    except (DeliveryError, OSError) as error:
        _shows_none(secrets, f"{error!s} {error!r}", "an error")
        return 0
    except Exception as error:
        raise AssertionError(
            f"send() raised {type(error).__name__} for the event {name!r}; only RetryLater, Rejected, Gone "
            "and OSError say what becomes of an event"
        ) from error
    assert isinstance(count, int), f"send() returns how many events were delivered, not {type(count).__name__}"
    assert 1 <= count <= len(events), f"send() returned {count} for {len(events)} events"
    return count


def _close(backend: Backend) -> None:
    try:
        backend.close()
    except Exception as error:
        raise AssertionError(f"close() raised {type(error).__name__}") from error


def _shows_none(secrets: Sequence[str], text: str, where: str) -> None:
    assert not any(secret in text for secret in secrets), f"{where} shows a secret"
