"""The programs under docs/examples, run as a newcomer would run them, with a stand-in where a service would be."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from children import ENDING, environment, python
from machine import missing
from raw_server import OK, answering, raw
from served import free_port
from set_up import secrets_file

import notify
from notify.testing import check_backend
from notify.testing.contract import ordinary_event
from notify.testing.fake_discord import FakeDiscord

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@contextmanager
def started(command: Sequence[object], **env: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program that ends with the context at the latest."""
    with subprocess.Popen(
        list(map(str, command)),
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Wait until *true*, unless *process* ends before."""
    deadline = time.monotonic() + ENDING
    while not true():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            said, complaints = process.communicate()
            pytest.fail(f"it did not come to that, but …{said[-2000:]!r} and …{complaints[-2000:]!r}")
        time.sleep(0.02)


@pytest.fixture
def discord() -> Iterator[FakeDiscord]:
    with FakeDiscord(speed=60) as discord:
        yield discord


def embeds(discord: FakeDiscord) -> list[dict[str, Any]]:
    return [embed for message in list(discord.messages) for embed in message.embeds]


def titles(discord: FakeDiscord) -> list[str]:
    return [embed.get("title", "").lstrip("🆘❌⚠️ ") for embed in embeds(discord)]


def stopped(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Stop *process* as `docker stop` does, and return its output."""
    process.terminate()
    said, complaints = process.communicate(timeout=ENDING)
    assert process.returncode == -signal.SIGTERM
    return said, complaints


def daemon(name: str, discord: FakeDiscord) -> Any:
    return started(
        [sys.executable, EXAMPLES / name],
        DISCORD_WEBHOOK_URL=discord.url, EXECUTOR_ID="my-strategy", SECONDS_A_CYCLE="0.1", PYTHONUNBUFFERED="1",
    )  # fmt: skip


def test_the_plain_daemon_tells_people_what_is_theirs_and_the_console_everything(discord: FakeDiscord) -> None:
    with daemon("plain_daemon.py", discord) as process:
        until(lambda: {"Bought 0.25 ETH at 3,450.10 USDC", "no price in this cycle"} <= set(titles(discord)), process)
        until(lambda: any(title.startswith("gas left is low") for title in titles(discord)), process)
        said, complaints = stopped(process)

    assert complaints == ""
    assert titles(discord).count("no price in this cycle") == 1  # however many cycles have failed
    assert titles(discord)[-1] == "Told to stop: SIGTERM"
    assert not any("begins" in title for title in titles(discord))
    assert "cycle 1 begins" in said
    assert "cycle=1 logger=strategy" in said
    assert "TimeoutError: the RPC node does not answer" in said


def test_the_asyncio_daemon_trades_and_a_task_that_nobody_awaits_is_reported(discord: FakeDiscord) -> None:
    with daemon("asyncio_daemon.py", discord) as process:
        until(lambda: "Cycle 3: bought 0.25 ETH" in titles(discord), process)
        until(lambda: any("asyncio task" in title for title in titles(discord)), process)
        said, _ = stopped(process)

    (crash,) = (title for title in titles(discord) if title.startswith("Crashed"))
    assert crash == "Crashed in an asyncio task: ConnectionError: the statistics server is gone"
    assert "price read" not in said  # DEBUG


def test_the_structlog_daemon_prints_json_itself_and_people_get_events_with_its_context(discord: FakeDiscord) -> None:
    with daemon("structlog_daemon.py", discord) as process:
        until(lambda: {"price is stale", "no price in this cycle", "about to retry"} <= set(titles(discord)), process)
        until(lambda: "Bought 0.25 ETH" in titles(discord), process)
        said, _ = stopped(process)

    lines = [json.loads(line) for line in said.splitlines()]  # all of them are structlog's
    assert lines[0].items() >= {"event": "cycle begins", "cycle": 1, "level": "info"}.items()
    by_title = dict(zip(titles(discord), embeds(discord), strict=True))
    for title in ("price is stale", "no price in this cycle", "about to retry"):
        assert {"name": "cycle", "value": "1", "inline": True} in by_title[title]["fields"]
    assert "TimeoutError: the RPC node does not answer" in str(by_title["no price in this cycle"])


# ---- the image of the Dockerfile, as far as that is possible without Docker


def instructions() -> dict[str, str]:
    lines = (EXAMPLES / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def child_of(pid: int) -> int:
    """Return the process that *pid* has started, once it has."""
    deadline = time.monotonic() + ENDING
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        assert time.monotonic() < deadline, f"process {pid} starts nothing"
        time.sleep(0.01)
    return int(children[0])


class Container:
    """The image's command as process 1 of a process namespace, with the secrets file where the image has it."""

    def __init__(self, unshared: "subprocess.Popen[str]", url: str) -> None:
        self.unshared = unshared
        self.init = child_of(unshared.pid)
        self._url = url

    @property
    def strategy(self) -> int:
        """The process that process 1 has started, in the machine's numbers."""
        return child_of(self.init)

    def is_healthy(self) -> bool:
        """Run the image's HEALTHCHECK inside."""
        command: list[str] = json.loads(instructions()["HEALTHCHECK"].split("CMD ")[1])
        command = [self._url if word.startswith("http://") else word for word in command]
        inside = ["nsenter", "--target", str(self.init), "--mount", "--pid", "--", *command]
        return not subprocess.run(inside, env=environment(PATH=PATH), capture_output=True, check=False).returncode


SECRETS = "/run/secrets/notify.env"
# The environment's own `python` and `notify` first, as in the image.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
MOUNT_AND_RUN = 'mount -t tmpfs none /run && mkdir /run/secrets && cp -p "$1" /run/secrets/ && shift && exec "$@"'


@pytest.fixture
def container(tmp_path: Path, discord: FakeDiscord) -> Callable[..., Any]:
    """Return what starts the image's ENTRYPOINT and CMD in namespaces of their own."""
    own = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        missing("only root can make a process namespace, with unshare")
    image = instructions()
    (tmp_path / "my_strategy").mkdir()
    program = (EXAMPLES / "plain_daemon.py").read_text()
    assert "notify.setup()" in program  # with the file that the page on the image names:
    program = program.replace("notify.setup()", f"notify.setup(env_file={SECRETS!r})")
    (tmp_path / "my_strategy" / "__main__.py").write_text(program)
    secrets_file(tmp_path, f"DISCORD_WEBHOOK_URL={discord.url}\nHTTP_USERNAME=ops\nHTTP_PASSWORD=c4nary-password\n")
    (tmp_path / "secrets.env").rename(tmp_path / "notify.env")

    @contextmanager
    def start(**env: str) -> Iterator[Container]:
        port = free_port()
        command = [*json.loads(image["ENTRYPOINT"]), *json.loads(image["CMD"])]
        with started(
            [*own, "sh", "-c", MOUNT_AND_RUN, "sh", tmp_path / "notify.env", *command],
            PATH=PATH, PYTHONPATH=os.pathsep.join((environment()["PYTHONPATH"], str(tmp_path))), PYTHONUNBUFFERED="1",
            NOTIFY_STATE_DIR=str(tmp_path / "state"), EXECUTOR_ID="vega", SECONDS_A_CYCLE="0.1",
            HTTP_ENABLED="true", HTTP_PORT=str(port), **env,
        ) as process:  # fmt: skip
            yield Container(process, f"http://127.0.0.1:{port}")

    return start


def test_in_a_container_a_killed_strategy_is_told_and_the_container_ends_with_its_exit_code(
    container: Callable[..., Any], discord: FakeDiscord
) -> None:
    with container() as box:
        until(lambda: "Bought 0.25 ETH at 3,450.10 USDC" in titles(discord), box.unshared)
        os.kill(box.strategy, signal.SIGKILL)
        box.unshared.communicate(timeout=ENDING)

    assert box.unshared.returncode == 128 + signal.SIGKILL
    (told,) = (title for title in titles(discord) if "SIGKILL" in title)
    assert told.startswith("my_strategy was killed by SIGKILL after ")


def test_in_a_container_that_had_started_well_the_crash_is_served_until_it_is_stopped(
    container: Callable[..., Any], discord: FakeDiscord
) -> None:
    with container(HTTP_WAIT_GOOD_STARTUP_SECONDS="0") as box:
        until(box.is_healthy, box.unshared)
        os.kill(box.strategy, signal.SIGKILL)
        until(lambda: any("SIGKILL" in title for title in titles(discord)), box.unshared)
        until(lambda: not box.is_healthy(), box.unshared)
        os.kill(box.init, signal.SIGTERM)  # docker stop
        box.unshared.communicate(timeout=ENDING)

    assert box.unshared.returncode == 128 + signal.SIGKILL


def test_a_container_that_is_stopped_says_so_and_is_no_crash(
    container: Callable[..., Any], discord: FakeDiscord
) -> None:
    with container() as box:
        until(lambda: "Bought 0.25 ETH at 3,450.10 USDC" in titles(discord), box.unshared)
        os.kill(box.init, signal.SIGTERM)
        box.unshared.communicate(timeout=ENDING)

    assert box.unshared.returncode == 128 + signal.SIGTERM
    assert titles(discord)[-1] == "Told to stop: SIGTERM"


# ---- a backend of one's own

BUILD = "import setuptools.build_meta as backend, sys; print(backend.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the pager is installed into: its wheel, unpacked."""
    source, target = tmp_path_factory.mktemp("source") / "pager", tmp_path_factory.mktemp("installed")
    shutil.copytree(EXAMPLES / "pager", source)
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(target)], cwd=source, capture_output=True, text=True, check=False
    )
    assert not built.returncode, built.stderr
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(target)
    wheel.unlink()
    return target


