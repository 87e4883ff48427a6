"""Rows 1, 3, 8 to 12, 14, 22 and 23 of the fault model: what is left when a process, a call or a thread dies."""

import os
import signal
import threading
from collections.abc import Callable
from logging import CRITICAL
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from children import ended
from lanes import LONG, die
from outboxes import an_event, everything_in, opened
from traders import KILLED, REQUESTS, SAY_TRADES, TRADES, delivered_by_the_next_start, titles, trader, urgent_last

from notify.backends.discord import DiscordBackend
from notify.backends.memory import MemoryBackend
from notify.delivery.outbox import Outbox
from notify.delivery.outbox.file import NAME
from notify.notifier import Notifier
from notify.testing.fake_discord import HANG, FakeDiscord

pytestmark = pytest.mark.interpreter


def _end_unheard(end: str, state: Path) -> int:
    """Have a program say its trades to a Discord that hangs, and end by *end*; return its exit code."""
    with FakeDiscord() as discord:
        discord.answer_with(*[HANG] * REQUESTS)
        with trader(SAY_TRADES, end, state=state, discord=discord) as process:
            code = ended(process).code
        assert titles(discord) == []
    return code


# ---- 1, 9, 10: ends at which no line of Python runs


@pytest.mark.process
def test_fault_01_what_was_said_before_kill_9_is_delivered_by_the_next_start(state: Path) -> None:
    assert _end_unheard("kill_me()", state) == -signal.SIGKILL

    assert delivered_by_the_next_start(state) == [*TRADES, KILLED]


@pytest.mark.process
def test_fault_07_the_next_start_says_once_that_the_last_run_was_killed(state: Path) -> None:
    assert _end_unheard("kill_me()", state) == -signal.SIGKILL

    assert delivered_by_the_next_start(state).count(KILLED) == 1
    assert delivered_by_the_next_start(state) == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("end", "code", "name"),
    [
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV, "Segmentation fault"),
        ("os.abort()", -signal.SIGABRT, "Aborted"),
    ],
)
def test_fault_09_what_was_said_before_a_segfault_or_an_abort_is_delivered_by_the_next_start_which_says_so(
    end: str, code: int, name: str, state: Path
) -> None:
    assert _end_unheard(end, state) == code

    assert delivered_by_the_next_start(state) == [
        *TRADES,
        f"🆘 The last run crashed in C: {name} (2nd start in 10 minutes)",
    ]


@pytest.mark.process
def test_fault_10_what_was_said_before_an_exit_without_a_farewell_is_delivered_by_the_next_start(state: Path) -> None:
    assert _end_unheard("os._exit(7)", state) == 7

    assert delivered_by_the_next_start(state) == [*TRADES, KILLED]


# ---- 3: between the answer and the acknowledgement


@pytest.mark.process
def test_fault_03_a_message_whose_answer_was_not_noted_comes_twice_with_the_same_id(state: Path) -> None:
    with FakeDiscord() as discord:
        script = """
            from notify.delivery.outbox import Outbox

            notifier = set_up()
            notifier.trade("Bought 1 ETH").wait(20)
            Outbox.delivered = kill_me  # which is called once Discord has answered
            notifier.trade("Bought 2 ETH")
            signal.pause()
        """
        with trader(script, state=state, discord=discord) as process:
            assert ended(process).code == -signal.SIGKILL
        with trader("set_up().close(20)", state=state, discord=discord) as process:
            ended(process)

        embeds = urgent_last(discord.embeds)
        assert [embed["title"] for embed in embeds] == ["Bought 1 ETH", "Bought 2 ETH", "Bought 2 ETH", KILLED]
        first, second, again, _ = [embed["footer"]["text"] for embed in embeds]
        assert second == again != first


# ---- 8: loss of power


def test_fault_08_what_is_critical_is_flushed_before_the_call_returns_and_nothing_else_is(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fdatasync = os.fdatasync
    flushed: list[tuple[int, bytes]] = []

    def noting(descriptor: int) -> None:
        content = Path(f"/proc/self/fd/{descriptor}").read_bytes()
        flushed.append((threading.get_ident(), content))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", noting)
    with Notifier({"discord": MemoryBackend(durable=True)}, outbox=Outbox(state)) as notifier:
        assert notifier.trade("Bought").durable
        assert notifier.notify("Out of gas", level=CRITICAL - 1).durable
        assert flushed == []

        assert notifier.notify("Liquidated", level=CRITICAL).durable

        ((thread, content),) = flushed
    assert thread == threading.get_ident()
    assert b"Liquidated" in content


SECTOR = 512  # bytes, which a disk writes whole or not at all


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(lambda log, at: log[:at], id="ends there"),
        pytest.param(lambda log, at: log[:at] + bytes(len(log) - at), id="zeros from there"),
        pytest.param(lambda log, at: log[:at] + bytes(SECTOR) + log[at + SECTOR :], id="zeros there"),
    ],
)
def test_fault_08_a_loss_of_power_costs_only_what_came_after_what_is_critical(
    damaged: Callable[[bytes, int], bytes], state: Path, tmp_path: Path
) -> None:
    events = [an_event("before"), an_event("critical", CRITICAL), *(an_event(f"after {n}") for n in range(3))]
    with opened(state) as outbox:
        for event in events[:2]:
            outbox.accept(event, ["discord"])
        flushed = (state / f"{NAME}-wal").stat().st_size
        for event in events[2:]:
            outbox.accept(event, ["discord"])
        file, log = [(state / (NAME + suffix)).read_bytes() for suffix in ("", "-wal")]

    counts = set()
    for at in range(flushed, len(log), SECTOR):
        if damaged(log, at) == log:  # it was zeros before
            continue
        rest = tmp_path / f"{at}"
        rest.mkdir()
        (rest / NAME).write_bytes(file)
        (rest / f"{NAME}-wal").write_bytes(damaged(log, at))

        found = everything_in(rest)

        assert found == events[: len(found)], at
        counts.add(len(found))
    assert counts == {2, 3, 4}  # the damage is real, and never reaches the first two


