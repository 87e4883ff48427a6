"""The end of a notifier: `close` and its deadline, signals, forks and the end of the program."""

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from children import ended, running
from lanes import LONG, Hanging, until

from notify.backends.memory import MemoryBackend
from notify.delivery.lane import Lane
from notify.delivery.outbox import Outbox, owner
from notify.delivery.retry import PROBE_INTERVAL
from notify.delivery.ticket import DELIVERED, PENDING
from notify.errors import Gone
from notify.event import Event
from notify.notifier import Notifier
from notify.rules.routing import Route, parse_topics
from notify.testing import FakeClock

pytestmark = pytest.mark.interpreter

# ---- close


def test_closing_delivers_what_waits(backend: MemoryBackend) -> None:
    notifier = Notifier({"memory": backend})
    for number in range(500):
        notifier.notify(str(number))

    notifier.close(LONG)

    assert len(backend.events) == 500
    assert backend.closed
    assert [thread for thread in threading.enumerate() if thread.name.startswith("notify-")] == []


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), None, "1", "soon"])
def test_closing_takes_any_timeout(backend: MemoryBackend, timeout: float) -> None:
    notifier = Notifier({"memory": backend})

    notifier.flush(timeout)
    notifier.close(timeout)

    until(lambda: backend.closed)  # a tenth of a second may be too short for a busy machine


class Interrupted(BaseException):
    """What a signal raises in the middle of a call."""


def interrupt() -> NoReturn:
    raise Interrupted


def test_who_is_interrupted_while_he_closes_has_closed_all_the_same(backend: MemoryBackend) -> None:
    notifier = Notifier({"memory": backend})
    undone: list[str] = []
    notifier.at_close(interrupt)
    notifier.at_close(lambda: undone.append("hook"))

    with pytest.raises(Interrupted):
        notifier.close(LONG)

    assert undone == ["hook"]
    until(lambda: backend.closed and not threads_of_ours())


def test_who_is_interrupted_at_the_end_of_closing_leaves_no_thread_and_no_owner_of_what_is_on_disk(
    backend: MemoryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = Notifier({"memory": backend}, outbox=Outbox(tmp_path / "state"))
    original, interruptions = Lane.stop, [interrupt]

    def stop(lane: Lane) -> None:
        if interruptions:
            interruptions.pop()()
        original(lane)

    monkeypatch.setattr(Lane, "stop", stop)
    with pytest.raises(Interrupted):
        notifier.close(LONG)

    until(lambda: backend.closed and not threads_of_ours())
    assert owner.others(tmp_path / "state", but="").living == frozenset()


def threads_of_ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("notify-")]


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
    assert ticket.wait(LONG) == {"memory": DELIVERED}  # which is known when it returns


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


def test_close_keeps_its_deadline(hanging: Hanging, backend: MemoryBackend) -> None:
    notifier = Notifier({"hanging": hanging, "healthy": backend})
    ticket = notifier.notify("stuck")
    assert hanging.called.wait(LONG)
    until(lambda: ticket.wait(0).get("healthy") == DELIVERED)

    notifier.close(0.01)  # returns, though send() does not

    assert ticket.wait(0) == {"hanging": PENDING, "healthy": DELIVERED}
    assert notifier.stats()["hanging"]["pending"] == 1
    until(lambda: backend.closed)


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


FORKING_WHILE_CLOSING = """if True:
    import faulthandler, os, sys, threading
    from pathlib import Path
    from notify.backends.memory import MemoryBackend
    from notify.delivery.outbox import Outbox, listing
    from notify.notifier import Notifier

    faulthandler.dump_traceback_later(50, exit=True)
    in_close, let = threading.Event(), threading.Event()
    notifier = Notifier({"discord": MemoryBackend(durable=True)}, outbox=Outbox(Path(sys.argv[1])))

    def undo():
        in_close.set()
        let.wait()

    notifier.at_close(undo)
    closing = threading.Thread(target=notifier.close)
    closing.start()
    in_close.wait()
    child = os.fork()
    if not child:
        trade, info = notifier.trade("of the child"), notifier.notify("of the child")
        print(notifier.closed, trade.durable, trade.wait(0), info.wait(0), notifier.flush(20), flush=True)
        print(len(listing.waiting(Path(sys.argv[1]), 10)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    let.set()
    closing.join()
    backend = MemoryBackend(durable=True)
    with Notifier({"discord": backend}, outbox=Outbox(Path(sys.argv[1]))):
        backend.wait_for(1)
    print(backend.messages)
"""


@pytest.mark.process
def test_a_child_forked_while_another_thread_closes_is_closed_and_what_it_says_is_for_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKING_WHILE_CLOSING, str(tmp_path / "state")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=LONG)

    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "True True {'discord': 'pending'} {'discord': 'dropped: closed'} True",
        "1",
        "['of the child']",
    ]


