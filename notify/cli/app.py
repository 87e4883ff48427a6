"""The commands and their options; what each does is in a module of its own."""

import os
from pathlib import Path
from typing import Annotated

import typer

from notify.cli.nagios import NagiosCommand
from notify.cli.options import Auth, EnvFile, Insecure, Json, choice, flag, number, parse_path, path, seconds, whole
from notify.cli.outbox_app import app as outbox
from notify.cli.relay_app import app as relay
from notify.cli.usage import Group
from notify.env_file import above_file
from notify.levels import parse_level
from notify.supervisor.after_crash import AfterCrash
from notify.version import __version__

app = typer.Typer(
    name="notify",
    cls=Group,
    help="The flight recorder and pager of a long-running Python daemon.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    # A crash of `notify demo` is part of the show, and shall look as it does in any program.
    pretty_exceptions_enable=False,
)
app.add_typer(outbox, name="outbox", no_args_is_help=True)
app.add_typer(relay, name="relay")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"notify {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, flag("Print the version.", "--version", callback=_version, is_eager=True)] = False,
) -> None:
    """The flight recorder and pager of a long-running Python daemon."""


def _level(text: str) -> int:
    try:
        return parse_level(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def demo(
    days: Annotated[int, whole("Days of history to trade, one a cycle.", least=1, most=5000)] = 60,
    speed: Annotated[float, number("Days a second.", least=0.01)] = 20.0,
    crash: Annotated[bool, flag("Die of a bug in the last cycle.", "--crash/--no-crash")] = True,
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
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What happened.")],
    body: Annotated[str, typer.Option(metavar="TEXT", help="More text; `-` reads it from standard input.")] = "",
    level: Annotated[int, typer.Option(parser=_level, metavar="LEVEL", help="Severity, by name or number.")] = "TRADE",  # type: ignore[assignment]  # typer parses the default too
    topic: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "log",
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="A field; repeatable.")
    ] = None,
    attach: Annotated[list[Path] | None, path("A file; repeatable.", "--attach")] = None,
    timeout: Annotated[float, seconds("To wait for the receipts.", least=0.1)] = 15.0,
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
    timeout: Annotated[float, seconds("To wait for the receipts.", least=0.1)] = 30.0,
    json: Json = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Send a trade, a report with a table, a long one, an image and a warning to each backend; show the receipts."""
    from notify.cli.test import send_tests

    raise typer.Exit(send_tests(above_file(os.environ, env_file, insecure=insecure), timeout=timeout, as_json=json))


@app.command()
def preview(
    event: Annotated[
        Path, typer.Argument(parser=parse_path, metavar="EVENT.json", help="`-` reads it from standard input.")
    ],
    output: Annotated[Path | None, path("Where the page goes. [a temporary file]", "--output", "-o")] = None,
    no_browser: Annotated[bool, flag("Only write the page.", "--no-browser")] = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Show an event as Discord would: one page with everything in it, opened in the browser. Prints where it is.

    EVENT.json is what NOTIFY_STDOUT=json prints, also many lines of it, or an object with a message and whatever else
    `notify()` takes: body, level, topic, fields. What would be taken out as a secret is taken out here, too.
    """
    from notify.cli.preview import show

    env = above_file(os.environ, env_file, insecure=insecure)
    raise typer.Exit(show(env, event, output, browser=not no_browser))


@app.command()
def doctor(json: Json = False, env_file: EnvFile = None, insecure: Insecure = False) -> None:
    """Check every setting, the outbox and every destination. Exit code 1 when something is wrong.

    Sends nothing and changes nothing.
    """
    from notify.cli.doctor import examine

    raise typer.Exit(examine(above_file(os.environ, env_file, insecure=insecure), as_json=json))


