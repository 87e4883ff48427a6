import _thread
import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import pytest

from notify.backends.memory import MemoryBackend
from notify.delivery import dispatcher
from notify.delivery.lane import PROBE_INTERVAL
from notify.delivery.ticket import DELIVERED, Ticket
from notify.errors import ConfigError, Gone
from notify.event import Attachment, Event, new_id
from notify.levels import TRADE
from notify.notifier import Notifier, current_notifier, get_notifier, set_notifier
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock

LONG = 60.0  # seconds; who waits this long has failed


class Hanging:
    """A backend whose `send` returns when it is let, as one does whose destination never answers."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.let = threading.Event()
        self.events: list[Event] = []

    def send(self, events: Sequence[Event], /) -> int:
        self.called.set()
        assert self.let.wait(LONG)
        self.events.extend(events)
        return len(events)

    def close(self) -> None:
        pass


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    backend = Hanging()
    yield backend
    backend.let.set()  # its thread ends, and the fixture that looks for threads sees it end


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(max_batch=100)


@pytest.fixture
def notifier(backend: MemoryBackend) -> Iterator[Notifier]:
    with Notifier({"memory": backend}, routes={"memory": Route(logging.NOTSET)}) as notifier:
        yield notifier


def only(notifier: Notifier, backend: MemoryBackend) -> Event:
    assert notifier.flush(LONG)
    (event,) = backend.events
    return event


# ---- what is said arrives


def test_everything_that_was_passed_is_in_the_event(backend: MemoryBackend) -> None:
    chart = Attachment("chart.png", b"png")
    with Notifier({"memory": backend}, clock=FakeClock(time=1000.0)) as notifier:
        ticket = notifier.notify(
            "Gas is high",
            body="200 gwei",
            level=logging.WARNING,
            topic="gas",
            key="gas price",
            fields={"gwei": 200},
            attachments=[chart],
            exc=ValueError("too high"),
        )
        event = only(notifier, backend)

    assert (event.id, event.time, event.message, event.body) == (ticket.id, 1000.0, "Gas is high", "200 gwei")
    assert (event.level, event.topic, event.key) == (logging.WARNING, "gas", "gas price")
    assert (event.fields, event.attachments) == ({"gwei": 200}, (chart,))
    assert event.exception is not None
    assert event.exception.traceback == "ValueError: too high\n"


def test_an_event_knows_who_said_it(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.notify("here")

    source = only(notifier, backend).source
    assert (source.path, source.function) == (__file__, "test_an_event_knows_who_said_it")
    assert (source.thread, source.line > 0, source.process > 0) == ("MainThread", True, True)


def test_a_trade_is_of_its_level_and_topic_and_knows_who_said_it(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.trade("Bought", fields={"pair": "ETH"}, body="more")

    event = only(notifier, backend)
    assert (event.level, event.topic, event.fields, event.body) == (TRADE, "trade", {"pair": "ETH"}, "more")
    assert event.source.function == "test_a_trade_is_of_its_level_and_topic_and_knows_who_said_it"


def test_a_trade_may_be_of_another_topic(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.trade("Rebalanced", topic="decision")

    assert only(notifier, backend).topic == "decision"


def test_fields_are_what_they_were_when_they_were_said(hanging: Hanging) -> None:
    with Notifier({"slow": hanging}) as notifier:
        fields = {"legs": [1, 2]}
        notifier.notify("Bought", fields=fields)
        fields["legs"].append(3)
        hanging.let.set()
        notifier.flush(LONG)

    assert hanging.events[0].fields == {"legs": [1, 2]}


def test_each_backend_gets_what_its_route_wants() -> None:
    people, machine = MemoryBackend(), MemoryBackend()
    routes = {"people": Route(TRADE, parse_topics("trade"))}
    with Notifier({"people": people, "machine": machine}, routes=routes) as notifier:
        notifier.notify("debug", level=logging.DEBUG)
        notifier.notify("info")
        ticket = notifier.trade("trade")

        assert ticket.wait(LONG) == {"people": DELIVERED, "machine": DELIVERED}
    assert people.messages == ["trade"]
    assert machine.messages == ["info", "trade"]  # INFO and above for who has no route


def test_events_arrive_in_the_order_they_were_said(notifier: Notifier, backend: MemoryBackend) -> None:
    said = [str(number) for number in range(2000)]
    for message in said:
        notifier.notify(message)

    notifier.flush(LONG)
    assert backend.messages == said


def test_nothing_is_lost_when_eight_threads_speak_at_once(notifier: Notifier, backend: MemoryBackend) -> None:
    start = threading.Barrier(8)

    def speak(name: int) -> None:
        start.wait()
        for number in range(250):
            notifier.notify(f"{name} {number}")

    speakers = [threading.Thread(target=speak, args=(name,)) for name in range(8)]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join()

    notifier.flush(LONG)
    assert sorted(backend.messages) == sorted(f"{name} {number}" for name in range(8) for number in range(250))
    for name in range(8):
        own = [message for message in backend.messages if message.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(250)]


# ---- hostile input


class Hostile:
    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = _refuse


class HostileClass:
    @property  # type: ignore[misc]  # that is the point
    def __class__(self) -> NoReturn:  # type: ignore[override]  # that is the point
        raise RuntimeError("no")


def endless_attachments() -> Iterator[Attachment]:
    return itertools.repeat(Attachment("a", b""))


def breaking_attachments() -> Iterator[Attachment]:
    yield Attachment("a", b"")
    raise RuntimeError("no")


def cycle() -> dict[str, object]:
    made: dict[str, object] = {}
    made["self"] = made
    return made


# name: what is passed (made by a function, as pytest would look at the object), and what the event shows of it.
HOSTILE: dict[str, tuple[Callable[[], Any], dict[str, Callable[[], Any]], Callable[[Event], bool]]] = {
    "no string": (lambda: 42, {}, lambda event: event.message == "42"),
    "nothing": (lambda: None, {}, lambda event: event.message == "None"),
    "a message that cannot be printed": (Hostile, {}, lambda event: "unprintable Hostile" in event.message),
    "a message without a class": (HostileClass, {}, lambda event: "HostileClass" in event.message),
    "a huge number": (lambda: 10**5000, {}, lambda event: event.message.startswith("0x")),
    "a lone surrogate": (lambda: "\ud800", {}, lambda event: event.message == r"\ud800"),
    "a body that cannot be printed": (str, {"body": Hostile}, lambda event: "unprintable" in event.body),
    "surrogates everywhere": (
        str,
        {"body": lambda: "\ud800", "topic": lambda: "\ud800", "key": lambda: "\ud800", "fields": lambda: {"\ud800": 1}},
        lambda event: (event.body, event.topic, event.key, list(event.fields)) == (r"\ud800",) * 3 + ([r"\ud800"],),
    ),
    "a level in words": (
        str,
        {"level": lambda: "loud"},
        lambda event: (event.level, event.fields) == (logging.INFO, {"level": "loud"}),
    ),
    "no level": (str, {"level": lambda: None}, lambda event: event.level == logging.INFO),
    "a level of no number": (str, {"level": lambda: float("nan")}, lambda event: "level" in event.fields),
    "a level without a class": (str, {"level": HostileClass}, lambda event: "RuntimeError" in str(event.fields)),
    "a topic of no string": (str, {"topic": lambda: ["gas"]}, lambda event: event.topic == "['gas']"),
    "a key that cannot be printed": (str, {"key": Hostile}, lambda event: "unprintable" in str(event.key)),
    "a cycle": (str, {"fields": cycle}, lambda event: "<cycle>" in str(event.fields)),
    "not a number": (str, {"fields": lambda: {"x": float("nan")}}, lambda event: "x" in event.fields),
    "hostile values": (
        str,
        {"fields": lambda: {"x": Hostile(), "y": 10**5000, 3: HostileClass()}},
        lambda event: {"x", "y", "3"} == set(event.fields),
    ),
    "fields that are a list": (str, {"fields": lambda: [1, 2]}, lambda event: event.fields == {"fields": [1, 2]}),
    "fields without a truth": (str, {"fields": Hostile}, lambda event: "unprintable" in str(event.fields)),
    "attachments that are none": (
        str,
        {"attachments": lambda: ["chart.png", Attachment("a", b"")]},
        lambda event: len(event.attachments) == 1 and "1 of 2" in str(event.fields["attachments"]),
    ),
    "one attachment, not a list": (
        str,
        {"attachments": lambda: Attachment("a", b"")},
        lambda event: event.attachments == (Attachment("a", b""),) and not event.fields,
    ),
    "no attachments": (str, {"attachments": lambda: None}, lambda event: not event.fields),
    "a number as attachments": (str, {"attachments": lambda: 7}, lambda event: "TypeError" in str(event.fields)),
    "a path as attachments": (str, {"attachments": lambda: "a.png"}, lambda event: "5 of 5" in str(event.fields)),
    "endless attachments": (
        str,
        {"attachments": endless_attachments},
        lambda event: len(event.attachments) == 100 and "too many" in str(event.fields),
    ),
    "attachments that break": (
        str,
        {"attachments": breaking_attachments},
        lambda event: "RuntimeError" in str(event.fields),
    ),
    "an exception that is none": (str, {"exc": lambda: "error"}, lambda event: event.fields == {"exc": "error"}),
    "an exception class": (str, {"exc": lambda: ValueError}, lambda event: "ValueError" in str(event.fields)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_arrives_and_is_marked(notifier: Notifier, backend: MemoryBackend, name: str) -> None:
    message, parts, is_marked = HOSTILE[name]

    ticket = notifier.notify(message(), **{part: make() for part, make in parts.items()})

    event = only(notifier, backend)
    assert event.id == ticket.id
    assert is_marked(event), event


def test_a_trade_with_a_misspelt_argument_arrives_too(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.trade("Bought", felds={"pair": "ETH"})  # type: ignore[call-arg]  # that is the point

    event = only(notifier, backend)
    assert (event.message, event.level) == ("Bought", TRADE)
    assert "TypeError" in str(event.fields)


def test_what_is_said_by_no_python_frame_arrives(notifier: Notifier, backend: MemoryBackend) -> None:
    _thread.start_new_thread(notifier.notify, ("from C",))  # the only frame of its thread

    (event,) = backend.wait_for(1)

    assert (event.message, event.source.path, event.source.line) == ("from C", "", 0)


def test_the_name_of_a_thread_is_made_valid(notifier: Notifier, backend: MemoryBackend) -> None:
    thread = threading.Thread(target=notifier.notify, args=("x",), name="\ud800")
    thread.start()
    thread.join()

    assert only(notifier, backend).source.thread == r"\ud800"


@pytest.mark.parametrize("odd", [{"level": "ERROR"}, {"level": None}])
def test_an_event_of_odd_types_is_refused_without_an_exception(
    notifier: Notifier, backend: MemoryBackend, internal_errors: list[str], odd: dict[str, Any]
) -> None:
    event = Event(**{"id": new_id(0), "time": 0.0, "message": "odd", "level": 20, **odd})

    assert notifier.accept(event).wait(LONG) == {}
    assert internal_errors == ["draft"]
    assert notifier.notify("next").wait(LONG) == {"memory": DELIVERED}


# ---- a destination that hangs


def test_calls_return_while_a_destination_hangs(hanging: Hanging) -> None:
    with Notifier({"hanging": hanging}) as notifier:
        notifier.notify("stuck")
        assert hanging.called.wait(LONG)

        tickets = [notifier.notify(str(number)) for number in range(1000)]
        notifier.handler.handle(logging.makeLogRecord({"msg": "logged", "levelno": logging.ERROR}))

        assert notifier.stats()["hanging"]["delivered"] == 0
        hanging.let.set()
        assert tickets[-1].wait(LONG) == {"hanging": DELIVERED}


def test_a_destination_that_hangs_delays_no_other(hanging: Hanging, backend: MemoryBackend) -> None:
    with Notifier({"hanging": hanging, "healthy": backend}) as notifier:
        first = notifier.notify("first")
        assert hanging.called.wait(LONG)
        notifier.notify("second")

        assert [event.message for event in backend.wait_for(2)] == ["first", "second"]
        assert first.wait(0) == {"hanging": "pending", "healthy": DELIVERED}
        hanging.let.set()


def test_flush_keeps_its_deadline(hanging: Hanging) -> None:
    with Notifier({"hanging": hanging}) as notifier:
        notifier.notify("stuck")
        assert hanging.called.wait(LONG)

        assert not notifier.flush(0.01)
        assert not notifier.flush(0)
        hanging.let.set()
        assert notifier.flush(float("inf"))


def test_close_keeps_its_deadline(hanging: Hanging, backend: MemoryBackend) -> None:
    notifier = Notifier({"hanging": hanging, "healthy": backend})
    ticket = notifier.notify("stuck")
    assert hanging.called.wait(LONG)

    notifier.close(0.01)  # returns, though send() does not

    assert ticket.wait(0) == {"hanging": "dropped: closed", "healthy": DELIVERED}
    assert notifier.stats()["hanging"]["dropped"] == {"closed": 1}
    assert backend.closed


# ---- flush


def test_flush_is_true_when_everything_is_delivered(notifier: Notifier, backend: MemoryBackend) -> None:
    tickets = [notifier.notify(str(number)) for number in range(500)]

    assert notifier.flush(LONG)
    assert len(backend.events) == 500
    assert all(ticket.wait(0) == {"memory": DELIVERED} for ticket in tickets)


def test_flush_of_a_notifier_that_was_told_nothing_is_true_at_once(notifier: Notifier) -> None:
    assert notifier.flush(LONG)


def test_flush_does_not_wait_for_the_dispatchers_next_look(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_LOOK_EVERY", 10 * LONG)
    with Notifier({"memory": backend}) as notifier:
        for number in range(100):
            notifier.notify(str(number))  # below TRADE: wakes nobody
            assert notifier.flush(LONG)
            assert len(backend.events) == number + 1


# ---- close


def test_closing_delivers_what_waits(backend: MemoryBackend) -> None:
    notifier = Notifier({"memory": backend})
    for number in range(500):
        notifier.notify(str(number))

    notifier.close(LONG)

    assert len(backend.events) == 500
    assert backend.closed
    assert [thread for thread in threading.enumerate() if thread.name.startswith("notify-")] == []


@pytest.mark.parametrize("timeout", [0, -1, float("inf")])
def test_closing_takes_any_timeout(backend: MemoryBackend, timeout: float) -> None:
    Notifier({"memory": backend}).close(timeout)

    assert backend.closed


def test_closing_twice_is_closing_once(backend: MemoryBackend) -> None:
    notifier = Notifier({"memory": backend})
    undone: list[str] = []
    notifier.at_close(lambda: undone.append("hook"))

    notifier.close()
    notifier.close()

    assert undone == ["hook"]


def test_what_is_said_after_the_end_is_told_as_dropped(
    backend: MemoryBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    notifier = Notifier({"memory": backend, "gas": MemoryBackend()}, routes={"gas": Route(topics=parse_topics("gas"))})
    notifier.close()

    ticket = notifier.notify("too late", level=logging.CRITICAL)
    notifier.handler.handle(logging.makeLogRecord({"msg": "logged", "levelno": logging.ERROR}))
    notifier.trade("too late")

    assert ticket.wait(LONG) == {"memory": "dropped: closed"}
    assert notifier.flush(LONG)
    assert backend.events == []
    assert "an event was dropped: closed" in capsys.readouterr().err


def test_what_does_not_fit_the_intake_is_told_as_dropped(notifier: Notifier) -> None:
    notifier._pipeline.intake.capacity = 0

    assert notifier.notify("too much").wait(LONG) == {"memory": "dropped: intake full"}


def test_close_may_be_interrupted_by_close(backend: MemoryBackend) -> None:
    notifier = Notifier({"memory": backend})
    notifier.at_close(lambda: notifier.close(10 * LONG))  # as a signal handler in the middle of the other would

    notifier.close()

    assert backend.closed


def test_a_backend_may_close_the_notifier_it_serves() -> None:
    notifiers: list[Notifier] = []
    closed = threading.Event()

    def send(events: Sequence[Event]) -> int:
        notifiers[0].close(0.01)
        closed.set()
        return 1

    backend = MemoryBackend()
    backend.send = send  # type: ignore[method-assign]  # that is the point
    notifiers.append(Notifier({"memory": backend}))

    ticket = notifiers[0].notify("x")

    assert closed.wait(LONG)
    assert ticket.wait(LONG) == {"memory": "dropped: closed"}


def test_a_second_thread_that_closes_waits_for_the_first_no_longer_than_it_is_told(hanging: Hanging) -> None:
    notifier = Notifier({"hanging": hanging})
    notifier.notify("stuck")
    assert hanging.called.wait(LONG)
    in_close = threading.Event()
    notifier.at_close(in_close.set)
    first = threading.Thread(target=notifier.close, args=(LONG,))
    first.start()
    assert in_close.wait(LONG)

    notifier.close(0.01)  # returns, though the first does not

    assert first.is_alive()
    hanging.let.set()
    first.join()


def test_what_cannot_be_undone_does_not_keep_events_from_being_delivered(
    backend: MemoryBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("no")

    undone: list[str] = []
    notifier = Notifier({"memory": backend})
    notifier.at_close(broken)
    notifier.at_close(lambda: undone.append("next"))
    notifier.notify("last words")

    notifier.close()

    assert (backend.messages, undone) == (["last words"], ["next"])
    assert "could not be undone: RuntimeError" in capsys.readouterr().err


def test_a_notifier_is_a_context_that_closes_itself(backend: MemoryBackend) -> None:
    def program() -> None:
        with Notifier({"memory": backend}) as notifier:
            notifier.notify("before the end")
            raise ValueError("the program's")

    with pytest.raises(ValueError, match="the program's"):
        program()

    assert backend.messages == ["before the end"]
    assert backend.closed


# ---- the rest


def test_stats_are_by_backend(notifier: Notifier) -> None:
    notifier.notify("x").wait(LONG)

    stats = notifier.stats()

    assert list(stats) == ["memory"]
    assert stats["memory"]["delivered"] == 1


def test_a_notifier_names_its_backends_and_nothing_else(notifier: Notifier) -> None:
    assert repr(notifier) == "Notifier(memory)"


def test_attaching_puts_the_handler_on_the_root_logger_or_another(notifier: Notifier, backend: MemoryBackend) -> None:
    other = logging.getLogger("attached")
    other.propagate = False
    notifier.attach()
    notifier.attach(other)

    logging.getLogger("anyone").warning("to the root")
    other.warning("to the other")

    notifier.flush(LONG)
    assert backend.messages == ["to the root", "to the other"]
    other.handlers.clear()
    other.propagate = True


def test_there_is_no_notifier_before_one_was_made(notifier: Notifier) -> None:
    assert current_notifier() is None
    with pytest.raises(ConfigError, match=r"call notify\.setup"):
        get_notifier()

    set_notifier(notifier)

    assert get_notifier() is current_notifier() is notifier


def test_a_ticket_comes_at_once_and_is_not_durable(notifier: Notifier) -> None:
    ticket = notifier.notify("x")

    assert isinstance(ticket, Ticket)
    assert not ticket.durable


# ---- signals and the end of the program


def run(script: str) -> str:
    command = [sys.executable, "-X", "faulthandler", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


@pytest.mark.process
def test_a_signal_handler_that_notifies_never_blocks_the_program() -> None:
    script = """if True:
        import faulthandler, logging, signal, threading
        from notify.backends.memory import MemoryBackend
        from notify.notifier import Notifier

        faulthandler.dump_traceback_later(60, exit=True)
        SIGNALS = 2000
        backend = MemoryBackend(max_batch=100)
        notifier = Notifier({"memory": backend})
        notifier.attach()
        handled = 0

        def handle(number, frame):
            global handled
            handled += 1
            notifier.notify("from the handler", level=logging.ERROR)
            logging.error("logged by the handler")

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        said = 0
        while handled < SIGNALS:  # the signals fall anywhere into these
            notifier.notify("from the program", level=logging.ERROR).wait(0.0001)
            logging.error("logged by the program")
            notifier.flush(0.0001)
            notifier.stats()
            said += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert notifier.flush(30)
        notifier.close()
        counts = {message: backend.messages.count(message) for message in set(backend.messages)}
        assert counts == {
            "from the handler": handled,
            "logged by the handler": handled,
            "from the program": said,
            "logged by the program": said,
        }, (counts, handled, said)
        print("all arrived")
    """

    assert run(script) == "all arrived\n"


@pytest.mark.process
def test_a_signal_handler_may_close_what_is_being_closed() -> None:
    script = """if True:
        import faulthandler, os, signal, threading
        from notify.backends.memory import MemoryBackend
        from notify.notifier import Notifier

        faulthandler.dump_traceback_later(60, exit=True)
        in_send, let = threading.Event(), threading.Event()

        class Slow(MemoryBackend):
            def send(self, events, /):
                in_send.set()
                let.wait()
                return super().send(events)

        backend = Slow()
        notifier = Notifier({"slow": backend})

        def handle(number, frame):
            notifier.close(600)
            let.set()

        signal.signal(signal.SIGTERM, handle)
        notifier.notify("x")
        in_send.wait()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        notifier.close(30)  # waits for send() when the signal comes
        print(backend.messages, backend.closed)
    """

    assert run(script) == "['x'] True\n"


@pytest.mark.process
def test_what_is_said_at_exit_arrives() -> None:
    script = """if True:
        import atexit
        from notify.backends.function import FunctionBackend
        from notify.notifier import Notifier

        notifier = Notifier({"stdout": FunctionBackend(lambda event: print(event.message, flush=True))})
        atexit.register(notifier.close)
        atexit.register(notifier.notify, "goodbye")  # runs first; no Python frame calls it
    """

    assert run(script) == "goodbye\n"


def test_close_does_not_wait_for_an_attempt_that_is_due_after_its_deadline():
    clock = FakeClock()
    notifier = Notifier({"gone": MemoryBackend(fail_with=[Gone("deleted")])}, clock=clock)
    ticket = notifier.notify("a")
    assert clock.next_wait() == PROBE_INTERVAL
    began = threading.Event()

    # A minute is what it would wait otherwise; the fixture that looks for threads left over would not.
    closing = threading.Thread(target=lambda: (began.set(), notifier.close(timeout=60)))
    closing.start()
    closing.join(timeout=30)

    assert not closing.is_alive()
    assert ticket.wait(0) == {"gone": "dropped: closed"}


def test_a_level_may_be_given_by_name(notifier: Notifier, backend: MemoryBackend) -> None:
    notifier.notify("a", level="error")  # type: ignore[arg-type]  # what a program in a hurry writes

    assert [event.level for event in backend.wait_for(1)] == [logging.ERROR]


def test_what_did_not_fit_the_intake_is_counted(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "intake" not in notifier.stats()
    monkeypatch.setattr(notifier._pipeline.intake, "capacity", 0)

    notifier.notify("a")

    assert notifier.stats()["intake"]["dropped"] == {"intake full": 1}


FORKING = """if True:
    import faulthandler, logging, os, threading
    from notify.backends.function import FunctionBackend
    from notify.notifier import Notifier

    faulthandler.dump_traceback_later(50, exit=True)  # a child that hangs shows where

    def say(event):
        os.write(1, f"{os.getpid()} {event.message}\\n".encode())

    notifier = Notifier({"pipe": FunctionBackend(say)})
    notifier.attach()
    logging.getLogger().setLevel(logging.INFO)
    stop = threading.Event()

    def chatter():
        while not stop.wait(0.0001):
            logging.info("of %d", os.getpid())

    talker = threading.Thread(target=chatter)
    talker.start()
    codes = []
    for _ in range(30):
        child = os.fork()
        if not child:
            ticket = notifier.notify(f"of {os.getpid()}")
            ok = ticket.wait(20) == {"pipe": "delivered"} and notifier.flush(20)
            os._exit(0 if ok else 1)
        codes.append(os.waitpid(child, 0)[1])
    stop.set()
    talker.join()
    notifier.close()
    assert codes == [0] * 30, codes
"""


@pytest.mark.process
def test_a_forked_child_is_heard_and_says_nothing_of_its_parents() -> None:
    # Thirty times, while another thread of the parent never stops logging: some of these forks find locks taken.
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=LONG)

    said = [line.split(" of ") for line in run.stdout.splitlines()]
    assert run.returncode == 0, run.stderr
    assert len({speaker for speaker, _ in said}) == 31  # the parent and thirty children
    assert [(speaker, of) for speaker, of in said if speaker != of] == []