INTERRUPTED = """if True:
    import faulthandler, os, signal, sys
    from pathlib import Path
    from notify.backends.memory import MemoryBackend
    from notify.delivery import comparison, dispatcher, housekeeping, intake, lane, pipeline, tally, ticket, write_ahead
    from notify.delivery.outbox import Outbox
    from notify.notifier import Notifier

    faulthandler.dump_traceback_later(40, exit=True)
    where, what, when, state = sys.argv[1:]
    module, cls, name = where.split(".")
    owner = getattr(globals()[module], cls)
    inner = getattr(owner, name)
    main = __import__("threading").main_thread().ident
    armed = False

    def outer(*args, **more):
        global armed
        hit = armed and __import__("threading").get_ident() == main
        armed = armed and not hit
        if hit and when == "before":
            signal.raise_signal(signal.SIGTERM)
        answer = inner(*args, **more)
        if hit and when == "after":
            signal.raise_signal(signal.SIGTERM)
        return answer

    setattr(owner, name, outer)
    backends = {"discord": MemoryBackend(durable=True), "stdout": MemoryBackend()}
    notifier = Notifier(backends, outbox=Outbox(Path(state)))
    signal.signal(signal.SIGTERM, lambda *_: (notifier.close(2), print("closed", flush=True), os._exit(0)))
    for number in range(20):
        notifier.trade(str(number))
    armed = True
    if what == "full":
        notifier._pipeline.intake.capacity = notifier._pipeline.intake._reserve = 0
        notifier.trade("full")
    elif what == "stats":
        notifier.stats()
    elif what == "adopt":
        notifier.adopt()
    elif what == "wait":
        notifier.notify("wait").wait(1)
    else:
        notifier.trade("now")
    print("not interrupted", flush=True)
    os._exit(1)
"""


@pytest.mark.process
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("pipeline.Pipeline.accept", "trade"),
        ("intake.Intake.accept", "trade"),
        ("intake.Intake.wake", "trade"),
        ("write_ahead.WriteAhead.keep", "trade"),
        ("write_ahead.WriteAhead._watch", "trade"),
        ("intake.Intake._refuse", "full"),
        ("ticket.Ticket.routed", "full"),
        ("ticket.Ticket.wait", "wait"),
        ("tally.Tally.as_stats", "stats"),  # within the lane's locks
        ("lane.Lane.roomy", "adopt"),
        ("lane.Lane.fall_behind", "adopt"),
    ],
)
def test_a_signal_handler_may_close_the_notifier_wherever_it_interrupts_it(
    where: str, what: str, when: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", INTERRUPTED, where, what, when, str(tmp_path / "state")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=LONG)

    assert (run.returncode, run.stdout) == (0, "closed\n"), run.stderr


# ---- forks in the middle of something

A_TICKET_IN_A_CHILD = """
from notify.backends.memory import MemoryBackend
from notify.notifier import Notifier

notifier = Notifier({"memory": MemoryBackend()})
ticket = notifier.trade("of the parent")
ticket.wait(20)
lock, held, let = notifier._pipeline._lock, threading.Event(), threading.Event()

def hold():
    with lock:
        held.set()
        let.wait(20)

if sys.argv[1] == "another thread":
    threading.Thread(target=hold).start()
    held.wait(20)
    child = os.fork()
else:  # as a signal handler that has interrupted it
    with lock:
        child = os.fork()
if not child:
    signal.alarm(20)
    say(ticket.wait(0.1))
    said = notifier.trade("of the child")
    say(said.wait(10))
    os._exit(0)
let.set()
say("ended", os.waitpid(child, 0)[1])
notifier.close()
"""


@pytest.mark.process
@pytest.mark.parametrize("holder", ["another thread", "the one that forks"])
def test_a_ticket_of_the_parent_can_be_waited_for_in_a_child_whoever_held_the_lock_when_it_was_forked(
    holder: str,
) -> None:
    with running(A_TICKET_IN_A_CHILD, arguments=[holder]) as process:
        end = ended(process)

    # An end by the alarm would be 14.
    assert end.lines == ["{'memory': 'delivered'}", "{'memory': 'delivered'}", "ended 0"], end.complaints


FORKED_WHILE_A_LANE_WRITES = """
from pathlib import Path
from notify.backends.memory import MemoryBackend
from notify.notifier import Notifier
from notify.rules.routing import Route

notifier = Notifier({"stdout": MemoryBackend()})  # before anything of the outbox was imported

from notify.delivery.outbox import Outbox

outbox, memory = Outbox(Path(sys.argv[1])), MemoryBackend(durable=True)
notifier.add("discord", memory, Route(), outbox=outbox)
notifier.trade("of the parent")
notifier.flush(20)
held, let = threading.Event(), threading.Event()

def hold():
    with outbox.locks.lanes:
        held.set()
        let.wait(20)

if sys.argv[2] == "slow":  # so that the fork waits for it in vain
    threading.Thread(target=hold).start()
    held.wait(20)
child = os.fork()
if not child:
    signal.alarm(20)
    memory.clear()
    ticket = notifier.trade("of the child")
    # That the disk is out of use may be told, too.
    say(notifier.flush(10), "of the child" in memory.messages, ticket.durable, outbox.broken)
    os._exit(0)
let.set()
say("ended", os.waitpid(child, 0)[1])
notifier.close()
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("disk", "durable", "broken"),
    [("slow", False, "the process was forked in the middle of a write"), ("quick", True, None)],
)
def test_a_child_of_a_notifier_that_is_older_than_the_outbox_delivers(
    tmp_path: Path, disk: str, durable: bool, broken: str | None
) -> None:
    with running(FORKED_WHILE_A_LANE_WRITES, arguments=[tmp_path / "state", disk]) as process:
        end = ended(process)

    assert end.lines == [f"True True {durable} {broken}", "ended 0"], end.complaints
