"""Our own threads: what they are known by, and how one that has died is started again."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from children import python
from lanes import LONG, ours

from notify import threads
from notify.threads import Worker

pytestmark = pytest.mark.interpreter


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
    known.append(thread.ident in threads.idents)
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
    assert thread.ident not in threads.idents


def test_our_threads_bear_our_name_and_do_not_keep_the_program_alive() -> None:
    thread = threads.start("lane-discord", lambda: None)
    thread.join()

    assert (thread.name, thread.daemon) == ("notify-lane-discord", True)


def _policy() -> int | None:
    try:
        return os.sched_getscheduler(0)
    except (AttributeError, OSError):
        return None


# None on other systems, and another where somebody has chosen one for the tests.
ORDINARY = pytest.mark.skipif(_policy() != 0, reason="the process is not an ordinary one of Linux's")


@ORDINARY
def test_a_thread_of_ours_pushes_no_thread_of_the_program_aside() -> None:
    policies: list[int] = []

    threads.start("test", lambda: policies.append(os.sched_getscheduler(0))).join()

    assert policies == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@ORDINARY
def test_a_program_that_has_chosen_when_it_runs_has_threads_of_ours_that_run_likewise() -> None:
    script = """if True:
        import os
        from notify import threads
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        threads.start("test", lambda: print(os.sched_getscheduler(0) == os.SCHED_IDLE, flush=True)).join()
        os._exit(0)
    """

    assert python("-c", script).stdout == "True\n"


@ORDINARY
def test_the_programs_own_thread_stays_as_it_is_where_gevent_runs_ours_in_it() -> None:
    pytest.importorskip("gevent")
    script = """if True:
        from gevent import monkey
        monkey.patch_all()
        import os
        from notify import threads
        threads.start("test", lambda: None).join()
        print(os.sched_getscheduler(0) == os.SCHED_OTHER)
    """

    assert python("-c", script).stdout == "True\n"


@ORDINARY
@pytest.mark.parametrize(("filtered", "policy"), [(True, "SCHED_OTHER"), (False, "SCHED_BATCH")])
def test_where_systemd_may_kill_for_the_attempt_none_is_made(
    monkeypatch: pytest.MonkeyPatch, filtered: bool, policy: str
) -> None:
    policies: list[int] = []
    monkeypatch.setenv("INVOCATION_ID", "1")
    monkeypatch.setattr(Path, "read_text", lambda path: f"Name:\tpython\nSeccomp:\t{2 * filtered}\n")
    threads._may_kill.cache_clear()

    threads.start("test", lambda: policies.append(os.sched_getscheduler(0))).join()
    threads._may_kill.cache_clear()

    assert policies == [getattr(os, policy)]


def test_a_system_that_does_not_let_us_choose_has_the_thread_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> NoReturn:
        raise PermissionError

    ran: list[bool] = []
    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)

    threads.start("test", lambda: ran.append(True)).join()

    assert ran == [True]


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
            os._exit(1 if ours.ident in threads.idents else 0)  # a new thread of the child may get this number
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), ours.ident in threads.idents)
    """

    run = python("-c", script)

    assert (run.stdout, run.stderr) == ("0 True\n", "")


# ---- workers


