"""Rows 13, 16 to 19 and 24 of the fault model: tasks, children, forks, worker pools, greenlets, no descriptors left.

Each runs programs of its own. Their backend is a pipe or a file that all of them write to, a line an event; lines of
that size are written whole. An alarm ends a program that hangs. (Python's own watchdog hangs in a forked child.)
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest
from children import ENDING, environment, python

pytestmark = [pytest.mark.process, pytest.mark.interpreter]

WATCHDOG = 30  # seconds, for a program that takes three; before it counts as hanging

PRELUDE = f"""
import os, signal, sys, time
signal.alarm({WATCHDOG})
import notify
from notify.delivery.outbox import writer
writer._PATIENCE = 10.0  # seconds, where 50 ms are too few on a busy machine

class Lines:
    durable = True

    def __init__(self, path="/dev/stdout"):
        self.path = path

    def send(self, events, /):
        time.sleep(0.002)  # long enough to be in the middle of it when the program forks
        out = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(out, (events[0].message.splitlines()[0] + "\\n").encode())
        os.close(out)
        return 1

    def close(self):
        pass

def set_up(*args, env={{}}):
    here = {{"NOTIFY_STDOUT": "off", "NOTIFY_STATE_DIR": sys.argv[1]}}
    return notify.setup(env={{**here, **env}}, backends={{"lines": Lines(*args)}})
"""


def program(script: str, *arguments: object, prelude: str = PRELUDE) -> list[str]:
    """Run *script*, which has to end well, and return the lines that it wrote."""
    ended = python("-c", prelude + dedent(script), *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def next_start(state: Path) -> list[str]:
    """Return what the next program that starts there delivers."""
    return program("set_up().close(20)", state)


def once_each(lines: Sequence[str], wanted: Sequence[str]) -> None:
    assert Counter(lines) == Counter(wanted)


LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])

ASYNC = """
import asyncio
if sys.argv[2] == "uvloop":
    import uvloop
    run = uvloop.run
else:
    run = asyncio.run
