import subprocess
import sys
import threading

import pytest

from notify import diagnostics


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(diagnostics, "time", time)
    return time


def test_a_report_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.report("kind", "first\nsecond\r\n  third")

    assert capsys.readouterr() == ("", "notify: first second third\n")


def test_the_same_kind_is_written_once_in_ten_seconds(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        diagnostics.report("kind", "text")
    time.now += 9.9
    diagnostics.report("kind", "text")

    assert capsys.readouterr().err == "notify: text\n"


def test_the_next_line_says_how_many_were_held_back(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        diagnostics.report("kind", "text")
    time.now += 10
    diagnostics.report("kind", "text")
    time.now += 10
    diagnostics.report("kind", "text")

    assert capsys.readouterr().err.splitlines() == [
        "notify: text",
        "notify: text (3 more like it)",
        "notify: text",
    ]


def test_other_kinds_are_written_meanwhile(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.report("one", "first")
    diagnostics.report("two", "second")

    assert capsys.readouterr().err == "notify: first\nnotify: second\n"


def test_endless_kinds_do_not_fill_the_memory(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3 * diagnostics._KINDS_REMEMBERED):
        diagnostics.report(f"kind {number}", "text")

    assert len(diagnostics._last_said) <= diagnostics._KINDS_REMEMBERED


@pytest.mark.parametrize("stream", [None, "closed", "raising"])
def test_a_broken_stderr_is_nobodys_problem(monkeypatch: pytest.MonkeyPatch, stream: str | None) -> None:
    class Broken:
        def write(self, text: str) -> int:
            raise {"closed": ValueError, "raising": OSError}[stream or ""]

    monkeypatch.setattr(sys, "stderr", Broken() if stream else None)

    diagnostics.report("kind", "text")


def test_nothing_goes_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    diagnostics.report("kind", "text")

    assert caplog.records == []


def test_forgetting_makes_the_next_report_a_first_one(capsys: pytest.CaptureFixture[str]) -> None:
    diagnostics.report("kind", "text")
    diagnostics.report("kind", "text")
    diagnostics.forget()
    diagnostics.report("kind", "text")

    assert capsys.readouterr().err == "notify: text\nnotify: text\n"


def test_a_report_interrupted_by_another_one_does_not_wait_for_itself() -> None:
    with diagnostics._lock:  # as if a signal arrived in the middle of a report
        diagnostics.report("kind", "text")


def test_threads_reporting_at_once_are_all_counted(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    def report() -> None:
        for _ in range(100):
            diagnostics.report("kind", "text")

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.now += 10
    diagnostics.report("kind", "text")

    assert "(399 more like it)" in capsys.readouterr().err


@pytest.mark.process
def test_a_child_forked_in_the_middle_of_a_report_can_report() -> None:
    script = """if True:
        import os, threading
        from notify import diagnostics

        held, forked = threading.Event(), threading.Event()

        def report():
            with diagnostics._lock:
                held.set()
                forked.wait()

        threading.Thread(target=report).start()
        held.wait()
        child = os.fork()
        if child == 0:
            diagnostics.report("kind", "from the child")
            os._exit(0)
        forked.set()
        os.waitpid(child, 0)
    """

    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]  # 3.12 warns of forks with threads
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert run.stderr == "notify: from the child\n"
