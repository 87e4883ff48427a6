"""Exceptions that nobody catches: heard before the process ends, and nothing about its end is changed.

Most of it can only be seen from outside, in processes that die.
"""

import json
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from children import ended, python, running
from crashes import run as run_program
from crashes import run_both

import notify
from notify.backends.memory import MemoryBackend
from notify.crash import hooks, report, turn
from notify.delivery.ticket import Ticket
from notify.notifier import Notifier
from notify.testing import FakeClock

pytestmark = pytest.mark.interpreter

QUIET = {"NOTIFY_STDOUT": "off"}

SETUP = 'import logging, os, sys, threading, time, notify\nnotifier = notify.setup(env={"NOTIFY_STDOUT": "json"})\n'


class Died(NamedTuple):
    """What is left of a process."""

    code: int
    events: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def crashes(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["topic"] == "crash"]


def run(code: str, *, setup: str = SETUP, arguments: tuple[str, ...] = (), stdin: str = "") -> Died:
    """Run *code* after *setup* in a process of its own, which prints its events as JSON."""
    script = ["-c", setup + textwrap.dedent(code)] if not arguments else list(arguments)
    ended = python(*script, stdin=stdin)
    events = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return Died(ended.returncode, events, ended.stdout, ended.stderr)


# ---- what is a crash


@pytest.mark.process
def test_an_exception_in_the_main_thread_is_heard_before_the_process_ends() -> None:
    died = run('def trade():\n    raise ValueError("no price")\n\ntrade()')

    (crash,) = died.crashes
    assert crash["message"] == "Crashed in the main thread: ValueError: no price"
    assert crash["level"] == "CRITICAL"
    assert crash["exception"]["type"] == "ValueError"
    assert "in trade" in crash["exception"]["traceback"]
    assert crash["source"] == "<string>:4"  # where it was raised, not where it was caught
    # As without us: the exit code and the traceback.
    assert died.code == 1
    assert died.stderr.startswith("Traceback (most recent call last):")
    assert died.stderr.endswith("ValueError: no price\n")


@pytest.mark.process
def test_an_exception_in_another_thread_is_heard_and_the_process_goes_on() -> None:
    died = run(
        """
        def work():
            raise ValueError("no price")

        worker = threading.Thread(target=work, name="worker-1")
        worker.start()
        worker.join()
        notifier.notify("still here")
        """
    )

    (crash,) = died.crashes
    assert crash["message"] == "Crashed in thread worker-1: ValueError: no price"
    assert "in work" in crash["exception"]["traceback"]
    assert "still here" in [event["message"] for event in died.events]
    assert died.code == 0
    assert "Exception in thread worker-1:" in died.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def f():\n    f()\nf()", "RecursionError"),
        ("x = bytes(2**62)", "MemoryError"),
        ("raise ExceptionGroup('several', [ValueError('a'), KeyError('b')])", "ExceptionGroup"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Odd(Exception):\n    def __str__(self):\n        raise TypeError\nraise Odd", "__main__.Odd"),
        ("import asyncio\nasync def main():\n    raise ValueError\nasyncio.run(main())", "ValueError"),
    ],
)
def test_whatever_ends_the_program_is_heard(code: str, kind: str) -> None:
    died = run(code)

    (crash,) = died.crashes
    assert crash["exception"]["type"] == kind
    assert died.code == 1


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit('a text')", 1),
        ("raise SystemExit", 0),
        ("os.kill(os.getpid(), 2)\ntime.sleep(30)", -signal.SIGINT),  # Ctrl-C
        ("worker = threading.Thread(target=sys.exit)\nworker.start()\nworker.join()", 0),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    pass", 0),
    ],
)
def test_an_end_that_somebody_wanted_is_no_crash(code: str, exit_code: int) -> None:
    died = run('notifier.notify("running")\n' + code)

    assert died.crashes == []
    assert [event["message"] for event in died.events if event["topic"] != "shutdown"] == ["running"]
    # Python forgets that it was Ctrl-C, and ends with 1, when another thread compiles something at that moment.
    assert died.code in ({exit_code, 1} if exit_code == -signal.SIGINT else {exit_code})


@pytest.mark.process
def test_an_interactive_session_reports_no_typing_mistakes() -> None:
    died = run("", arguments=("-i", "-q"), stdin=SETUP + "1 / 0\nnotifier.close()\n")

    assert "ZeroDivisionError" in died.stderr
    assert died.events == []


