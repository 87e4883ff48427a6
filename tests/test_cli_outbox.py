"""`notify outbox`: what it shows, what it changes, and what it says when there is nothing to work on."""

import json
import logging
import os
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from children import python
from machine import missing
from outboxes import ALL, GRACE, an_event, everything_in, opened, running
from set_up import secrets_file
from typer.testing import CliRunner, Result

from notify.cli.app import app
from notify.delivery.outbox import Outbox, listing
from notify.delivery.outbox.file import NAME
from notify.errors import ConfigError
from notify.event import Attachment, Event, ExceptionInfo, Source, new_id
from notify.levels import TRADE


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - {"XDG_STATE_HOME"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "250")  # wide enough that no cell is folded


@pytest.fixture
def outbox(state: Path) -> Any:
    with opened(state) as it:
        yield it


@pytest.fixture
def run(state: Path) -> Callable[..., Result]:
    """Runs `notify outbox` in this process, on the outbox of the test."""

    def invoke(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, ["outbox", *arguments, "--state-dir", str(state)], input=stdin)

    return invoke


def _accepted(outbox: Outbox, event: Event | None = None, *, dead: str | None = None) -> Event:
    """An event for Discord that waits, or that was given up for the reason *dead*."""
    event = event or an_event()
    assert outbox.accept(event, ["discord"])
    if dead is not None:
        outbox.dead("discord", event.id, dead)
    return event


def _short(event: Event) -> str:
    """What `list` shows of an id: of the one sequence that numbers the events of a test, the last four figures."""
    return event.id.split("-")[1][-4:]


def _cells(table: str) -> list[list[str]]:
    """The cells of a table, without its head, whose columns are separated by another sign."""
    return [[cell.strip() for cell in line.split("│")] for line in table.splitlines() if "│" in line]


# ---- list


def test_what_waits_and_what_is_dead_stands_in_a_table(run, outbox):
    waiting = _accepted(outbox, an_event("Bought 0.5 WETH\nat 3,000 USD", logging.WARNING))
    dead = _accepted(outbox, an_event("Sold"), dead="embeds[0]: too long")

    done = run("list")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "Waiting: 1. Dead letters: 1."
    assert [row[1:] for row in _cells(done.stdout)] == [
        ["discord", "WARNING", "Bought 0.5 WETH", _short(waiting), "waiting"],
        ["discord", "TRADE", "Sold", _short(dead), "dead: embeds[0]: too long"],
    ]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), ["waiting 1", "waiting 2", "dead 2", "dead 1"]),
        (("--waiting",), ["waiting 1", "waiting 2"]),
        (("--dead",), ["dead 2", "dead 1"]),
        (("--waiting", "--dead"), ["waiting 1", "waiting 2", "dead 2", "dead 1"]),
        (("--limit", "1"), ["waiting 1", "dead 2"]),
    ],
)
def test_the_list_can_be_narrowed(run, outbox, options, shown):
    for number in (1, 2):
        _accepted(outbox, an_event(f"waiting {number}"))
        _accepted(outbox, an_event(f"dead {number}"), dead="no")

    done = run("list", *options)
    as_json = run("list", *options, "--json")

    assert [row[3] for row in _cells(done.stdout)] == shown
    assert [row["message"] for row in json.loads(as_json.stdout)] == shown
    assert done.stdout.splitlines()[0] == "Waiting: 2. Dead letters: 2."  # of all, so that nobody takes these for all


@pytest.mark.parametrize("limit", ["x", "0", "-1", "1.5"])
def test_a_limit_that_is_no_number_is_told_in_our_words(run, limit):
    done = run("list", "--limit", limit)

    assert done.exit_code == 2
    assert "not a whole number from 1 to 999999" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (7_200, "2 h"), (200_000, "2 d"), (-60, "0 s")],
)
def test_the_age_is_told_in_its_largest_unit(run, outbox, monkeypatch, seconds, shown):
    event = _accepted(outbox)
    monkeypatch.setattr("notify.cli.outbox.time.time", lambda: event.time + seconds)

    assert _cells(run("list").stdout)[0][0] == shown