def with_pager(installed: Path) -> dict[str, str]:
    path = os.pathsep.join((environment()["PYTHONPATH"], str(installed)))
    return {"PYTHONPATH": path, "NOTIFY_STDOUT": "off", "NOTIFY_BACKENDS": "pager", "PAGER_LEVEL": "ERROR"}


SAY = """if True:
    import logging, notify
    notifier = notify.setup()
    logging.getLogger("strategy").trade("Bought 0.25 ETH")
    logging.getLogger("strategy").error("the last RPC node is gone")
    print(notifier.flush())
    notifier.close()
    print({name: notifier.stats()[name]["delivered"] for name in ("pager",)})
"""


def test_the_pager_is_found_by_its_entry_point_and_pages(installed: Path) -> None:
    with raw(answering(OK)) as server:
        ended = python("-c", SAY, **with_pager(installed), PAGER_URL=server.url)

    assert (ended.stdout, ended.stderr) == ("True\n{'pager': 1}\n", "")
    assert b"the last RPC node is gone" in server.read
    assert b"Bought" not in server.read  # PAGER_LEVEL


def test_a_pager_that_is_down_for_a_moment_gets_its_page_all_the_same(installed: Path) -> None:
    down = answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    with raw(down, answering(OK)) as server:
        ended = python("-c", SAY, **with_pager(installed), PAGER_URL=server.url)

    assert ended.stdout == "True\n{'pager': 1}\n"
    assert ended.stderr == "notify: pager: HTTP 503; next attempt in 1 s\n"
    assert server.connections == 2


