"""Draws what the demo prints on a terminal: `python docs/demo_picture.py` writes docs/demo.svg."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

import notify

COLUMNS = 128
DAYS = 32  # the last days of the demo's history that hold a purchase, a sale, a gas spike and a report


def main() -> None:
    """Run it and write the picture."""
    command = [sys.executable, "-m", "notify", "demo", "--days", str(DAYS), "--speed", "50"]
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    shown = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    printed = shown.stdout.replace(f"{Path(notify.__file__).parents[1]}/", "")  # where it happens to be installed
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("$ notify demo\n" + printed.rstrip()), overflow="crop", no_wrap=True)
    picture = Path(__file__).with_name("demo.svg")
    drawn = console.export_svg(title="notify demo")
    picture.write_text(re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL))  # fonts from a server of others


if __name__ == "__main__":
    main()