@pytest.mark.process
def test_the_last_thirty_log_lines_go_with_it() -> None:
    died = run(
        """
        for number in range(40):
            logging.getLogger("strategy").info("line %d", number)
        raise ValueError
        """
    )

    tail = died.crashes[0]["tail"]
    assert [line.rpartition("line ")[2] for line in tail] == [str(number) for number in range(10, 40)]
    assert tail[0].endswith(" INFO strategy: line 10")


# ---- the end of the process


@pytest.mark.process
def test_the_process_waits_for_a_slow_destination() -> None:
    died = run(
        """
        raise ValueError("no price")
        """,
        setup=(
            "import time, notify\n"
            "def slow(event):\n    time.sleep(0.5)\n    print('delivered', event.message, flush=True)\n"
            'notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"slow": slow})\n'
        ),
    )

    assert died.stdout == "delivered Crashed in the main thread: ValueError: no price\n"
    assert died.code == 1


@pytest.mark.process
@pytest.mark.parametrize("where", ["main", "thread"])
def test_with_a_hanging_destination_the_process_still_ends_in_time(where: str) -> None:
    begin = time.monotonic()
    died = run(
        "fail()" if where == "main" else "threading.Thread(target=fail).start()",
        setup=(
            "import threading, notify\n"
            'notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"hangs": lambda event: threading.Event().wait()})\n'
            "def fail():\n    raise ValueError\n"
        ),
    )

    # close() waits for 5 s; the start of Python and two busy cores take the rest, and who waits for ever never ends.
    assert time.monotonic() - begin < 25
    assert died.code == (1 if where == "main" else 0)
    assert "ValueError" in died.stderr


# ---- other people's hooks


@pytest.mark.process
@pytest.mark.parametrize("ours_fails", [False, True])
def test_the_hooks_that_were_there_before_run_in_every_case(ours_fails: bool) -> None:
    theirs = (
        "import sys, threading\n"
        "sys.excepthook = lambda kind, exception, traceback: print('their hook:', exception, flush=True)\n"
        "threading.excepthook = lambda args: print('their thread hook:', args.exc_value, flush=True)\n"
    )
    broken = "from notify.crash import report\nreport._made = None\n" if ours_fails else ""

    died = run(
        """
        def work():
            raise ValueError("in a thread")

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        raise ValueError("in main")
        """,
        setup=theirs + SETUP + broken,
    )

    assert "their thread hook: in a thread\n" in died.stdout
    assert "their hook: in main\n" in died.stdout
    assert len(died.crashes) == (0 if ours_fails else 2)
    assert ("a crash could not be reported: TypeError" in died.stderr) is ours_fails
    assert died.code == 1


def test_a_hook_that_somebody_chained_to_ours_survives_close_and_ours_falls_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: heard.append("before"))
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append("thread before"))
    memory = MemoryBackend()
    notifier = notify.setup(env=QUIET, backends={"memory": memory})
    ours, ours_of_threads = sys.excepthook, threading.excepthook

    def after(*args: Any) -> None:
        heard.append("after")
        ours(*args)

    def thread_after(args: "threading.ExceptHookArgs", /) -> None:
        heard.append("thread after")
        ours_of_threads(args)

    sys.excepthook, threading.excepthook = after, thread_after
    notifier.close()
    capsys.readouterr()

    assert sys.excepthook is after
    assert threading.excepthook is thread_after
    error = ValueError("late")
    sys.excepthook(ValueError, error, None)
    threading.excepthook(threading.ExceptHookArgs((ValueError, error, None, None)))
    assert heard == ["after", "before", "thread after", "thread before"]
    assert memory.events == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wanted", [SystemExit(1), KeyboardInterrupt()])
def test_a_hook_that_others_call_with_a_wanted_end_reports_none(
    monkeypatch: pytest.MonkeyPatch, wanted: BaseException
) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *args: None)
    memory = MemoryBackend()

    with notify.setup(env=QUIET, backends={"memory": memory}):
        sys.excepthook(type(wanted), wanted, None)

    assert memory.events == []


def test_a_thread_that_is_not_known_any_more_is_reported_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    memory = MemoryBackend()

    with notify.setup(env=QUIET, backends={"memory": memory}):
        threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("no"), None, None)))

    assert memory.messages == ["Crashed in thread unknown: ValueError: no"]


def test_the_hook_before_ours_runs_even_when_ctrl_c_hits_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, exception, traceback: heard.append(exception))

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with notify.setup(env=QUIET):
        monkeypatch.setattr(report, "_made", interrupted)
        error = ValueError("no")
        with pytest.raises(KeyboardInterrupt):
            sys.excepthook(ValueError, error, None)

    assert heard == [error]


