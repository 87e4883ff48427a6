"""What the delivery itself tells people reaches everyone but the one that it is about."""

import logging
import os
import threading

from lanes import Bench, Gate

from notify.backends.memory import MemoryBackend
from notify.delivery.announcer import Announcer
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock


def announcer(bench: Bench) -> Announcer:
    made = Announcer(bench.clock)
    made.lanes = bench.lanes
    return made


def test_an_announcement_is_an_event_about_ourselves(bench: Bench, clock: FakeClock) -> None:
    backend = MemoryBackend()
    bench.lane(backend)

    announcer(bench).say("The outbox cannot be used.")

    (event,) = backend.wait_for(1)
    assert (event.message, event.level, event.topic) == ("The outbox cannot be used.", logging.WARNING, "alert")
    assert (event.logger, event.time) == ("notify", clock.time())
    assert (event.source.process, event.source.thread) == (os.getpid(), threading.current_thread().name)


def test_everybody_who_wants_it_is_told_but_the_one_that_it_is_about(bench: Bench) -> None:
    backends = [MemoryBackend() for _ in range(3)]
    routes = [Route(), Route(), Route(topics=parse_topics("!alert"))]
    lanes = [bench.lane(backend, route=route) for backend, route in zip(backends, routes, strict=True)]

    announcer(bench).say("lane0 takes no messages any more.", level=logging.ERROR, but_not_to="lane0")

    (event,) = backends[1].wait_for(1)
    assert event.level == logging.ERROR
    assert [lane.stats()["accepted"] for lane in lanes] == [0, 1, 0]


def test_a_destination_that_hangs_holds_up_no_announcement(bench: Bench) -> None:
    gate, healthy = Gate(), MemoryBackend()
    bench.lane(gate)
    bench.lane(healthy)
    speaker = announcer(bench)

    speaker.say("first")
    gate.called.acquire()
    speaker.say("second")

    assert [event.message for event in healthy.wait_for(2)] == ["first", "second"]
    gate.let.release(2)


def test_before_there_are_lanes_nobody_is_told_and_nothing_is_raised(clock: FakeClock) -> None:
    Announcer(clock).say("too early")
