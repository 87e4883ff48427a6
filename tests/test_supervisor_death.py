"""What is said of a death: on a phone, in an event, and when nothing is said because somebody asked for it."""

import dataclasses
import logging
import os
import resource
import signal
from typing import Any

import pytest

from notify.backends.text import is_table, sections
from notify.crash.run_file import Facts
from notify.supervisor.child import Ending
from notify.supervisor.death import (
    Death,
    event_of,
    is_being_stopped,
    kind_of,
    may_be_oom_kill,
    stop_title,
    title,
    was_asked,
)

PHONE = 80  # UTF-16 units of a title on Discord
DAYS = 3 * 86_400 + 4 * 3600 + 59.0  # 3 d 4 h, and what is left out

FAULT = 'Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  File "a.py", line 1'


def ending(returncode: int, **parts: Any) -> Ending:
    # User and system time in seconds, then memory in KiB; the rest is not told.
    usage = resource.struct_rusage((3.0, 0.5, 2048, *[0] * 13))
    return Ending(**{"returncode": returncode, "dumped_core": False, "seconds": DAYS, "usage": usage} | parts)


def death(returncode: int, **parts: Any) -> Death:
    known = {f.name for f in dataclasses.fields(Ending)}
    about = {name: parts.pop(name) for name in known & parts.keys()}
    return Death(**{"program": "my-strategy", "pid": 7, "ending": ending(returncode, **about), "at": 1.5e9} | parts)


# ---- the title


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (death(-9, by_oom_killer=True), "my-strategy was killed by the OOM killer after 3 d 4 h"),
        (death(137, by_oom_killer=True), "my-strategy was killed by the OOM killer after 3 d 4 h"),
        (death(3), "my-strategy ended with exit code 3 after 3 d 4 h"),
        (death(-11), "my-strategy crashed after 3 d 4 h: segmentation fault"),
        (death(-6), "my-strategy crashed after 3 d 4 h: aborted"),
        (death(-9), "my-strategy was killed by SIGKILL after 3 d 4 h"),
        (death(-40), "my-strategy was killed by signal 40 after 3 d 4 h"),
        (death(-6, hung=True), "my-strategy hung and was ended after 3 d 4 h"),
        (death(3, restarts="5th start in 10 minutes"), "my-strategy ended with exit code 3 (5th start in 10 minutes)"),
    ],
)
def test_the_title_says_at_a_glance_what_happened(one, said):
    assert title(one) == said


def test_the_title_fits_a_phone_whatever_the_program_is_called():
    worst = death(-9, by_oom_killer=True, program="x" * 1000, seconds=999 * 86_400 + 23 * 3600)

    assert len(title(worst)) <= PHONE


# ---- the event


def test_a_death_is_critical_and_says_how_the_program_was():
    event = event_of(death(-9, dumped_core=True, last_progress_at=1.4e9))

    assert (event.level, event.topic, event.time) == (logging.CRITICAL, "crash", 1.5e9)
    assert event.fields == {
        "program": "my-strategy",
        "signal": "SIGKILL",
        "core_dumped": True,
        "run_time": "3 d 4 h",
        "cpu_time": "3.5 s",
        "memory_peak": "2.0 MiB",
        "last_progress": "2014-05-13T16:53:20.000Z",
        "host": os.uname().nodename,
        "process": 7,
    }


@pytest.mark.parametrize(("cycles", "said"), [(1, "1 cycle"), (1234, "1,234 cycles")])
def test_after_how_many_cycles_it_ended_is_said_before_where(cycles, said):
    event = event_of(death(-11, fault=FAULT, facts=Facts(cycles=cycles)))

    assert event.body.startswith(f"It ended after {said}.\n")
    assert 'File "a.py", line 1' in event.body
    assert event.fields["cycles"] == cycles


def test_what_is_said_in_words_is_not_shown_in_the_font_of_the_stack_below_it():
    event = event_of(death(-11, fault=FAULT, facts=Facts(cycles=2), holds_back=True))

    words, stack = sections(event.body)
    assert words.startswith("It ended after 2 cycles.\nNot each end like this is told")
    assert (is_table(words), is_table(stack)) == (False, True)