@app.command(cls=NagiosCommand)
def check(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the strategy's status server.")],
    max_age: Annotated[
        float | None,
        seconds("Without progress for longer it is stale; otherwise NOTIFY_STALE_AFTER, 3600.", least=1),
    ] = None,
    timeout: Annotated[float, seconds("For all of it.", "--timeout", "-t", least=0.1, most=3600)] = 5.0,
    auth: Auth = False,
    json: Json = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Look at a strategy once, for Nagios and for Docker's HEALTHCHECK, and say in one line how it is.

    Exit code 0: it runs. 1: it makes no progress, has frozen positions or is low on gas. 2: it has crashed, or cannot
    be reached. 3: the check is set up wrongly; nobody knows how the strategy is.
    """
    from notify.cli.check import check as look

    env = above_file(os.environ, env_file, insecure=insecure)
    raise typer.Exit(look(env, url, max_age=max_age, timeout=timeout, auth=auth, as_json=json))


@app.command()
def watch(
    interval: Annotated[
        float, seconds("Between two looks at a strategy that names no interval.", least=1, most=86_400)
    ] = 30.0,
    auth: Auth = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Watch all strategies of TS_PUBLIC_STRATEGIES, and say when one goes down and when it is up again.

    It runs until it is stopped. What it has said is kept in the state directory, and not said again after a restart.
    """
    from notify.cli.watch import watch as keep_watch

    raise typer.Exit(keep_watch(above_file(os.environ, env_file, insecure=insecure), interval=interval, auth=auth))


@app.command(context_settings={"allow_interspersed_args": False}, no_args_is_help=False)
def run(
    command: Annotated[list[str] | None, typer.Argument(metavar="CMD", help="The program and its arguments.")] = None,
    after_crash: Annotated[
        AfterCrash,
        choice(
            "Stay, so that the crash is served (with HTTP_ENABLED), end, or start the program again.", of=AfterCrash
        ),
    ] = AfterCrash.SERVE,
    hang_after: Annotated[float | None, seconds("Tell when it makes no progress for so long.", least=2)] = None,
    kill_hung: Annotated[bool, flag("End a program that hangs.", "--kill-hung")] = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Run a program and say how it ended, whatever it died of: `notify run [OPTIONS] -- CMD …`.

    Its output, its signals and its exit code (128 + signal when it died of one) pass through. The program need not
    use this package: the secrets file alone is enough.
    """
    from notify.cli.run import run_program

    if not command or not command[0]:
        typer.echo("notify: no command to run: notify run [OPTIONS] -- CMD …", err=True)
        raise typer.Exit(2)
    if kill_hung and hang_after is None:
        raise typer.BadParameter("needs --hang-after", param_hint="--kill-hung")
    raise typer.Exit(
        run_program(
            command, env_file, insecure=insecure, after_crash=after_crash, hang_after=hang_after, kill_hung=kill_hung
        )
    )


@app.command()
def dashboard(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, whole("Port; 0 for any that is free.", least=0, most=65_535)] = 8600,
    interval: Annotated[float, seconds("Between two looks at a strategy.", least=1, most=86_400)] = 30.0,
    auth: Annotated[bool, flag("Send HTTP_USERNAME and HTTP_PASSWORD to the strategies, too.", "--auth")] = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Serve a page with all strategies that TS_PUBLIC_STRATEGIES names: how they are, and how they were.

    With HTTP_USERNAME and HTTP_PASSWORD the page asks for them. Needs `pip install 'executor-notify[dashboard]'`.
    """
    from notify.cli.dashboard import serve_dashboard

    env = above_file(os.environ, env_file, insecure=insecure)
    serve_dashboard(env, host=host, port=port, interval=interval, auth=auth)


@app.command()
def env(
    only_set: Annotated[bool, flag("Only what is set.", "--set")] = False,
    json: Json = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Show every setting: what it means, its default, and what is set. Secrets are masked."""
    from notify.cli.env import show

    show(above_file(os.environ, env_file, insecure=insecure), only_set=only_set, as_json=json)


@app.command()
def caddyfile(
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="DOMAIN",
            help="Sites are {id}.DOMAIN, whatever the urls say; http://DOMAIN where TLS ends before the proxy.",
        ),
    ] = None,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Print a Caddyfile with a site for each strategy of TS_PUBLIC_STRATEGIES.

    An entry's `upstream` (`"127.0.0.1:19003"`) says where its program listens. What is wrong with the list goes to
    stderr; exit code 2 when no strategy can have a site.
    """
    from notify.cli.caddyfile import print_caddyfile

    print_caddyfile(above_file(os.environ, env_file, insecure=insecure), domain)
