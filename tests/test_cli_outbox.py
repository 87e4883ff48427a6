"""`notify outbox`: what it shows, what it changes, and what it says when there is nothing to work on."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from outboxes import ALL, GRACE, an_event, everything_in, opened, running
from typer.testing import CliRunner, Result

import notify
from notify.cli.app import app
from notify.delivery.outbox import Outbox, listing
from notify.delivery.outbox.file import NAME
from notify.event import Attachment, Event, ExceptionInfo, Source, new_id
from notify.levels import TRADE


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "250")  # wide enough that no cell is folded


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


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
        ["discord", "WARNING", "Bought 0.5 WETH", waiting.id, "waiting"],
        ["discord", "TRADE", "Sold", dead.id, "dead: embeds[0]: too long"],
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


def test_an_id_can_be_copied_also_where_the_terminal_is_narrow(run, outbox, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    event = _accepted(outbox, an_event("a message of many words " * 10), dead="a reason of many words " * 10)

    assert event.id in run("list").stdout


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

    assert _cells(listed.stdout)[0][3:] == ["(it cannot be read any more)", event.id, "waiting"]
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
    assert other.id in run("list", "--dead").stdout


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


@pytest.mark.parametrize(("answer", "left", "code"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 1, 1)])
def test_dropping_asks_first(run, state, outbox, answer, left, code):
    event = _accepted(outbox)

    done = run("drop", event.id, stdin=answer)

    assert "Remove 1 event for good?" in done.stderr
    assert "Remove" not in done.stdout
    assert (len(listing.waiting(state, 10)), done.exit_code) == (left, code)


def test_dropping_for_a_program_does_not_ask(run, outbox):
    event = _accepted(outbox)

    assert json.loads(run("drop", event.id, "--json").stdout) == {event.id: 1}


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
    "command", [("retry",), ("drop",), ("retry", "id", "--all-dead"), ("drop", "id", "--all-dead")]
)
def test_either_ids_or_all_dead_letters_must_be_named(run, outbox, command):
    done = run(*command)

    assert done.exit_code == 2
    assert "name the events, or give --all-dead" in done.stderr


COMMANDS = [("list",), ("list", "--json"), ("show", "id"), ("retry", "id"), ("drop", "id", "--yes")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_where_there_is_no_outbox_one_line_says_so_and_how_to_name_the_right_place(run, state, command):
    done = run(*command)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        f"notify: there is no outbox in {state}; say where the program has its own: --state-dir, NOTIFY_STATE_DIR or "
        "EXECUTOR_ID\n"
    )
    assert not state.exists()


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


def _command(*arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "notify", "outbox", *arguments],
        capture_output=True,
        text=True,
        timeout=GRACE,
        check=False,
        env={"PATH": os.defpath, "PYTHONPATH": str(Path(notify.__file__).parents[1]), "COLUMNS": "250", **env},
    )


@pytest.mark.process
def test_the_state_directory_comes_from_the_settings(state, tmp_path):
    with opened(state) as outbox:
        event = _accepted(outbox)
    secrets = tmp_path / "secrets.env"
    secrets.write_text(f"NOTIFY_STATE_DIR={state}\n")
    secrets.chmod(0o600)

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
