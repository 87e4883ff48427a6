"""What ends a child of `multiprocessing`: heard whatever started it, and nothing else about it is changed."""

import subprocess
import sys
from pathlib import Path

import pytest
from crashes import run, run_both

from notify.backends.memory import MemoryBackend
from notify.crash import children
from notify.notifier import Notifier

pytestmark = pytest.mark.interpreter

METHODS = pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])

PROGRAM = """
import concurrent.futures
import multiprocessing

def fail(number=0):
    raise ValueError(f"no price {number}")

def fail_guarded(number):
    with guard("a task"):
        fail(number)

def stop():
    sys.exit("stopped")

def leave():
    sys.exit(3)

def interrupt():
    raise KeyboardInterrupt

def print_it():
    print("done", flush=True)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[3])
"""


@pytest.mark.process
@METHODS
def test_what_ends_a_child_is_told_once_and_the_child_ends_as_it_would_have(tmp_path: Path, method: str) -> None:
    ran = run_both(
        tmp_path,
        PROGRAM
        + """
    child = context.Process(target=fail, args=(7,), name="pricing")
    child.start()
    child.join()
    print(child.exitcode)
""",
        method,
    )

    (crash,) = ran.crashes
    assert crash["message"] == "Crashed in process pricing: ValueError: no price 7"
    assert crash["fields"]["process"].startswith("pricing (")
    assert "children.py" not in crash["traceback"]
    assert ran.stdout == "1\n"
    assert "Process pricing:" in ran.stderr


@pytest.mark.process
@METHODS
def test_an_end_of_a_child_that_somebody_wanted_is_no_crash(tmp_path: Path, method: str) -> None:
    ran = run_both(
        tmp_path,
        PROGRAM
        + """
    for target in (stop, leave, interrupt, print_it):
        child = context.Process(target=target, name=target.__name__)
        child.start()
        child.join()
        print(child.exitcode, flush=True)
""",
        method,
    )

    assert ran.crashes == []
    assert ran.stdout == "1\n3\n1\ndone\n0\n"
    assert "stopped" in ran.stderr


@pytest.mark.process
@METHODS
def test_what_a_task_of_a_pool_raises_is_the_parents_and_told_by_nobody_else(tmp_path: Path, method: str) -> None:
    ran = run(
        tmp_path,
        PROGRAM
        + """
    with context.Pool(1) as pool:
        try:
            pool.map(fail, [1])
        except ValueError:
            print("caught")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        executor.submit(fail, 2).result()
""",
        method,
    )

    (crash,) = ran.crashes
    assert crash["message"] == "Crashed in the main thread: ValueError: no price 2"
    assert "in fail" in crash["traceback"]  # the worker's own traceback
    assert (ran.code, ran.stdout) == (1, "caught\n")


@pytest.mark.process
def test_what_a_worker_has_told_itself_is_not_told_again_by_its_parent(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        PROGRAM
        + """
    pool = context.Pool(1)
    try:
        pool.map(fail_guarded, [1])
    finally:
        pool.close()
        pool.join()
""",
        "fork",
    )

    assert ran.messages == ["Crashed in a task: ValueError: no price 1"]
    assert ran.code == 1


@pytest.mark.process
def test_multiprocessing_that_was_imported_before_is_heard_too(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def fail():
            raise ValueError("no price")

        if __name__ == "__main__":
            notifier.close()
            watch()
            for method in ("fork", "spawn"):
                child = multiprocessing.get_context(method).Process(target=fail, name=method)
                child.start()
                child.join()
        """,
    )

    assert [message.split(":")[0] for message in ran.messages] == [
        "Crashed in process fork",
        "Crashed in process spawn",
    ]


@pytest.mark.process
@METHODS
def test_a_process_that_a_child_starts_is_heard_too(tmp_path: Path, method: str) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def fail():
            raise ValueError("no price")

        def start_another(method):
            child = multiprocessing.get_context(method).Process(target=fail, name="inner")
            child.start()
            child.join()

        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                child = multiprocessing.get_context(sys.argv[3]).Process(target=start_another, args=(method,))
                child.start()
                child.join()
        """,
        method,
    )

    assert ran.messages == ["Crashed in process inner: ValueError: no price"] * 2


@pytest.mark.process
def test_a_class_of_processes_with_a_run_of_its_own_is_heard(tmp_path: Path) -> None:
    ran = run_both(
        tmp_path,
        """
        import multiprocessing

        class Worker(multiprocessing.get_context(sys.argv[3]).Process):
            def run(self):
                raise LookupError("no pair")

        if __name__ == "__main__":
            worker = Worker(name="own")
            worker.start()
            worker.join()
            print(worker.exitcode)
        """,
        "spawn",
    )

    assert ran.messages == ["Crashed in process own: LookupError: no pair"]


