"""What a backend notes of its messages, for all workers."""

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from relays import client, server  # noqa: F401 - fixtures

from notify.errors import RetryLater
from notify.relay.posted import SharedPosted


@pytest.fixture
def posted(client):  # noqa: F811
    """What one worker notes."""
    return SharedPosted(client, "discord")


def test_what_one_worker_notes_another_finds(posted, server):  # noqa: F811
    other = SharedPosted(server.client(), "discord")

    posted["a"] = "1"
    posted["ä b"] = "2 €"
    posted["a"] = "3"
    posted["c"] = "4"
    del posted["c"]

    assert dict(other) == {"a": "3", "ä b": "2 €"}
    assert len(other) == 2
    assert sorted(other.values()) == ["2 €", "3"]
    assert other.get("c") is None
    with pytest.raises(KeyError):
        other["c"]
    with pytest.raises(KeyError):
        del other["c"]
    assert other.pop("a", "") == "3"
    assert posted.pop("a", "") == ""


@pytest.mark.parametrize("key", ["notify:posted:discord", "notify:posted:discord:ages", "notify:posted:discord:bytes"])
def test_what_another_program_has_put_there_is_no_note_and_makes_room(posted, client, key):  # noqa: F811
    posted["a"] = "1"
    client.delete(key)
    client.rpush(key, "of another program")

    assert posted.get("b") is None
    assert len(posted) == len(dict(posted)) == (0 if key == "notify:posted:discord" else 1)
    posted["b"] = "2"

    assert posted["b"] == "2"


def test_notes_that_are_no_text_and_a_size_that_is_no_number_cost_no_other(posted, client):  # noqa: F811
    posted["a"] = "1"
    client.hset("notify:posted:discord", b"\xff", b"\xfe")
    client.set("notify:posted:discord:bytes", "many")

    posted["b"] = "2"

    assert (posted["a"], posted["b"], "2" in posted.values()) == ("1", "2", True)


def test_each_backend_has_notes_of_its_own(posted, client):  # noqa: F811
    posted["a"] = "1"

    assert dict(SharedPosted(client, "discord_trades")) == {}


def test_the_oldest_make_room_by_number(posted):
    for number in range(2100):
        posted[str(number)] = "x"

    assert len(posted) == 2000
    assert "99" not in posted
    assert "100" in posted


def test_the_oldest_make_room_by_size(posted):
    posted["small"] = "x"
    for number in range(10):
        posted[f"large {number}"] = "x" * 2**18  # of bytes; seven of them with their names are all there is room for

    assert list(posted) != []
    assert sum(map(len, posted.values())) <= 2 * 2**20
    assert "large 9" in posted
    assert "small" not in posted


def test_what_is_noted_anew_is_not_the_oldest_any_more(posted):
    for number in range(2000):
        posted[str(number)] = "x"
    posted["0"] = "y"
    posted["new"] = "z"

    assert "0" in posted
    assert "1" not in posted


def test_what_was_noted_outlives_the_kill_of_redis(posted, server):  # noqa: F811
    posted["a"] = "1"

    server.kill()
    server.start()

    assert posted["a"] == "1"


def test_while_redis_is_away_reading_says_later_and_writing_says_nothing_but_on_stderr(client, server, capsys):  # noqa: F811
    posted = SharedPosted(server.client(retry=Retry(NoBackoff(), 0)), "discord")
    server.kill()
    try:
        for read in (lambda: posted["a"], lambda: list(posted), lambda: len(posted), lambda: posted.values()):
            with pytest.raises(RetryLater, match="Redis does not tell which messages are there"):
                read()
        posted["a"] = "1"
        del posted["a"]
    finally:
        server.start()

    said = capsys.readouterr().err.splitlines()
    assert said == ["notify: a message cannot be noted in Redis and will not be changed: ConnectionError"]
