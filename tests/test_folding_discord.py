"""A matter on its way to Discord: the first message, its counts, its end, restarts, kills and forks in between."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from children import ended, running, wait_for
from lanes import until

from notify.backends.discord import DiscordBackend
from notify.backends.discord.embed import GREEN
from notify.backends.discord.limiter import ProcessLimiter
from notify.backends.memory import MemoryBackend
from notify.delivery.outbox import Outbox
from notify.delivery.ticket import DELIVERED
from notify.notifier import Notifier
from notify.testing import FakeClock
from notify.testing.fake_discord import FakeDiscord

PATIENCE = 30.0  # seconds for what takes less than one
logger = logging.getLogger("rpc")

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def discord() -> Iterator[FakeDiscord]:
    # A million times as fast: its limits are not what is tested here, and would be waited for by a clock that stands.
    with FakeDiscord(speed=1_000_000) as server:
        yield server
        assert server.refusals == []


@contextmanager
def speaking(
    discord: FakeDiscord, clock: FakeClock, state: Path, machine: MemoryBackend | None = None
) -> Iterator[Notifier]:
    backends = {
        "discord": DiscordBackend(discord.url, limiter=ProcessLimiter(clock)),
        "machine": machine or MemoryBackend(),
    }
    with Notifier(backends, outbox=Outbox(state, clock=clock), clock=clock) as notifier:
        notifier.attach(logger)
        try:
            yield notifier
        finally:
            notifier.detach(logger)


def pass_by(notifier: Notifier, clock: FakeClock, seconds: float) -> None:
    """Have *seconds* pass, and wait until everything that was due then has been said."""
    clock.advance(seconds)
    folding = notifier._pipeline._folding
    until(lambda: folding._grouping.due_at > folding.now())
    assert notifier.flush(PATIENCE)


def counts(discord: FakeDiscord) -> list[int]:
    """Return the count that each embed tells, 1 where it tells none."""
    found = [re.search(r"\*\*× ([\d,]+)\*\*", embed.get("description", "")) for embed in discord.embeds]
    return [int(match[1].replace(",", "")) if match else 1 for match in found]


def test_fault_57_ten_thousand_identical_errors_in_a_minute_are_three_requests_and_the_right_count(
    discord: FakeDiscord, clock: FakeClock, state: Path
) -> None:
    machine = MemoryBackend(max_batch=1000)
    with speaking(discord, clock, state, machine) as notifier:
        for second in range(60):
            for number in range(10_000 * second // 60, 10_000 * (second + 1) // 60):
                logger.error("RPC node %s is down, block %d", "eth-1", number)
            pass_by(notifier, clock, 1)
        stats = notifier.stats()["discord"]

        assert discord.requests <= 3
        assert len(discord.messages) == 1
        assert counts(discord) == [10_000]
        assert len(machine.messages) == 10_000
        assert (stats["folded"], stats["pending"], stats["dropped"]) == (9999, 0, {})


def test_fault_57_a_storm_of_different_errors_is_cut_off_and_told_in_sum(
    discord: FakeDiscord, clock: FakeClock, state: Path
) -> None:
    with speaking(discord, clock, state) as notifier:
        for number in range(1000):
            logger.error(f"error {number}")
        assert notifier.flush(PATIENCE)
        pass_by(notifier, clock, 60)

    titles = [embed["title"] for embed in discord.embeds]
    assert titles == [*(f"❌ error {number}" for number in range(60)), "❌ Held back: 940 events of 940 matters"]


def test_a_matter_from_its_first_message_to_its_end(discord: FakeDiscord, clock: FakeClock, state: Path) -> None:
    with speaking(discord, clock, state) as notifier:
        for _ in range(120):  # minutes
            notifier.notify("Gas is high", key="gas", level=logging.WARNING)
            pass_by(notifier, clock, 60)
        assert [embed["title"] for embed in discord.embeds] == ["⚠️ Gas is high", "⚠️ Gas is high × 61"]
        assert counts(discord) == [60, 120]  # the reminder has been counted up since

        ticket = notifier.resolve("gas", "Gas is at 20 gwei")
        assert ticket.wait(PATIENCE) == {"discord": DELIVERED, "machine": DELIVERED}

    first, reminder, end = discord.embeds
    assert (first["color"] == GREEN, reminder["color"], end["color"]) == (False, GREEN, GREEN)
    assert end["title"] == "✅ Gas is at 20 gwei"
    assert end["description"] == "It happened 120 times, and was over after 2 h."


def test_after_a_restart_the_same_message_goes_on_counting(discord: FakeDiscord, clock: FakeClock, state: Path) -> None:
    for _ in range(5):
        with speaking(discord, clock, state) as notifier:
            for _ in range(10):
                logger.error("node is down")
            pass_by(notifier, clock, 60)
    with speaking(discord, clock, state) as notifier:
        notifier.notify("Gas is high", key="gas", level=logging.WARNING)
    with speaking(discord, clock, state) as notifier:
        assert notifier.resolve("gas").wait(PATIENCE) == {"discord": DELIVERED, "machine": DELIVERED}

    assert [embed["title"] for embed in discord.embeds] == [
        "❌ node is down", "✅ Gas is high", "✅ Resolved: Gas is high",
    ]  # fmt: skip
    assert counts(discord)[0] == 50


def test_while_discord_is_down_a_matter_that_goes_on_waits_as_two_events(
    discord: FakeDiscord, clock: FakeClock, state: Path
) -> None:
    discord.answer_with(*[500] * 1000)
    with speaking(discord, clock, state) as notifier:
        folding = notifier._pipeline._folding
        for _ in range(20):  # minutes
            logger.error("node is down")
            clock.advance(60)
            until(lambda: folding._grouping.due_at > folding.now())
        assert notifier.stats()["discord"]["pending"] == 2
        discord.answer_with()
        discord._script.clear()
        while not notifier.flush(0.05):
            clock.advance(60)
        pass_by(notifier, clock, 30)

    assert len(discord.messages) == 1
    assert counts(discord) == [20]


# ---- real processes

BEGIN = """
import logging
from pathlib import Path
from notify.backends.discord import DiscordBackend
from notify.delivery.folding import front
from notify.delivery.outbox import Outbox, writer
from notify.notifier import Notifier