@pytest.mark.process
def test_what_a_forked_child_says_before_it_returns_is_delivered(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def work():
            notifier.notify("said in the child")

        if __name__ == "__main__":
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
        """,
    )

    assert [event["message"] for event in ran.told] == ["said in the child"]


@pytest.mark.process
@METHODS
def test_what_a_child_says_that_has_set_up_by_itself_is_delivered(tmp_path: Path, method: str) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def work():
            watch().notify("said in the child")

        if __name__ == "__main__":
            notifier.close()
            child = multiprocessing.get_context(sys.argv[3]).Process(target=work)
            child.start()
            child.join()
            print(child.exitcode)
        """,
        method,
    )

    assert [event["message"] for event in ran.told] == ["said in the child"]
    assert ran.stdout == "0\n"


@pytest.mark.process
def test_a_child_with_a_hanging_destination_ends_within_its_seconds(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def hang(self, events, /):
            threading.Event().wait()

        if __name__ == "__main__":
            Told.send = hang
            child = multiprocessing.get_context("fork").Process(target=[].pop)
            child.start()
            began = time.monotonic()
            child.join()
            took = time.monotonic() - began
            # 4 s for what waits, a tenth more for each thread; two busy cores take the rest. It would hang for ever.
            print(child.exitcode, 3.5 < took < 30, flush=True)
            os._exit(0)  # nor would the parent have anybody to deliver to
        """,
    )

    assert ran.stdout == "1 True\n"


@pytest.mark.process
def test_a_notifier_that_cannot_be_made_in_a_child_changes_nothing_but_a_line_on_stderr(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def fail():
            raise ValueError("no price")

        def make_none():
            raise OSError("no disk")

        if __name__ == "__main__":
            notifier.close()
            children.install(Notifier({}), make_none)
            child = multiprocessing.get_context("spawn").Process(target=fail, name="alone")
            child.start()
            child.join()
            print(child.exitcode)
        """,
    )

    assert (ran.stdout, ran.crashes) == ("1\n", [])
    assert "notify: a crash in process alone is not heard: OSError\n" in ran.stderr
    assert ran.stderr.endswith("ValueError: no price\n")


@pytest.mark.process
def test_a_way_to_set_up_that_does_not_pickle_leaves_the_child_unheard_but_started(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        """
        import multiprocessing

        def work():
            print("done", flush=True)

        if __name__ == "__main__":
            notifier.close()
            children.install(Notifier({}), lambda: None)
            child = multiprocessing.get_context("spawn").Process(target=work)
            child.start()
            child.join()
            print(child.exitcode)
        """,
    )

    assert ran.stdout == "done\n0\n"
    assert "a child is not heard" in ran.stderr


@pytest.mark.process
def test_multiprocessing_is_not_imported_for_it_and_is_as_it_was_afterwards() -> None:
    script = """if True:
        import sys
        from notify.crash import children
        from notify.notifier import Notifier

        with Notifier({}) as notifier:
            before = list(sys.meta_path)
            undo = children.install(notifier)
            assert "multiprocessing" not in sys.modules and "asyncio" not in sys.modules
            undo()
            assert sys.meta_path == before
            undo = children.install(notifier)
            import multiprocessing.process
            watched = multiprocessing.process.BaseProcess._bootstrap
            assert watched.__module__ == "multiprocessing.process" and hasattr(watched, "__wrapped__")
            undo()
            assert not hasattr(multiprocessing.process.BaseProcess._bootstrap, "__wrapped__")
            assert "notify" not in multiprocessing.process.current_process()._config
            assert sys.meta_path == before
            print("as it was")
    """

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout == "as it was\n"


def test_what_somebody_else_has_put_around_a_child_since_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from multiprocessing.process import BaseProcess

    monkeypatch.setattr(BaseProcess, "_bootstrap", BaseProcess._bootstrap)  # type: ignore[attr-defined]  # untyped
    with Notifier({"memory": MemoryBackend()}) as notifier:
        undo = children.install(notifier)

        def theirs(process: object) -> None: ...

        BaseProcess._bootstrap = theirs  # type: ignore[attr-defined]  # as above
        undo()

    assert BaseProcess._bootstrap is theirs  # type: ignore[attr-defined]  # as above
