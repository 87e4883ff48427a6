"""Measures how long the dashboard takes to answer, with 200 strategies that it looks at meanwhile.

python tests/benchmark/dashboard.py [--strategies 200] [--requests 200] [--hanging]
"""

import argparse
import http.client
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fleets import Fleet

from notify.fleet.dashboard.history import SLOTS, slot_of
from notify.fleet.dashboard.history_file import HistoryFile, Row, Seen

_READY = 60.0  # seconds until every strategy has been looked at


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategies", type=int, default=200)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--hanging", action="store_true", help="every strategy takes a connection and says nothing")
    options = parser.parse_args()
    names = [f"strategy-{number:03}" for number in range(options.strategies)]
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "state"
        remember(state, names)
        url = strategies(stack, hanging=options.hanging)
        entries = [{"id": name, "name": name, "url": url} for name in names]
        process = stack.enter_context(dashboard(state, entries))
        port = ready(process)
        stack.callback(process.terminate)
        wait_until_seen(port)
        for packed in (False, True):
            first, whole, size = measured(port, options.requests, packed=packed)
            print(
                f"{'gzip' if packed else 'plain'}: first byte p50 {first[len(first) // 2]:.1f} ms, "
                f"p99 {first[len(first) * 99 // 100]:.1f} ms; whole page p50 {whole[len(whole) // 2]:.1f} ms; "
                f"{size / 1000:.1f} kB"
            )
        status = Path(f"/proc/{process.pid}/status").read_text()
        print(next(line for line in status.splitlines() if line.startswith("VmRSS")))
    print(f"CPU of the dashboard, all in all: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime:.1f} s")


def remember(state: Path, names: list[str]) -> None:
    """Make up a day of history."""
    last = slot_of(time.time())
    file = HistoryFile(state)
    rows = [
        Row(name, last - back, Seen(running=20, seconds=1 + (number * 31 + back * 17) % 23 / 10))
        for number, name in enumerate(names)
        for back in range(SLOTS)
    ]
    file.write(rows, since=0)
    file.close()


def strategies(stack: ExitStack, *, hanging: bool) -> str:
    """Return where all of them are."""
    if hanging:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
    fleet = Fleet()
    stack.callback(fleet.close)
    return fleet.add("all", cycles=12_345, version={"tag": "v2.4.5"}).server.url


def dashboard(state: Path, entries: list[dict[str, str]]) -> "subprocess.Popen[str]":
    """Start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "notify", "dashboard", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={"TS_PUBLIC_STRATEGIES": json.dumps(entries), "NOTIFY_STATE_DIR": str(state)},
    )


def ready(process: "subprocess.Popen[str]") -> int:
    """Return its port."""
    assert process.stderr is not None
    return int(process.stderr.readline().partition("127.0.0.1:")[2].partition("/")[0])


def wait_until_seen(port: int) -> None:
    """Wait until every strategy has been looked at."""
    until = time.monotonic() + _READY
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/strategies")
        if b"state=waiting" not in connection.getresponse().read():
            return
        time.sleep(0.2)


def measured(port: int, requests: int, *, packed: bool) -> tuple[list[float], list[float], int]:
    """Return milliseconds until the first byte and the last one, in order, and the size of the page in bytes."""
    first, whole, size = [], [], 0
    for _ in range(requests):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", "/strategies", headers={"Accept-Encoding": "gzip"} if packed else {})
        answer = connection.getresponse()
        first.append((time.perf_counter() - began) * 1000)
        size = len(answer.read())
        whole.append((time.perf_counter() - began) * 1000)
        connection.close()
        time.sleep(0.05)  # as readers come, one after the other
    return sorted(first), sorted(whole), size


if __name__ == "__main__":
    main()
