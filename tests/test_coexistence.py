"""Our handler beside what programs have already: Rich's console, python-logstash, pytest, a notebook."""

import io
import json
import logging
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import environment, python
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from lanes import LONG
from logstash import LogstashHandler
from rich.console import Console
from rich.logging import RichHandler
from set_up import QUIET, bare_root

import notify
from notify.backends.memory import MemoryBackend

# ---- Rich


@pytest.fixture
def console() -> Console:
    """A terminal of 200 columns, and what is shown on it."""
    return Console(file=io.StringIO(), width=200, force_terminal=True, color_system="truecolor")


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def on_root(console: Console) -> logging.Logger:
    root = bare_root()
    root.setLevel(logging.INFO)
    root.addHandler(RichHandler(console=console, markup=True, rich_tracebacks=True, show_path=False))
    return root


MARKED_UP = "[bold]Bought[/bold] 0.25 ETH at [link=https://example.com]3,450.10[/link] USDC"


@pytest.mark.parametrize("first", ["rich", "notify"])
def test_richs_console_and_ours_both_get_the_record(console: Console, first: str) -> None:
    memory = MemoryBackend()
    if first == "rich":
        on_root(console)
        notifier = notify.setup(env={}, backends={"memory": memory})
        assert "stdout" not in notifier.stats()  # it leaves the console to Rich
    else:
        bare_root()
        notifier = notify.setup(env=QUIET, backends={"memory": memory})
        logging.getLogger().addHandler(RichHandler(console=console, markup=True, rich_tracebacks=True))

    logging.getLogger("strategy").warning(MARKED_UP)
    assert notifier.flush(LONG)

    assert "Bought" in shown(console)
    assert "\x1b[1m" in shown(console)  # bold
    assert memory.messages == [MARKED_UP]  # the text as it was logged, and no escape sequence


@pytest.mark.parametrize("text", ["[/oops] not closed", "[red]%s[/red]", ":warning: [0/3] {x}", "path [a-z]*"])
def test_what_rich_takes_for_markup_is_ours_as_it_was_said(console: Console, text: str) -> None:
    root = on_root(console)
    root.handlers[0].markup = False  # type: ignore[attr-defined]  # of Rich; with it a text may be an error to Rich
    memory = MemoryBackend()
    with notify.setup(env={}, backends={"memory": memory}):
        logging.getLogger("strategy").warning("%s", text)

    assert memory.messages == [text]


def test_what_a_call_says_to_rich_is_an_extra_like_any_other(console: Console) -> None:
    memory = MemoryBackend()
    on_root(console)
    with notify.setup(env={}, backends={"memory": memory}):
        logging.getLogger("strategy").warning("[bold]fine[/bold]", extra={"markup": True, "highlighter": None})

    (event,) = memory.events
    assert event.message == "[bold]fine[/bold]"
    assert event.fields == {"markup": True, "highlighter": None}


def test_richs_traceback_and_ours_are_of_the_same_exception(console: Console) -> None:
    on_root(console)
    memory = MemoryBackend()
    with notify.setup(env={}, backends={"memory": memory}):
        try:
            raise ValueError("no price")
        except ValueError:
            logging.getLogger("strategy").exception("cycle failed")

    (event,) = memory.events
    assert event.exception is not None
    assert event.exception.traceback.rstrip().endswith("ValueError: no price")
    assert "\x1b" not in event.exception.traceback
    assert "Traceback" in shown(console)


# ---- python-logstash


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(LONG)
        yield receiver


def test_python_logstash_and_ours_both_send_the_record(receiver: socket.socket) -> None:
    host, port = receiver.getsockname()
    root = bare_root()
    root.setLevel(logging.INFO)
    theirs_handler = LogstashHandler(host, port, version=1)
    root.addHandler(theirs_handler)
    env = {**QUIET, "LOGSTASH_SERVER": host, "LOGSTASH_PORT": str(port), "LOGSTASH_TAGS": "ours"}

    with notify.setup(env=env) as notifier:
        logging.getLogger("strategy").info("thinking", extra={"cycle": 17})
        assert notifier.flush(LONG)
        both: list[dict[str, Any]] = [json.loads(receiver.recv(65_536)) for _ in range(2)]
    theirs_handler.close()

    theirs, ours = sorted(both, key=lambda each: "ours" in each["tags"])
    names = ("message", "level", "logger_name", "cycle", "@version", "type")
    assert {name: theirs[name] for name in names} == {name: ours[name] for name in names}


# As the fork that trade-executor pins, python-logstash-tradingstrategy, has it: the same module, and one more argument.
FORK = """
import logging.handlers
class LogstashHandler(logging.handlers.DatagramHandler):
    def __init__(self, host, port=5959, message_type="logstash", tags=None, fqdn=False, version=0, extra_fields=None):
        super().__init__(host, port)
"""
MODULES = {
    "the fork": FORK,
    "one that does not load": "raise ImportError('AMQP is missing')",
    "another's of that name": "LogstashHandler = None",
    "none": None,
}


