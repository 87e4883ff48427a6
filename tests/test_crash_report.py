"""What a crash report says, and that it arrives whatever was raised."""

import logging
import os
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from crashes import run

import notify
from notify.backends.memory import MemoryBackend
from notify.crash import content
from notify.crash.report import report_crash
from notify.errors import ConfigError
from notify.event import Event
from notify.notifier import Notifier
from notify.run_state import RunState
from notify.testing import FakeClock

pytestmark = pytest.mark.interpreter

STARTED = 1_800_000_000.0  # epoch seconds, a moment in 2027


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def reported(exception: BaseException, **options: str) -> Event:
    """Report *exception* and return the event that arrives."""
    memory = MemoryBackend()
    with Notifier({"memory": memory}) as notifier:
        report_crash(exception, notifier=notifier, **options)
    (event,) = memory.events
    return event


def no_price() -> None:
    raise ValueError("no price")


def wrapped() -> None:
    try:
        no_price()
    except ValueError as error:
        raise RuntimeError("cannot trade") from error


def wrapped_twice() -> None:
    try:
        wrapped()
    except RuntimeError:
        raise LookupError("one of the scheduled tasks failed")  # noqa: B904 - not every program says `from`


def legs() -> None:
    errors = [caught(no_price), caught(wrapped), caught(lambda: dict[str, int]()["pair"])]
    raise ExceptionGroup("three legs", [error for error in errors if isinstance(error, Exception)])


# ---- what and where


@pytest.mark.parametrize(
    ("function", "message", "then"),
    [
        (no_price, "Crashed in main loop: ValueError: no price", []),
        (wrapped, "Crashed in main loop: ValueError: no price", ["then RuntimeError: cannot trade"]),
        (
            wrapped_twice,
            "Crashed in main loop: ValueError: no price",
            ["then RuntimeError: cannot trade", "then LookupError: one of the scheduled tasks failed"],
        ),
    ],
)
def test_the_root_cause_comes_first_and_then_what_followed(
    function: Callable[[], object], message: str, then: list[str]
) -> None:
    event = reported(caught(function))

    place, *followed = event.body.splitlines()
    assert event.message == message
    assert place == f"tests/test_crash_report.py:{no_price.__code__.co_firstlineno + 1} in no_price"
    assert followed == then
    assert (event.level, event.topic) == (logging.CRITICAL, "crash")
    assert event.exception is not None
    # As Python prints it, the root cause is the first there, too.
    assert (
        event.exception.traceback.index("ValueError: no price") < event.exception.traceback.rindex("File ") or not then
    )
    assert event.source == notify.event.Source(
        __file__,
        no_price.__code__.co_firstlineno + 1,
        "no_price",
        os.getpid(),
        threading.current_thread().name,
    )


def test_a_group_shows_its_leaves_by_their_root_causes() -> None:
    event = reported(caught(legs), where="the cycle")

    assert event.message == "Crashed in the cycle: ValueError: no price (and 2 more)"
    lines = event.body.splitlines()
    assert lines[0::2] == [
        "ValueError: no price",
        "ValueError: no price",
        "KeyError: 'pair'",
        "then ExceptionGroup: three legs (3 sub-exceptions)",
    ]
    assert [line.rpartition(" in ")[2] for line in lines[1::2]] == ["no_price", "no_price", "<lambda>"]


def test_exceptions_that_were_never_raised_have_no_place() -> None:
    group = ExceptionGroup("tasks", [ValueError("no price"), KeyError("pair")])

    assert reported(ValueError("no price")).body == ""
    assert reported(group).body.splitlines() == [
        "ValueError: no price",
        "KeyError: 'pair'",
        "then ExceptionGroup: tasks (2 sub-exceptions)",
    ]


def test_the_module_of_a_class_stands_where_there_is_room() -> None:
    class OutOfGas(Exception):
        pass

    error = OutOfGas("0.01 ETH left")
    wrapper = OutOfGas("cannot trade")
    wrapper.__cause__ = error

    event = reported(wrapper)

    assert event.message == "Crashed in main loop: OutOfGas: 0.01 ETH left"
    assert event.exception is not None
    assert event.body == f"then {event.exception.type}: cannot trade"
    assert event.exception.type.startswith("test_crash_report.")


