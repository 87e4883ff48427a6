"""The files under docs/examples are what the pages show, and what the command writes."""

import json
import logging
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from children import python
from executors import Executor
from logstash import LogstashFormatterVersion1
from set_up import secrets_file
from typer.main import get_command
from typer.testing import CliRunner

from notify.cli.app import app
from notify.integrations import trade_executor
from notify.integrations.trade_executor import get_ring_buffer_handler
from notify.run_state import RunState
from notify.settings import TABLE
from notify.status import StatusServer, make_app
from notify.testing.fake_telegram import CHAT_ID, TOKEN

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS / "examples"
PAGES = {
    "Caddyfile": "proxy.md",
    "Dockerfile": "proxy.md",
    "compose.yaml": "proxy.md",
    "compose-relay.yaml": "relay.md",
    "prometheus.yml": "monitoring.md",
    "alerts.yml": "monitoring.md",
    "blackbox.yml": "monitoring.md",
    "logstash.conf": "logstash.md",
    "index-template.json": "logstash.md",
    "logstash.nft": "logstash.md",
}
IN_CONTAINER = "/run/secrets/notify.env"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "page"), PAGES.items())
def test_a_page_shows_the_file_as_it_is(file: str, page: str) -> None:
    assert (EXAMPLES / file).read_text() in blocks(page, r"\w+")


