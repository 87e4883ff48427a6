"""What the page says of other packages: before and after deliver the same, and its numbers are the benchmark's."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from children import python
from pages import DOCS, Block, blocks

from notify.testing.fake_discord import FakeDiscord

PAGE = DOCS / "migrating.md"
PACKAGES = ("python-logging-discord-handler", "python-logstash", "python-logstash-async")
PATIENCE = 15.0  # seconds; python-logstash-async looks every two
BOTH = {"message", "level", "host"}  # what every schema here has, at the same place


def parts(package: str) -> list[Block]:
    """Return the blocks of a package: before, secrets file, after."""
    text = PAGE.read_text()
    begin = text.index(f"\n## From {package}\n")
    first = text.count("\n", 0, begin)
    last = text.count("\n", 0, text.index("\n## ", begin + 1))
    return [block for block in blocks(PAGE) if first < block.line <= last]


@pytest.fixture
def discord() -> Iterator[FakeDiscord]:
    with FakeDiscord() as running:
        yield running


@pytest.fixture
def lenient() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook's URL and what was posted there, undocumented keys and all, as Discord itself takes it."""
    posted: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/webhooks/1/token", posted
        server.shutdown()
        thread.join()


@pytest.fixture
def logstash() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        yield receiver


def here(code: str, **places: str) -> str:
    """Return the code with what is on this machine in place of what it speaks to."""
    for there, place in places.items():
        old = {"webhook": "https://discord.com/api/webhooks/…", "host": "logs.example.com", "port": "5959"}[there]
        assert old in code
        code = code.replace(old, place)
    return code


def run(code: str, secrets: str, directory: Path) -> None:
    """Run a program in a directory with its secrets file, to its end."""
    path = directory / "secrets.env"
    path.write_text(secrets)
    path.chmod(0o600)
    program = directory / "program.py"
    program.write_text(f"import os\nos.chdir({str(directory)!r})\n{code}")
    ended = python(program, NOTIFY_STATE_DIR=str(directory / "state"))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.process
def test_discord_shows_the_same_before_and_after(
    lenient: tuple[str, list[dict[str, Any]]], discord: FakeDiscord, tmp_path: Path
) -> None:
    before, secrets, after = parts("python-logging-discord-handler")
    url, posted = lenient

    run(here(before.code, webhook=url), "", tmp_path)
    run(after.code, here(secrets.code, webhook=discord.url), tmp_path)

    (old,) = posted
    (new,) = discord.messages
    assert [embed["title"] for embed in (*old["embeds"], *new.embeds)] == ["⚠️ Gas price is high: 164 gwei"] * 2
    assert old["username"] == new.payload["username"] == "My strategy"
    assert old["avatar_url"] == new.payload["avatar_url"] == "https://example.com/icon.png"


@pytest.mark.process
@pytest.mark.parametrize("package", PACKAGES[1:])
def test_logstash_gets_the_same_before_and_after(package: str, logstash: socket.socket, tmp_path: Path) -> None:
    before, secrets, after = parts(package)
    places = {"host": "127.0.0.1", "port": str(logstash.getsockname()[1])}

    run(here(before.code, **places), "", tmp_path)
    old: dict[str, Any] = json.loads(logstash.recv(65_536))
    run(after.code, here(secrets.code, **places), tmp_path)
    new: dict[str, Any] = json.loads(logstash.recv(65_536))

    assert {name: old[name] for name in BOTH} == {name: new[name] for name in BOTH}
    assert old.get("extra", old)["cycle"] == new["cycle"] == 17  # as the page has it
    if package == "python-logstash":
        assert old.keys() - {"taskName"} == new.keys() - {"application", "event_id", "topic"}
        assert old["tags"] == new["tags"] == ["python", "live"]
    assert new["application"] == "executor-my-strategy"


# ---- the numbers


def cells(row: str) -> list[float]:
    """Return the numbers of a row in the benchmark's tables, those of its first table with this name."""
    found = re.search(rf"^\| {re.escape(row)} \|(.*)\|$", (DOCS / "benchmark.md").read_text(), re.MULTILINE)
    assert found, f"the benchmark has no row of {row}"
    return [float(number.replace(",", "")) for number in re.findall(r"[\d,.]*\d", found[1])]


def arrived(row: str) -> float:
    """Return how many events a second of a burst arrived."""
    _, rest = (DOCS / "benchmark.md").read_text().split("### How fast a burst arrives")
    found = re.search(rf"^\| {re.escape(row)} \| ([\d,]+) ", rest, re.MULTILINE)
    assert found
    return float(found[1].replace(",", ""))


def test_what_the_page_says_of_callers_is_what_the_benchmark_has_measured() -> None:
    ours = cells("notify, Logstash over UDP")[0]  # µs, paced, median

    assert cells("python-logstash, UDP")[0] > 2 * ours  # "more than twice"
    assert cells("python-logstash-async, memory, UDP")[0] > 2 * ours  # "more than twice"
    # "More than a thousand times": the handler calls discord-webhook, whose row is there in every run.
    assert cells("discord-webhook")[0] > 1000 * cells("notify.setup(), Logstash and Discord")[0]


def test_what_the_page_says_of_bursts_is_what_the_benchmark_has_measured() -> None:
    ours = arrived("notify.setup(), Logstash over UDP")

    assert ours > 1.5 * arrived("python-logstash-async, memory, UDP")  # "half as fast again"