def test_programs_get_every_part_of_a_row(run, outbox):
    event = _accepted(outbox, an_event("Sold", logging.ERROR), dead="no")

    (row,) = json.loads(run("list", "--json").stdout)

    assert row == {
        "id": event.id,
        "destination": "discord",
        "state": "dead",
        "time": "2026-01-01T00:00:00.000Z",
        "level": "ERROR",
        "message": "Sold",
        "dead_at": "2026-01-01T00:00:00.000Z",
        "reason": "no",
    }


def test_an_id_can_be_copied_and_a_message_read_also_where_the_terminal_is_narrow(run, outbox, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    event = _accepted(outbox, an_event("Bought 0.5 WETH for 1,725 USDC"))

    assert _cells(run("list").stdout)[0][3:] == ["Bought 0.5 WETH for 1,725 USDC", _short(event), "waiting"]


def test_the_list_can_be_of_one_destination(run, outbox):
    outbox.accept(an_event("both"), ["discord", "telegram"])
    for name in ("discord", "telegram"):
        outbox.accept(gone := an_event(f"dead for {name}"), [name])
        outbox.dead(name, gone.id, "no")

    done = run("list", "--destination", "telegram")

    assert [row[1:4:2] for row in _cells(done.stdout)] == [["telegram", "both"], ["telegram", "dead for telegram"]]
    assert done.stdout.splitlines()[0] == "Waiting: 1. Dead letters: 1."


def test_an_empty_outbox_has_no_table(run, outbox):
    assert run("list").stdout == "Waiting: 0. Dead letters: 0.\n"
    assert json.loads(run("list", "--json").stdout) == []


HOSTILE = "[red]not markup[/red] \x1b[2J\x9b2J\u202e"


def test_what_an_event_says_cannot_act_on_the_terminal(run, outbox):
    event = _accepted(outbox, an_event(HOSTILE), dead=HOSTILE)

    for done in (run("list"), run("show", event.id)):
        assert "[red]not markup[/red] \\x1b[2J\\x9b2J\\u202e" in done.stdout
        assert not {"\x1b", "\x9b", "\u202e"} & set(done.stdout)


def test_a_row_that_cannot_be_read_is_listed_all_the_same(run, state, outbox):
    event = _accepted(outbox)
    with closing(sqlite3.connect(state / NAME)) as file, file:
        file.execute("UPDATE outbox SET payload = x'00', created = 'long ago', destination = x'ff'")

    listed, shown = run("list"), run("show", event.id)

    assert _cells(listed.stdout)[0][3:] == ["(it cannot be read any more)", _short(event), "waiting"]
    assert "(it cannot be read any more)" in shown.stdout
    assert json.loads(run("show", event.id, "--json").stdout)["event"] is None


# ---- show

WHOLE = Event(
    id=new_id(1_767_225_600.0),
    time=1_767_225_600.0,
    message="Bought 0.5 WETH",
    level=TRADE,
    body="at 3,000 USD\non Uniswap",
    topic="trade",
    key="position-7",
    fields={"pair": "WETH-USDC", "tags": ["a", "b"]},
    attachments=(Attachment("chart.png", b"12345"),),
    exception=ExceptionInfo("ValueError", "no", "Traceback …\nValueError: no"),
    tail=("line 1", "line 2"),
    source=Source("/app/strategy.py", 120, "decide", 4711, "MainThread"),
)


def test_an_event_is_shown_whole_and_with_each_of_its_destinations(run, outbox):
    outbox.accept(WHOLE, ["discord", "telegram"])
    outbox.dead("telegram", WHOLE.id, "no such chat")

    done = run("show", WHOLE.id)

    assert done.exit_code == 0
    table, _, event = done.stdout.partition("\n\n")
    assert sorted(_cells(table)) == [["discord", "waiting"], ["telegram", "dead: no such chat"]]
    for part in (
        "message: Bought 0.5 WETH",
        "level: TRADE",
        "body:\n    at 3,000 USD\n    on Uniswap",
        "key: position-7",
        "    pair: WETH-USDC\n    tags:\n        a\n        b",
        "    traceback:\n        Traceback …\n        ValueError: no",
        "tail:\n    line 1\n    line 2",
        "    filename: chart.png\n    bytes: 5",
        "source: /app/strategy.py:120",
        f"id: {WHOLE.id}",
    ):
        assert part in event


def test_programs_get_the_event_and_its_destinations(run, outbox):
    outbox.accept(WHOLE, ["discord"])
    outbox.dead("discord", WHOLE.id, "no")

    shown = json.loads(run("show", WHOLE.id, "--json").stdout)

    assert shown["id"] == WHOLE.id
    assert shown["event"]["fields"] == {"pair": "WETH-USDC", "tags": ["a", "b"]}
    assert shown["destinations"] == [
        {"destination": "discord", "state": "dead", "dead_at": "2026-01-01T00:00:00.000Z", "reason": "no"}
    ]


# ---- retry


def test_a_dead_letter_that_is_retried_is_found_by_the_program_that_runs(run, outbox):
    dead, other = _accepted(outbox, dead="no"), _accepted(outbox, dead="no")

    done = run("retry", dead.id)

    assert (done.exit_code, done.stdout) == (0, "1 will be delivered again.\n")
    assert [each.event for each in outbox.adopt(ALL)] == [dead]
    assert _short(other) in run("list", "--dead").stdout


def test_all_dead_letters_can_be_retried_at_once_and_what_waits_is_left_alone(run, outbox):
    dead = [_accepted(outbox, dead="no") for _ in range(120)]  # more than one statement takes
    _accepted(outbox)

    done = run("retry", "--all-dead", "--json")

    assert json.loads(done.stdout) == {event.id: 1 for event in dead}
    assert [each.event for each in outbox.adopt(ALL)] == dead


# ---- drop


def test_what_is_dropped_is_gone_for_all_its_destinations(run, state, outbox):
    outbox.accept(gone := an_event(), ["discord", "telegram"])
    kept = _accepted(outbox)

    done = run("drop", gone.id, "--yes")

    assert (done.exit_code, done.stdout) == (0, "2 removed.\n")
    assert [each.event for each in listing.waiting(state, 10)] == [kept]


def test_all_dead_letters_can_be_dropped_without_what_waits_of_the_same_event(run, state, outbox):
    outbox.accept(event := an_event(), ["discord", "telegram"])
    outbox.dead("discord", event.id, "no")

    assert run("drop", "--all-dead", "--yes").stdout == "1 removed.\n"

    assert [each.destination for each in listing.waiting(state, 10)] == ["telegram"]
    assert listing.dead(state, 10) == []


@pytest.fixture
def _somebody_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify.cli.outbox_changes._somebody_is_there", lambda: True)


@pytest.mark.usefixtures("_somebody_at_the_terminal")
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(("answer", "left", "code"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 1, 1)])
def test_dropping_shows_what_goes_and_asks_first(run, state, outbox, options, answer, left, code):
    event = _accepted(outbox, an_event("Sold\nall of it"))

    done = run("drop", event.id, *options, stdin=answer)

    assert done.stderr.startswith("  discord: Sold\nRemove 1 event for good?")
    assert done.stdout.startswith("{") if options else done.stdout in ("", "1 removed.\n")  # and nothing else
    assert (len(listing.waiting(state, 10)), done.exit_code) == (left, code)


