"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

EnvFile = Annotated[
    Path | None, typer.Option("--env-file", metavar="FILE", help="Secrets file; the environment wins over it.")
]
Insecure = Annotated[bool, typer.Option("--insecure", metavar="", help="Take a secrets file that others can read.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON for programs.")]
Auth = Annotated[
    bool,
    typer.Option(
        "--auth", metavar="", help="Send HTTP_USERNAME and HTTP_PASSWORD of the environment or the secrets file."
    ),
]