# ---- one crash is one report


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "messages"),
    [
        (
            "with guard('the cycle'):\n    fail()",
            ["Crashed in the cycle: ValueError: no price"],
        ),
        (
            "try:\n    with guard('the cycle'):\n        fail()\n"
            "except ValueError as error:\n    raise RuntimeError('cannot trade') from error",
            ["Crashed in the cycle: ValueError: no price"],
        ),
        (  # what fails while a crash is handled is another one, and what ends the program
            "try:\n    with guard('the cycle'):\n        fail()\nexcept ValueError:\n    raise KeyError('clean up')",
            ["Crashed in the cycle: ValueError: no price", "Crashed in the main thread: KeyError: 'clean up'"],
        ),
        (
            "def work():\n    with guard('the worker'):\n        fail()\n"
            "worker = threading.Thread(target=work)\nworker.start()\nworker.join()",
            ["Crashed in the worker: ValueError: no price"],
        ),
        (
            "import asyncio\nasync def main():\n    with guard('the task'):\n        fail()\nasyncio.run(main())",
            ["Crashed in the task: ValueError: no price"],
        ),
        (
            "import asyncio\nasync def leg():\n    with guard('a leg'):\n        fail()\n"
            "async def main():\n    async with asyncio.TaskGroup() as group:\n"
            "        group.create_task(leg())\n        group.create_task(leg())\nasyncio.run(main())",
            ["Crashed in a leg: ValueError: no price"] * 2,
        ),
        (
            "caught = []\ndef work():\n    try:\n        fail()\n    except ValueError as error:\n"
            "        caught.append(error)\n        raise\n"
            "worker = threading.Thread(target=work, name='w')\nworker.start()\nworker.join()\nraise caught[0]",
            ["Crashed in thread w: ValueError: no price"],
        ),
    ],
    ids=["guard", "wrapped", "another", "thread", "asyncio", "group", "raised again"],
)
def test_one_crash_is_one_report_however_many_see_it(tmp_path: Path, code: str, messages: list[str]) -> None:
    ran = run_program(tmp_path, "def fail():\n    raise ValueError('no price')\n" + code)

    assert ran.messages == messages


@pytest.mark.process
@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('no price')",
        "threading.Thread(target=lambda: 1 / 0, name='w').start()",
        "threading.Thread(target=sys.exit).start()",
        "sys.exit('a text')",
        "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])",
        "exec(compile('1 / 0', 'generated.py', 'exec'))",
    ],
)
def test_output_and_exit_code_are_what_they_would_have_been(tmp_path: Path, code: str) -> None:
    run_both(tmp_path, code)


@pytest.mark.process
@pytest.mark.parametrize(
    "crash", ["raise ValueError('no price')", "threading.Thread(target=lambda: int('no price')).start()"]
)
def test_where_both_go_to_one_place_the_event_stands_above_pythons_traceback_and_whole(crash: str) -> None:
    slow = """
    from notify.backends.stdout import StdoutBackend
    send = StdoutBackend.send
    StdoutBackend.send = lambda self, events, /: threading.Event().wait(0.1) or send(self, events)
    """
    with running("import threading\nos.dup2(1, 2)", slow, SETUP, crash, NOTIFY_STDOUT="json") as process:
        lines = ended(process).lines

    (event,) = (number for number, line in enumerate(lines) if line.startswith("{"))
    assert json.loads(lines[event])["topic"] == "crash"
    assert event == 0
    assert lines[-1].startswith("ValueError: ")


@pytest.mark.parametrize(
    ("err", "waits"),
    [("a", True), ("b", False), ("closed", False), ("none", False)],
)
def test_only_who_writes_to_the_same_place_waits_for_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, err: str, waits: bool
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(Ticket, "wait_for", lambda self, backend, timeout: waited.append(backend))
    ticket = Ticket("1", changed=threading.Condition())
    with (tmp_path / "a").open("a") as stdout, (tmp_path / err).open("a") as stderr:
        if err == "closed":
            stderr.close()
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "stderr", None if err == "none" else stderr)
        turn.let_stdout_first(ticket)
        monkeypatch.undo()

    assert waited == ["stdout"] * waits


def test_what_ends_the_program_is_told_to_whoever_wants_to_know_after_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *args: None)
    memory = MemoryBackend()
    told: list[str] = []

    with Notifier({"memory": memory}) as notifier:
        undo = hooks.install(notifier, crashed=lambda: told.append("crashed"))
        sys.excepthook(ValueError, ValueError("no price"), None)
        sys.excepthook(SystemExit, SystemExit(1), None)
        undo()

    assert told == ["crashed"]
    assert memory.messages == ["Crashed in the main thread: ValueError: no price"]