@pytest.mark.usefixtures("_somebody_at_the_terminal")
def test_of_many_that_go_the_first_ten_are_shown(run, outbox):
    for number in range(1, 13):
        _accepted(outbox, an_event(f"message {number}"), dead="no")

    shown = run("drop", "--all-dead", stdin="n\n").stderr.splitlines()

    assert shown[:2] == ["  discord: message 12", "  discord: message 11"]  # the newest first, as in the list
    assert shown[9:11] == ["  discord: message 3", "  and 2 more"]
    assert shown[11].startswith("Remove 12 events for good?")


@pytest.mark.usefixtures("_somebody_at_the_terminal")
def test_an_unknown_id_is_told_before_anybody_is_asked(run, outbox):
    event = _accepted(outbox, an_event("Sold"))

    done = run("drop", "nothing", event.id, stdin="n\n")

    assert done.stderr.startswith("notify: no such event: nothing\n  discord: Sold\nRemove 1 event for good?")


@pytest.mark.usefixtures("_somebody_at_the_terminal")
def test_what_was_retried_while_somebody_was_asked_is_not_dropped(run, state, outbox, monkeypatch):
    event = _accepted(outbox, dead="no")
    monkeypatch.setattr("notify.cli.outbox_changes._ask", lambda *_: listing.retry(state, [event.id]))

    done = run("drop", "--all-dead")

    assert (done.stdout, len(listing.waiting(state, 10))) == ("0 removed.\n", 1)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_nothing_is_dropped_where_nobody_can_be_asked(run, state, outbox, options):
    event = _accepted(outbox)

    done = run("drop", event.id, *options, stdin="y\n")

    assert isinstance(done.exception, ConfigError)  # one line on stderr, and exit code 2
    assert str(done.exception) == "nothing was removed: there is nobody to ask here; add --yes"
    assert (done.stdout, len(listing.waiting(state, 10))) == ("", 1)


