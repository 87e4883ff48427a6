"""Times the steps of an event over TCP one by one, in one thread. Run as a script, this is the program."""

import json
import logging
import time
from collections.abc import Callable
from statistics import median
from types import SimpleNamespace
from typing import Any

from competitors import _say as say
from measure import output

_EVENTS = 2048  # of a round
_ROUNDS = 40
_BATCH = 256  # events, as the dispatcher and the lane take them
_TOGETHER = 64  # documents, as the backend encodes them

Step = tuple[str, Callable[[], object]]


def steps() -> dict[str, float]:
    """Return microseconds for each event by step.

    Raises `subprocess.CalledProcessError` when it does not run.
    """
    return dict(json.loads(output(__file__)))


def _steps() -> list[Step]:
    from notify.backends.logstash.encoding import encode_all
    from notify.backends.logstash.wire import Speaker, version_1
    from notify.capture.handler import IntakeHandler
    from notify.capture.ring import RingBuffer
    from notify.delivery.intake import Intake
    from notify.delivery.queue import LaneQueue, entries_of
    from notify.levels import TRADE
    from notify.rules.redaction import Redactor

    root = logging.getLogger()
    root.setLevel(logging.INFO)
    sees_none: Any = SimpleNamespace(level=logging.CRITICAL + 1)  # of what is said here
    intake = Intake(wake_level=TRADE, keeper=sees_none)
    queue, redactor = LaneQueue(), Redactor(["a known secret"])
    null, ours = logging.NullHandler(), IntakeHandler(intake, RingBuffer())
    speaker = Speaker("strategy", "host", ("python",))
    events, documents = [], []

    def log(handler: logging.Handler) -> None:
        root.handlers[:] = [handler]
        for number in range(_EVENTS):
            say(number)

    def take() -> None:
        events.clear()
        while taken := intake.take(_BATCH):
            events.extend(intake.events_of(taken))

    def redact() -> None:
        events[:] = [event for batch in _batches(events, _BATCH) for event in redactor.events(batch)]

    def wait() -> None:
        weights = [50] * _BATCH  # which the handler has found out
        for batch in _batches(events, _BATCH):
            queue.put(entries_of(batch, weights[: len(batch)]))
            queue.acknowledge(len(queue.take(_BATCH)))

    def document() -> None:
        documents[:] = [part for batch in _batches(events, _TOGETHER) for part in version_1(batch, speaker)]

    def encode() -> None:
        for batch in _batches(documents, _TOGETHER):
            b"\n".join(encode_all(batch, 2**20))

    root.handlers[:] = [ours]
    say(0)  # the first of a log call takes another way
    intake.take(1)
    return [
        ("logging itself, with a NullHandler", lambda: log(null)),
        ("the handler: what is needed is taken", lambda: log(ours)),  # with logging itself, which is taken off below
        ("the dispatcher: an event is made", take),
        ("it is searched for secrets", redact),
        ("it waits in the lane", wait),
        ("the backend: a document is made", document),
        ("it is made JSON", encode),
    ]


def _batches(of: list[object], size: int) -> list[list[object]]:
    return [of[start : start + size] for start in range(0, len(of), size)]


def _main() -> None:
    every = _steps()
    found = {name: [] for name, _ in every}
    for _ in range(_ROUNDS):
        for name, step in every:
            before = time.perf_counter()
            step()
            found[name].append((time.perf_counter() - before) / _EVENTS * 1e6)
    (logs, logging_itself), (ours, both), *rest = ((name, median(times)) for name, times in found.items())
    print(json.dumps([(logs, logging_itself), (ours, both - logging_itself), *rest]))


if __name__ == "__main__":
    _main()