# ---- 11, 12, 14: exceptions that nobody catches


@pytest.mark.process
def test_fault_11_an_uncaught_exception_is_sent_before_the_end_and_other_hooks_run(state: Path) -> None:
    script = """
        sys.excepthook = lambda kind, error, traceback: say("the hook before ours:", error)
        set_up()
        ours = sys.excepthook

        def after(*args):
            say("the hook after ours")
            ours(*args)

        sys.excepthook = after
        raise ValueError("no price")
    """
    with FakeDiscord() as discord:
        with trader(script, state=state, discord=discord) as process:
            said, complaints, code = ended(process)
        sent = titles(discord)

    assert sent == ["🆘 Crashed in the main thread: ValueError: no price"]
    assert said == ["the hook after ours", "the hook before ours: no price"]
    assert (code, complaints) == (1, "")


@pytest.mark.process
def test_fault_11_an_uncaught_exception_is_on_disk_before_the_process_ends(state: Path) -> None:
    script = """
        sys.excepthook = kill_me  # which ours calls when it has done its part
        set_up()
        raise ValueError("no price")
    """
    with FakeDiscord() as discord:
        discord.answer_with(*[HANG] * REQUESTS)
        with trader(script, state=state, discord=discord) as process:
            code = ended(process).code
        assert (code, titles(discord)) == (-signal.SIGKILL, [])

    assert delivered_by_the_next_start(state) == ["🆘 Crashed in the main thread: ValueError: no price", KILLED]


@pytest.mark.process
def test_fault_12_an_uncaught_exception_in_a_thread_is_sent_and_the_exit_of_a_thread_is_not(state: Path) -> None:
    script = """
        def broken():
            raise ValueError("no price")

        set_up()
        for target in (sys.exit, broken, sys.exit):
            thread = threading.Thread(target=target, name="worker")
            thread.start()
            thread.join()
    """
    with FakeDiscord() as discord:
        with trader(script, state=state, discord=discord) as process:
            code = ended(process).code
        sent = titles(discord)

    assert sent == ["🆘 Crashed in thread worker: ValueError: no price"]
    assert code == 0


@pytest.mark.process
def test_fault_14_an_exception_in_a_future_is_heard_when_its_result_is_asked_for_and_not_before(state: Path) -> None:
    script = """
        from concurrent.futures import ThreadPoolExecutor, wait

        def broken():
            raise ValueError("no price")

        notifier = set_up(lines=lambda event: say(event.message))
        with ThreadPoolExecutor() as executor:
            future = executor.submit(broken)
            wait([future])
        notifier.flush(20)
        say("nobody has asked yet")
        future.result()
    """
    with trader(script, state=state) as process:
        said = ended(process).lines

    assert said == ["nobody has asked yet", "Crashed in the main thread: ValueError: no price"]


# ---- 22, 23: threads that die, or that the system refuses


def test_fault_22_a_lane_whose_thread_dies_is_started_again_and_loses_nothing(state: Path) -> None:
    with (
        FakeDiscord() as discord,
        Notifier({"discord": DiscordBackend(discord.url)}, outbox=Outbox(state)) as notifier,
    ):
        notifier.trade("before").wait(LONG)
        die("lane-discord", waiting_in="wait", wake=lambda: notifier.trade("meanwhile"))

        assert notifier.trade("after").wait(LONG) == {"discord": "delivered"}

        assert notifier.stats()["discord"]["restarted"] == 1
        assert titles(discord) == ["before", "meanwhile", "after"]


@pytest.mark.process
def test_fault_23_without_threads_what_is_said_is_on_disk_and_the_next_start_sends_it() -> None:
    script = f"""
        os.environ["NOTIFY_STATE_DIR"], state = sys.argv[1], os.environ["NOTIFY_STATE_DIR"]
        with set_up() as first:  # loads what this user may read, and the next one perhaps not
            first.trade("before").wait(20)
        os.environ["NOTIFY_STATE_DIR"] = state
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))  # of this user, who has this one at least
        if os.getuid() == 0:  # whom the limit does not bind
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        notifier = set_up()
        try:
            threading.Thread(target=say).start()
        except RuntimeError:
            say("no thread")
        for trade in {TRADES}:
            say(notifier.trade(trade).durable)
        notifier.close(0)
    """
    with TemporaryDirectory() as directory, FakeDiscord() as discord:  # pytest's own can be passed by its user only
        state = Path(directory) / "state"
        state.mkdir()
        _give(Path(directory), 65534)
        with trader(script, state=state, discord=discord, arguments=[Path(directory) / "before"]) as process:
            said, complaints, code = ended(process)
        sent = titles(discord)
        _give(Path(directory), os.getuid())

        assert said == ["no thread"] + ["True"] * len(TRADES), complaints
        assert "the thread lane-discord could not be started" in complaints
        assert (code, sent) == (0, ["before"])
        assert delivered_by_the_next_start(state) == TRADES


def _give(directory: Path, user: int) -> None:
    """Make *user* the owner of *directory* and of all that is in it, where that is ours to decide."""
    if os.getuid() == 0:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, user, -1)