def test_a_program_that_is_sure_drops_without_a_question(run, outbox):
    event = _accepted(outbox)

    assert json.loads(run("drop", event.id, "--json", "--yes").stdout) == {event.id: 1}


def test_all_for_one_destination_can_be_dropped_dead_or_not(run, state, outbox):
    outbox.accept(an_event(), ["discord", "telegram"])
    _accepted(outbox, dead="no")

    done = run("drop", "--destination", "discord", "--yes")

    assert (done.exit_code, done.stdout) == (0, "2 removed.\n")
    assert [each.destination for each in listing.waiting(state, 10) + listing.dead(state, 10)] == ["telegram"]


def test_a_destination_that_nothing_is_kept_for_is_told_with_those_that_there_are(run, outbox):
    assert run("list", "--destination", "discrod").stderr == "notify: nothing is kept for discrod\n"
    outbox.accept(an_event(), ["telegram", "discord"])
    told = "nothing is kept for discrod; there is: discord, telegram"

    listed, as_json = run("list", "--destination", "discrod"), run("list", "--destination", "discrod", "--json")
    dropped = run("drop", "--destination", "discrod")
    dropped_as_json = run("drop", "--destination", "discrod", "--yes", "--json")

    assert (listed.exit_code, listed.stdout) == (0, "Waiting: 0. Dead letters: 0.\n")
    assert listed.stderr == as_json.stderr == dropped.stderr == f"notify: {told}\n"
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (0, [])
    assert (dropped.exit_code, dropped.stdout) == (1, "")  # as for an id that is not there
    assert (dropped_as_json.exit_code, json.loads(dropped_as_json.stdout)) == (1, {"error": told})


# ---- short ids


@pytest.mark.parametrize("command", [("show",), ("retry",), ("drop", "--yes")])
def test_an_id_may_be_given_as_the_list_shows_it(run, outbox, command):
    for _ in range(3):
        event = _accepted(outbox, dead="no")

    by_short = run(*command, _short(event), "--json")

    assert by_short.exit_code == 0
    assert event.id in by_short.stdout


def _with_id(event_id: str) -> Event:
    return Event(id=event_id, time=1_767_225_600.0, message=event_id, level=TRADE)


def test_ids_are_shown_as_long_as_they_must_be_to_be_told_apart(run, outbox):
    ids = [
        "019b76dab100-000007-aaaaaaaa", "019b76dab200-000007-bbbbbbbb", "019b76dab200-000008-bbbbbbbb",
        "019b76dab300-000009-cccccccc", "019b76dab300-000009-dddddddd", "byhand", "hand", "a-bcd-e",
    ]  # fmt: skip
    for each in ids:
        _accepted(outbox, _with_id(each))

    shown = {row[3]: row[4] for row in _cells(run("list").stdout)}

    assert list(shown.values()) == ["100-000007", "200-000007", "0008", ids[3], ids[4], "yhand", "hand", "a-bcd"]
    for whole, short in shown.items():
        assert json.loads(run("show", short, "--json").stdout)["id"] == whole


