"""The main job, end to end: what a daemon says reaches Discord, Logstash and standard output."""

import json

import pytest
from children import python
from rsyslog import running_rsyslog

from notify.testing.fake_discord import FakeDiscord

DAYS = 60  # of the demo: at least one purchase, one sale and one gas spike

pytestmark = [pytest.mark.process, pytest.mark.interpreter]


def test_the_demo_tells_the_same_story_everywhere(tmp_path):
    with FakeDiscord(speed=60) as discord, running_rsyslog(tmp_path) as logstash:
        ended = python(
            *("-m", "notify", "demo", "--days", DAYS, "--speed", "1000"),
            DISCORD_WEBHOOK_URL=discord.url,
            LOGSTASH_SERVER=f"127.0.0.1:{logstash.port}",
            NOTIFY_STDOUT="json",
        )

        printed = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"')]
        crash = printed[-1]
        logstash_ids = {event.get("event_id") for event in _until_there(logstash, crash["id"])}
        posted = "\n".join(json.dumps(message.payload, ensure_ascii=False) for message in discord.messages)
        levels = {"TRADE", "TRADE_HIGH", "WARNING", "ERROR", "CRITICAL"}
        for_people = [event for event in printed if event["level"] in levels]

        assert ended.returncode == 1
        assert "ZeroDivisionError" in ended.stderr  # Python's own report, by the hook that was there before ours
        assert crash["topic"] == "crash"
        assert crash["exception"]["type"] == "ZeroDivisionError"
        assert {"trade", "position", "gas", "startup"} <= {event["topic"] for event in for_people}
        assert [event["id"] for event in printed if event["id"] not in logstash_ids] == []
        assert [event["id"] for event in for_people if event["id"] not in posted] == []
        assert discord.refusals == []
        assert discord.too_early == 0


def _until_there(logstash, event_id):
    """Wait until rsyslog has written the event, which was the last to be sent, and return all."""
    import time

    deadline = time.monotonic() + 10  # seconds; it takes milliseconds
    while time.monotonic() < deadline:
        events = logstash.events()
        if any(event.get("event_id") == event_id for event in events):
            return events
    raise AssertionError("the crash did not reach Logstash")


def _heard(program, tmp_path, transport=""):
    """Run *program*, and return how it ended and what Discord and Logstash have of the first event that it says."""
    with FakeDiscord() as discord, running_rsyslog(tmp_path) as logstash:
        server = f"{transport}127.0.0.1:{logstash.port}"
        ended = python("-c", program, DISCORD_WEBHOOK_URL=discord.url, LOGSTASH_SERVER=server)
        event_id = discord.embeds[0]["footer"]["text"].split(" · ")[1]
        received = next(event for event in _until_there(logstash, event_id) if event.get("event_id") == event_id)
    return ended, discord.embeds[0], received


def test_a_program_that_only_logs_is_heard_everywhere(tmp_path):
    program = (
        "import logging, notify\n"
        "notify.setup()\n"
        "logging.getLogger('strategy').trade('Bought %s', 'ETH-USDC', extra={'wei': 10**18})\n"
    )

    ended, embed, received = _heard(program, tmp_path, "udp://")

    assert ended.returncode == 0, ended.stderr
    assert "Bought ETH-USDC" in ended.stdout
    assert embed["title"] == "Bought ETH-USDC"
    assert received["message"] == "Bought ETH-USDC"
    assert received["wei"] == 10**18
    assert received["level"] == "TRADE"
    assert received["logger_name"] == "strategy"
    assert received["application"].startswith("executor-")


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "another thread"])
def test_a_crash_reaches_every_backend_before_the_process_ends(tmp_path, thread):
    crash = "threading.Thread(target=lambda: 1 / 0).start()" if thread else "1 / 0"
    program = f"import threading, notify\nnotify.setup()\n{crash}\n"

    ended, embed, received = _heard(program, tmp_path)

    assert ended.returncode == (0 if thread else 1)  # Python's own way with threads
    assert "ZeroDivisionError" in ended.stdout
    assert "Traceback" in ended.stderr
    assert "ZeroDivisionError" in str(embed)
    assert "ZeroDivisionError" in received["stack_trace"]