@pytest.mark.process
@pytest.mark.parametrize("which", MODULES)
def test_the_logstash_backend_needs_no_module_of_that_name(receiver: socket.socket, tmp_path: Path, which: str) -> None:
    module = MODULES[which]
    if module is not None:
        (tmp_path / "logstash.py").write_text(module)
    script = f"""if True:
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        if {module is None}:
            sys.modules["logstash"] = None  # whoever imports it gets an ImportError
        import logging
        import notify
        notifier = notify.setup()
        logging.getLogger("strategy").info("thinking")
        notifier.close()
        print(sys.modules.get("logstash"))
    """
    host, port = receiver.getsockname()

    ended = python("-c", script, LOGSTASH_SERVER=host, LOGSTASH_PORT=str(port), NOTIFY_STDOUT="off")

    assert (ended.stdout, ended.stderr) == ("None\n", "")  # nobody has imported it
    assert json.loads(receiver.recv(65_536))["message"] == "thinking"


# ---- pytest

A_TEST_FILE = """
import logging
import pytest
import notify

@pytest.mark.parametrize("number", range(8))
def test_both_hear(notify_outbox, caplog, number):
    logging.getLogger("strategy").trade("Bought %d ETH", number)
    assert caplog.messages == notify_outbox.messages == [f"Bought {number} ETH"]
    assert [record.levelname for record in caplog.records] == ["TRADE"]

def test_caplog_hears_beside_a_notifier_of_the_programs_own(caplog):
    heard = []
    caplog.set_level(logging.INFO)
    with notify.setup(env={"NOTIFY_STDOUT": "off"}, backends={"list": heard.append}):
        logging.getLogger("strategy").info("thinking")
    assert caplog.messages == [event.message for event in heard] == ["thinking"]

def test_what_at_level_hides_from_caplog_it_hides_from_nobody_else(notify_outbox, caplog):
    with caplog.at_level(logging.ERROR, logger="strategy"):
        logging.getLogger("gas").info("low")
        logging.getLogger("strategy").info("hidden by the program's own logger")
    assert notify_outbox.messages == ["low"]
"""


@pytest.mark.process
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "xdist"])
def test_caplog_and_the_outbox_both_hear(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "test_it.py").write_text(A_TEST_FILE)
    # The installed package loads its plugin by its entry point, a checkout does not; so both load it by hand.
    plugins = ["-p", "notify.pytest_plugin", *(["-p", "xdist"] if workers else [])]

    ended = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, *workers, "--rootdir", tmp_path, tmp_path,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip

    assert "10 passed" in ended.stdout, ended.stdout + ended.stderr


# ---- a notebook


class Notebook:
    """A kernel as Jupyter starts it, and what its cells show."""

    def __init__(self, kernel: KernelManager, client: BlockingKernelClient) -> None:
        self.kernel = kernel
        self._client = client

    def run(self, cell: str) -> dict[str, str]:
        """Run *cell* to its end, and return what it has shown by the name of the stream, `error` for an exception."""
        shown: dict[str, str] = {}

        def show(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown[content["name"]] = shown.get(content["name"], "") + content["text"]
            elif message["msg_type"] == "error":
                shown["error"] = content["ename"]

        self._client.execute_interactive(cell, timeout=LONG, output_hook=show)
        return shown


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    kernel = KernelManager(transport="ipc")
    kernel._kernel_spec = KernelSpec(  # of this Python; what is installed on the machine may be another one's
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python"
    )
    kernel.start_kernel(env=environment(NOTIFY_STDOUT="text", HOME="/nonexistent"))
    client = kernel.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LONG)
        yield Notebook(kernel, client)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
        kernel.context.destroy()


@pytest.mark.process
def test_in_a_notebook_setup_works_and_a_typing_mistake_is_no_crash(notebook: Notebook) -> None:
    set_up = "import logging, notify\nnotifier = notify.setup(env={'NOTIFY_STDOUT': 'text'})"
    assert notebook.run(set_up) == {}

    assert notebook.run(set_up) == {}  # the cell may run again
    said = notebook.run("logging.getLogger('strategy').warning('price is stale')\nassert notifier.flush()")
    mistake = notebook.run("nonsense")
    awaited = notebook.run("import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')")
    failed = notebook.run("async def fail(): raise ValueError('no price')\nawait fail()")
    left = notebook.run("print(notifier.stats()['stdout']['accepted'], logging.getLogger().handlers)")

    assert said["stdout"].count("price is stale") == 1  # in the cell, and not in the terminal that Jupyter runs in
    assert mistake == {"error": "NameError"}
    assert awaited == {"stdout": "awaited\n"}
    assert failed == {"error": "ValueError"}
    assert left == {"stdout": "1 [<IntakeHandler (INFO)>]\n"}  # the warning, and nothing of the mistakes


@pytest.mark.process
def test_a_notebook_whose_kernel_is_restarted_ends_at_once(notebook: Notebook) -> None:
    notebook.run("import notify\nnotifier = notify.setup(env={'NOTIFY_STDOUT': 'text'})")

    begun = time.monotonic()
    notebook.kernel.shutdown_kernel(now=False)  # kills it after five seconds

    assert time.monotonic() - begun < 4
