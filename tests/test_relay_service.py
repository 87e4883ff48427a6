"""How a worker's service is told to end."""

import threading
import time

import pytest
from children import ended, running

from notify.relay.service import CLOSING, Stop

# Interrupts `wait` at each of its lines in turn, and at those of what it calls.
_INTERRUPTING = """
    from notify.relay.service import Stop

    def interrupted_at(place):
        stop, lines = Stop(), 0

        def trace(frame, event, argument):
            nonlocal lines
            lines += event == "line"
            if lines == place:
                sys.settrace(None)
                signal.raise_signal(signal.SIGTERM)
            return trace

        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
        sys.settrace(trace)
        stop.wait(0.001)
        sys.settrace(None)
        assert stop.is_set() == (lines >= place)
        return stop.is_set()

    place = 1
    while interrupted_at(place):
        place += 1
    say(place - 1 > 3)
"""


@pytest.mark.process
def test_a_signal_may_come_at_any_moment_of_a_wait() -> None:
    with running(_INTERRUPTING) as process:
        said = ended(process, timeout=20)

    assert (said.lines, said.complaints) == (["True"], "")


def test_who_waits_is_told_by_another_thread_and_has_the_time_that_is_promised() -> None:
    stop = Stop()
    other = threading.Timer(0.01, stop.set)
    other.start()

    assert stop.wait(20)
    other.join()

    first = stop.ends_at
    assert CLOSING - 1 < stop.left() <= CLOSING  # a second for a busy machine
    assert first > time.monotonic() + CLOSING - 1
    stop.set()
    assert stop.ends_at == first  # a second signal gives no more time


def test_who_is_not_told_waits_for_as_long_as_he_wants() -> None:
    stop = Stop()

    assert not stop.wait(0.01)
    assert not stop.is_set()
    assert stop.left() > CLOSING
