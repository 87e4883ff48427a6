"""Rows 4, 5, 6, 20 and 21 of the fault model: signals that end a program, and calls from where little is allowed."""

import signal
import subprocess
from pathlib import Path

import pytest
from children import ended, wait_for
from outboxes import everything_in
from traders import KILLED, REQUESTS, SAY_TRADES, TRADES, delivered_by_the_next_start, titles, trader

from notify.testing.fake_discord import HANG, FakeDiscord

pytestmark = pytest.mark.interpreter

IN_TIME = 8.0  # seconds from a signal to the end: 5 are allowed, and two busy cores may need the rest

# Python forgets that it was Ctrl-C, and ends with 1, when another thread compiles something at that moment.
CTRL_C = (-signal.SIGINT, 1)


# ---- 4: SIGTERM


@pytest.mark.process
def test_fault_04_sigterm_is_announced_and_what_waits_is_delivered(state: Path) -> None:
    with (
        FakeDiscord() as discord,
        trader(SAY_TRADES, "say('ready')\nidle()", state=state, discord=discord) as process,
    ):
        wait_for(process, "ready")
        process.terminate()
        code = process.wait(IN_TIME)

        assert code == -signal.SIGTERM
        assert titles(discord) == [*TRADES, "Told to stop: SIGTERM"]

    assert delivered_by_the_next_start(state) == []


@pytest.mark.process
def test_fault_04_sigterm_ends_the_process_also_when_discord_hangs_and_nothing_is_lost(state: Path) -> None:
    with (
        FakeDiscord() as discord,
        trader(SAY_TRADES, "say('ready')\nidle()", state=state, discord=discord) as process,
    ):
        discord.answer_with(*[HANG] * REQUESTS)
        wait_for(process, "ready")
        process.terminate()

        assert process.wait(IN_TIME) == -signal.SIGTERM
        assert titles(discord) == []

    assert delivered_by_the_next_start(state) == [*TRADES, "Told to stop: SIGTERM"]


@pytest.mark.process
def test_fault_04_sigterm_ends_the_process_also_when_a_hundred_destinations_hang() -> None:
    with trader(
        """
        # A tenth of a second for each of the hundred in turn would be ten seconds.
        notifier = set_up(**{f"hanging_{number}": lambda event: threading.Event().wait() for number in range(100)})
        notifier.trade("Bought 1 ETH")
        say("ready")
        idle()
        """
    ) as process:
        wait_for(process, "ready")
        process.terminate()

        assert process.wait(IN_TIME) == -signal.SIGTERM


# ---- 5: SIGTERM, whatever the main thread is doing


@pytest.mark.process
@pytest.mark.parametrize(
    "busy",
    [
        "time.sleep(60)",
        "lock.acquire()",
        "lock.acquire(timeout=60)",
        "threading.Event().wait()",
        "thread.join()",
        "notifier.flush(60)",
        "notifier.notify('never settled').wait(60)",
        # 2 ** 60 steps in C, where no other thread gets to say that it is ready, but which looks for signals.
        "say('ready'); re.match('(a+)+$', 'a' * 60 + 'b')",
        "while True: notifier.trade('again')",
    ],
)
def test_fault_05_sigterm_is_announced_whatever_the_main_thread_waits_for(busy: str) -> None:
    with trader(
        f"""
        import re
        from notify.crash import signals

        # Seconds: the hanging destination is not what this is about, but one that says more and more has to catch up.
        signals._DELIVERY = {3.0 if "again" in busy else 0.5}
        notifier = set_up(hanging=lambda event: threading.Event().wait(), works=lambda event: say(event.message))
        notifier.notify("hangs")
        lock = threading.Lock()
        lock.acquire()
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        threading.Timer(0.2, say, ["ready"]).start()  # seconds: when it waits
        {busy}
        """
    ) as process:
        wait_for(process, "ready")
        process.terminate()
        said, _, code = ended(process, IN_TIME)

    assert code == -signal.SIGTERM
    assert "Told to stop: SIGTERM" in said


