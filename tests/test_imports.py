"""What is imported late: whole also in a child that is forked meanwhile, and whatever is wrong with another module."""

import os
import sys
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


def test_what_cannot_be_loaded_is_an_import_error_and_holds_nothing_up() -> None:
    with pytest.raises(ImportError):
        imports.load("no_such_module_anywhere")

    imports.load("json")
    child = os.fork()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
