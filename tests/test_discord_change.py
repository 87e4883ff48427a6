"""Messages that change: counts, ends, living ones, and what happens when they cannot."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from notify.backends.discord import DiscordBackend
from notify.backends.discord.embed import GREEN
from notify.errors import Gone, RetryLater
from notify.event import Attachment, Event, Matter, Phase
from notify.testing.fake_discord import FakeDiscord, Reply

LAST = 1_767_229_867.0  # 01:11:07 UTC


@pytest.fixture
def discord() -> Iterator[FakeDiscord]:
    with FakeDiscord(speed=1000) as server:
        yield server
        for backend in _opened:
            backend.close()
        _opened.clear()
        assert server.refusals == []


_opened: list[DiscordBackend] = []


def opened(discord: FakeDiscord, **more: str) -> DiscordBackend:
    """Return a backend, which is closed at the end of the test."""
    _opened.append(DiscordBackend(discord.url, **more))  # type: ignore[arg-type]  # texts are all that is asked for here
    return _opened[-1]


def event(message: str, phase: Phase | None = None, count: int = 1, matter: str = "rpc", **more: object) -> Event:
    of = None if phase is None else Matter(matter, phase, count, since=LAST - 60, last=LAST)
    parts = {"level": logging.ERROR, "time": LAST, "id": message, **more}
    return Event(message=message, matter=of, **parts)  # type: ignore[arg-type]  # parts of Event


def announced(message: str = "RPC is down", **more: object) -> Event:
    return event(message, Phase.ANNOUNCED, **more)  # type: ignore[arg-type]  # parts of Event


def counted(count: int) -> Event:
    return event(f"RPC is down × {count}", Phase.COUNTED, count)


def over(body: str = "It happened 412 times, and was over after 1 min.") -> Event:
    return event("Resolved: RPC is down", Phase.RESOLVED, 412, level=logging.INFO, body=body)


def living(message: str, **more: object) -> Event:
    return event(message, Phase.LIVING, matter="cycle", level=logging.INFO, **more)  # type: ignore[arg-type]


def test_a_count_changes_the_message_and_posts_none(discord):
    backend = opened(discord)
    backend.send([announced()])

    assert backend.send([counted(412)]) == 1
    assert backend.send([counted(1413)]) == 1

    (embed,) = discord.embeds
    assert embed["title"] == "❌ RPC is down"
    assert embed["description"] == f"**× 1,413**, last <t:{LAST:.0f}:T>"
    assert (len(discord.messages), len(discord.edits)) == (1, 2)


def test_the_others_in_a_message_stay_as_they_are(discord):
    backend = opened(discord)
    events = [announced(), event("Bought"), announced("Gas is high", matter="gas", body="80 gwei")]
    assert backend.send(events) == 3
    backend.send([counted(2)])
    backend.send([event("Gas is high × 7", Phase.COUNTED, 7, matter="gas")])

    assert [embed["title"] for embed in discord.embeds] == ["❌ RPC is down", "❌ Bought", "❌ Gas is high"]
    said = [embed.get("description") for embed in discord.embeds]
    assert said == [
        f"**× 2**, last <t:{LAST:.0f}:T>", None, f"80 gwei\n\n**× 7**, last <t:{LAST:.0f}:T>",
    ]  # fmt: skip


def test_an_edit_keeps_the_files_and_calls_nobody(discord):
    backend = opened(discord, mention="4711")
    backend.send([announced(attachments=(Attachment("plot.png", b"1"),))])
    backend.send([counted(2)])

    (message,) = discord.messages
    assert dict(message.files) == {"plot.png": b"1"}
    assert message.embeds[0]["image"] == {"url": "attachment://plot.png"}
    assert message.payload["content"] == "<@4711>"  # what it was
    assert discord.edits[0].payload["allowed_mentions"] == {"parse": []}
    assert "content" not in discord.edits[0].payload


def test_an_end_turns_the_message_green_and_is_one_itself(discord):
    backend = opened(discord)
    backend.send([announced(body="no answer")])
    backend.send([counted(412)])

    assert backend.send([over()]) == 1

    first, second = discord.embeds
    ended = "It happened 412 times, and was over after 1 min."
    assert (first["title"], first["color"]) == ("✅ RPC is down", GREEN)
    assert first["description"] == f"no answer\n\n{ended}"
    assert (second["title"], second["color"], second["description"]) == ("✅ Resolved: RPC is down", GREEN, ended)
    assert backend.posted == {}


def test_an_emoji_in_the_text_is_replaced_as_one_in_the_title(discord):
    backend = opened(discord)
    backend.send([announced("long " * 100)])
    backend.send([over()])

    assert discord.embeds[0]["description"].startswith("✅ long long")


def test_an_end_that_could_not_be_posted_is_posted_later_and_edits_once(discord):
    backend = opened(discord)
    backend.send([announced()])
    discord.answer_with(Reply(200, keeps=False), 500)
    with pytest.raises(RetryLater):
        backend.send([over()])

    backend.send([over()])

    assert discord.requests == 4  # the message, the edit, the end twice
    assert discord.embeds[-1]["title"] == "✅ Resolved: RPC is down"


@pytest.mark.parametrize("code", [10008, 30046], ids=["deleted", "too many edits"])
def test_where_the_message_cannot_be_changed_a_new_one_is_posted_without_a_sound_and_changed_from_then_on(
    discord, code
):
    backend = opened(discord, mention="4711")
    backend.send([announced()])
    status = 404 if code == 10008 else 429
    discord.answer_with(Reply(status, {"message": "no", "code": code, "retry_after": 900.0}))

    backend.send([counted(2)])
    backend.send([counted(3)])

    assert [embed["title"] for embed in discord.embeds] == ["❌ RPC is down", "❌ RPC is down × 2"]
    assert "**× 3**" in discord.embeds[1]["description"]
    assert "content" not in discord.messages[1].payload  # a count calls nobody
    assert discord.messages[1].payload["flags"] == 1 << 12  # SUPPRESS_NOTIFICATIONS


def test_a_message_that_somebody_has_deleted_is_posted_anew(discord):
    backend = opened(discord)
    backend.send([announced()])
    discord.delete(0)

    backend.send([counted(2)])

    assert discord.messages[1].embeds[0]["title"] == "❌ RPC is down × 2"


@pytest.mark.parametrize(("reply", "raised"), [(429, RetryLater), (500, RetryLater), (401, Gone), (404, Gone)])
def test_other_answers_to_an_edit_are_those_to_a_message(discord, reply, raised):
    backend = opened(discord)
    backend.send([announced()])
    discord.answer_with(reply)

    with pytest.raises(raised):
        backend.send([counted(2)])
    assert len(discord.messages) == 1


def test_an_edit_that_is_refused_is_posted(discord):
    backend = opened(discord)
    backend.send([announced()])
    discord.answer_with(400)

    backend.send([counted(2)])

    assert [embed["title"] for embed in discord.embeds] == ["❌ RPC is down", "❌ RPC is down × 2"]


def test_edits_go_to_the_thread_of_the_message(discord):
    backend = opened(discord, thread_id="99")
    backend.send([announced()])
    backend.send([counted(2)])

    assert discord.edits[0].query == {"thread_id": "99"}


def test_the_next_process_changes_the_message_of_the_last(discord):
    first = opened(discord)
    first.send([announced()])
    second = opened(discord)
    second.posted = dict(first.posted)

    second.send([counted(412)])

    assert "**× 412**" in discord.embeds[0]["description"]
    assert len(discord.messages) == 1


def test_what_is_announced_anew_tells_how_often_it_was(discord):
    backend = opened(discord)
    backend.send([event("RPC is down", Phase.ANNOUNCED, 5)])
    assert discord.embeds[0]["description"] == f"**× 5** since <t:{LAST - 60:.0f}:f>"

    backend.send([counted(6)])
    assert discord.embeds[0]["description"] == f"**× 6**, last <t:{LAST:.0f}:T>"


def test_ten_full_embeds_leave_room_for_their_counts(discord):
    backend = opened(discord)
    waiting = [announced(f"a{number}", matter=f"m{number}", body="x" * 460) for number in range(10)]
    while waiting:
        waiting = waiting[backend.send(waiting) :]
    for number in range(10):
        backend.send([event("", Phase.COUNTED, 999_999_999, matter=f"m{number}")])

    assert len(discord.edits) == 10  # none was refused for its size


# ---- living messages


def test_a_living_message_is_one_and_shows_the_newest(discord):
    backend = opened(discord)
    for step in range(3):
        backend.send([living(f"step {step}", fields={"done": step})])

    (embed,) = discord.embeds
    assert embed["title"] == "step 2"
    assert embed["fields"][0]["value"] == "2"
    assert len(discord.edits) == 2


def test_of_living_events_that_wait_only_the_newest_is_sent(discord):
    backend = opened(discord)

    assert backend.send([living("1"), living("2"), living("3"), event("other")]) == 3
    assert backend.send([living("4"), living("5"), event("other")]) == 2

    assert [embed["title"] for embed in discord.embeds] == ["5"]
    assert discord.requests == 2


def test_a_living_message_changes_its_files(discord):
    backend = opened(discord)
    backend.send([living("1", attachments=(Attachment("a.png", b"1"),))])
    backend.send([living("2", attachments=(Attachment("b.png", b"2"),))])
    assert dict(discord.messages[0].files) == {"b.png": b"2"}

    backend.send([living("3")])
    assert dict(discord.messages[0].files) == {}


def test_a_living_message_shares_its_message_with_no_other(discord):
    backend = opened(discord)

    assert backend.send([living("1"), event("other")]) == 1
    assert backend.send([event("other"), event("more"), living("2")]) == 2


def test_a_living_event_that_discord_refuses_is_sent_as_plain_text(discord):
    backend = opened(discord)
    backend.send([living("1")])
    discord.answer_with(400, 400)

    backend.send([living("2")])

    assert discord.messages[1].payload["content"] == "2\n📎 The whole text is in message.txt."


def test_an_event_that_changes_nothing_is_posted_whatever_it_says_of_its_matter(discord):
    backend = opened(discord)

    backend.send([counted(2)])
    backend.send([replace(over(), matter=Matter("unknown", Phase.RESOLVED))])

    assert len(discord.messages) == 2


def test_an_update_of_what_shares_its_message_leaves_the_others_and_lives_in_one_of_its_own(discord):
    backend = opened(discord)
    stuck = announced("Swap 17 is stuck", matter="cycle")
    others = [event("Bought", attachments=(Attachment("bought.png", b"1"),)), event("Sold")]
    assert backend.send([others[0], stuck, others[1]]) == 3

    backend.send([living("Swap 17: 3 of 5 done")])
    backend.send([living("Swap 17: 5 of 5 done")])

    shared, own = discord.messages
    assert [embed["title"] for embed in shared.embeds] == ["❌ Bought", "❌ Swap 17 is stuck", "❌ Sold"]
    assert dict(shared.files) == {"bought.png": b"1"}
    assert [embed["title"] for embed in own.embeds] == ["Swap 17: 5 of 5 done"]
    assert len(discord.edits) == 1  # of the second update: the first was posted


def test_the_newest_picture_of_a_living_message_stays_when_its_matter_ends(discord):
    backend = opened(discord)
    for number in (b"1", b"2"):
        backend.send([living("positions", attachments=(Attachment("chart.png", number),))])

    backend.send([event("Resolved: positions", Phase.RESOLVED, matter="cycle", level=logging.INFO)])

    assert [embed["title"] for embed in discord.embeds] == ["✅ positions", "✅ Resolved: positions"]
    assert dict(discord.messages[0].files) == {"chart.png": b"2"}
