"""What was on disk is delivered, whatever kills the process; and the oracle that says so sees when it is not."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from disk_calls import replaceable
from machine import missing
from oracle import Arrival, Life, Lived, Verdict, chain, judge, total, world

pytestmark = pytest.mark.interpreter

AT_ONCE = 2  # chains of lives, so that a process dies while another one works
# Lives in one chain, about two minutes: the oracle's work grows with the square of what it has to compare.
LONGEST = 1000
FEW = 30  # kills that are enough for an oracle to see what is wrong all the time

# Of a whole run: every life has a deadline of its own, and how many there are is for whoever starts this.
no_timeout = pytest.mark.timeout(0)


@pytest.fixture
def seed() -> int:
    return random.randrange(2**32)


def side_by_side(run: Callable[[int], Verdict], times: int = AT_ONCE) -> Verdict:
    """Return what comes of *run*, which is given a number, done so many times, some at once."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return total(list(threads.map(run, range(times))))


# ---- the product


@pytest.mark.process
@no_timeout
def test_what_was_on_disk_arrives_in_order_however_the_process_was_killed(
    pytestconfig: pytest.Config, tmp_path: Path, seed: int
) -> None:
    kills = pytestconfig.getoption("kills")
    chains = max(AT_ONCE, -(-kills // LONGEST))

    verdict = side_by_side(
        # Every eighth, about forty of three hundred, in an interpreter of its own.
        lambda index: chain(tmp_path / f"{index}", -(-kills // chains), random.Random(seed + index), fresh=8),
        chains,
    )

    print(verdict)  # shown by pytest -rP
    assert verdict.good, f"seed {seed}: {verdict}"
    assert verdict.kills >= kills
    assert verdict.durable > kills, "most lives were too short to say anything"


@pytest.mark.process
@no_timeout
def test_fault_02_a_kill_in_any_call_that_touches_the_disk_loses_nothing(
    pytestconfig: pytest.Config, tmp_path: Path, seed: int
) -> None:
    if not replaceable():
        missing("this Python has SQLite built in, out of reach")
    points = pytestconfig.getoption("kills") // 5  # two lives each, and a third that delivers

    def run(index: int) -> Verdict:
        chance = random.Random(seed + index)
        with world(tmp_path / f"{index}.stderr") as one:
            one.live(Life(str(tmp_path / f"{index}"), one.server.url, "disk", count=10))
            calls = one.calls
            for point in range(points // AT_ONCE):
                state, at = str(tmp_path / f"{index}-{point}"), chance.randint(1, calls)
                for _ in range(2):  # the first one makes the outbox, the second one may have to adopt
                    one.live(Life(state, one.server.url, "disk", at=at, torn=chance.random() < 0.5, count=10))
                one.live(Life(state, one.server.url, "close"))
            return one.verdict()

    verdict = side_by_side(run)

    print(verdict)  # shown by pytest -rP
    assert verdict.good, f"seed {seed}: {verdict}"
    assert verdict.kills > points, "most lives made fewer calls than the first one"


@pytest.mark.process
def test_a_kill_between_the_answer_and_its_note_repeats_that_message_and_no_other(tmp_path: Path, seed: int) -> None:
    verdict = chain(tmp_path / "state", FEW, random.Random(seed), kills=["server"])

    assert verdict.good, f"seed {seed}: {verdict}"
    assert 0 < verdict.repeated_by_kill <= FEW


@pytest.mark.process
def test_refusals_and_resets_change_nothing_about_the_order(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with world(tmp_path / "stderr") as one:
        # Forty events are four messages at least; the three retries take half a second, one and a half, and one.
        one.live(Life(state, one.server.url, "close", count=40), "well", "500", "reset", "429", "well")
        verdict = one.verdict()

    assert verdict.good, str(verdict)
    assert verdict.durable == verdict.delivered == 40
    assert verdict.repeated_by_reset == 1


# ---- what the oracle must see


@pytest.mark.process
def test_the_oracle_sees_the_loss_when_the_outbox_is_off(tmp_path: Path, seed: int) -> None:
    verdict = chain(tmp_path / "state", FEW, random.Random(seed), outbox="off")

    assert verdict.durable > FEW
    assert verdict.lost
    assert not verdict.unknown


@pytest.mark.process
def test_the_oracle_sees_the_loss_when_events_are_taken_for_delivered_before_they_are_sent(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)

    verdict = chain(tmp_path / "state", FEW, chance, outbox="hasty", modes=["hang", "500"], kills=["exit"])

    assert verdict.durable > FEW
    assert verdict.lost
    assert not verdict.unknown


KILLED = Lived(durable=(1, 2, 3))
PEACEFUL = Lived(durable=(4,), killed=False)


def test_what_was_said_to_be_on_disk_and_did_not_arrive_is_lost() -> None:
    verdict = judge([KILLED, PEACEFUL], [Arrival(0, (1,)), Arrival(1, (3, 4))])

    assert verdict.lost == [2]
    assert not verdict.good


def test_what_was_never_said_may_arrive_or_not() -> None:
    life = Lived(durable=(1,), others=(2, 3))

    assert judge([life], [Arrival(0, (1, 2))]).good


def test_what_nobody_can_have_sent_is_unknown() -> None:
    verdict = judge([KILLED], [Arrival(0, (1, 2, 3)), Arrival(0, (5,))])

    assert verdict.unknown == [5]
    assert not verdict.good


def test_the_last_message_before_a_kill_may_come_again() -> None:
    verdict = judge([KILLED, PEACEFUL], [Arrival(0, (1,)), Arrival(0, (2, 3)), Arrival(1, (2, 3, 4))])

    assert verdict.good
    assert verdict.repeated_by_kill == 1


def test_no_message_but_the_last_before_a_kill_may_come_again() -> None:
    verdict = judge([KILLED, PEACEFUL], [Arrival(0, (1,)), Arrival(0, (2, 3)), Arrival(1, (1, 4))])

    assert verdict.repeated == [1]
    assert not verdict.good


def test_a_message_of_a_life_that_ended_in_peace_may_not_come_again() -> None:
    verdict = judge([PEACEFUL, PEACEFUL], [Arrival(0, (4,)), Arrival(1, (4,))])

    assert verdict.repeated == [4]


def test_a_message_may_come_again_once_for_each_kill() -> None:
    verdict = judge([KILLED, Lived(()), PEACEFUL], [Arrival(0, (1, 2, 3)), Arrival(1, (1, 2, 3)), Arrival(2, (3, 4))])

    assert verdict.good
    assert verdict.repeated_by_kill == 2


def test_a_message_whose_connection_was_reset_may_come_again() -> None:
    verdict = judge([PEACEFUL], [Arrival(0, (4,), reset=True), Arrival(0, (4,))])

    assert verdict.good
    assert verdict.repeated_by_reset == 1


def test_what_comes_after_a_later_one_is_out_of_order() -> None:
    verdict = judge([KILLED], [Arrival(0, (1, 3)), Arrival(0, (2,))])

    assert verdict.disordered == [2]
    assert not verdict.good