@pytest.mark.process
def test_fault_05_sigterm_ends_the_process_also_when_the_main_thread_holds_a_lock_that_the_delivery_needs() -> None:
    with trader(
        """
        lock = threading.Lock()  # of the program's, which its destination takes too

        def destination(event):
            with lock:
                say(event.message)

        set_up(destination=destination)
        with lock:
            say("ready")
            idle()
        """
    ) as process:
        wait_for(process, "ready")
        process.terminate()

        assert process.wait(IN_TIME) == -signal.SIGTERM


@pytest.mark.process
def test_fault_05_what_was_said_before_a_long_call_into_c_survives_the_sigkill_that_ends_it(state: Path) -> None:
    with (
        FakeDiscord() as discord,
        trader(
            SAY_TRADES,
            # It never ends and never looks for signals, nor does it between the line and the end that does not come.
            "from itertools import chain, repeat\n"
            r'sum(chain(map(os.write, [1], [b"ready\n"]), repeat(0)))',
            state=state,
            discord=discord,
        ) as process,
    ):
        discord.answer_with(*[HANG] * REQUESTS)
        wait_for(process, "ready")
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):  # no line of Python runs: nothing of ours can help
            process.wait(1)
        process.kill()
        process.wait()  # it is killed

        assert titles(discord) == []

    assert delivered_by_the_next_start(state) == [*TRADES, KILLED]


# ---- 6: SIGINT twice


@pytest.mark.process
def test_fault_06_a_second_ctrl_c_ends_the_process_at_once() -> None:
    with trader(
        """
        notifier = set_up(hanging=lambda event: threading.Event().wait())
        try:
            say("ready")
            idle()
        except KeyboardInterrupt:
            say("closing")
            notifier.close(1000)  # so that nothing but the second signal ends it
        """
    ) as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGINT)
        wait_for(process, "closing")
        process.send_signal(signal.SIGINT)
        code = ended(process).code

    assert code in CTRL_C


@pytest.mark.process
def test_fault_06_a_program_that_goes_on_after_ctrl_c_is_interrupted_each_time_and_announced_once() -> None:
    with trader(
        """
        arrived = []
        notifier = set_up(works=lambda event: arrived.append(event.message))
        for attempt in range(2):
            try:
                say("ready")
                idle()
            except KeyboardInterrupt:
                say("interrupted")
        notifier.flush(20)
        say(*arrived)
        """
    ) as process:
        for _ in range(2):
            wait_for(process, "ready")
            process.send_signal(signal.SIGINT)
            wait_for(process, "interrupted")
        said, complaints, code = ended(process)

    assert said == ["Told to stop: SIGINT"]
    assert (code, complaints) == (0, "")


# ---- 20: notify() in a signal handler


@pytest.mark.process
def test_fault_20_notify_in_signal_handlers_neither_hangs_nor_loses_anything(
    request: pytest.FixtureRequest, state: Path
) -> None:
    count = int(request.config.getoption("--signals", default=2000))
    with trader(
        f"""
        import faulthandler
        from itertools import count
        from random import uniform
        from notify.backends.memory import MemoryBackend

        SIGNALS, WATCHDOG = {count}, 8  # seconds without a step forward are a deadlock

        memory = MemoryBackend(durable=True, max_batch=100)
        notifier = set_up(memory=memory)
        handled, durable = 0, []

        def handler(signum, frame):
            global handled
            durable.append(notifier.trade(f"signal {{handled}}").durable)
            handled += 1
            if handled < SIGNALS:
                signal.setitimer(signal.ITIMER_REAL, uniform(0.00001, 0.0005))  # seconds until the next

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        said = 0
        while handled < SIGNALS:  # each part of ours is interrupted sooner or later
            faulthandler.dump_traceback_later(WATCHDOG, exit=True)
            notifier.notify(f"main {{said}}")
            notifier.trade(f"main {{said + 1}}")
            said += 2
            notifier.stats()
            notifier.flush(0.001)
        faulthandler.cancel_dump_traceback_later()
        assert notifier.flush(60)
        for kind, number in (("signal", handled), ("main", said)):
            arrived = [int(message.split()[1]) for message in memory.messages if message.startswith(kind)]
            say(kind, "complete" if sorted(arrived) == list(range(number)) else f"{{len(arrived)}} of {{number}}")
        say("durable" if any(durable) else "in memory")
        """,
        state=state,
        MEMORY_LEVEL="INFO",
    ) as process:
        said, complaints, code = ended(process, 100)

    assert said == ["signal complete", "main complete", "durable"], complaints
    assert code == 0