def test_a_pager_that_is_named_and_not_configured_is_told_and_one_with_an_odd_address_refused(installed: Path) -> None:
    unset = python("-c", "import notify; notify.setup()", **with_pager(installed))
    odd = python("-c", "import notify; notify.setup()", **with_pager(installed), PAGER_URL="file:///c4nary")

    assert (unset.returncode, unset.stderr) == (
        0, "notify: backend 'pager' is named in NOTIFY_BACKENDS but not configured\n",
    )  # fmt: skip
    assert odd.returncode == 1
    assert odd.stderr.endswith("PAGER_URL: not an address of HTTP\n")
    assert "c4nary" not in odd.stderr


def test_the_pager_keeps_the_contract(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed)
    pager = importlib.import_module("pager")

    with raw(answering(OK)) as server:
        check_backend(lambda: pager.Pager(server.url))
        assert server.connections > 10  # events of the contract: each is a page


@pytest.mark.parametrize(
    ("status", "answer"),
    [(400, notify.Rejected), (404, notify.Gone), (429, notify.RetryLater), (503, notify.RetryLater)],
)
def test_the_pager_says_what_becomes_of_an_event(
    installed: Path, monkeypatch: pytest.MonkeyPatch, status: int, answer: type[Exception]
) -> None:
    monkeypatch.syspath_prepend(installed)
    pager = importlib.import_module("pager")

    with (
        raw(answering(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())) as server,
        pytest.raises(answer),
    ):
        pager.Pager(server.url).send([ordinary_event()])