@pytest.mark.parametrize("command", [("show",), ("retry",), ("drop", "--yes")])
def test_a_short_id_that_may_be_several_events_changes_nothing(run, state, outbox, command):
    one, other = "019b76dab100-000007-aaaaaaaa", "019b76dab200-000007-bbbbbbbb"
    for each in (one, other):
        _accepted(outbox, _with_id(each), dead="no")

    done = run(*command, "0007")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"notify: 0007 may be 2 events; give one of them whole: {one}, {other}\n"
    assert len(listing.dead(state, 10)) == 2


def test_less_than_four_characters_are_no_id(run, outbox):
    event = _accepted(outbox)

    assert run("show", _short(event)[1:]).stderr == f"notify: no such event: {_short(event)[1:]}\n"


# ---- what is not there, and what cannot be used


def test_nothing_to_retry_or_drop_is_no_failure(run, outbox):
    assert (run("retry", "--all-dead").stdout, run("drop", "--all-dead", "-y").exit_code) == (
        "0 will be delivered again.\n",
        0,
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("show", "nothing"), "notify: no such event: nothing\n"),
        (("retry", "nothing"), "notify: no such dead letter: nothing\n"),
        (("drop", "nothing", "--yes"), "notify: no such event: nothing\n"),
    ],
)
def test_an_id_that_is_not_there_is_one_line_and_exit_code_1(run, outbox, command, said):
    done = run(*command)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", said)


def test_ids_that_are_there_are_worked_on_beside_one_that_is_not(run, state, outbox):
    event = _accepted(outbox)

    done = run("drop", "--yes", "nothing", event.id)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "1 removed.\n", "notify: no such event: nothing\n")
    assert listing.waiting(state, 10) == []


def test_what_waits_is_no_dead_letter(run, outbox):
    event = _accepted(outbox)

    assert run("retry", event.id).stderr == f"notify: no such dead letter: {event.id}\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("retry",), "name the events, or give --all-dead"),
        (("drop",), "name the events, or give --all-dead or --destination"),
        (("retry", "id", "--all-dead"), "ID and --all-dead: only one of them, not both"),
        (("drop", "id", "--destination", "discord"), "ID and --destination: only one of them, not both"),
        (
            ("drop", "--all-dead", "--destination", "discord"),
            "--all-dead and --destination: only one of them, not both",
        ),
    ],
)
def test_events_must_be_chosen_in_one_way(run, outbox, command, said):
    done = run(*command)

    assert done.exit_code == 2
    assert done.stderr == f"notify: {said}\n"


COMMANDS = [("list",), ("show", "id"), ("retry", "id"), ("drop", "id", "--yes"), ("drop", "id")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_where_there_is_no_outbox_one_line_says_so_and_how_to_name_the_right_place(run, state, command):
    said = (
        f"there is no outbox in {state}; say where the program has its own: --state-dir, NOTIFY_STATE_DIR or "
        "EXECUTOR_ID"
    )

    done, as_json = run(*command), run(*command, "--json")

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"notify: {said}\n")
    assert (as_json.exit_code, json.loads(as_json.stdout), as_json.stderr) == (1, {"error": said}, "")
    assert not state.exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("show", "nothing"), "no such event: nothing"),
        (("retry", "nothing"), "no such dead letter: nothing"),
        (("drop", "nothing", "other", "--yes"), "no such event: nothing, other"),
    ],
)
def test_a_program_gets_what_went_wrong_as_json(run, outbox, command, said):
    done = run(*command, "--json")

    assert (done.exit_code, json.loads(done.stdout), done.stderr) == (1, {"error": said}, "")


def test_a_program_learns_which_of_several_ids_was_not_there(run, outbox):
    event = _accepted(outbox)

    done = run("drop", "nothing", event.id, "--yes", "--json")

    assert (done.exit_code, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {"nothing": 0, event.id: 1}


@pytest.mark.parametrize(
    ("user", "name", "for_sudo"), [(65534, "nobody", "nobody"), (54321, "54321", "'#54321'")], ids=["named", "nameless"]
)
def test_the_outbox_of_another_user_is_to_be_looked_at_as_that_user(run, state, outbox, user, name, for_sudo):
    if os.geteuid() != 0:
        missing("only root can give a directory away")
    for path in (state / NAME, state):
        os.chown(path, user, -1)

    done = run("list")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        f"notify: {state / NAME} belongs to user {name}; run it as that user: sudo -u {for_sudo} notify outbox … "
        f"--state-dir {state}\n"
    )


