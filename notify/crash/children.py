"""Hears of what ends a child of `multiprocessing`, however it was started.

Python gives it to no hook: the child prints it and ends. What a task of a pool raises is handed to the parent, and is
no crash here. A child that ends runs no `atexit` before Python 3.13, so that what waits in it is delivered here.
"""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from notify import diagnostics
from notify.crash.content import traceback_of
from notify.crash.report import is_wanted, report_from_hook
from notify.notifier import Notifier, current_notifier
from notify.plain import class_name, safe_str

SetUp = Callable[[], Notifier]

_DELIVERY = 4.0  # seconds by which the end of a child is put off at most
_PROCESS = "multiprocessing.process"
_AFTER_PROCESS = "multiprocessing.reduction"  # what the package imports next
_CONFIG_NAME = "notify"
_LAST = -100  # among what a child does at its end; below anything of Python's own


def install(notifier: Notifier, set_up: SetUp | None = None) -> Callable[[], None]:
    """Report what ends a child through *notifier*, and return what ends that.

    `multiprocessing` is not imported for it: if the program does so later, then is time enough.

    Args:
        notifier: of the parent, which begins anew in a forked child.
        set_up: makes the notifier of a child that is no fork, at the moment of its crash, unless the child has one of
            its own. It is pickled; one that cannot be leaves such children unheard. So are those whose `Process` was
            made before this call.

    In a child that is running already, this hears of its children, and delivers what waits at its end. What ends itself
    is heard where its parent has done this, and otherwise by `guard()`.
    """
    watch = Watch(notifier, set_up)
    processes = sys.modules.get(_PROCESS)
    if processes is not None:
        watch.begin(processes)
        return watch.end
    finder = _WhenImported(watch.begin)
    sys.meta_path.insert(0, finder)

    def undo() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        watch.end()

    return undo


class Watch:
    """What stands in every process around what a child runs, and travels from parent to child.

    Args:
        notifier: says what ends a child; None in one that is no fork.
        set_up: makes a notifier where there is none.
        pickled: the same, as it came from the parent.
    """

    def __init__(self, notifier: Notifier | None, set_up: SetUp | None, pickled: bytes | None = None) -> None:
        self._notifier = notifier
        self._set_up = set_up
        self._pickled = pickled
        self._processes: Any = None
        self._original: Any = None
        self._installed: Any = None

    def begin(self, processes: ModuleType) -> None:
        """Stand around what children run. *processes* is the module `multiprocessing.process`."""
        self._processes = processes
        self._original = original = processes.BaseProcess._bootstrap
        if processes.parent_process() is not None and not hasattr(original, "__wrapped__"):
            sys.modules["multiprocessing.util"].Finalize(None, self.deliver, exitpriority=_LAST)
        watch = self

        @wraps(original)
        def bootstrap(process: Any, *args: Any, **kwargs: Any) -> Any:
            watch.around(process)
            try:
                return original(process, *args, **kwargs)
            finally:
                watch.deliver()

        self._installed = processes.BaseProcess._bootstrap = bootstrap
        # Every Process gets a copy of this one's configuration, and takes it along where it is pickled.
        processes.current_process()._config[_CONFIG_NAME] = self

    def end(self) -> None:
        """Leave `multiprocessing` as it was, but for what somebody else has put around ours since."""
        processes, self._notifier, self._set_up, self._pickled = self._processes, None, None, None
        if processes is None:
            return
        if processes.BaseProcess._bootstrap is self._installed:
            processes.BaseProcess._bootstrap = self._original
        if processes.current_process()._config.get(_CONFIG_NAME) is self:
            del processes.current_process()._config[_CONFIG_NAME]

    def around(self, process: Any) -> None:
        """Have what *process* runs reported when it raises. For the child, before it runs anything."""
        original = process.run

        @wraps(original)
        def run() -> None:
            try:
                original()
            except BaseException as exception:
                traceback = traceback_of(exception)
                if traceback is not None:
                    # Without this frame, so that the child prints what it would have printed.
                    BaseException.with_traceback(exception, traceback.tb_next)
                self.report(exception, f"process {safe_str(process.name)}")
                raise

        process.run = run

    def report(self, exception: BaseException, where: str) -> None:
        """Report *exception* through the notifier of this process, which is made if there is none."""
        if is_wanted(exception, (KeyboardInterrupt, SystemExit)):
            return
        try:
            notifier = self._of_this_process() or self._made()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an environment that others have changed
            diagnostics.report("child", f"a crash in {where} is not heard: {class_name(error)}")
            return
        if notifier is not None:
            report_from_hook(exception, where=where, notifier=notifier)

    def deliver(self) -> None:
        """Deliver what waits in this process, which is about to end."""
        notifier = self._of_this_process()
        if notifier is not None:
            try:
                notifier.close(_DELIVERY)
            except BaseException as error:  # noqa: BLE001 - the exit code is known already, and must not change
                diagnostics.report("child", f"what waits was not delivered: {class_name(error)}")

    def _of_this_process(self) -> Notifier | None:
        for notifier in (current_notifier(), self._notifier):
            if notifier is not None and not notifier.closed:
                return notifier
        return None

    def _made(self) -> Notifier | None:
        if self._set_up is None and self._pickled is not None:
            import pickle  # in a child that has come by it

            self._set_up = pickle.loads(self._pickled)  # noqa: S301 - from the parent, with the program itself
        return self._set_up() if self._set_up is not None else None

    def __reduce__(self) -> tuple[Callable[[bytes | None], object], tuple[bytes | None]]:
        import pickle  # by whoever pickles this

        pickled = self._pickled
        if pickled is None and self._set_up is not None:
            try:
                pickled = pickle.dumps(self._set_up)
            except Exception as error:  # noqa: BLE001 - the Process must be started all the same
                diagnostics.report("child", f"a child is not heard: {class_name(error)} while it was started")
        return (_arrive, (pickled,))


def _arrive(pickled: bytes | None) -> Watch | None:
    """Begin in a child that is no fork. Called while it unpickles its Process."""
    processes = sys.modules.get(_PROCESS)
    if processes is None or pickled is None:
        return None
    watch = Watch(None, None, pickled)
    watch.begin(processes)
    return watch


class _WhenImported:
    """Finds no module, but learns that `multiprocessing` is being imported, before anybody can use it.

    Args:
        then: called with `multiprocessing.process`.
    """

    def __init__(self, then: Callable[[ModuleType], None]) -> None:
        self._then: Callable[[ModuleType], None] | None = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None: this is for others to find."""
        then = self._then
        if fullname == _AFTER_PROCESS and then is not None and (processes := sys.modules.get(_PROCESS)) is not None:
            self._then = None
            then(processes)
        return None
