"""`notify relay` and its options; what the commands do is in modules of their own."""

import os
from typing import Annotated

import typer

from notify.cli.nagios import NagiosCommand
from notify.cli.options import EnvFile, Insecure, Json, flag, seconds
from notify.cli.usage import Group
from notify.env_file import above_file

app = typer.Typer(cls=Group)


@app.callback(invoke_without_command=True)
def relay(
    ctx: typer.Context,
    any_redis: Annotated[
        bool,
        flag("Take a Redis that may lose events: one that evicts, or keeps no file.", "--any-redis"),
    ] = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Deliver what executors publish to Redis (NOTIFY_RELAY_URL): one worker, of as many as you like.

    It reads the same settings as one program does, and `<BACKEND>_EXECUTORS`: a comma list of the executors that a
    backend is for. SIGTERM ends it within five seconds; what it has not delivered by then the others do.
    """
    if ctx.invoked_subcommand is not None:
        return
    from notify.cli.relay import work

    raise typer.Exit(work(above_file(os.environ, env_file, insecure=insecure), any_redis=any_redis))


@app.command(cls=NagiosCommand)
def status(
    max_age: Annotated[float, seconds("An event that waits for longer is late.", least=1)] = 300.0,
    timeout: Annotated[float, seconds("For each answer of Redis.", "--timeout", "-t", least=0.1, most=3600)] = 5.0,
    json: Json = False,
    env_file: EnvFile = None,
    insecure: Insecure = False,
) -> None:
    """Say how the relay is: what waits, who works, which limits hold it up, what was set aside.

    Exit code 0: it delivers. 1: an event waits for too long, something was set aside in the last day, or Redis is
    nearly full. 2: events wait and no worker lives, or Redis is not there. 3: it is set up wrongly; nobody knows.
    """
    from notify.cli.relay_status import status as look

    env = above_file(os.environ, env_file, insecure=insecure)
    raise typer.Exit(look(env, max_age=max_age, timeout=timeout, as_json=json))