@pytest.mark.parametrize(("own_peak", "said"), [(2047, "2.0 MiB"), (2048, "at most 2.0 MiB")])
def test_a_peak_of_memory_that_may_be_the_supervisors_says_at_most(own_peak, said):
    fields = event_of(death(3, own_peak=own_peak)).fields  # KiB; the program's are 2048

    assert fields.get("memory_peak") == said


def test_what_is_not_known_of_a_death_is_no_field():
    fields = event_of(death(3)).fields

    assert fields["exit_code"] == 3
    assert {"signal", "core_dumped", "last_progress"}.isdisjoint(fields)


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("", "was killed, or ended by os._exit(): no Python code ran at its end"),
        (
            'Fatal Python error: Aborted\n\nThread 0x1 (most recent call first):\n  File "a.py", line 1 in f\n',
            "crashed in C",
        ),
    ],
)
def test_a_program_that_may_have_died_long_before_its_wrapper_is_named_first_and_is_what_the_facts_are_of(fault, how):
    event = event_of(death(5, unseen="bot", fault=fault, facts=Facts(cycles=3)))

    said = f"bot, which ran behind it, {how}. Progress, cycles and version are those of bot."
    assert event.body.split("\n")[:2] == [said, "It ended after 3 cycles."]


def test_the_last_thirty_lines_of_stderr_go_with_it():
    event = event_of(death(1, stderr=tuple(f"line {number}" for number in range(100))))

    assert event.tail == tuple(f"line {number}" for number in range(70, 100))


def test_the_c_traceback_of_the_marker_is_the_body():
    event = event_of(death(-11, fault=FAULT, stderr=("before",)))

    assert (event.body, event.tail, event.attachments) == (FAULT, ("before",), ())


def test_a_c_traceback_on_stderr_is_the_body_and_the_tail_is_what_came_before():
    event = event_of(death(-11, stderr=("before", "Fatal Python error: old", "after it", *FAULT.split("\n"))))

    assert event.body == FAULT
    assert event.tail == ("before", "Fatal Python error: old", "after it")


@pytest.mark.parametrize("returncode", [1, -9])
def test_an_old_c_traceback_on_stderr_is_no_reason_for_a_death_of_something_else(returncode):
    event = event_of(death(returncode, stderr=("before", *FAULT.split("\n"))))

    assert event.body == ""
    assert event.tail == ("before", *FAULT.split("\n"))


def test_stacks_that_were_asked_for_are_no_crash_in_c():
    assert event_of(death(-9, fault="Thread 0x1 (most recent call first):\n  File a")).body == ""


THREADS = """Fatal Python error: Segmentation fault

Thread 0x02 (most recent call first):
  File "/lib/threading.py", line 1 in _bootstrap

Current thread 0x01 (most recent call first):
  File "/app/strategy.py", line 10 in <module>

Extension modules: a, b (total: 2)"""


def test_of_a_crash_with_threads_the_one_that_caused_it_is_the_body_and_all_is_in_a_file():
    event = event_of(death(-11, fault=THREADS))

    assert event.body == (
        "Fatal Python error: Segmentation fault\n\n"
        'Current thread 0x01 (most recent call first):\n  File "/app/strategy.py", line 10 in <module>'
    )
    assert [file.data.decode() for file in event.attachments] == [THREADS]


def test_a_death_of_a_row_says_that_not_each_is_told():
    assert "Not each end like this is told" in event_of(death(3, holds_back=True)).body
    assert event_of(death(3)).body == ""


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (death(3), "exit-3"),
        (death(3, unseen="bot"), "exit-3-unseen"),
        (death(-11), "SIGSEGV"),
        (death(-40), "signal-40"),
        (death(-9, by_oom_killer=True), "oom"),
        (death(-6, hung=True), "hung"),
    ],
)
def test_ends_are_alike_when_the_same_has_ended_the_program(one, kind):
    assert kind_of(one) == kind


