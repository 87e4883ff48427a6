"""The commands and their options; what each does is in a module of its own."""

import os
from pathlib import Path
from typing import Annotated

import typer

from notify.env_file import above_file
from notify.levels import parse_level
from notify.version import __version__

app = typer.Typer(
    name="notify",
    help="The flight recorder and pager of a long-running Python daemon.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    # A crash of `notify demo` is part of the show, and shall look as it does in any program.
    pretty_exceptions_enable=False,
)

EnvFile = Annotated[
    Path | None, typer.Option("--env-file", metavar="FILE", help="Secrets file; the environment wins over it.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Take a secrets file that others can read.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"notify {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The flight recorder and pager of a long-running Python daemon."""


def _level(text: str) -> int:
    try:
        return parse_level(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=5000, help="Days of history to trade, one a cycle.")] = 60,
    speed: Annotated[float, typer.Option(min=0.01, help="Days a second.")] = 20.0,
    crash: Annotated[bool, typer.Option("--crash/--no-crash", help="Die of a bug in the last cycle.")] = True,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Run a small executor that trades real EUR/USD rates and tells everything.

    With nothing configured it writes to standard output; DISCORD_WEBHOOK_URL and LOGSTASH_SERVER send the same
    events there. It ends by crashing, with exit code 1, and a table of what every backend received.
    """
    from notify.cli.demo import run_demo

    run_demo(above_file(os.environ, env_file, insecure=insecure), days=days, speed=speed, crash=crash)


@app.command()
def send(
    message: Annotated[str, typer.Argument(help="What happened.")],
    body: Annotated[str, typer.Option(help="More text; `-` reads it from standard input.")] = "",
    level: Annotated[int, typer.Option(parser=_level, metavar="LEVEL", help="Severity, by name or number.")] = "TRADE",  # type: ignore[assignment]  # typer parses the default too
    topic: Annotated[str, typer.Option(help="What it is about.")] = "log",
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="A field; repeatable.")
    ] = None,
    attach: Annotated[list[Path] | None, typer.Option("--attach", metavar="FILE", help="A file; repeatable.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the receipts.")] = 15.0,
    json: Json = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Send one message to every backend whose route wants it. Exit code 1 unless all of them took it."""
    from notify.cli.send import send_message

    env = above_file(os.environ, env_file, insecure=insecure)
    raise typer.Exit(
        send_message(env, message, body, level, topic, field or [], attach or [], timeout=timeout, as_json=json)
    )


@app.command()
def test(
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the receipts.")] = 30.0,
    json: Json = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Send a realistic message, a long one and an image to every backend, and show the receipts."""
    from notify.cli.test import send_tests

    raise typer.Exit(send_tests(above_file(os.environ, env_file, insecure=insecure), timeout=timeout, as_json=json))


@app.command()
def doctor(json: Json = False, env_file: EnvFile = None, insecure: Insecure = False) -> None:
    """Check every setting and every destination. Sends nothing. Exit code 1 when something is wrong."""
    from notify.cli.doctor import examine

    raise typer.Exit(examine(above_file(os.environ, env_file, insecure=insecure), as_json=json))


@app.command()
def env(json: Json = False, env_file: EnvFile = None, insecure: Insecure = False) -> None:
    """Show every setting: what it means, its default, and what is set. Secrets are masked."""
    from notify.cli.env import show

    show(above_file(os.environ, env_file, insecure=insecure), as_json=json)


outbox = typer.Typer(help="Look into the outbox and decide about single events, also while the program runs.")
app.add_typer(outbox, name="outbox", no_args_is_help=True)

StateDir = Annotated[
    Path | None, typer.Option("--state-dir", metavar="DIR", help="Where the outbox is; wins over NOTIFY_STATE_DIR.")
]
AllDead = Annotated[bool, typer.Option("--all-dead", help="All dead letters.")]
SeveralIds = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Of events, as `list` shows them.")]


def _state_dir(named: Path | None, env_file: Path | None, insecure: bool) -> Path:
    if named is not None:
        return named
    from notify.settings import Settings, state_dir

    return state_dir(Settings(above_file(os.environ, env_file, insecure=insecure)))


def _chosen(ids: list[str] | None, all_dead: bool) -> list[str] | None:
    """Return what is given of *ids* and --all-dead, which is None."""
    if bool(ids) == all_dead:
        raise typer.BadParameter("name the events, or give --all-dead", param_hint="ID")
    return ids or None


@outbox.command("list")
def list_events(
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters only.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Lines of each, at most.")] = 50,
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """List what waits, oldest first, and the dead letters with their reasons, newest first."""
    from notify.cli.outbox import list_outbox

    directory = _state_dir(state_dir, env_file, insecure)
    raise typer.Exit(
        list_outbox(directory, waiting=waiting or not dead, dead=dead or not waiting, limit=limit, as_json=json)
    )


@outbox.command("show")
def show_event(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="Of the event, as `list` shows it.")],
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Show all of one event, and how it is with each of its destinations."""
    from notify.cli.outbox import show_in_outbox

    raise typer.Exit(show_in_outbox(_state_dir(state_dir, env_file, insecure), event_id, as_json=json))


@outbox.command()
def retry(
    ids: SeveralIds = None,
    all_dead: AllDead = False,
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Have dead letters delivered again: within a minute by a program that runs, or when the next one starts."""
    from notify.cli.outbox import retry_in_outbox

    chosen = _chosen(ids, all_dead)
    raise typer.Exit(retry_in_outbox(_state_dir(state_dir, env_file, insecure), chosen, as_json=json))


@outbox.command()
def drop(
    ids: SeveralIds = None,
    all_dead: AllDead = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    state_dir: StateDir = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Remove events for good, for all their destinations; with --json without asking.

    What a program that runs is about to deliver, it delivers all the same.
    """
    from notify.cli.outbox import drop_from_outbox

    chosen = _chosen(ids, all_dead)
    directory = _state_dir(state_dir, env_file, insecure)
    if not (yes or json):
        what = "all dead letters" if chosen is None else "1 event" if len(chosen) == 1 else f"{len(chosen)} events"
        typer.confirm(f"Remove {what} for good?", abort=True, err=True)
    raise typer.Exit(drop_from_outbox(directory, chosen, as_json=json))