def _a_text(state: Path) -> None:
    (state / NAME).write_text("no database, but long enough to be taken for one" * 100)


def _another_table(state: Path) -> None:
    with closing(sqlite3.connect(state / NAME)) as file:
        file.execute("CREATE TABLE something (else_)")


def _a_link(state: Path) -> None:
    (state / NAME).symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_a_text, "the outbox in {state} cannot be used: it is no database"),
        (_another_table, "the outbox in {state} cannot be used: no such table: outbox"),
        (_a_link, f"{{state}}/{NAME}: is a symbolic link; remove it"),
    ],
)
def test_an_outbox_that_cannot_be_used_is_one_line(run, state, make, said):
    state.mkdir()
    make(state)

    done = run("list")

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"notify: {said.format(state=state)}\n")


def test_an_outbox_that_somebody_else_holds_is_one_line_and_nothing_is_changed(run, state, outbox, monkeypatch):
    monkeypatch.setattr(listing, "_PATIENCE", 0.0)
    event = _accepted(outbox)
    with closing(sqlite3.connect(state / NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        done = run("drop", event.id, "--yes")

        other.execute("ROLLBACK")
    assert done.exit_code == 1
    assert done.stderr == f"notify: the outbox in {state} cannot be used: another process holds it\n"
    assert len(listing.waiting(state, 10)) == 1


# ---- as a process


@pytest.mark.process
def test_without_a_terminal_and_without_yes_dropping_is_refused_in_one_line(state):
    with opened(state) as outbox:
        event = _accepted(outbox)

    done = _command("drop", event.id, "--json", env={"NOTIFY_STATE_DIR": str(state)})

    said = "notify: nothing was removed: there is nobody to ask here; add --yes\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def _command(*arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return python("-m", "notify", "outbox", *arguments, COLUMNS="250", **env)


@pytest.mark.process
def test_the_state_directory_comes_from_the_settings(state, tmp_path):
    with opened(state) as outbox:
        event = _accepted(outbox)
    secrets = secrets_file(tmp_path, f"NOTIFY_STATE_DIR={state}\n")

    by_file = _command("list", "--json", "--env-file", str(secrets), env={})
    by_environment = _command("list", "--json", env={"NOTIFY_STATE_DIR": str(state)})

    assert [row["id"] for row in json.loads(by_file.stdout)] == [event.id]
    assert by_environment.stdout == by_file.stdout


WRITES = """
outbox = Outbox(directory)
for number in range(3):
    made = event(f"dead {number}")
    outbox.accept(made, ["discord"])
    outbox.dead("discord", made.id, "no")
say("ready")
adopted = set()
refused = number = 0
while len(adopted) < 2:  # of three, one is dropped
    made = event("busy")
    refused += not outbox.accept(made, ["telegram"])
    outbox.delivered("telegram", [made.id])
    adopted.update(each.event.message for each in outbox.adopt(["discord"]))
say(outbox.broken, *sorted(adopted))
wait_for_line()
outbox.close()
"""


@pytest.mark.process
def test_events_are_listed_dropped_and_retried_while_a_program_writes(state):
    env = {"NOTIFY_STATE_DIR": str(state)}
    with running(WRITES, state) as program:
        assert program.stdout.readline() == "ready\n"

        dead = json.loads(_command("list", "--dead", "--json", env=env).stdout)
        dropped = _command("drop", dead[0]["id"], "--yes", env=env)
        retried = _command("retry", "--all-dead", env=env)

        said = program.stdout.readline()
        program.communicate("end\n", timeout=GRACE)
    assert (dropped.stdout, retried.stdout) == ("1 removed.\n", "2 will be delivered again.\n")
    assert said == "None dead 0 dead 1\n"
    assert program.returncode == 0
    assert {event.message for event in everything_in(state)} == {"dead 0", "dead 1"}
