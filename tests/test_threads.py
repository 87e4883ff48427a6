import subprocess
import sys
import threading

import pytest

from notify import threads


def test_a_thread_of_ours_knows_itself_and_is_known_to_others() -> None:
    known: list[bool] = []
    go_on = threading.Event()

    def run() -> None:
        known.append(threads.is_ours())
        go_on.wait()

    thread = threads.start("test", run)
    while not known:  # it has begun, or begins at once
        thread.join(0.01)
    assert thread.ident is not None
    known.append(threads.is_ours(thread.ident))
    go_on.set()
    thread.join()

    assert known == [True, True]


def test_other_threads_are_not_ours() -> None:
    known: list[bool] = [threads.is_ours()]
    thread = threading.Thread(target=lambda: known.append(threads.is_ours()))
    thread.start()
    thread.join()

    assert known == [False, False]


@pytest.mark.parametrize("outcome", [None, ValueError, SystemExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_number_that_the_system_may_give_to_another_thread_is_forgotten(outcome: type[BaseException] | None) -> None:
    def run() -> None:
        if outcome is not None:
            raise outcome

    thread = threads.start("test", run)
    thread.join()

    assert thread.ident is not None
    assert not threads.is_ours(thread.ident)


def test_our_threads_bear_our_name_and_do_not_keep_the_program_alive() -> None:
    thread = threads.start("lane-discord", lambda: None)
    thread.join()

    assert (thread.name, thread.daemon) == ("notify-lane-discord", True)


def test_a_system_without_another_thread_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(RuntimeError, match="can't start"):
        threads.start("test", lambda: None)


@pytest.mark.process
def test_no_thread_of_a_forked_child_is_taken_for_one_of_ours() -> None:
    script = """if True:
        import os, threading
        from notify import threads

        ours = threads.start("test", threading.Event().wait)
        child = os.fork()
        if child == 0:
            os._exit(1 if threads.is_ours(ours.ident) else 0)  # a new thread of the child may get this number
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), threads.is_ours(ours.ident))
    """

    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]  # 3.12 warns of forks with threads
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert run.stdout == "0 True\n"
