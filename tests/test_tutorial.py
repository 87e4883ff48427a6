"""Somebody types what the tutorial says, in its order, and sees what it says he will see."""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from children import environment
from pages import DOCS, Block, blocks
from services import eventually, free_ports

pytestmark = pytest.mark.process

PAGE = DOCS / "tutorial.md"
PATIENCE = 30.0  # seconds until something is seen; on a machine that is not busy it takes ten at most
ENDING = 20.0  # seconds; a program of ours ends within five
# What makes a place to work in: the tests have one.
INSTALLS = ("mkdir", "cd", "python3", ".", "pip")
NEED_TO_BE_SEEN = 15  # lines that the page shows: a test that looks at none would be of no use


class Reader:
    """Types commands, each program in a terminal of its own, and looks at what the terminals show.

    Args:
        directory: where the files are.
        port: of the status server, in place of the page's.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self._port = port
        self._env = environment(HTTP_PORT=str(port), COLUMNS="100", PYTHONUNBUFFERED="1")
        self._env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        del self._env["PYTHONSAFEPATH"]
        self._running: list[subprocess.Popen[bytes]] = []
        self._before: dict[Path, int] = {}
        self.seen = 0

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exc_info: object) -> None:
        while self._running:
            self.press_ctrl_c()

    def read(self) -> str:
        """Return what all terminals show."""
        return "".join(path.read_text() for path in self.terminals())

    def terminals(self) -> list[Path]:
        """Return the terminals, the oldest first."""
        return sorted(self._directory.glob("*.terminal"))

    def look_away(self) -> None:
        """Have `see` look only at what is shown from now on."""
        self._before = {path: len(path.read_text()) for path in self.terminals()}

    def news(self) -> str:
        """Return what the terminals have shown since `look_away`."""
        return "\n".join(path.read_text()[self._before.get(path, 0) :] for path in self.terminals())

    def save(self, block: Block) -> None:
        """Save a file of the page. What it leaves open are the two settings that the stand-ins have printed."""
        printed = dict(line.split("=", 1) for line in self.read().splitlines() if re.match(r"[A-Z_]+=", line))
        content = re.sub(r"^(\w+)=…$", lambda found: f"{found[1]}={printed[found[1]]}", block.code, flags=re.MULTILINE)
        (self._directory / block.file).write_text(content)

    def type(self, line: str) -> None:
        """Type a command. What goes on is left running; everything else has to end well, or as the page shows it."""
        line = line.replace(":3456", f":{self._port}")
        words = shlex.split(line)
        if words[0] in INSTALLS:
            return
        if words[0] == "curl":
            with urllib.request.urlopen(words[1], timeout=10) as answer:
                assert answer.status == 200
        elif words[0] == "kill":
            self.kill_what_the_supervisor_watches()
        elif words[0] == "python" or words[:2] == ["notify", "run"]:
            with self.terminal() as output:
                self._running.append(
                    subprocess.Popen(words, cwd=self._directory, env=self._env, stdout=output, stderr=output)
                )
        else:
            with self.terminal() as output:
                code = subprocess.run(
                    words, cwd=self._directory, env=self._env, stdout=output, stderr=output
                ).returncode
            assert code == 0 or words[1] == "check", self.read()

    def terminal(self) -> "subprocess._FILE":
        """Return a new terminal."""
        return (self._directory / f"{len(self.terminals()):02}.terminal").open("wb")

    def see(self, shown: str) -> None:
        """Wait until the terminals have shown each of these lines, with other numbers perhaps."""
        for line in map(plain, shown.splitlines()):
            eventually(lambda line=line: line in plain(self.news()), f"{line}\n\n{self.news()}", PATIENCE)
            self.seen += 1

    def press_ctrl_c(self) -> None:
        """End the program that was started last. SIGTERM does the same, and is not ignored in the background."""
        process = self._running.pop()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(ENDING)
        finally:
            process.kill()

    def kill_what_the_supervisor_watches(self) -> None:
        """Do what `pgrep` and `kill` do, to no process but ours."""
        eventually(lambda: "Sold" in self.terminals()[-1].read_text(), "it has sold, as the page says", PATIENCE)
        supervisor = self._running[-1].pid
        (child,) = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        assert Path(f"/proc/{child}/cmdline").read_text().split("\0")[:2] == ["python", "daemon.py"]
        os.kill(int(child), signal.SIGKILL)


def plain(text: str) -> str:
    """Return a text without what differs from run to run: numbers, spaces, and what is behind a last `…`."""
    text = re.sub(r"\d[\d.,]*", "N", text.partition(" …")[0] if text.endswith("…") else text)
    return re.sub(r"[ \t]+", " ", text).strip()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        yield stack.enter_context(Reader(tmp_path, port))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_who_types_what_the_tutorial_says_sees_what_it_says(reader: Reader) -> None:
    for block in blocks(PAGE):
        if block.file:
            reader.save(block)
        elif block.language == "text":
            reader.see(block.code)
        else:
            for line in block.code.splitlines():
                if line == "rm bug":
                    reader.press_ctrl_c()  # as the page says before it
                reader.type(line)

    assert reader.seen >= NEED_TO_BE_SEEN


def test_the_daemon_of_the_tutorial_is_as_short_as_it_says() -> None:
    (daemon,) = [block.code for block in blocks(PAGE) if block.file == "daemon.py"]

    assert len([line for line in daemon.splitlines() if line and not line.startswith("#")]) <= 30  # "of 30 lines"