front._PATIENCE = writer._PATIENCE = 10.0  # seconds, where 50 ms are too few on a busy machine
url, state = sys.argv[1:]
notifier = Notifier({"discord": DiscordBackend(url)}, outbox=Outbox(Path(state)))

def down(count=1):
    return [notifier.notify("RPC is down", key="rpc", level=logging.ERROR) for _ in range(count)]
"""


@pytest.mark.process
def test_fault_57_a_crash_loop_that_ends_in_kill_9_is_one_message_and_its_end_is_told(
    discord: FakeDiscord, state: Path
) -> None:
    script = """
        say(*down()[0].wait(30).values())
        for outcome in down(9):
            outcome.wait(30)
        say("counted")
        idle()
    """
    outcomes: list[str] = []
    for _ in range(5):
        with running(BEGIN, script, arguments=(discord.url, state)) as process:
            assert process.stdout is not None
            outcomes.append(process.stdout.readline().decode().strip())
            wait_for(process, "counted")
            process.kill()

    assert outcomes == ["delivered", "folded", "folded", "folded", "folded"]
    assert len(discord.messages) == 1

    end = "say(*notifier.resolve('rpc').wait(30).values()); notifier.close()"
    with running(BEGIN, end, arguments=(discord.url, state)) as last:
        assert ended(last).lines == ["delivered"]
    assert [embed["title"] for embed in discord.embeds] == ["✅ RPC is down", "✅ Resolved: RPC is down"]


@pytest.mark.process
def test_a_forked_child_announces_nothing_again_and_leaves_its_parents_message_alone(
    discord: FakeDiscord, state: Path
) -> None:
    script = """
        say(*down()[0].wait(30).values())
        child = os.fork()
        if not child:
            say(*[outcome for ticket in down(3) for outcome in ticket.wait(30).values()])
            notifier.close()
            os._exit(0)
        os.waitpid(child, 0)
        down(10)[-1].wait(30)
        notifier.close()
    """
    with running(BEGIN, script, arguments=(discord.url, state)) as process:
        lines = ended(process).lines

    assert lines == ["delivered", "folded folded folded"]
    # The child's own are told by a message of its own at its end, and the parent's by the one that it has sent.
    assert [embed["title"] for embed in discord.embeds] == ["❌ RPC is down", "❌ RPC is down × 3"]
    assert counts(discord)[0] == 11


@pytest.mark.process
def test_processes_that_share_a_state_directory_announce_once_each_at_most_and_damage_nothing(
    discord: FakeDiscord, state: Path
) -> None:
    script = """
        for number in range(200):
            notifier.notify(f"error {number % 20}", key=str(number % 20), level=logging.ERROR).wait(30)
        notifier.close()
    """
    with (
        running(BEGIN, script, arguments=(discord.url, state)) as one,
        running(BEGIN, script, arguments=(discord.url, state)) as other,
    ):
        assert ended(one).code == ended(other).code == 0
    announced = len(discord.messages)

    with running(BEGIN, script, arguments=(discord.url, state)) as third:
        run = ended(third)

    assert announced <= 40  # 20 matters, 2 processes, and no more messages than that even if none had shared one
    assert (run.code, run.complaints) == (0, "")
    assert len(discord.messages) == announced
    assert [path.name for path in state.glob("matters*")] == ["matters.jsonl"]
