"""One call of `send`: what its answer or its error means, however odd either is."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from types import SimpleNamespace
from typing import NoReturn

import pytest

from notify.delivery.attempt import LONGEST_WAIT, Disposition, Outcome, attempt
from notify.errors import DeliveryError, Gone, Rejected, RetryLater
from notify.event import Event

EVENTS = [Event(id=str(number), time=0.0, message="m", level=20) for number in range(3)]


def answering(answer: object) -> Outcome:
    """Return what an attempt leads to whose `send` returns *answer*."""
    return attempt(SimpleNamespace(send=lambda events: answer, close=lambda: None), EVENTS)


def raising(error: BaseException) -> Outcome:
    """Return what an attempt leads to whose `send` raises *error*."""

    def send(events: Sequence[Event]) -> NoReturn:
        raise error

    return attempt(SimpleNamespace(send=send, close=lambda: None), EVENTS)


# ---- answers


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_backend_says_how_many_of_the_first_events_arrived(count: int) -> None:
    assert answering(count) == Outcome(Disposition.DELIVERED, count)


@pytest.mark.parametrize("answer", [None, 0, -1, -(10**400), False, True, "two", 2.0, [1, 2], float("nan")])
def test_an_answer_that_is_no_count_means_that_the_first_arrived(answer: object) -> None:
    assert answering(answer) == Outcome(Disposition.DELIVERED, 1)


@pytest.mark.parametrize("answer", [4, 99, 10**400])
def test_more_than_there_were_did_not_arrive(answer: int) -> None:
    assert answering(answer) == Outcome(Disposition.DELIVERED, len(EVENTS))


def test_a_number_that_cannot_be_compared_counts_all_the_same() -> None:
    class Evil(int):
        def _refuse(self, other: object) -> NoReturn:
            raise RuntimeError("no")

        __lt__ = __gt__ = __le__ = __ge__ = __eq__ = _refuse  # type: ignore[assignment]  # the point
        __hash__ = int.__hash__

    assert answering(Evil(2)) == Outcome(Disposition.DELIVERED, 2)


def test_a_number_that_lies_about_itself_is_taken_for_what_it_is() -> None:
    class Liar(int):
        def __lt__(self, other: object) -> bool:
            return True

        def __gt__(self, other: object) -> bool:
            return True

        def __int__(self) -> int:
            return 99

    outcome = answering(Liar(2))

    assert outcome == Outcome(Disposition.DELIVERED, 2)
    assert type(outcome.delivered) is int  # or the lie would live on in the counts


async def answer_later() -> int:
    return 1


def answer_bit_by_bit() -> Iterator[int]:
    yield 1


async def answer_bit_by_bit_later() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("send", [answer_later, answer_bit_by_bit, answer_bit_by_bit_later])
def test_a_send_that_has_not_run_yet_has_delivered_nothing(send: object) -> None:
    outcome = answering(send())  # type: ignore[operator]  # either is a function
    gc.collect()  # Python would warn here that nobody awaited it, which fails the test

    assert (outcome.disposition, outcome.delivered) == (Disposition.BUG, 0)
    assert "asynchronous" in outcome.reason


def test_a_future_has_delivered_nothing() -> None:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()

    assert answering(future).disposition is Disposition.BUG


# ---- errors


class Bug(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RetryLater(), Outcome(Disposition.AGAIN, reason="try again later")),
        (RetryLater(after=7.5, reason="busy"), Outcome(Disposition.AGAIN, after=7.5, reason="busy")),
        (Rejected("too long"), Outcome(Disposition.REJECTED, reason="too long")),
        (Gone("no such webhook"), Outcome(Disposition.GONE, reason="no such webhook")),
        (ConnectionResetError("reset"), Outcome(Disposition.AGAIN, reason="ConnectionResetError")),
        (TimeoutError("slow"), Outcome(Disposition.AGAIN, reason="TimeoutError")),
        (DeliveryError("neither"), Outcome(Disposition.BUG, reason="neither")),
        (Bug("https://discord.com/api/webhooks/1/token"), Outcome(Disposition.BUG, reason="Bug")),
        (SystemExit(1), Outcome(Disposition.BUG, reason="SystemExit")),
        (KeyboardInterrupt(), Outcome(Disposition.BUG, reason="KeyboardInterrupt")),
        (GeneratorExit(), Outcome(Disposition.BUG, reason="GeneratorExit")),
    ],
    ids=repr,
)
def test_each_error_has_its_disposition_and_only_our_own_are_quoted(error: BaseException, outcome: Outcome) -> None:
    assert raising(error) == outcome


@pytest.mark.parametrize("after", [None, -1, -0.001, float("nan"), float("-inf"), "soon", [5], 1j])
def test_a_wait_that_makes_no_sense_is_none(after: object) -> None:
    assert raising(RetryLater(after=after)).after is None  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("after", [86_401, float("inf"), 1e308, 10**400])
def test_nobody_waits_for_longer_than_a_day(after: float) -> None:
    assert raising(RetryLater(after=after)).after == LONGEST_WAIT == 24 * 3600


@pytest.mark.parametrize("after", [0, 0.0, 0.05, False])
def test_nobody_comes_back_within_a_tenth_of_a_second(after: float) -> None:
    assert raising(RetryLater(after=after)).after == 0.1


# ---- errors that do not want to be looked at


def test_an_error_without_its_parts_is_still_of_its_kind() -> None:
    class Mute(RetryLater):
        def __init__(self) -> None:
            pass  # and so it has no `after`

    assert raising(Mute()).disposition is Disposition.AGAIN


@pytest.mark.parametrize("refusal", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_wait_that_cannot_be_looked_at_is_a_bug(refusal: type[BaseException]) -> None:
    class Hiding(RetryLater):
        def __init__(self) -> None:
            pass

        @property
        def after(self) -> float | None:  # type: ignore[override]  # the point
            raise refusal

    assert raising(Hiding()) == Outcome(Disposition.BUG, reason="an error that cannot be looked at")


@pytest.mark.parametrize("refusal", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_error_that_cannot_be_printed_raises_nothing(refusal: type[BaseException]) -> None:
    class Mute(Rejected):
        def __str__(self) -> str:
            raise refusal

    assert raising(Mute("x")).disposition in {Disposition.REJECTED, Disposition.BUG}


def test_an_error_whose_class_hides_its_name_raises_nothing() -> None:
    class Nameless(type):
        @property
        def __name__(cls) -> NoReturn:  # type: ignore[override]  # the point
            raise SystemExit

    class Hidden(Exception, metaclass=Nameless):
        pass

    disposition = raising(Hidden()).disposition  # pytest would look at the class if it were in the assertion

    assert disposition is Disposition.BUG


def test_an_error_that_lies_about_its_class_raises_nothing() -> None:
    class Liar(Exception):
        @property
        def __class__(self) -> NoReturn:  # type: ignore[override]  # the point
            raise RuntimeError("no")

    assert raising(Liar()).disposition is Disposition.BUG


def test_a_reason_is_short_and_valid_text() -> None:
    reason = raising(Rejected("\ud800" + "x" * 10_000)).reason

    assert reason.startswith(r"\ud800xxx")
    assert len(reason) < 310  # 300 characters, one of them shown as six