def test_a_long_c_traceback_travels_in_a_file():
    fault = FAULT + '\n  File "a.py", line 1' * 200  # 4,600 code points, above the 3,000 of a body
    event = event_of(death(-11, fault=fault))

    assert event.body == ""
    assert [(file.filename, file.data.decode()) for file in event.attachments] == [("c-traceback.txt", fault)]


def test_oom_kills_of_other_processes_are_told_when_the_program_ends_of_something_else():
    assert event_of(death(1, oom_kills=1)).body == "While it ran, the OOM killer killed 1 process of its memory cgroup."
    assert "2 processes" in event_of(death(1, oom_kills=2)).body
    assert event_of(death(-9, oom_kills=1, by_oom_killer=True)).body == ""


def test_odd_characters_of_names_and_lines_are_made_presentable():
    event = event_of(death(1, program="a\ud800b", stderr=("c\ud800",)))

    for text in (event.message, str(event.fields["program"]), *event.tail):
        text.encode()


# ---- asked for


@pytest.mark.parametrize(
    ("one", "asked"),
    [
        (ending(0), False),
        (ending(-15), False),
        (ending(-15, told=(signal.SIGTERM,), seconds_since_told=0.1), True),
        (ending(143, told=(signal.SIGTERM,), seconds_since_told=9000), True),
        (ending(1, told=(signal.SIGTERM,), seconds_since_told=599), True),
        # A service manager has lost patience, also behind a shell.
        (ending(-9, told=(signal.SIGTERM,), seconds_since_told=29), True),
        (ending(137, told=(signal.SIGTERM,), seconds_since_told=29), True),
        (ending(-9, told=(signal.SIGTERM,), seconds_since_told=31), False),
        (ending(-9, told=(signal.SIGINT,), seconds_since_told=11), False),
        # It handled the signal, and died of something that nobody has sent.
        (ending(-11, told=(signal.SIGTERM,), seconds_since_told=1), False),
        (ending(139, told=(signal.SIGTERM,), seconds_since_told=1), False),
        (ending(-6, told=(signal.SIGINT,), seconds_since_told=1), False),
        (ending(-13, told=(signal.SIGTERM,), seconds_since_told=1), False),
        # It took the signal for something else, and went on for more than ten minutes.
        (ending(1, told=(signal.SIGINT,), seconds_since_told=601), False),
        # A daemon that reads its configuration anew, and crashes of it.
        (ending(1, told=(signal.SIGHUP,), seconds_since_told=0.1), False),
        (ending(-1, told=(signal.SIGHUP,), seconds_since_told=0.1), True),
        (ending(-3, told=(signal.SIGINT, signal.SIGQUIT), seconds_since_told=700), True),
    ],
)
def test_an_end_that_somebody_asked_for_is_known(one, asked):
    assert was_asked(one) is asked


@pytest.mark.parametrize(("seconds", "waits"), [(29, True), (31, False)])
def test_who_has_asked_a_program_to_end_waits_for_half_a_minute_however_it_ends(seconds, waits):
    assert is_being_stopped(ending(-11, told=(signal.SIGTERM,), seconds_since_told=seconds)) is waits


TERM = {"told": (signal.SIGTERM,), "seconds_since_told": 1.0}


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (ending(-15, **TERM), "my-strategy stopped on SIGTERM after 3 d 4 h"),
        (ending(143, **TERM), "my-strategy stopped on SIGTERM after 3 d 4 h"),
        (ending(0, **TERM), "my-strategy stopped on SIGTERM after 3 d 4 h"),
        (ending(1, **TERM), "my-strategy stopped on SIGTERM with exit code 1 after 3 d 4 h"),
        (ending(-9, **TERM), "my-strategy stopped on SIGTERM with SIGKILL after 3 d 4 h"),
        (ending(-15), "my-strategy stopped when asked after 3 d 4 h"),
    ],
)
def test_an_end_that_was_asked_for_says_so_and_how_it_was(one, said):
    assert stop_title("my-strategy", one) == said


@pytest.mark.parametrize(("returncode", "may"), [(-9, True), (137, True), (-11, False), (1, False), (0, False)])
def test_only_sigkill_may_be_the_oom_killers_also_through_a_shell(returncode, may):
    assert may_be_oom_kill(ending(returncode)) is may