"""


@LOOPS
def test_fault_13_an_exception_in_a_task_that_nobody_awaits_is_sent_once(state: Path, loop: str) -> None:
    script = """
        import gc

        async def broken():
            raise ValueError("no price")

        async def main():
            task = asyncio.ensure_future(broken())
            await asyncio.sleep(0.01)
            del task
            gc.collect()

        with set_up():
            run(main())
    """
    lines = program(ASYNC + dedent(script), state, loop)

    once_each(lines, ["Crashed in an asyncio task: ValueError: no price"])


@LOOPS
def test_fault_25_a_loop_goes_on_while_the_server_hangs(state: Path, loop: str) -> None:
    script = """
        import socket

        async def main():
            ticks = 0
            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0)
            ticking = asyncio.ensure_future(tick())
            tickets = []
            for number in range(200):
                before = ticks
                tickets.append(notifier.trade(f"{number}"))
                while ticks == before:
                    await asyncio.sleep(0)
            ticking.cancel()
            durable = all(ticket.durable for ticket in tickets)
            os.write(1, f"{durable} {notifier.stats()['discord']['delivered']}\\n".encode())

        with socket.create_server(("127.0.0.1", 0)) as hangs:  # accepts, and says nothing
            url = f"http://127.0.0.1:{hangs.getsockname()[1]}/api/webhooks/1/token"
            notifier = set_up(env={"DISCORD_WEBHOOK_URL": url})
            run(main())
            notifier.close(0)
    """

    lines = program(ASYNC + dedent(script), state, loop)

    assert "True 0" in lines  # the others are numbers, from the backend that does not hang


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_fault_16_what_a_multiprocessing_child_says_before_it_returns_or_raises_is_sent(
    state: Path, tmp_path: Path, method: str
) -> None:
    # Children of forkserver and spawn import the program by its file.
    script = tmp_path / "pool.py"
    script.write_text(
        PRELUDE
        + dedent("""
            import multiprocessing

            def work(number):
                # A forked child has its parent's notifier, which begins anew in it.
                set_up().trade(f"child {number}")
                if number % 2:
                    raise ValueError(f"number {number}")

            if __name__ == "__main__":
                context = multiprocessing.get_context(sys.argv[2])
                with set_up() as notifier:
                    children = [context.Process(target=work, args=(number,)) for number in range(10)]
                    for child in children:
                        child.start()
                    for child in children:
                        child.join()
                    notifier.trade("parent")
        """)
    )
    ended = python(script, state, method)
    assert ended.returncode == 0, ended.stderr

    lines = ended.stdout.splitlines() + next_start(state)

    said = Counter(line for line in lines if not line.startswith("Crashed"))
    assert set(said) == {"parent", *(f"child {number}" for number in range(10))}
    # Each child ends as if killed, perhaps in the middle of a delivery, be it of what another one left.
    assert said.total() - len(said) <= 10


def test_fault_17_forks_while_a_lane_delivers_lose_nothing_and_hang_nobody(
    state: Path, request: pytest.FixtureRequest
) -> None:
    forks = request.config.getoption("--forks")
    script = """
        notifier = set_up()
        ended = []
        for number in range(int(sys.argv[2])):
            notifier.trade(f"parent {number}")
            child = os.fork()
            if not child:
                signal.alarm(8)
                notifier.trade(f"child {number}")
                os._exit(0 if notifier.flush(8) else 1)
            ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        notifier.close(20)
        print(f"ended {sum(ended)}", flush=True)
    """
    lines = program(script, state, forks)

    names = [f"{who} {number}" for who in ("parent", "child") for number in range(forks)]
    once_each(lines, [*names, "ended 0"])


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["setup in workers", "setup before the fork"])
def test_fault_18_workers_of_a_pool_that_are_recycled_send_everything_once(
    state: Path, tmp_path: Path, preload: tuple[str, ...]
) -> None:
    requests = 60
    told = tmp_path / "told"
    told.touch()
    (tmp_path / "shop.py").write_text(
        PRELUDE.replace(f"signal.alarm({WATCHDOG})", "")  # the workers are gunicorn's
        + dedent(f"""
            sys.argv = ["shop", {str(state)!r}]
            set_up({str(told)!r})

            def app(environ, start_response):
                notify.get_notifier().trade(environ["PATH_INFO"])
                start_response("200 OK", [("Content-Length", "2")])
                return [b"ok"]
        """)
    )
    command = ["-m", "gunicorn", "-w", "4", "--max-requests", "5", "-b", "127.0.0.1:0", *preload, "shop:app"]
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as master:
        try:
            assert master.stderr is not None
            port = next(int(line.split(":")[-1].split()[0]) for line in master.stderr if "Listening at" in line)
            _visit(port, requests)
        finally:
            master.terminate()
            master.stderr.read()  # type: ignore[union-attr]  # it was asked for
            master.wait(ENDING)

    lines = told.read_text().splitlines() + next_start(state)

    # Workers that the master ends say so, like any program.
    once_each([line for line in lines if "SIGTERM" not in line], [f"/{number}" for number in range(requests)])


def _visit(port: int, times: int) -> None:
    from http.client import HTTPConnection, HTTPException

    for number in range(times):
        while True:
            connection = HTTPConnection("127.0.0.1", port, timeout=ENDING)
            try:
                connection.request("GET", f"/{number}")
                assert connection.getresponse().status == 200
                break
            except (HTTPException, OSError):
                continue  # the worker went away before it took the request
            finally:
                connection.close()


def test_fault_19_patched_by_gevent_nothing_hangs_and_everything_is_sent(state: Path) -> None:
    script = """
        notifier = set_up()
        for number in range(50):
            notifier.trade(str(number))
            if number % 10 == 0:
                time.sleep(0.001)  # gevent's: others run
        notifier.close(20)
    """
    lines = program(script, state, prelude="from gevent import monkey\nmonkey.patch_all()\n" + PRELUDE)

    once_each(lines, [str(number) for number in range(50)])


def test_fault_24_without_a_free_descriptor_events_are_kept_and_sent_later(state: Path) -> None:
    script = """
        import resource
        notifier = set_up()
        notifier.trade("before")
        assert notifier.flush(8)
        resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        print("durable", notifier.trade("meanwhile").durable, flush=True)
        print("flushed", notifier.flush(0.1), flush=True)
        for descriptor in taken:
            os.close(descriptor)
        notifier.close(8)
    """
    lines = program(script, state)

    assert lines == ["before", "durable True", "flushed False", "meanwhile"]