@pytest.mark.process
@pytest.mark.parametrize("kind", ["Exception", "TimeoutError"])  # the second one is an OSError, as a disk's are
def test_fault_20_what_a_handler_raises_ends_any_call_and_leaves_others_what_they_need(state: Path, kind: str) -> None:
    with trader(
        f"""
        import faulthandler
        from random import uniform
        from notify.backends.memory import MemoryBackend

        # Of the interruptions of a call, one in a hundred comes where a lock could be left taken, and most where what
        # is caught of the program's objects could be taken for it.
        INTERRUPTIONS, WATCHDOG = 1000, 60  # seconds until all that counts as hanging

        class NoTimeLeft({kind}):
            pass

        def handler(signum, frame):
            raise NoTimeLeft

        memory = MemoryBackend(durable=True, max_batch=100)
        notifier = set_up(memory=memory)
        calls = [
            lambda: durable.append(notifier.notify(f"failed {{len(durable)}}", level=40)),
            lambda: notifier.notify("down", level=40, key="rpc"),
            lambda: notifier.resolve("rpc"),
            lambda: notifier.flush(0.0001),
            lambda: notifier.stats(),
            lambda: durable[-1].wait(0.0001) if durable else None,
        ]
        faulthandler.dump_traceback_later(WATCHDOG, exit=True)
        signal.signal(signal.SIGALRM, handler)
        durable, interrupted, missed = [], 0, 0
        while interrupted < INTERRUPTIONS:
            try:
                signal.setitimer(signal.ITIMER_REAL, uniform(0.00003, 0.002))  # seconds
                end = time.monotonic() + 0.1
                while time.monotonic() < end:
                    for call in calls:
                        call()
                missed += 1
                interrupted += 1
            except NoTimeLeft:
                interrupted += 1
        signal.signal(signal.SIGALRM, signal.SIG_IGN)

        def other():
            say("durable" if notifier.notify("last", level=40).durable else "in memory")

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        say("missed", missed)
        say("flushed" if notifier.flush(60) else "pending")
        say("lost", sum(ticket.wait(0) != {{"memory": "delivered"}} for ticket in durable if ticket.durable))
        os._exit(0)
        """,
        state=state,
        MEMORY_LEVEL="INFO",
    ) as process:
        said, complaints, code = ended(process, 100)

    assert said == ["durable", "missed 0", "flushed", "lost 0"]
    assert (code, complaints) == (0, "")
    # What was interrupted when it was on disk was not left there.
    assert everything_in(state) == []


# ---- 21: notify() at the end of the interpreter


@pytest.mark.process
def test_fault_21_notify_at_the_end_of_the_interpreter_neither_hangs_nor_complains(state: Path) -> None:
    with (
        FakeDiscord() as discord,
        trader(
            """
            def last(place):
                ticket = notifier.trade(f"said in {place}")
                say(place, "durable" if ticket.durable else ticket.wait(0), *set(threading.enumerate()) - threads)

            class Object:
                def __del__(self):
                    last("a destructor")

            atexit.register(last, "what was registered before setup()")
            notifier = set_up()
            threads = set(threading.enumerate())
            atexit.register(last, "what was registered after setup()")
            kept = Object()
            """,
            state=state,
            discord=discord,
        ) as process,
    ):
        said, complaints, code = ended(process)
        delivered = titles(discord)

    places = ["what was registered after setup()", "what was registered before setup()", "a destructor"]
    assert said == [f"{place} durable" for place in places]  # and no thread that was not there before
    assert (code, complaints) == (0, "")
    assert delivered == [f"said in {places[0]}"]  # the others come after the end of the lanes
    assert delivered_by_the_next_start(state) == [f"said in {place}" for place in places[1:]]