class Job:
    """What a worker runs: it says that it has begun, and ends as it is told."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.ends_with: list[BaseException | None] = []

    def __call__(self) -> None:
        self.begun.release()
        assert self.go_on.acquire(timeout=LONG)
        error = self.ends_with.pop(0) if self.ends_with else None
        if error is not None:
            raise error


@pytest.fixture
def job() -> Iterator[Job]:
    made = Job()
    yield made
    made.go_on.release(9)  # what still runs may end


def died(job: Job, error: BaseException | None = None) -> Worker:
    """Return a worker whose thread has ended with *error*."""
    job.ends_with = [error or MemoryError()]
    worker = Worker("test", job)
    assert job.begun.acquire(timeout=LONG)
    job.go_on.release()
    worker.join(LONG)
    assert ours("test") == []
    return worker


@pytest.mark.parametrize("error", [MemoryError(), ValueError("c4nary"), SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_a_thread_that_died_is_told_of_started_again_and_counted(
    job: Job, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = died(job, error)
    assert capsys.readouterr().err == f"notify: the thread test died: {type(error).__name__}\n"

    worker.revive()

    assert job.begun.acquire(timeout=LONG)
    assert worker.restarts == 1


def test_a_thread_that_lives_is_left_alone(job: Job) -> None:
    worker = Worker("test", job)
    assert job.begun.acquire(timeout=LONG)

    worker.revive()

    assert (worker.restarts, len(ours("test"))) == (0, 1)


def test_a_worker_whose_thread_a_forked_child_has_not_is_started_there() -> None:
    script = """if True:
        import os, threading
        from notify.threads import Worker

        begun = threading.Semaphore(0)
        worker = Worker("test", lambda: (begun.release(), threading.Event().wait()))
        assert begun.acquire(timeout=60)
        child = os.fork()
        if child == 0:
            worker.revive()
            os._exit(0 if begun.acquire(timeout=60) and worker.restarts == 1 else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """

    run = python("-c", script)

    assert (run.stdout, run.stderr) == ("0\n", "notify: the thread test had died and was started again\n")


def test_a_thread_that_has_ended_stays_so(job: Job) -> None:
    worker = Worker("test", job)
    job.go_on.release()
    worker.join(LONG)

    worker.revive()

    assert (worker.restarts, ours("test")) == (0, [])


def test_many_who_find_a_thread_dead_start_one(job: Job) -> None:
    worker = died(job)
    together = threading.Barrier(8)

    def revive() -> None:
        together.wait()
        worker.revive()

    finders = [threading.Thread(target=revive) for _ in range(8)]
    for finder in finders:
        finder.start()
    for finder in finders:
        finder.join()

    assert (worker.restarts, len(ours("test"))) == (1, 1)


def test_a_thread_that_joins_itself_does_not_wait() -> None:
    workers: list[Worker] = []
    given, joined = threading.Event(), threading.Event()

    def join_myself() -> None:
        given.wait(LONG)
        workers[0].join(LONG)
        joined.set()

    workers.append(Worker("test", join_myself))
    given.set()

    assert joined.wait(LONG)


def refuse(thread: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


def test_a_thread_that_the_system_refuses_is_told_of_and_started_as_soon_as_it_may(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        worker = Worker("test", job)
        worker.revive()
        worker.join(LONG)  # nothing to wait for
    assert capsys.readouterr().err == "notify: the thread test could not be started: can't start new thread\n"

    worker.revive()

    assert job.begun.acquire(timeout=LONG)
    assert worker.restarts == 0  # it had never lived
    assert capsys.readouterr().err == ""


def test_a_thread_that_the_system_refuses_leaves_the_dead_one_to_the_next_look(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = died(job)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        worker.revive()
    assert worker.restarts == 0

    worker.revive()

    assert job.begun.acquire(timeout=LONG)
    assert worker.restarts == 1


@pytest.mark.parametrize(("marked", "known"), [(True, True), (False, False)])
def test_what_a_worker_logs_is_ours_unless_it_is_unmarked(marked: bool, known: bool) -> None:
    found: list[bool] = []

    Worker("test", lambda: found.append(threads.is_ours()), marked=marked).join(LONG)

    assert found == [known]


# ---- the end of the program


def test_at_the_end_no_thread_is_started_not_even_for_one_that_died(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = died(job)
    monkeypatch.setattr(threads, "_at_exit", threads._at_exit)  # as it was, after the test
    threads.start_no_more()

    with pytest.raises(RuntimeError, match="shutting down"):
        threads.start("test", lambda: None)

    worker.revive()

    assert (worker.restarts, ours("test")) == (0, [])