def test_a_group_of_one_is_shown_as_that_one() -> None:
    event = reported(ExceptionGroup("tasks", [ExceptionGroup("inner", [ValueError("no price")])]))

    assert event.message == "Crashed in main loop: ValueError: no price"


def test_of_many_leaves_and_wrappers_some_are_listed_and_the_others_counted() -> None:
    error: BaseException = ExceptionGroup("many", [ValueError(number) for number in range(30)])
    for number in range(30):
        wrapper = RuntimeError(number)
        wrapper.__cause__ = error
        error = wrapper

    event = reported(error)

    assert event.message == "Crashed in main loop: ValueError: 0 (and 29 more)"
    assert "… and 20 more" in event.body  # ten are listed
    assert "… and 21 more" in event.body  # of the group and its 30 wrappers
    assert len(event.body.splitlines()) < 40


@pytest.mark.parametrize(
    "text", ["x" * 200, "insufficient funds\nfor gas * price + value", "損" * 100], ids=["long", "lines", "wide"]
)
def test_what_is_too_long_for_a_title_stands_whole_below_it(text: str) -> None:
    event = reported(ValueError(text))

    assert len(event.message) <= 80
    assert "\n" not in event.message
    assert event.body.startswith(f"Crashed in main loop: ValueError: {text}")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (
            "Notifier.notify() got an unexpected keyword argument 'levle'",
            "Crashed: TypeError: Notifier.notify() got an unexpected keyword argument 'levle'",
        ),
        (
            "Notifier.notify() got an unexpected keyword argument 'repeat_interval'",
            "Crashed: TypeError: Notifier.notify() got an unexpected …[34 characters cut]…",
        ),
        ("no price", "Crashed in the main thread: TypeError: no price"),
    ],
    ids=["80 characters", "more", "short"],
)
def test_a_title_without_room_for_both_has_what_was_raised_rather_than_where(text: str, title: str) -> None:
    event = reported(TypeError(text), where="the main thread")

    assert event.message == title
    assert f"Crashed in the main thread: TypeError: {text}" in f"{event.message}\n{event.body}"


def test_the_place_is_in_the_programs_own_code_and_not_in_a_library() -> None:
    import json

    event = reported(caught(lambda: json.loads("{")))

    assert event.source.path == __file__
    assert event.exception is not None
    assert "json/decoder.py" in event.exception.traceback


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/srv/executor/strategy.py", True),
        ("<string>", True),
        ("generated.py", True),
        ("/usr/lib/python3/dist-packages/web3/main.py", False),
        ("/srv/executor/.venv/lib/python3.11/site-packages/web3/main.py", False),
        (os.__file__, False),
        ("<frozen runpy>", False),
        (str(Path(content.__file__).with_name("guard.py")), False),
    ],
)
def test_code_of_python_and_of_installed_packages_is_not_the_programs_own(path: str, own: bool) -> None:
    module = types.ModuleType("inner")
    exec(compile("def fail():\n    1 / 0", path, "exec"), module.__dict__)

    assert (reported(caught(module.fail)).source.path == path) is own


def test_where_all_of_it_is_library_the_deepest_place_is_shown() -> None:
    error = caught(lambda: no_price())
    error.__traceback__ = None
    module = types.ModuleType("inner")
    exec(compile("def fail(error):\n    raise error", "/lib/site-packages/web3.py", "exec"), module.__dict__)
    raised = caught(lambda: module.fail(error))
    assert raised.__traceback__ is not None
    raised.__traceback__ = raised.__traceback__.tb_next.tb_next  # type: ignore[union-attr]  # past this file's own

    assert reported(raised).source.path == "/lib/site-packages/web3.py"


def test_a_traceback_that_came_from_a_worker_as_text_is_no_root_cause() -> None:
    error = ValueError("no price")
    error.__cause__ = type("RemoteTraceback", (Exception,), {})("a traceback")

    assert reported(error).message == "Crashed in main loop: ValueError: no price"


