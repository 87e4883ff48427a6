"""The dashboard's pages and headers, as a browser gets them."""

import gzip
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser

import pytest
from looks import NOW, seen, strategy
from werkzeug.test import Client, TestResponse

from notify.fleet.dashboard import pages
from notify.fleet.dashboard.app import HEADERS, Dashboard
from notify.fleet.dashboard.board import Board
from notify.fleet.dashboard.details import Desk, Details
from notify.fleet.dashboard.history import SLOT, SLOTS, History
from notify.fleet.dashboard.icons import Icon, Icons
from notify.fleet.dashboard.reading import Status, read_metadata, read_records, read_status
from notify.fleet.observe import Observation
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State, Verdict
from notify.status.auth import Readers
from notify.testing import FakeClock

MOST = 100_000  # bytes of the page of 200 strategies
RUNNING = {"last_refreshed_at": NOW - 42, "cycles": 12_345, "version": "v2.4.5"}


class Told(Desk):
    """A desk that has its answers from the test."""

    def __init__(self, **found: object) -> None:
        super().__init__(redact=str)
        nothing = Details(status=None, metadata=None, records=None, problems={}, as_of={}, asking=False)
        self.found = nothing._replace(**found)

    def details(self, strategy: Strategy) -> Details:
        return self.found


def serve(
    *observations: Observation,
    strategies: Sequence[Strategy] | None = None,
    problems: Sequence[str] = (),
    readers: Readers | None = None,
    desk: Desk | None = None,
    icons: Icons | None = None,
) -> Client:
    clock = FakeClock()
    listed = strategies if strategies is not None else [observation.strategy for observation in observations]
    history = History(None, clock=clock)
    board = Board(listed, history, clock=clock, redact=str)
    for observation in observations:
        board.add(observation)
    return Client(
        Dashboard(
            board=board,
            desk=desk or Told(),
            icons=icons or Icons(listed, answers=board.answers, clock=clock),
            problems=problems,
            interval=30.0,
            readers=readers,
            clock=clock,
        )
    )


