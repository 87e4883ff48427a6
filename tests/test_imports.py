"""What is imported late: whole also in a child that is forked meanwhile, and whatever is wrong with another module."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from children import python

from notify import imports

pytestmark = pytest.mark.interpreter


@pytest.mark.process
def test_a_child_that_is_forked_while_a_module_is_loaded_has_it_whole(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text("import begun; begun.event.set(); begun.pause(0.5); whole = True\n")
    (tmp_path / "begun.py").write_text("import threading, time; event = threading.Event(); pause = time.sleep\n")
    script = """if True:
        import os, sys, threading
        sys.path.insert(0, sys.argv[1])
        import begun
        from notify import imports, threads
        loading = threads.start("test", lambda: imports.load("slow_module"))
        begun.event.wait()
        child = os.fork()
        import slow_module
        if not child:
            os._exit(0 if slow_module.whole else 1)
        loading.join()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """

    run = python("-c", script, tmp_path)  # without the wait the child would hang for good

    assert (run.returncode, run.stderr) == (0, "")


def test_what_is_loaded_early_is_there_whatever_is_wrong_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError\n")
    (tmp_path / "sound_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    imports.load_early("no_such_module_anywhere", "broken_module", "sound_module")

    assert "sound_module" in sys.modules
    assert "broken_module" not in sys.modules


@pytest.mark.parametrize("last_line", ["", "raise RuntimeError"], ids=["loads", "does not load"])
def test_a_signal_that_is_postponed_comes_again_when_all_that_is_being_loaded_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_line: str
) -> None:
    (tmp_path / "outer_module.py").write_text(
        f"import signal\nfrom notify import imports\nimports.load('inner_module')\n"
        f"signal.raise_signal(signal.SIGUSR1)\n{last_line}\n"
    )
    (tmp_path / "inner_module.py").write_text("import signal; signal.raise_signal(signal.SIGUSR2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("outer_module", "inner_module"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(imports, "_loaded", set())
    heard: list[tuple[int, bool]] = []
    before = {
        signum: signal.signal(signum, lambda signum, frame: heard.append((signum, imports.postpone(signum))))
        for signum in (signal.SIGUSR1, signal.SIGUSR2)
    }

    try:
        imports.load_early("outer_module")
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    assert heard[:2] == [(signal.SIGUSR2, True), (signal.SIGUSR1, True)]
    assert sorted(heard[2:]) == [(signal.SIGUSR1, False), (signal.SIGUSR2, False)]


def test_while_another_thread_loads_nothing_is_postponed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "begun_and_go_on", (begun, go_on), raising=False)
    (tmp_path / "waiting_module.py").write_text("import sys; b, g = sys.begun_and_go_on; b.set(); g.wait(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    loading = threading.Thread(target=lambda: imports.load("waiting_module"))
    loading.start()
    try:
        assert begun.wait(60)

        assert not imports.postpone(signal.SIGUSR1)
    finally:
        go_on.set()
        loading.join()


def test_what_cannot_be_loaded_is_an_import_error_and_holds_nothing_up() -> None:
    with pytest.raises(ImportError):
        imports.load("no_such_module_anywhere")

    imports.load("json")
    child = os.fork()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
