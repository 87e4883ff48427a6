"""The commands of `notify outbox` and their options; what each does is in a module of its own."""

import os
from pathlib import Path
from typing import Annotated

import typer

from notify.cli.options import EnvFile, Insecure, Json, flag, path, whole
from notify.cli.usage import Group
from notify.env_file import above_file

app = typer.Typer(cls=Group, help="Look into the outbox and decide about single events, also while the program runs.")

StateDir = Annotated[
    Path | None, path("Where the outbox is; wins over NOTIFY_STATE_DIR.", "--state-dir", metavar="DIR")
]
AllDead = Annotated[bool, flag("All dead letters.", "--all-dead")]
SeveralIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Of events: as `list` shows them, or whole.", show_default=False),
]
Destination = Annotated[
    str | None, typer.Option("--destination", metavar="NAME", help="All for one destination, waiting or dead.")
]


def _state_dir(named: Path | None, env_file: Path | None, insecure: bool) -> Path:
    if named is not None:
        return named
    from notify.settings import Settings, state_dir

    return state_dir(Settings(above_file(os.environ, env_file, insecure=insecure)))


def _refuse_unless_one(ways: dict[str, object]) -> None:
    """Refuse the command unless just one of the *ways* to choose events, of which ids are the first, has a value."""
    used = [name for name, value in ways.items() if value]
    if not used:
        raise typer.BadParameter(f"name the events, or give {' or '.join(list(ways)[1:])}")
    if len(used) > 1:
        raise typer.BadParameter(f"{' and '.join(used)}: only one of them, not both")


@app.command("list")
def list_events(
    dead: Annotated[bool, flag("Dead letters only.", "--dead")] = False,
    waiting: Annotated[bool, flag("Only what waits.", "--waiting")] = False,
    destination: Destination = None,
    limit: Annotated[int, whole("Lines of each, at most.", least=1, most=999_999)] = 50,
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """List what waits, oldest first, and the dead letters with their reasons, newest first."""
    from notify.cli.outbox import list_outbox

    directory = _state_dir(state_dir, env_file, insecure)
    list_outbox(
        directory,
        waiting=waiting or not dead,
        dead=dead or not waiting,
        destination=destination,
        limit=limit,
        as_json=json,
    )


@app.command("show")
def show_event(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="Of the event: as `list` shows it, or whole.")],
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Show all of one event, and how it is with each of its destinations."""
    from notify.cli.outbox import show_in_outbox

    show_in_outbox(_state_dir(state_dir, env_file, insecure), event_id, as_json=json)


@app.command()
def retry(
    ids: SeveralIds = None,
    all_dead: AllDead = False,
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Have dead letters delivered again: within a minute by a program that runs, or when the next one starts."""
    from notify.cli.outbox_changes import retry_in_outbox

    _refuse_unless_one({"ID": ids, "--all-dead": all_dead})
    raise typer.Exit(retry_in_outbox(_state_dir(state_dir, env_file, insecure), ids or None, as_json=json))


@app.command()
def drop(
    ids: SeveralIds = None,
    all_dead: AllDead = False,
    destination: Destination = None,
    yes: Annotated[bool, flag("Do not ask.", "--yes", "-y")] = False,
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Remove events for good, for all their destinations. Shows them and asks first.

    What a program that runs is about to deliver, it delivers all the same.
    """
    from notify.cli.outbox_changes import drop_from_outbox

    _refuse_unless_one({"ID": ids, "--all-dead": all_dead, "--destination": destination})
    directory = _state_dir(state_dir, env_file, insecure)
    raise typer.Exit(drop_from_outbox(directory, ids or None, destination=destination, yes=yes, as_json=json))