def text(response: TestResponse) -> str:
    """Return what a person reads, on one line."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(response.text)
    return " ".join(" ".join(found).split())


def names(response: TestResponse) -> list[str]:
    return re.findall(r'<th scope=row><a href="/strategies/([^"]+)"', response.text)


# ---- the list


def test_the_root_leads_to_the_list() -> None:
    answer = serve().get("/")

    assert (answer.status_code, answer.location) == (302, "/strategies")


def test_the_list_says_how_each_strategy_is() -> None:
    answer = serve(
        seen("vega", **RUNNING), seen("rigel", State.OFFLINE, reason="no answer within 5 s"), seen("deneb", **RUNNING)
    ).get("/strategies")

    assert answer.status_code == 200
    assert names(answer) == ["rigel", "deneb", "vega"]
    assert "1 of 3 needs attention" in text(answer)
    assert "vega running 42 s ago 12,345 v2.4.5 100 % 100 ms" in text(answer)
    assert "rigel offline no answer within 5 s – – – 0 %" in text(answer)
    assert "<title>(1) Strategies</title>" in answer.text
    assert '<time datetime=2025-12-31T23:59:18Z title="2025-12-31 23:59:18 UTC">42 s ago</time>' in answer.text


def test_warnings_are_shown_though_it_runs() -> None:
    answer = serve(seen(warnings=("2 frozen positions", "low gas: 0.01 ETH"))).get("/strategies")

    assert "All" in text(answer)
    assert "1 with a warning" in text(answer)
    assert "running 2 frozen positions low gas: 0.01 ETH" in text(answer)
    assert "<title>Strategies</title>" in answer.text


def test_what_is_wrong_with_the_list_is_on_the_page() -> None:
    answer = serve(seen(), problems=("entry 2 (<b>): url is missing", "entry 3: id is missing")).get("/strategies")

    assert "2 things wrong with TS_PUBLIC_STRATEGIES" in text(answer)
    assert "<li>entry 2 (&lt;b&gt;): url is missing</li>" in answer.text
    assert names(answer) == ["vega"]


def test_an_empty_list_says_what_to_set() -> None:
    answer = serve(problems=("not JSON (line 1, column 2)",)).get("/strategies")

    assert "No strategy to show Set TS_PUBLIC_STRATEGIES to a JSON list" in text(answer)
    assert "One thing wrong with TS_PUBLIC_STRATEGIES not JSON" in text(answer)


def test_the_list_is_filtered_by_state_and_text_on_the_server() -> None:
    client = serve(seen("vega"), seen("vesta", State.STALE, reason="no progress for 2 h"), seen("rigel"))

    assert names(client.get("/strategies?state=stale")) == ["vesta"]
    assert names(client.get("/strategies?q=ve")) == ["vesta", "vega"]
    assert names(client.get("/strategies?q=ve&state=running")) == ["vega"]


def test_a_search_that_finds_nothing_says_so_and_leads_back() -> None:
    answer = serve(seen()).get("/strategies?q=<script>&state=stale")

    assert "None of them is called “<script>” and is stale" in text(answer)
    assert 'href="/strategies">Show all 1' in answer.text
    assert "<script>&" not in answer.text


def test_the_links_of_the_states_keep_the_search() -> None:
    answer = serve(seen("a&b")).get("/strategies?q=a%26b")

    assert 'href="/strategies?state=stale&amp;q=a%26b"' in answer.text


def test_a_page_that_is_asked_for_again_is_sent_only_if_there_is_something_new() -> None:
    client = serve(seen())
    etag = client.get("/strategies").headers["ETag"]

    again = client.get("/strategies", headers={"If-None-Match": etag})
    otherwise = client.get("/strategies?q=ve", headers={"If-None-Match": etag})

    assert (again.status_code, again.data) == (304, b"")
    assert otherwise.status_code == 200


def test_a_look_makes_the_page_another_one() -> None:
    client = serve(seen())
    etag = client.get("/strategies").headers["ETag"]
    assert isinstance(client.application, Dashboard)

    client.application._board.add(seen(state=State.STALE))

    assert client.get("/strategies", headers={"If-None-Match": etag}).status_code == 200


def test_intervals_of_their_own_are_mentioned() -> None:
    plain, own = strategy("a"), Strategy(id="b", name="b", url="https://x.example.com", interval=5.0)

    assert "every 30 s. A mark" in text(serve(strategies=[plain]).get("/strategies"))
    assert "every 30 s or at its own interval. A mark" in text(serve(strategies=[plain, own]).get("/strategies"))
    assert "every 5 s" in text(serve(seen("b"), strategies=[own]).get("/strategies/b"))


def test_an_icon_stands_in_place_of_the_initials() -> None:
    icons = Icons([strategy()], answers=lambda one: True, clock=FakeClock())
    icons._names["vega"] = "abc123"
    icons._icons["abc123"] = Icon("image/png", b"\x89PNG")
    client = serve(seen(), icons=icons)

    picture = client.get("/icons/abc123")

    assert '<img alt="" src=/icons/abc123>' in client.get("/strategies").text
    assert (picture.data, picture.content_type) == (b"\x89PNG", "image/png")
    assert "immutable" in picture.headers["Cache-Control"]
    assert client.get("/icons/other").status_code == 404


# ---- how large it is


def test_the_page_of_two_hundred_strategies_is_below_a_hundred_kilobytes() -> None:
    """Times that vary, and some trouble for everybody: what SVG is worst at."""
    strategies = [
        Strategy(id=f"strategy-{n:03}", name=f"Strategy {n:03}", url="https://x.example.com") for n in range(200)
    ]
    client = serve(strategies=strategies)
    assert isinstance(client.application, Dashboard)
    board = client.application._board
    for number, one in enumerate(strategies):
        for back in reversed(range(SLOTS)):
            state = State.RUNNING if (number * 7 + back) % 97 else State.OFFLINE
            board.add(
                Observation(
                    strategy=one,
                    at=NOW - back * SLOT,
                    seconds=0.02 + (number * 31 + back * 17) % 23 / 100,
                    verdict=Verdict(state=state, reason="connection refused" if number % 97 == 0 else "", **RUNNING),
                )
            )

    plain = client.get("/strategies")
    packed = client.get("/strategies", headers={"Accept-Encoding": "gzip, br"})

    assert len(names(plain)) == 200
    assert len(plain.data) < MOST
    assert len(packed.data) < MOST / 4
    assert gzip.decompress(packed.data) == plain.data


# ---- the page of one


def crashed() -> Told:
    return Told(
        status=read_status(
            {
                "executor_running": False,
                "cycles": 7,
                "exception": {
                    "tb_frame": {"f_code": {"co_filename": "loop.py", "co_name": "tick"}},
                    "tb_lineno": 412,
                    "exception_message": "Boom <b>",
                },
                "delivery": {"discord": {"delivered": 1204, "pending": 2, "retried": 3, "dropped": {}}},
            }
        ),
        metadata=read_metadata({"short_description": "Buys low", "tags": ["live"]}),
        records=read_records(
            [
                {"timestamp": NOW - 9, "level": "info", "level_number": 20, "message": "cycle 7 begins"},
                {"timestamp": NOW - 8, "level": "trade", "level_number": 21, "message": "Bought 0.25 ETH\nat 3,450.10"},
                {
                    "timestamp": NOW - 7,
                    "level": "error",
                    "level_number": 40,
                    "message": "Crashed",
                    "formatted_data": ["Traceback (most recent call last):\n", "ValueError: Boom <b>\n"],
                },
            ]
        ),
    )


def test_the_page_of_a_crashed_strategy_has_everything_to_find_out_why() -> None:
    client = serve(seen("vega", State.CRASHED, reason="Boom <b>", crashed_at=NOW - 90), desk=crashed())

    answer = client.get("/strategies/vega")

    assert answer.status_code == 200
    assert "<title>vega: crashed</title>" in answer.text
    said = text(answer)
    assert "crashed for 1 min 30 s Buys low Boom <b> Exception Traceback (most recent call last): ValueError" in said
    assert "This run Cycles 7" in said
    assert "discord 1,204 2 3 0 – –" in said
    assert said.index("error Crashed") < said.index("trade Bought 0.25 ETH at 3,450.10") < said.index("cycle 7 begins")


def test_the_log_is_filtered_by_level() -> None:
    client = serve(seen(), desk=crashed())

    answer = client.get("/strategies/vega?level=trade")
    odd = client.get("/strategies/vega?level=<b>")

    assert "cycle 7 begins" not in text(answer)
    assert "Bought 0.25 ETH" in text(answer)
    assert "Info 3 Trade 2 Warning 1 Error 1" in text(answer)
    assert "cycle 7 begins" in text(odd)


def test_a_record_of_today_has_its_hour_and_an_older_one_its_day() -> None:
    records = read_records([{"timestamp": NOW + at, "level_number": 20, "message": "hi"} for at in (-60, 60)])

    page = serve(seen(), desk=Told(records=records)).get("/strategies/vega").text

    assert re.findall(r'<time class="clock"[^>]*>([^<]*)<', page) == ["00:01:00", "12-31 23:59"]  # NOW is midnight


def test_without_a_log_the_traceback_is_the_chain_of_frames_and_the_message_is_said_once() -> None:
    down = seen("vega", State.CRASHED, reason="Boom <b>")
    answer = serve(down, desk=Told(status=crashed().found.status)).get("/strategies/vega")

    assert 'Boom <b> Exception File "loop.py", line 412, in tick' in text(answer)
    assert text(answer).count("Boom <b>") == 1


def test_the_message_of_a_crash_is_said_whole_and_with_its_line_ends() -> None:
    whole = "Boom\n" + "x" * 900
    down = seen("vega", State.CRASHED, reason="Boom xxx…")
    answer = serve(down, desk=Told(status=Status(failure=whole))).get("/strategies/vega")

    assert f'<p class="reason crashed">{whole}</p>' in answer.text
    assert answer.text.count("Boom") == 1
    assert "Exception" not in answer.text


def test_a_crash_that_the_last_look_has_not_seen_yet_has_its_message_with_the_exception() -> None:
    answer = serve(seen("vega"), desk=Told(status=crashed().found.status)).get("/strategies/vega")

    assert 'Exception Boom <b> File "loop.py", line 412, in tick' in text(answer)


def test_a_traceback_that_was_logged_of_something_else_is_not_taken_for_that_of_the_failure() -> None:
    other = [
        {"level_number": 40, "message": "x", "formatted_data": ["Traceback (most recent call last):\n", "KeyError\n"]}
    ]
    told = Told(status=crashed().found.status, records=read_records(other))

    answer = serve(seen("vega", State.CRASHED, reason="Boom <b>"), desk=told).get("/strategies/vega")

    assert 'Boom <b> Exception File "loop.py", line 412, in tick' in text(answer)


def test_the_page_of_an_offline_strategy_says_why_nothing_came() -> None:
    problems = dict.fromkeys(("status", "metadata", "logs"), "no answer within 5 s")
    client = serve(seen("vega", State.OFFLINE, reason="no answer within 5 s"), desk=Told(problems=problems))

    answer = client.get("/strategies/vega")

    assert answer.status_code == 200
    assert "This run /status: no answer within 5 s." in text(answer)
    assert "/logs: no answer within 5 s." in text(answer)


def test_what_an_offline_strategy_said_before_is_shown_and_said_to_be_old() -> None:
    told = crashed()
    told.found = told.found._replace(problems={"logs": "connection refused"}, as_of={"logs": NOW - 90})

    answer = serve(seen("vega", State.OFFLINE, reason="connection refused"), desk=told).get("/strategies/vega")

    assert "/logs: connection refused. This is what it said 1 min 30 s ago." in text(answer)
    assert "Bought 0.25 ETH" in text(answer)


def test_a_page_that_waits_for_an_answer_says_so_and_is_loaded_again_soon() -> None:
    answer = serve(seen(), desk=Told(asking=True)).get("/strategies/vega")

    assert "It has been asked, and has not answered yet." in text(answer)
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in answer.text


def test_a_long_log_shows_its_newest_records_and_says_that_there_are_more() -> None:
    records = read_records([{"level_number": 20, "level": "info", "message": f"record {n}"} for n in range(300)])

    answer = serve(seen(), desk=Told(records=records)).get("/strategies/vega")

    assert answer.text.count("<li class") == 200  # as many as a page shows
    assert "record 299" in answer.text
    assert "The newest 200 of 300." in text(answer)


def test_the_bar_is_told_to_who_does_not_see_it() -> None:
    answer = serve(seen(), seen(state=State.STALE)).get("/strategies/vega")

    assert 'aria-label="running 50.0 %, not looked at 23 h 30 min, stale 30 min"' in answer.text


@pytest.mark.parametrize("name", ["a/b", "a?b#c", "é<>", "%2e", "a b"])
def test_an_id_may_be_anything(name: str) -> None:
    client = serve(seen(name))
    (path,) = names(client.get("/strategies"))

    assert client.get(f"/strategies/{path}").status_code == 200


# ---- hostile


HOSTILE = "<script>alert(1)</script>\"'\u202e\x00\u2066&amp;"


def test_nothing_that_a_strategy_says_becomes_part_of_the_page() -> None:
    odd = Strategy(id=HOSTILE, name=HOSTILE, url="https://x.example.com")
    verdict = Verdict(state=State.CRASHED, reason=HOSTILE, warnings=(HOSTILE,), version=HOSTILE)
    told = Told(
        status=read_status(
            {
                "exception": {"exception_message": HOSTILE},
                "executor_id": HOSTILE,
                "delivery": {HOSTILE: {"last_error": HOSTILE, "dropped": {HOSTILE: 1}}},
            }
        ),
        metadata=read_metadata({"short_description": HOSTILE, "tags": [HOSTILE]}),
        records=read_records([{"message": f"{HOSTILE}\n{HOSTILE}", "level": HOSTILE, "formatted_data": [HOSTILE]}]),
        problems={"logs": HOSTILE},
        as_of={"logs": NOW},
    )
    client = serve(Observation(strategy=odd, at=NOW, seconds=1, verdict=verdict), desk=told, problems=(HOSTILE,))
    (path,) = names(client.get("/strategies"))

    for answer in (client.get("/strategies"), client.get(f"/strategies?q={path}"), client.get(f"/strategies/{path}")):
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert not set("\u202e\u2066\x00") & set(answer.text)
        assert re.findall(r"<script\b[^>]*>", answer.text) == [
            f'<script src="/static/dashboard.js?v={pages._static("dashboard.js")[1]}" defer>'
        ]


def test_text_of_ten_kilobytes_leaves_a_small_page() -> None:
    long = "word " * 2000

    answer = serve(seen(state=State.CRASHED, reason=long, warnings=(long,), version=long)).get("/strategies")

    assert len(answer.data) < 10_000  # bytes, of which 5000 are the frame


# ---- headers, methods, passwords, defects


PATHS = ("/", "/strategies", "/strategies/vega", "/strategies/none", "/none", "/static/dashboard.css", "/static/none")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_keeps_the_page_to_itself(path: str) -> None:
    headers = serve(seen()).get(path).headers

    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers
    assert set(HEADERS) <= set(headers.keys())


@pytest.mark.parametrize("path", ["/strategies", "/strategies/vega", "/none"])
def test_a_page_holds_no_script_and_no_style_of_its_own(path: str) -> None:
    page = serve(seen(), desk=crashed()).get(path).text

    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"\son[a-z]+=", page)
    assert re.findall(r'(?:src|href)="?(?:https?:)?//', page) == []


@pytest.mark.parametrize("name", pages.STATIC)
def test_the_files_of_the_page_are_served_and_may_be_kept(name: str) -> None:
    answer = serve().get(f"/static/{name}")

    assert answer.status_code == 200
    assert answer.content_type == pages.STATIC[name]
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/strategies/"])
def test_no_path_leads_anywhere_else(path: str) -> None:
    assert serve(seen()).get(path).status_code == 404


def test_what_is_not_there_is_a_page_that_leads_back() -> None:
    answer = serve(seen()).get("/strategies/none")

    assert answer.status_code == 404
    assert "There is no such strategy" in text(answer)
    assert 'href="/strategies"' in answer.text


def test_head_is_answered_without_a_body_and_nothing_can_be_posted() -> None:
    client = serve(seen())

    head, post = client.head("/strategies"), client.post("/strategies")

    assert (head.status_code, head.data) == (200, b"")
    assert (post.status_code, post.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", PATHS)
def test_with_a_password_nothing_is_served_without_it(path: str) -> None:
    client = serve(seen(), readers=Readers("operator", "secret"))

    refused, wrong = client.get(path), client.get(path, auth=("operator", "wrong"))
    admitted = client.get(path, auth=("operator", "secret"))

    assert (refused.status_code, wrong.status_code) == (401, 401)
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert "vega" not in refused.text
    assert admitted.status_code in (200, 302, 404)


def test_a_defect_is_a_page_and_a_line_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> str:
        raise ZeroDivisionError("hush")

    monkeypatch.setattr(pages, "list_page", broken)
    client = serve(seen())

    answer = client.get("/strategies")

    assert answer.status_code == 500
    assert "hush" not in answer.text
    assert capsys.readouterr().err == "notify: a page could not be made: ZeroDivisionError\n"
    assert client.get("/strategies/vega").status_code == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda client: client.get("/strategies", query_string="state=%ff&q=%ff%00"),
        lambda client: client.get("/strategies?" + "q=x&" * 500),
        lambda client: client.get("/strategies", headers={"If-None-Match": '"', "Accept-Encoding": "gzip;q=x"}),
        lambda client: client.get("/strategies", headers={"Authorization": "Basic \xff"}),
        lambda client: client.get("/strategies", environ_overrides={"PATH_INFO": "/strategies/\xff"}),
        lambda client: client.get("/strategies", headers={"Host": "<evil>"}),
    ],
)
def test_odd_requests_are_answered(make: Callable[[Client], TestResponse]) -> None:
    assert make(serve(seen())).status_code < 500
