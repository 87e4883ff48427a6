"""What faulthandler writes, as people read it: what matters first, and none of our own threads."""

from notify.crash.fault import crashed_thread, of_crash, program_threads

HEAD = "Fatal Python error: Segmentation fault"
BOOTSTRAP = '  File "/lib/python3.11/threading.py", line 1002 in _bootstrap'
OURS = f'Thread 0x03 (most recent call first):\n  File "/site/notify/threads.py", line 45 in run\n{BOOTSTRAP}'
OTHER = f'Thread 0x02 (most recent call first):\n  File "/app/feed.py", line 7 in listen\n{BOOTSTRAP}'
MAIN = 'Thread 0x01 (most recent call first):\n  File "/app/strategy.py", line 3 in <module>'
CURRENT = f"Current thread {MAIN.removeprefix('Thread ')}"


def trace(*parts: str) -> str:
    return "\n\n".join(parts)


def test_the_main_thread_comes_first_and_ours_are_left_out():
    assert program_threads(trace(OURS, OTHER, MAIN)) == trace(MAIN, OTHER)
    assert program_threads(trace(OURS, OTHER, CURRENT)) == trace(CURRENT, OTHER)


def test_stacks_of_nothing_but_our_threads_and_text_without_threads_stay_whole():
    assert program_threads(OURS) == OURS
    assert program_threads("no stacks") == "no stacks"
    assert program_threads("") == ""


def test_of_a_crash_the_thread_that_caused_it_is_shown_even_when_it_is_ours():
    assert crashed_thread(trace(HEAD, OTHER, CURRENT, "Extension modules: a")) == trace(HEAD, CURRENT)
    assert crashed_thread(trace(HEAD, f"Current thread {OURS.removeprefix('Thread ')}", MAIN)).endswith(BOOTSTRAP)


def test_when_nobody_says_which_thread_crashed_the_main_one_is_shown():
    assert crashed_thread(trace(HEAD, OTHER, MAIN)) == trace(HEAD, MAIN)


def test_what_was_written_when_it_was_asked_for_is_no_crash():
    assert of_crash(trace(OTHER, MAIN)) == ""
    assert of_crash(f"{MAIN}\n{trace(HEAD, CURRENT)}\n") == trace(HEAD, CURRENT)
