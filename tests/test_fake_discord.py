"""The stand-in for Discord: it refuses, limits and fails as Discord does."""

import io
import json
import threading
import time

import pytest
import requests
from children import python

from notify.testing import fake_discord
from notify.testing.discord_limits import Limits
from notify.testing.discord_rules import refusal
from notify.testing.fake_discord import FakeDiscord, Reply, rate_limited

WAIT = {"wait": "true"}
SECONDS = 5  # of patience with a server on this machine


@pytest.fixture
def discord():
    before = set(threading.enumerate())
    # A thousand times as fast: a limit's window of 2 s is 2 ms, which no test here fills unless it means to.
    with FakeDiscord(speed=1000) as server:
        yield server
    assert set(threading.enumerate()) <= before


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def post(session, server, payload, params=WAIT):
    return session.post(server.url, json=payload, params=params, timeout=SECONDS)


@pytest.mark.process
def test_a_program_that_never_leaves_it_ends_all_the_same():
    ended = python(
        "-c",
        "import requests\n"
        "from notify.testing.fake_discord import FakeDiscord\n"
        "discord = FakeDiscord().__enter__()\n"
        "session = requests.Session()\n"  # which keeps its connection, as our backend does
        "session.post(discord.url, json={'content': 'hello'})\n"
        "print(len(discord.messages))",
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")


# ---- messages


def test_a_message_is_kept_and_answered_with_its_json(discord, session):
    before = time.monotonic()
    answer = post(
        session, discord, {"content": "hello", "embeds": [{"title": "a"}]}, {"wait": "true", "thread_id": "7"}
    )

    assert answer.status_code == 200
    assert answer.headers["Via"] == "1.1 google"
    assert answer.json()["content"] == "hello"
    assert answer.json()["id"].isdigit()
    (message,) = discord.messages
    assert message.payload == {"content": "hello", "embeds": [{"title": "a"}]}
    assert message.query == {"wait": "true", "thread_id": "7"}
    assert message.headers["content-type"] == "application/json"
    assert before <= message.time <= time.monotonic()
    assert discord.embeds == [{"title": "a"}]
    assert discord.requests == 1


def test_without_wait_the_answer_is_empty(discord, session):
    answer = post(session, discord, {"content": "hello"}, {})

    assert (answer.status_code, answer.content) == (204, b"")


def test_files_are_kept_byte_for_byte(discord, session):
    data = bytes(range(256)) + b"\r\n--\r\n"
    files = {
        "payload_json": (None, '{"attachments": [{"id": "0", "filename": "a.bin"}, {"id": "1", "filename": "b.bin"}]}'),
        "files[0]": ("a.bin", io.BytesIO(data)),
        "files[1]": ("b.bin", b"2"),
    }
    answer = session.post(discord.url, files=files, params=WAIT, timeout=SECONDS)

    assert answer.status_code == 200
    assert discord.messages[0].files == {"a.bin": data, "b.bin": b"2"}
    assert [file["size"] for file in answer.json()["attachments"]] == [len(data), 1]


def test_a_webhook_can_be_looked_at(discord, session):
    answer = session.get(discord.url, timeout=SECONDS)

    assert (answer.status_code, answer.json()["type"]) == (200, 1)


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [("stand-in-token", "other-token", 401, 50027), ("110000", "220000", 404, 10015), ("/webhooks/", "/", 404, 10015)],
)
def test_another_webhook_is_unknown(discord, session, old, new, status, code):
    answer = session.post(discord.url.replace(old, new), json={"content": "a"}, timeout=SECONDS)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert discord.messages == []


# ---- what Discord refuses