@pytest.mark.process
def test_an_exception_that_lets_nobody_see_its_attributes_is_reported_wherever_it_is_raised(tmp_path: Path) -> None:
    ran = run_program(
        tmp_path,
        """
        class Api(Exception):
            def __getattribute__(self, name):
                raise RuntimeError(name)

        def work():
            raise Api("in a thread")

        worker = threading.Thread(target=work, name="w")
        worker.start()
        worker.join()
        raise Api("in main")
        """,
    )

    assert ran.messages == ["Crashed in thread w: Api: in a thread", "Crashed in the main thread: Api: in main"]


def test_a_report_that_fails_is_no_report(monkeypatch: pytest.MonkeyPatch, internal_errors: list[str]) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *args: None)
    monkeypatch.setattr(report, "text_of", None)
    told: list[str] = []

    with Notifier({"memory": MemoryBackend()}) as notifier:
        undo = hooks.install(notifier, crashed=lambda: told.append("crashed"))
        sys.excepthook(ValueError, ValueError("no price"), None)
        undo()

    assert told == []
    assert internal_errors == ["crash hook"]


# ---- crashes by the thousand


def _fail(error: BaseException | None = None) -> None:
    raise error or ValueError("no price")


def test_threads_that_crash_at_one_place_are_one_report_in_ten_minutes_and_a_count(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    memory = MemoryBackend()

    def crash(name: str, error: BaseException | None = None) -> None:
        worker = threading.Thread(target=_fail, args=(error,), name=name)
        worker.start()
        worker.join()

    with Notifier({"memory": memory}, clock=clock) as notifier:
        undo = hooks.install(notifier)
        for number in range(20):
            crash(f"worker-{number}")
        crash("worker-20", KeyError("gold"))
        crash("feed")
        clock.advance(600)
        crash("worker-21")
        crash("worker-22")
        undo()

    assert memory.messages == [
        "Crashed in thread worker-0: ValueError: no price",
        "Crashed in thread worker-20: KeyError: 'gold'",
        "Crashed in thread feed: ValueError: no price",
        "Crashed in thread worker-21 (and 19 like it): ValueError: no price",
        "More crashes like those that were reported",
    ]
    assert memory.events[-1].body == "1 in thread worker-N: ValueError"


def test_a_crash_is_not_held_back_for_one_whose_report_has_failed(
    monkeypatch: pytest.MonkeyPatch, internal_errors: list[str]
) -> None:
    memory = MemoryBackend()

    with Notifier({"memory": memory}) as notifier:
        for text_of in (None, report.text_of, report.text_of):
            monkeypatch.setattr(report, "text_of", text_of)
            try:
                _fail()
            except ValueError as error:
                report.report_from_hook(error, where="thread w", notifier=notifier)

    assert internal_errors == ["crash hook"]
    assert memory.messages == ["Crashed in thread w: ValueError: no price"]


@pytest.mark.process
def test_a_forked_child_does_not_tell_once_more_what_its_parent_holds_back(tmp_path: Path) -> None:
    ran = run_program(
        tmp_path,
        """
        def crash():
            worker = threading.Thread(target=int, args=("x",), name="w")
            worker.start()
            worker.join()

        crash()
        crash()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        """,
    )

    assert len(ran.crashes) == 2  # the crash, and the count of the parent's


def test_what_ends_the_program_is_reported_whatever_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *args: None)
    memory = MemoryBackend()

    with Notifier({"memory": memory}) as notifier:
        undo = hooks.install(notifier)
        for _ in range(2):
            try:
                _fail()
            except ValueError as error:
                sys.excepthook(ValueError, error, error.__traceback__)
        undo()

    assert memory.messages == ["Crashed in the main thread: ValueError: no price"] * 2


# ---- where a person types


@pytest.mark.parametrize(
    ("module", "name", "value", "expected"),
    [
        ("sys", "ps1", ">>> ", True),
        ("sys", "flags", type("flags", (), {"interactive": 1}), True),
        ("IPython", "get_ipython", lambda: object(), True),
        ("IPython", "get_ipython", lambda: None, False),  # imported by a program, which no shell runs
        ("IPython", "version", "8", False),
    ],
)
def test_a_prompt_or_a_notebook_is_recognised(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, value: object, expected: bool
) -> None:
    owner = sys if module == "sys" else ModuleType(module)
    monkeypatch.setitem(sys.modules, module, owner)
    monkeypatch.setattr(owner, name, value, raising=False)

    assert hooks.is_interactive() is expected


def test_a_program_is_not_interactive() -> None:
    assert not hooks.is_interactive()