def test_what_was_reported_before_is_not_the_root_cause_of_the_next_crash() -> None:
    first, second = caught(no_price), KeyError("clean up")
    second.__context__ = first
    memory = MemoryBackend()

    with Notifier({"memory": memory}) as notifier:
        report_crash(first, notifier=notifier)
        report_crash(second, where="the end", notifier=notifier)

    assert memory.messages[1] == "Crashed in the end: KeyError: 'clean up'"


# ---- how the process was


def test_the_report_says_how_the_process_was() -> None:
    clock = FakeClock(STARTED)
    memory = MemoryBackend()
    with Notifier({"memory": memory}, clock=clock) as notifier:
        notifier.run_state = state = RunState(clock)
        state.update(completed_cycle=17, version={"tag": "v42", "commit_hash": "abc"})
        clock.advance(11_527)
        report_crash(ValueError(), notifier=notifier)

    fields = memory.events[0].fields
    assert fields["run_time"] == "3 h 12 min"
    assert fields["completed_cycle"] == 17
    assert fields["version"] == "v42"
    assert fields["host"] == os.uname().nodename
    assert fields["process"] == f"{Path(sys.argv[0]).name} ({os.getpid()})"


def test_the_memory_peak_is_the_most_that_was_ever_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak, unit = str(reported(ValueError()).fields["memory_peak"]).split()

    assert unit == "MiB"
    assert float(peak) == pytest.approx(kib / 1024, rel=0.2)
    monkeypatch.setattr(sys, "platform", "darwin")  # there, the same number is bytes
    assert float(str(reported(ValueError()).fields["memory_peak"]).split()[0]) < 1


def test_what_nobody_knows_is_left_out() -> None:
    memory = MemoryBackend()
    with Notifier({"memory": memory}) as notifier:
        notifier.run_state = types.SimpleNamespace(started_at="yesterday", version=None)  # as a program may leave it
        report_crash(ValueError(), notifier=notifier)

    assert memory.events[0].fields.keys() == {"host", "process", "memory_peak"}


def test_the_last_thirty_log_lines_go_with_it() -> None:
    memory = MemoryBackend()
    with Notifier({"memory": memory}) as notifier:
        logger = logging.getLogger("strategy")
        logger.propagate = False
        notifier.attach(logger)
        for number in range(40):
            logger.warning("line %d", number)
        notifier.detach(logger)
        logger.propagate = True
        report_crash(ValueError(), notifier=notifier)

    (event,) = [event for event in memory.events if event.topic == "crash"]
    assert [line.rpartition(" ")[2] for line in event.tail] == [str(number) for number in range(10, 40)]


def test_no_local_variable_goes_with_it() -> None:
    def failing() -> None:
        private_key = "0x" + "ab" * 32
        raise ValueError(len(private_key))

    assert "abab" not in repr(reported(caught(failing)))


# ---- whatever was raised


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def in_a_circle() -> BaseException:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def in_itself() -> BaseException:
    error = caught(no_price)
    error.__cause__ = error
    return error


def in_lost_code() -> BaseException:
    return caught(lambda: exec(compile("\n\nraise ValueError('lost')", "/gone/lost.py", "exec")))


def deep_group() -> BaseException:
    error: Exception = ValueError("inmost")
    for _ in range(2000):
        error = ExceptionGroup("one in another", [error])
    return error


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        (Mute(), "Crashed in main loop: Mute: <unprintable Mute: RuntimeError>"),
        (in_a_circle(), "Crashed in main loop: KeyError: 'second'"),
        (in_itself(), "Crashed in main loop: ValueError: no price"),
        (in_lost_code(), "Crashed in main loop: ValueError: lost"),
        (ValueError("\ud800"), "Crashed in main loop: ValueError: \\ud800"),
        (ValueError(), "Crashed in main loop: ValueError"),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), "Crashed in main loop: KeyboardInterrupt"),
        (MemoryError(), "Crashed in main loop: MemoryError"),
    ],
    ids=["mute", "circle", "itself", "lost code", "surrogate", "no text", "group", "memory"],
)
def test_whatever_was_raised_arrives(exception: BaseException, message: str) -> None:
    assert reported(exception).message == message