def test_every_example_is_on_a_page() -> None:
    linked = set(re.findall(r"\]\(examples/([^)]+)\)", "".join(page.read_text() for page in DOCS.glob("*.md"))))

    files = [file for file in EXAMPLES.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert {str(file.relative_to(EXAMPLES)) for file in files} == PAGES.keys() | linked


# ---- Caddyfile


@pytest.mark.parametrize(
    ("file", "arguments"), [("Caddyfile", []), ("Caddyfile.cloudflare", ["--domain", "http://example.com"])]
)
def test_the_caddyfiles_are_what_the_command_writes_of_the_list_on_the_page(
    tmp_path: Path, file: str, arguments: list[str]
) -> None:
    env_file = secrets_file(tmp_path, next(block for block in blocks("proxy.md", "dotenv") if "STRATEGIES=" in block))

    ended = CliRunner().invoke(app, ["caddyfile", "--env-file", str(env_file), *arguments])

    assert (ended.stdout, ended.stderr) == ((EXAMPLES / file).read_text(), "")


# ---- Dockerfile


def instructions() -> dict[str, str]:
    """Return the Dockerfile's instructions, the last of each name."""
    lines = (EXAMPLES / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def test_the_image_runs_the_program_under_the_supervisor_and_not_as_root() -> None:
    image = instructions()

    assert json.loads(image["ENTRYPOINT"]) == ["notify", "run", "--env-file", IN_CONTAINER, "--"]
    assert json.loads(image["CMD"])[0] == "python"
    assert image["USER"] not in ("root", "0")


def test_the_image_has_what_the_compose_files_run_in_it() -> None:
    extras = re.search(r"pip install .*\[(.*)\]", (EXAMPLES / "Dockerfile").read_text())

    assert extras is not None
    assert set(extras[1].split(",")) == {"dashboard", "relay"}  # redis, which no other extra brings, is for the latter


def test_the_state_of_the_image_is_on_its_volume() -> None:
    image = instructions()

    assert image["ENV"] == f"NOTIFY_STATE_DIR={image['VOLUME']}"


def health_check() -> list[str]:
    command: list[str] = json.loads(instructions()["HEALTHCHECK"].split("CMD ")[1])
    return command


@pytest.mark.process
def test_the_health_check_of_the_image_tells_what_is_well_from_what_is_not(tmp_path: Path) -> None:
    state, secret = RunState(), "c4nary-password"
    state.refresh()
    server = StatusServer(make_app(state, username="operator", password=secret), "127.0.0.1", 0)
    here = {
        IN_CONTAINER: str(secrets_file(tmp_path, f"HTTP_USERNAME=operator\nHTTP_PASSWORD={secret}\n")),
        "http://127.0.0.1:3456": server.url,
    }
    _, *arguments = [here.get(argument, argument) for argument in health_check()]

    well = python("-m", "notify", *arguments)
    state.set_fail(RuntimeError("oops"))
    crashed = python("-m", "notify", *arguments)
    server.close()
    dead = python("-m", "notify", *arguments)

    assert (well.returncode, well.stderr) == (0, "")
    assert (crashed.returncode, dead.returncode) == (2, 2)  # Docker: unhealthy
    assert "oops" in crashed.stdout


# ---- compose.yaml


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, with what they take over from others."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]
    return found


EXECUTORS = ["vega", "sirius"]


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_is_not_started_again_and_has_time_to_end(services: dict[str, Any], name: str) -> None:
    assert services[name]["restart"] == "no"
    # The supervisor gives the program its ten seconds, and itself five for what waits.
    assert services[name]["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_is_reached_from_its_machine_alone_where_the_proxy_asks(
    services: dict[str, Any], name: str
) -> None:
    (ports,) = services[name]["ports"]
    address, _, inside = ports.rpartition(":")

    assert services[name]["environment"]["HTTP_HOST"] == "0.0.0.0"
    assert inside == "3456"
    assert address.startswith("127.0.0.1:190")
    sites = (EXAMPLES / "Caddyfile").read_text()
    assert f"https://{name}.example.com {{\n\timport strategy\n\treverse_proxy {address} {{\n" in sites
    assert address in (EXAMPLES / "prometheus.yml").read_text()


def test_every_port_of_a_container_is_bound_to_the_machine_itself(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_what_outlives_a_container_is_on_a_volume_of_its_own(services: dict[str, Any]) -> None:
    state = instructions()["VOLUME"]
    ours = {name: service for name, service in services.items() if service["image"] == "executor"}

    assert {name: service["volumes"] for name, service in ours.items()} == {name: [f"{name}:{state}"] for name in ours}
    declared = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["volumes"]
    assert declared.keys() == ours.keys() | {"caddy"}


def test_every_secrets_file_is_where_the_commands_look_for_it(services: dict[str, Any]) -> None:
    declared = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["secrets"]
    mounted = [secret for service in services.values() for secret in service.get("secrets", [])]

    assert {f"/run/secrets/{secret['target']}" for secret in mounted} == {IN_CONTAINER}
    assert {secret["source"] for secret in mounted} == declared.keys()


def test_the_services_set_nothing_that_does_not_exist(services: dict[str, Any]) -> None:
    known = {setting.name for setting in TABLE}

    assert {name for service in services.values() for name in service.get("environment", {})} <= known


def commands() -> list[list[str]]:
    """Return every command line of ours in the image, the compose file and the pages."""
    image = instructions()
    entrypoint = json.loads(image["ENTRYPOINT"]) + json.loads(image["CMD"])
    composed = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"].values()
    own = [service["entrypoint"] for service in composed if "entrypoint" in service]
    said = [
        line.split(" > ")[0].removeprefix(".venv/bin/")
        for page in ("proxy.md", "monitoring.md")
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith(("notify ", ".venv/bin/notify "))
    ]
    return [entrypoint, health_check(), *own, *map(shlex.split, said)]


@pytest.mark.parametrize("line", commands(), ids=" ".join)
def test_every_command_line_is_one_that_we_have(line: list[str]) -> None:
    program, name, *arguments = line
    command = get_command(app).commands[name]  # type: ignore[attr-defined]  # the command of several commands

    parsed = command.make_context(name, arguments)

    assert program == "notify"
    assert parsed.params


# ---- executor_start.py, which logs through executor_logging.py


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example, as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # nothing is left beside the examples
    found = runpy.run_path(str(EXAMPLES / "executor_start.py"))
    yield found
    sys.modules.pop("executor_logging")


def by_text(document: dict[str, Any]) -> str:
    return str(document["message"])


def test_an_executor_whose_logging_was_replaced_says_everything_and_its_crash_once(
    start: dict[str, Any], executor: Executor, tmp_path: Path
) -> None:
    formatter = LogstashFormatterVersion1("logstash", tags=["python"])
    beside = logging.Handler(logging.INFO)
    theirs: list[dict[str, Any]] = []
    beside.emit = lambda record: theirs.append(json.loads(formatter.format(record)))  # type: ignore[method-assign]
    state = start["RunState"]()
    root = start["set_up"](
        "gold",
        "Gold digger",
        discord_webhook_url=executor.discord.url,
        telegram_api_key=TOKEN,
        telegram_chat_id=str(CHAT_ID),
        logstash_server=f"127.0.0.1:{executor.port}",
        log_file=str(tmp_path / "logs" / "gold.log"),
    )
    executor.documents  # noqa: B018 - what setting up has logged
    root.addHandler(beside)  # python-logstash's view of the same run

    with pytest.raises(start["LiveSchedulingTaskFailed"]):
        start["run"](state)

    # Discord: each event once, the crash with its root cause.
    assert sorted(executor.titles) == [
        "",  # the long line of a tick, which is no title
        "New trades",
        "Portfolio after rebalance",
        "Strategy state",
        "Strategy thinking",
        "⚠️ Hot wallet 0x7a2… is low on gas",
        "🆘 Crashed in the main loop: ZeroDivisionError: no liquidity for ETH-USDC",
    ]
    (pictured,) = [message for message in executor.discord.messages if message.files]
    assert dict(pictured.files) == {"strategy-state.png": start["CHART"]}
    # Telegram: the decision alone.
    (decision,) = executor.sent
    assert decision.startswith("💰 Portfolio after rebalance")
    # Logstash: every record as python-logstash would have sent it, errors ahead of others, and what only we say.
    ours = executor.documents
    recorded = [each for each in sorted(ours, key=by_text) if each["logger_name"] != "notify"]
    for document in theirs:
        document.pop("taskName", None)  # Python 3.12 added it to every record
        document["application"] = "executor-gold"
    assert [{k: v for k, v in each.items() if k not in ("event_id", "topic")} for each in recorded] == sorted(
        theirs, key=by_text
    )
    assert {each["message"] for each in ours if each["logger_name"] == "notify"} == {
        "Strategy state",
        "Crashed in the main loop: ZeroDivisionError: no liquidity for ETH-USDC",
    }
    # /logs, the run state, and the file.
    ring = get_ring_buffer_handler()
    assert ring is not None
    assert [record["message"] for record in ring.export()[-5:]] == [
        "Cycle 1 complete",
        "no liquidity for ETH-USDC",
        "The trading execution loop crashed",
        "one of the scheduled tasks failed",
        "The web server goes into wait mode, version v50",
    ]
    assert not state.executor_running
    assert "no liquidity for ETH-USDC" in state.exception["exception_message"]
    assert "Cycle 1 complete" in (tmp_path / "logs" / "gold.log").read_text()


def test_the_logging_module_of_the_executor_offers_all_that_it_did(start: dict[str, Any]) -> None:
    import executor_logging  # type: ignore[import-not-found]  # found through the fixture

    assert set(executor_logging.__all__) <= set(trade_executor.__all__)
    assert {name for name in trade_executor.__all__ if name.startswith("setup_")} <= set(executor_logging.__all__)
