"""The rows of the list: words for what is known, trouble first."""

import pytest
from looks import NOW, seen, strategy

from notify.fleet.dashboard.board import Board
from notify.fleet.dashboard.history import History
from notify.fleet.dashboard.rows import Listing, Row, listing, row
from notify.fleet.dashboard.text import ago, initials, line, lines, percent, response_time
from notify.fleet.observe import Observation
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import State
from notify.testing import FakeClock


def board(*observations: Observation, names: tuple[str, ...] = ("vega",)) -> Board:
    clock = FakeClock()
    made = Board([strategy(name) for name in names], History(None, clock=clock), clock=clock, redact=str)
    for observation in observations:
        made.add(observation)
    return made


def shown(*observations: Observation, now: float = NOW) -> Row:
    return row(board(*observations).known(strategy()), now=now, interval=30.0)


def listed(*observations: Observation, state: str = "", query: str = "") -> Listing:
    names = tuple(observation.strategy.id for observation in observations)
    known = board(*observations, names=names).all()
    return listing(known, now=NOW, interval=30.0, icon_of=lambda name: "", state=state, query=query)


def names(found: Listing) -> list[str]:
    return [each.name for each in found.rows]


# ---- one row


def test_who_was_not_looked_at_yet_waits() -> None:
    found = shown()

    assert (found.state, found.reason, found.refreshed, found.cycles, found.trouble) == ("waiting", "", None, "", False)


def test_a_running_strategy_says_what_it_says_of_itself() -> None:
    found = shown(seen(seconds=0.042, last_refreshed_at=NOW - 65, cycles=12_345, version="v2.4.5"))

    assert (found.state, found.cycles, found.version, found.response) == ("running", "12,345", "v2.4.5", "42 ms")
    assert found.refreshed is not None
    assert (found.refreshed.ago, found.refreshed.exact) == ("1 min 5 s ago", "2025-12-31 23:58:55 UTC")
    assert found.refreshed.iso == "2025-12-31T23:58:55Z"


def test_what_is_offline_keeps_the_facts_of_its_last_answer() -> None:
    found = shown(
        seen(cycles=7, version="v1", last_refreshed_at=NOW - 10),
        seen(state=State.OFFLINE, at=NOW + 30, reason="connection refused"),
        now=NOW + 90,
    )

    assert (found.state, found.reason, found.cycles, found.version) == ("offline", "connection refused", "7", "v1")
    assert (found.response, found.lasting) == ("", "1 min")


def test_how_long_it_is_offline_is_not_said_when_it_was_so_from_the_first_look_on() -> None:
    assert shown(seen(state=State.OFFLINE)).lasting == ""


def test_how_long_it_has_crashed_is_what_it_says() -> None:
    assert shown(seen(state=State.CRASHED, crashed_at=NOW - 7200)).lasting == "2 h"


def test_the_path_of_a_strategy_holds_its_id_whatever_is_in_it() -> None:
    clock = FakeClock()
    odd = Strategy(id="a/b?c#<é>", name="odd", url="https://odd.example.com")

    found = row(Board([odd], History(None), clock=clock, redact=str).known(odd), now=NOW, interval=30.0)

    assert found.path == "/strategies/a%2Fb%3Fc%23%3C%C3%A9%3E"


def test_who_was_not_looked_at_for_long_has_a_warning() -> None:
    # Three intervals of 30 s may be missed, and the five seconds that a look may take.
    assert shown(seen(), now=NOW + 94).warnings == ()
    assert shown(seen(warnings=("low gas",)), now=NOW + 96).warnings == ("low gas", "not looked at for 1 min 36 s")


def test_a_picture_is_drawn_anew_only_after_another_look() -> None:
    kept = board(seen())

    assert kept.known(strategy()).bar is kept.known(strategy()).bar
    first = kept.known(strategy()).bar
    kept.add(seen(state=State.STALE, at=NOW + 1))
    assert kept.known(strategy()).bar is not first


def test_the_mark_of_the_board_changes_with_each_look() -> None:
    kept = board()
    before = kept.mark()

    kept.add(seen())

    assert kept.mark() != before


# ---- the list


def test_trouble_is_on_top_then_warnings_then_names() -> None:
    found = listed(
        seen("zeta"),
        seen("Alpha"),
        seen("warned", warnings=("2 frozen positions",)),
        seen("stale", State.STALE),
        seen("offline", State.OFFLINE),
        seen("crashed", State.CRASHED),
    )

    assert names(found) == ["crashed", "offline", "stale", "warned", "Alpha", "zeta"]
    assert (found.total, found.trouble, found.warned) == (6, 3, 1)


def test_one_state_may_be_asked_for_and_the_counts_are_those_of_all() -> None:
    found = listed(seen("a"), seen("b", State.STALE), state="stale")

    assert names(found) == ["b"]
    assert found.counts == {"crashed": 0, "offline": 0, "stale": 1, "running": 1, "waiting": 0}


def test_a_state_that_there_is_not_is_all() -> None:
    assert names(listed(seen("a"), state="<script>")) == ["a"]


def test_a_search_finds_part_of_a_name_in_any_case() -> None:
    assert names(listed(seen("Ether Momentum"), seen("vega"), query=" MOMENT ")) == ["Ether Momentum"]


# ---- text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("two\nlines\tand\u00a0more", "two lines and more"),
        ("nul\x00bell\x07", r"nul\x00bell\x07"),
        ("moves \u202e back", r"moves \u202e back"),
        ("isolates \u2066", r"isolates \u2066"),
        ("lone \ud800", r"lone \ud800"),
        (None, "None"),
        (7, "7"),
    ],
)
def test_what_cannot_be_seen_is_written_out(said: object, text: str) -> None:
    assert line(said) == text


def test_long_text_is_cut_and_says_so() -> None:
    text = line("word " * 2000, 200)

    assert len(text) <= 200
    assert "characters cut" in text


def test_lines_keep_their_ends_and_indents() -> None:
    assert lines('  File "x"\n\tpass\x1b[0m\n', 100) == '  File "x"\n    pass\\x1b[0m'


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50.0 %"), (0.00001, "0.1 %"), (0.0, "0 %")]
)
def test_only_what_is_whole_is_a_hundred_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0042, "4 ms"), (0.9994, "999 ms"), (1.26, "1.3 s")])
def test_response_times_are_short(seconds: float, text: str) -> None:
    assert response_time(seconds) == text


def test_what_is_still_to_come_is_just_now() -> None:
    assert ago(NOW + 60, NOW) == "just now"


@pytest.mark.parametrize(
    ("name", "letters"), [("Ether Momentum", "EM"), ("vega", "VE"), ("v-2 x", "V2"), ("<>", "?"), ("日本", "日本")]
)
def test_initials_are_one_or_two_letters(name: str, letters: str) -> None:
    assert initials(name) == letters