EMBED = {"title": "a"}


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"content": "x" * 2001}, "content"),
        ({"content": "a", "username": "x" * 81}, "username"),
        ({"content": "a", "username": ""}, "username"),
        ({"content": "a", "username": "my DiscordBot"}, "username"),
        ({"content": "a", "username": "Clyde"}, "username"),
        ({"content": "a", "username": "everyone"}, "username"),
        ({"content": "a", "timeout": 5}, "timeout"),
        ({"content": "a", "flags": 1}, "flags"),
        ({"content": 1}, "content"),
        ({"embeds": [EMBED] * 11}, "embeds"),
        ({"embeds": [EMBED | {"colour": 1}]}, "embeds.0.colour"),
        ({"embeds": [{"title": "x" * 257}]}, "embeds.0.title"),
        ({"embeds": [EMBED, {"description": "x" * 4097}]}, "embeds.1.description"),
        ({"embeds": [{"title": " \n"}]}, "embeds.0.description"),
        ({"embeds": [{"footer": {"text": "a"}}]}, "embeds.0.description"),
        ({"embeds": [EMBED | {"color": 16777216}]}, "embeds.0.color"),
        ({"embeds": [EMBED | {"footer": {"text": "x" * 2049}}]}, "embeds.0.footer.text"),
        ({"embeds": [EMBED | {"fields": [{"name": "a", "value": "b"}] * 26}]}, "embeds.0.fields"),
        ({"embeds": [EMBED | {"fields": [{"name": "", "value": "b"}]}]}, "embeds.0.fields.0.name"),
        ({"embeds": [EMBED | {"fields": [{"name": "a", "value": "x" * 1025}]}]}, "embeds.0.fields.0.value"),
        ({"embeds": [EMBED | {"image": {"url": "attachment://a.png"}}]}, "embeds.0.image.url"),
        ({"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]}, "embeds"),
        ({"content": "a", "attachments": [{"id": "0"}]}, "attachments"),
        ({"content": "a", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "allowed_mentions"),
        ({"embeds": ["a"]}, "embeds.0"),
    ],
)
def test_what_discord_refuses_is_refused_in_discords_words(payload, path):
    refused = refusal(payload, [])

    assert (refused["code"], refused["message"]) == (50035, "Invalid Form Body")
    place = refused["errors"]
    for name in path.split("."):
        place = place[name]
    assert place["_errors"][0].keys() == {"code", "message"}


@pytest.mark.parametrize("payload", [{}, {"content": " \n"}, {"username": "us"}])
def test_an_empty_message_is_refused(payload):
    assert refusal(payload, [])["code"] == 50006


def test_a_body_that_is_no_json_is_refused(discord, session):
    answer = session.post(discord.url, data=b"{", params=WAIT, timeout=SECONDS)

    assert (answer.status_code, answer.json()["code"]) == (400, 50109)
    assert len(discord.refusals) == 1


def test_a_message_at_every_limit_is_taken():
    fields = [{"name": "x" * 20, "value": "y" * 20, "inline": True}] * 25  # 1000 characters
    embeds = [{"title": "t" * 256, "description": "d" * 4096, "fields": fields, "footer": {"text": "f" * 648}}]

    assert refusal({"content": "x" * 2000, "username": "x" * 80, "embeds": embeds}, []) is None  # 6000 in the embed


def test_limits_are_counted_in_code_points():
    assert refusal({"content": "🚀" * 2000}, []) is None


def test_a_file_over_ten_mebibytes_is_too_large(discord, session):
    answer = session.post(discord.url, files={"files[0]": ("a", bytes(10 * 2**20 + 1))}, params=WAIT, timeout=SECONDS)

    assert (answer.status_code, answer.json()["code"]) == (413, 40005)


# ---- limits


def test_five_requests_pass_in_two_seconds_and_headers_count_them_down():
    limits = Limits(1.0)
    answers = [limits.count(100.0 + number / 8) for number in range(6)]

    assert [wait for wait, _ in answers] == [0, 0, 0, 0, 0, 1.375]
    assert [headers["X-RateLimit-Remaining"] for _, headers in answers] == ["4", "3", "2", "1", "0", "0"]
    assert answers[1][1]["X-RateLimit-Reset-After"] == "1.875"
    assert answers[5][1]["Retry-After"] == "2"  # whole seconds, rounded up
    assert answers[5][1]["X-RateLimit-Scope"] == "user"
    assert limits.count(102.0)[0] == 0


def test_thirty_messages_pass_in_a_minute_and_no_header_warns():
    limits = Limits(1.0)
    answers = [limits.count(100.0 + number) for number in range(31)]

    assert [wait for wait, _ in answers[:30]] == [0] * 30
    wait, headers = answers[30]
    assert wait == 30.0
    assert (headers["Retry-After"], headers["X-RateLimit-Scope"]) == ("30", "shared")
    assert int(headers["X-RateLimit-Remaining"]) > 0
    assert limits.count(160.0)[0] == 0


def test_speed_shortens_the_windows_and_what_is_said_about_them():
    limits = Limits(8.0)
    answers = [limits.count(100.0) for _ in range(6)]

    assert answers[5][0] == 0.25
    assert answers[5][1]["Retry-After"] == "0.25"
    assert limits.count(100.25)[0] == 0


def test_a_client_that_does_not_wait_is_counted(session):
    with FakeDiscord() as server:
        answers = [post(session, server, {"content": "a"}) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 0 < answers[5].json()["retry_after"] <= 2
    assert (len(server.messages), server.limited, server.too_early) == (5, 2, 1)


# ---- what it does when told


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500])
def test_a_status_is_answered_once_as_discord_does(discord, session, status):
    discord.answer_with(status)
    answers = [post(session, discord, {"content": "a"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, 200]
    assert answers[0].json().keys() >= {"code", "message"}
    assert len(discord.messages) == 1


@pytest.mark.parametrize("via", [True, False])
def test_a_rate_limit_has_discords_headers_and_body(discord, session, via):
    discord.answer_with(rate_limited(1.5, via=via, scope="shared"))
    answer = post(session, discord, {"content": "a"})

    assert answer.status_code == 429
    assert answer.json()["retry_after"] == 1.5
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["X-RateLimit-Scope"] == "shared"
    assert ("Via" in answer.headers) is via


@pytest.mark.parametrize(("reply", "status"), [(fake_discord.BAN, 429), (fake_discord.BAD_GATEWAY, 502)])
def test_pages_of_cloudflare_are_html_and_not_discords(discord, session, reply, status):
    discord.answer_with(reply)
    answer = post(session, discord, {"content": "a"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert "Via" not in answer.headers


@pytest.mark.parametrize(
    ("reply", "delivered"),
    [(fake_discord.RESET, 0), (fake_discord.RESET_EARLY, 0), (fake_discord.RESET_LATE, 1)],
)
def test_a_connection_can_break(discord, session, reply, delivered):
    discord.answer_with(reply)
    with pytest.raises(requests.ConnectionError):
        post(session, discord, {"content": "a"})

    assert len(discord.messages) == delivered
    assert discord.requests == 1


def test_a_server_that_hangs_ends_with_its_context(session):
    with FakeDiscord() as server:
        server.answer_with(fake_discord.HANG)
        with pytest.raises(requests.ReadTimeout):
            session.post(server.url, json={"content": "a"}, timeout=0.1)

    assert server.messages == []


def test_an_answer_can_drip(discord, session):
    discord.answer_with(Reply(200, b"abc", drip=0.02))
    started = time.monotonic()

    assert post(session, discord, {"content": "a"}).content == b"abc"
    assert time.monotonic() - started >= 0.06  # three bytes, 20 ms before each


# ---- edits


def edit(session, server, answer, payload, files=None):
    url = f"{server.url}/messages/{answer.json()['id']}"
    if files is not None:
        parts = {"payload_json": (None, json.dumps(payload)), **files}
        return session.patch(url, files=parts, timeout=SECONDS)
    return session.patch(url, json=payload, timeout=SECONDS)


def test_an_edit_changes_what_it_names_and_is_counted_as_a_request(discord, session):
    sent = post(session, discord, {"content": "hello", "embeds": [{"title": "a"}]})

    answer = edit(session, discord, sent, {"embeds": [{"title": "b"}], "allowed_mentions": {"parse": []}})

    assert (answer.status_code, answer.json()["id"]) == (200, sent.json()["id"])
    assert discord.messages[0].payload["content"] == "hello"
    assert discord.embeds == [{"title": "b"}]
    assert [each.embeds for each in discord.edits] == [[{"title": "b"}]]
    assert discord.requests == 2


def test_files_that_an_edit_does_not_list_are_gone(discord, session):
    files = {"files[0]": ("a.txt", b"1"), "files[1]": ("b.txt", b"2")}
    attachments = [{"id": "0", "filename": "a.txt"}, {"id": "1", "filename": "b.txt"}]
    parts = {"payload_json": (None, json.dumps({"content": "x", "attachments": attachments})), **files}
    sent = session.post(discord.url, files=parts, params=WAIT, timeout=SECONDS)
    kept = [one["id"] for one in sent.json()["attachments"] if one["filename"] == "b.txt"]

    edit(session, discord, sent, {"content": "y"})
    assert dict(discord.messages[0].files) == {"a.txt": b"1", "b.txt": b"2"}
    new = {"files[0]": ("c.txt", b"3")}
    answer = edit(session, discord, sent, {"attachments": [{"id": kept[0]}, {"id": "0", "filename": "c.txt"}]}, new)

    assert answer.status_code == 200
    assert dict(discord.messages[0].files) == {"b.txt": b"2", "c.txt": b"3"}


@pytest.mark.parametrize(
    "payload",
    [{"username": "x"}, {"embeds": [{"title": "x" * 257}]}, {"content": "x", "attachments": [{"id": "4711"}]}],
    ids=["a name", "too long", "a file that is not there"],
)
def test_an_edit_is_refused_as_a_message_is(discord, session, payload):
    sent = post(session, discord, {"content": "hello"})

    answer = edit(session, discord, sent, payload)

    assert (answer.status_code, answer.json()["code"]) == (400, 50035)
    assert discord.refusals == [answer.json()]
    assert discord.edits == []


def test_a_message_that_is_gone_cannot_be_changed(discord, session):
    sent = post(session, discord, {"content": "hello"})
    discord.delete(0)

    answer = edit(session, discord, sent, {"content": "x"})

    assert (answer.status_code, answer.json()["code"]) == (404, 10008)


def test_edits_count_in_the_limits_and_follow_the_script(session):
    with FakeDiscord() as slow:
        sent = post(session, slow, {"content": "hello"})
        slow.answer_with(500)
        assert edit(session, slow, sent, {"content": "x"}).status_code == 500
        codes = [edit(session, slow, sent, {"content": str(number)}).status_code for number in range(6)]

    assert codes == [200] * 5 + [429]  # 5 edits in 2 s, whatever messages there were
    assert slow.limited == 1


def test_a_file_that_takes_the_place_of_another_has_an_id_of_its_own(session):
    with FakeDiscord() as slow:
        sent = post(session, slow, {"content": "x"})
        said = [edit(session, slow, sent, {}, {"files[0]": ("a.png", data)}).json() for data in (b"1", b"2")]

    (first,), (second,) = (answer["attachments"] for answer in said)
    assert first["id"] != second["id"]