def test_ten_megabytes_of_text_arrive_cut() -> None:
    event = reported(ValueError("x" * 10_000_000))

    assert event.message == "Crashed: ValueError: …[10000000 characters cut]…"
    assert "characters cut" in event.body
    assert len(event.body) < 300_000


def test_a_group_that_is_deeper_than_pythons_stack_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(deep_group()).message.startswith("Crashed in main loop: ExceptionGroup")


def test_what_is_no_exception_is_reported_as_such() -> None:
    event = reported("a text")  # type: ignore[arg-type]  # that is the point

    assert event.message == "Crashed in main loop: TypeError: reported as a crash, and no exception: a text"


def test_without_a_notifier_there_is_nobody_to_tell() -> None:
    with pytest.raises(ConfigError, match=r"call notify\.setup"):
        report_crash(ValueError())


@pytest.mark.process
@pytest.mark.parametrize("filling", ["bytes(1_000_000)", "object()", "[len(held)]"])
def test_a_process_without_memory_still_tells_of_it(tmp_path: Path, filling: str) -> None:
    ran = run(
        tmp_path,
        f"""
        import resource
        write = Told.send

        def send(self, events, /):
            import asyncio, http.client, xml.dom.minidom  # as real ones import what they need when they first send
            return write(self, events)

        Told.send = send
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
        held = []
        while True:
            held.append({filling})
        """,
    )

    assert ran.messages == ["Crashed in the main thread: MemoryError"]
    assert ran.code == 1


@pytest.mark.process
@pytest.mark.parametrize(
    "code",
    [
        "@guard('deep')\ndef deeper():\n    deeper()\ndeeper()",
        "def deeper():\n    try:\n        deeper()\n    except RecursionError as error:\n"
        "        report_crash(error, where='deep')\n        raise\ndeeper()",
    ],
    ids=["guard", "report"],
)
def test_at_the_end_of_the_stack_a_crash_is_told_once(tmp_path: Path, code: str) -> None:
    ran = run(tmp_path, code)

    assert [message.split(":")[1] for message in ran.messages] == [" RecursionError"]
    assert ran.code == 1
    assert "notify:" not in ran.stderr


# ---- once


def test_an_exception_that_was_reported_gives_the_same_ticket_again() -> None:
    error = caught(no_price)
    memory = MemoryBackend()

    with Notifier({"memory": memory}) as notifier:
        ticket = report_crash(error, notifier=notifier)
        assert report_crash(error, where="elsewhere", notifier=notifier) is ticket
        wrapper = RuntimeError()
        wrapper.__cause__ = error
        assert report_crash(wrapper, notifier=notifier) is ticket

    assert [event.id for event in memory.events] == [ticket.id]


def test_of_many_threads_that_report_one_exception_one_succeeds() -> None:
    error = caught(no_price)
    memory = MemoryBackend()
    tickets: list[notify.Ticket] = []
    together = threading.Barrier(8)

    with Notifier({"memory": memory}) as notifier:

        def report() -> None:
            together.wait()
            tickets.append(report_crash(error, notifier=notifier))

        threads = [threading.Thread(target=report) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(memory.events) == 1
    assert {ticket.id for ticket in tickets} == {memory.events[0].id}


def test_an_exception_that_another_process_has_reported_is_known_by_its_id() -> None:
    import pickle

    error = caught(no_price)
    first = reported(error)
    memory = MemoryBackend()

    with Notifier({"memory": memory}) as notifier:
        ticket = report_crash(pickle.loads(pickle.dumps(error)), notifier=notifier)

    assert ticket.id == first.id
    assert ticket.wait(0) == {}
    assert memory.events == []


def test_a_report_of_which_nothing_came_is_made_by_who_sees_it_next(
    monkeypatch: pytest.MonkeyPatch, internal_errors: list[str]
) -> None:
    error = caught(no_price)
    memory = MemoryBackend()

    with Notifier({"memory": memory}) as notifier:
        with monkeypatch.context() as broken:
            broken.setattr("notify.crash.report.text_of", None)
            report_crash(error, notifier=notifier)
        report_crash(error, where="the end", notifier=notifier)

    assert memory.messages == ["Crashed in the end: ValueError: no price"]
    assert internal_errors == ["crash hook"]
