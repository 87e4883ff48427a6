"""What is about the same matter, and what is not."""

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.event import Event, ExceptionInfo, Matter, Phase, Source
from notify.rules.fingerprint import id_in_fleet, id_of_key, subject_of_event, subject_of_log

SAID = Event(
    id="1", time=0.0, message="RPC is down", level=logging.ERROR, topic="data", source=Source("bot.py", 7, "cycle")
)
RAISED = ExceptionInfo("ValueError", "x", "Traceback")


def test_log_records_are_alike_by_logger_template_and_where_the_exception_was_raised():
    one = subject_of_log("rpc", "%s is down", "a is down", "ValueError bot.py:7", "log")

    assert subject_of_log("rpc", "%s is down", "b is down", "ValueError bot.py:7", "log") == one
    others = [
        subject_of_log("gas", "%s is down", "a is down", "ValueError bot.py:7", "log"),
        subject_of_log("rpc", "%s is up", "a is down", "ValueError bot.py:7", "log"),
        subject_of_log("rpc", "%s is down", "a is down", "ValueError bot.py:8", "log"),
        subject_of_log("rpc", "%s is down", "a is down", "", "log"),
    ]
    assert one is not None
    assert one.id not in {other.id for other in others if other is not None}
    assert not one.named


@pytest.mark.parametrize("template", ["%s", "%s: %(name)-10.2f", "%s (%d%%)", "…", "%*d"])
def test_a_template_that_says_nothing_is_no_matter_of_its_own(template):
    one, other = (subject_of_log("rpc", template, message, "", "log") for message in ("a is down", "b is down"))

    assert one != other


@pytest.mark.parametrize(
    "other",
    [
        replace(SAID, message="RPC is up"),
        replace(SAID, topic="gas"),
        replace(SAID, source=Source("bot.py", 8, "cycle")),
        replace(SAID, exception=RAISED),
        replace(SAID, key="rpc"),
    ],
    ids=["message", "topic", "place", "exception", "key"],
)
def test_what_is_said_is_alike_by_place_message_topic_and_exception(other):
    same = replace(SAID, id="2", time=5.0, body="else", fields={"block": 7})

    assert subject_of_event(same) == subject_of_event(SAID)
    assert subject_of_event(other) != subject_of_event(SAID)


def test_a_key_is_all_that_counts_and_names_the_matter():
    one = subject_of_event(replace(SAID, key="rpc"))
    other = subject_of_event(replace(SAID, key="rpc", message="Still down", source=Source()))

    assert one == other
    assert one is not None
    assert (one.id, one.named, one.living) == (id_of_key("rpc"), True, False)


def test_a_living_message_is_known_as_one():
    subject = subject_of_event(replace(SAID, key="cycle", matter=Matter(id_of_key("cycle"), Phase.LIVING)))

    assert subject is not None
    assert subject.living


def test_how_processes_have_ended_is_always_told_and_what_may_end_them_ever_more_rarely():
    assert subject_of_event(replace(SAID, topic="crash")) is None
    assert subject_of_log("bot", "died", "died", "", "crash") is None
    crash = subject_of_event(replace(SAID, topic="crash", exception=RAISED, message="Crashed in main loop"))
    assert crash is not None
    assert crash.rarely


@given(st.lists(st.text(), min_size=3, max_size=3), st.lists(st.text(), min_size=3, max_size=3))
def test_ids_are_short_and_differ_when_anything_does(one, other):
    first, second = (subject_of_log(logger, f"x{said}", "", raised, "log") for logger, said, raised in (one, other))

    assert first is not None
    assert second is not None
    assert len(first.id) == 32  # hex digits of 16 bytes
    assert (first.id == second.id) is (one == other)


def test_what_separates_the_parts_cannot_be_imitated():
    one, other = subject_of_log("a", "bc", "", "", "log"), subject_of_log("ab", "c", "", "", "log")

    assert one != other


def test_in_a_fleet_a_matter_is_one_executors_own_or_that_of_all():
    ids = {id_in_fleet(matter, executor) for matter in ("a", "b") for executor in ("eth", "btc", None)}

    assert len(ids) == 6
    assert {len(one) for one in ids} == {32}  # hex digits of 16 bytes, whatever an executor calls it
    assert id_in_fleet("x" * 10_000, None) == id_in_fleet("x" * 10_000, None)
