"""Who said an event, where many speak, as each backend for people shows it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from documents import ecs, version_1

from notify import Event
from notify.backends.apprise import _message
from notify.backends.discord.embed import make_card
from notify.backends.discord.message import Appearance, compose, compose_plain
from notify.backends.logstash.wire import Speaker
from notify.backends.stdout import StdoutBackend
from notify.backends.telegram.message import head, messages
from notify.backends.telegram.text import html
from notify.backends.written import origin_name, whole_text
from notify.event import Origin
from notify.preview.given import events_of
from notify.preview.page import page
from notify.rules.routing import Route, parse_executors

ORIGIN = Origin("eth-1", "ETH <strategy>", "https://example.com/icon.png")
EVENT = Event(id="1", time=0.0, message="RPC is down\nfor good", level=40, origin=ORIGIN)
HERE = replace(EVENT, origin=None)


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        (None, ""),
        (ORIGIN, "ETH <strategy>"),
        (Origin("eth-1", ""), "eth-1"),
        (Origin("eth-1", " \n "), "eth-1"),
        (Origin("eth-1", "one\nline\u202e"), "one line\\u202e"),
        (Origin("eth-1", "x" * 200), "x" * 79 + "…"),  # 80 characters of a name
    ],
)
def test_a_name_is_one_line_that_hides_nothing(origin: Origin | None, shown: str) -> None:
    assert origin_name(replace(EVENT, origin=origin)) == shown


def test_on_discord_it_is_the_author_of_the_embed() -> None:
    embed = make_card(EVENT).embed

    assert embed["author"] == {"name": "ETH <strategy>", "icon_url": "https://example.com/icon.png"}
    assert embed["title"] == "❌ RPC is down"
    assert "author" not in make_card(HERE).embed


def test_on_discord_its_name_counts_toward_what_a_message_may_have() -> None:
    assert make_card(EVENT).size - make_card(HERE).size == len("ETH <strategy>")


def test_a_message_of_several_says_of_each_who_said_it() -> None:
    other = replace(EVENT, origin=Origin("btc-2", "BTC"))

    embeds = compose([EVENT, other], Appearance()).payload["embeds"]

    assert [embed["author"]["name"] for embed in embeds] == ["ETH <strategy>", "BTC"]


@pytest.mark.parametrize(
    "icon_url", ["", "javascript:alert(1)", "data:image/png;base64,AA", "https://", "https://x/" + "y" * 3000]
)
def test_on_discord_a_picture_that_it_would_refuse_is_left_out(icon_url: str) -> None:
    embed = make_card(replace(EVENT, origin=Origin("eth-1", "ETH", icon_url))).embed

    assert embed["author"] == {"name": "ETH"}


def test_a_plain_message_on_discord_names_it_first() -> None:
    payload = compose_plain(EVENT, Appearance()).payload

    assert payload["content"].startswith("❌ ETH <strategy>\nRPC is down")


def test_on_telegram_it_is_a_line_above_the_heading() -> None:
    (blocks,) = messages(EVENT, "", 1) or []

    assert html(blocks).startswith("<i>ETH &lt;strategy&gt;</i>\n<b>❌ RPC is down</b>")
    assert html(head(EVENT, "")).startswith("<i>ETH &lt;strategy&gt;</i>\n")


def test_on_telegram_it_stands_above_an_event_without_a_text_too() -> None:
    (blocks,) = messages(replace(EVENT, message="", level=20), "", 1) or []

    assert html(blocks).startswith("<i>ETH &lt;strategy&gt;</i>\n(no text)")


class Service:
    body_maxlen = 1000
    title_maxlen = 100


@pytest.mark.parametrize(
    ("event", "title", "body"),
    [
        (EVENT, "ETH <strategy>: RPC is down", "for good"),
        (replace(EVENT, message="RPC is down"), "", "ETH <strategy>: RPC is down"),
        (replace(EVENT, message="", body="for good"), "", "ETH <strategy>:\nfor good"),
        (HERE, "RPC is down", "for good"),
    ],
)
def test_with_apprise_it_comes_before_the_message(event: Event, title: str, body: str) -> None:
    said = _message(event, (), Service())

    assert (said.title, said.body) == (title, body)


def test_the_whole_text_says_it_at_its_head() -> None:
    assert "\nfrom ETH <strategy>\n" in whole_text(EVENT)
    assert "from" not in whole_text(HERE)


def test_on_standard_output_it_comes_before_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    StdoutBackend(env={"NO_COLOR": "1"}).send([EVENT])

    assert "ETH <strategy>: RPC is down" in capsys.readouterr().out


def test_json_lines_have_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    StdoutBackend(json=True).send([EVENT, HERE])

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["origin"] == {
        "executor": "eth-1",
        "name": "ETH <strategy>",
        "icon_url": "https://example.com/icon.png",
    }
    assert "origin" not in second


def test_for_logstash_it_is_the_application() -> None:
    relay = Speaker("executor-relay", "host", ())

    assert version_1(EVENT, relay)["application"] == "executor-eth-1"
    assert ecs(EVENT, relay)["service"] == {"name": "executor-eth-1"}
    assert version_1(HERE, relay)["application"] == "executor-relay"


def test_the_preview_shows_it() -> None:
    document: dict[str, Any] = {"message": "RPC is down", "origin": {"executor": "eth-1", "name": "ETH <strategy>"}}

    events, unknown = events_of(json.dumps(document).encode(), 0.0)

    assert unknown == []
    assert events[0].origin == Origin("eth-1", "ETH <strategy>")
    assert '<p class="author">ETH &lt;strategy&gt;</p>' in page([compose(events, Appearance())])


@pytest.mark.parametrize("origin", ["eth-1", ["eth-1"], 5])
def test_the_preview_refuses_an_origin_that_is_none(origin: object) -> None:
    with pytest.raises(ValueError, match="origin: not an object with executor, name and icon_url"):
        events_of(json.dumps({"message": "x", "origin": origin}).encode(), 0.0)


# ---- routes choose by it


def test_a_route_of_some_executors_takes_what_they_say() -> None:
    route = Route(executors=parse_executors("eth-1, btc-2"))

    assert route.wants(EVENT)
    assert not route.wants(replace(EVENT, origin=Origin("eth-10", "ETH <strategy>")))
    assert not route.wants(replace(EVENT, level=10))  # DEBUG, where INFO is the least


def test_a_route_of_some_executors_takes_nothing_of_whom_nobody_knows() -> None:
    assert not Route(executors=frozenset({"eth-1"})).wants(HERE)


def test_a_route_of_all_takes_what_anybody_says() -> None:
    assert Route().wants(EVENT)
    assert Route().wants(HERE)
