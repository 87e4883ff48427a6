"""Events on their way through a lane to a Telegram that limits, breaks and stalls."""

import logging

import pytest
from lanes import pass_time

from notify.backends.memory import MemoryBackend
from notify.backends.telegram import TelegramBackend
from notify.backends.telegram.limiter import ProcessLimiter
from notify.cli.test import chart
from notify.event import Attachment
from notify.notifier import Notifier
from notify.testing.fake_telegram import BLOCKED, CHAT_ID, HANG, RESET, TOKEN, FakeTelegram, rate_limited, refused

PATIENCE = 10  # seconds for what takes less than one
LONG = "\n".join(f"line {number:04}" for number in range(800))  # 8,000 characters: two messages
DAY = 24 * 3600  # seconds


@pytest.fixture
def telegram():
    with FakeTelegram(speed=1000) as server:  # its limits are kept by the clock that the test moves
        yield server
        assert server.refusals == []
        assert server.limited == 0


@pytest.fixture
def backend(telegram, clock):
    return TelegramBackend(TOKEN, CHAT_ID, base=telegram.base, limiter=ProcessLimiter(clock))


def titles(telegram):
    return [text.split("\n")[0] for text in telegram.texts]


def test_every_second_an_event_and_twenty_a_minute(telegram, backend, clock):
    names = [f"event {number}" for number in range(25)]
    with Notifier({"telegram": backend}, clock=clock) as notifier:
        for name in names:
            notifier.notify(name)
        waits = pass_time(notifier, clock)
        stats = notifier.stats()["telegram"]

    assert titles(telegram) == names
    assert (stats["delivered"], stats["retried"], stats["dropped"]) == (25, 0, {})  # the limits are no failures
    assert max(waits) == pytest.approx(41)  # the 21st waits until the first is a minute old


@pytest.mark.parametrize("failure", [RESET, 500, rate_limited(5)], ids=["reset", "500", "429"])
def test_a_report_that_breaks_off_goes_on_where_it_broke_off(telegram, backend, clock, failure):
    with Notifier({"telegram": backend}, clock=clock) as notifier:
        telegram.answer_with(refused(400, "Bad Request: can't parse entities"), failure)
        ticket = notifier.notify("Report", body=LONG, attachments=[Attachment("equity.png", chart())])
        pass_time(notifier, clock)
        assert ticket.wait(PATIENCE) == {"telegram": "delivered"}

    assert [message.method for message in telegram.messages] == ["sendMessage", "sendMessage", "sendPhoto"]


def test_an_urgent_event_overtakes_the_rest_of_a_report_and_nothing_is_sent_twice(telegram, backend, clock):
    with Notifier({"telegram": backend}, clock=clock) as notifier:
        telegram.answer_with(rate_limited(30))
        notifier.notify("Report", body=LONG)
        assert clock.next_wait() == pytest.approx(30)
        notifier.notify("the last RPC node is gone", level=logging.ERROR)
        pass_time(notifier, clock)

    assert titles(telegram)[:2] == ["❌ the last RPC node is gone", "Report"]
    assert len(telegram.messages) == 3


def test_a_server_that_hangs_is_left_at_the_deadline(telegram, clock):
    telegram.answer_with(HANG)
    backend = TelegramBackend(TOKEN, CHAT_ID, base=telegram.base, limiter=ProcessLimiter(clock), deadline_seconds=2.0)
    with Notifier({"telegram": backend}, clock=clock) as notifier:
        notifier.notify("a")
        assert clock.next_wait(PATIENCE) <= 1  # the first of the lane's growing waits
        assert notifier.stats()["telegram"]["last_error"] == "no answer within 2 s"
        pass_time(notifier, clock)

    assert titles(telegram) == ["a"]


def test_a_bot_that_was_blocked_is_probed_once_in_ten_minutes_and_others_are_told(telegram, backend, clock):
    other = MemoryBackend()
    telegram.answer_with(*[BLOCKED] * 200)
    with Notifier({"telegram": backend, "other": other}, clock=clock) as notifier:
        notifier.notify("a")
        while clock.monotonic() < DAY:
            clock.advance(clock.next_wait())
        notifier.close(0)

    assert 24 <= len(telegram.requests) <= DAY / 600 + 1
    assert set(other.messages) == {  # in any order: the news is urgent
        "a",
        "telegram takes no messages any more: Telegram answered 403: Forbidden: bot was blocked by the user. "
        "It is tried again every ten minutes.",
    }
    assert len(other.messages) == 2


def test_an_event_that_telegram_refuses_holds_up_no_other(telegram, backend, clock):
    telegram.answer_with(400, 400)  # as HTML, and as plain text
    with Notifier({"telegram": backend}, clock=clock) as notifier:
        poison = notifier.notify("poison")
        assert poison.wait(PATIENCE) == {
            "telegram": "rejected: Telegram answered 400: Bad Request: something is wrong with it"
        }
        notifier.notify("a")
        pass_time(notifier, clock)

    assert titles(telegram) == ["a"]
