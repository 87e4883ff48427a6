"""Which message tells of which matter."""

import logging

import pytest

from notify.backends.discord.sent import Sent, SentMessages, file_ids, with_notes
from notify.event import Event, Matter, Phase


def event(matter: str | None, phase: Phase = Phase.ANNOUNCED) -> Event:
    of = None if matter is None else Matter(matter, phase)
    return Event(id="1", time=0.0, message="m", level=logging.ERROR, matter=of)


ANSWER = {"id": "17", "attachments": [{"id": "5", "filename": "a.png"}, {}]}
EMBEDS = [{"title": "a"}, {"title": "b"}, {"title": "c"}]


def test_a_message_is_found_by_each_matter_in_it():
    messages = SentMessages({})
    messages.note(ANSWER, [event("one"), event(None), event("two")], EMBEDS, {2: "note"})

    assert messages.find("one") == Sent("17", 0, EMBEDS, {2: "note"}, ["5"])
    assert messages.find("two") == Sent("17", 2, EMBEDS, {2: "note"}, ["5"])
    assert messages.find("three") is None


def test_the_newest_message_of_a_matter_counts():
    messages = SentMessages({})
    messages.note(ANSWER, [event("one")], EMBEDS[:1], {})
    messages.note({"id": "18"}, [event("one", Phase.REMINDED)], EMBEDS[1:2], {})

    found = messages.find("one")
    assert found is not None
    assert (found.id, found.embeds) == ("18", [{"title": "b"}])


def test_what_does_not_go_on_is_not_noted():
    messages = SentMessages({})
    messages.note(ANSWER, [event(None), event("over", Phase.RESOLVED)], EMBEDS, {})
    messages.note({}, [event("no id")], EMBEDS, {})  # an answer whose body never came
    messages.note(ANSWER, [event("plain text")], [], {})  # a message without embeds cannot be changed so

    assert messages.posted == {}


def test_a_message_is_forgotten_with_its_last_matter():
    messages = SentMessages({})
    messages.note(ANSWER, [event("one"), event("two")], EMBEDS, {})

    messages.forget("one")
    assert messages.find("two") is not None
    messages.forget("two")
    messages.forget("never there")

    assert messages.posted == {}


@pytest.mark.parametrize(
    "posted",
    [
        {"one": "nonsense"},
        {"one": "17 0"},
        {"one": "17 0", "message 17": "nonsense"},
        {"one": "17 0", "message 17": "{}"},
        {"one": "17 0", "message 17": '{"embeds": [7], "notes": {}, "attachments": []}'},
        {"one": "17 5", "message 17": '{"embeds": [{}], "notes": {}, "attachments": []}'},
        {"one": "../x 0", "message ../x": '{"embeds": [{}], "notes": {}, "attachments": []}'},
    ],
    ids=str,
)
def test_what_somebody_has_changed_is_not_believed(posted):
    assert SentMessages(posted).find("one") is None


def test_a_note_is_the_last_paragraph():
    assert with_notes([{"title": "a"}, {"description": "b"}, {"title": "c"}], {0: "x", 1: "y"}) == [
        {"title": "a", "description": "x"},
        {"description": "b\n\ny"},
        {"title": "c"},
    ]


@pytest.mark.parametrize(
    ("said", "ids"),
    [(ANSWER, ["5"]), ({"attachments": []}, []), ({}, None), ({"attachments": "x"}, None), ({"attachments": [7]}, [])],
    ids=str,
)
def test_the_ids_of_files_are_those_that_discord_says(said, ids):
    assert file_ids(said) == ids
