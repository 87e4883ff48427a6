"""Every block of every page is what it says: it runs, or is read by what reads it, or says why it is not."""

import configparser
import io
import ipaddress
import json
import re
import runpy
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from documents import ecs
from logstash_config import plugins
from pages import BLOCKS, DOCS, PAGES, ROOT, Block, blocks, of_language
from services import free_ports
from typer.testing import CliRunner

from notify import misspelt
from notify.backends.logstash.wire import Speaker
from notify.cli.app import app
from notify.delivery.outbox import Outbox
from notify.destinations import destinations
from notify.env_file import read_env_file
from notify.event import Attachment, Event, ExceptionInfo
from notify.fleet.strategies import parse_strategies
from notify.settings import LOGSTASH_PORT, TABLE, Settings

# Languages that a test below, or the one that is named, looks at.
LOOKED_AT = {
    "python": "test_docs.py",
    "caddyfile": "test_examples.py",  # it is the file that test_proxy.py runs
    **dict.fromkeys(["sh", "dotenv", "json", "yaml", "dockerfile", "ini", "logstash", "nftables"], "here"),
}
SHOWN = "text"  # the language of what is shown and is not to be run: output, drawings, files of other programs
OF_THE_SITE = {"{toctree}", "{eval-rst}", "{include}"}  # `tox -e docs` fails for what is wrong with them
FEWEST_WORDS = 4  # of an excuse

ids = str


def test_every_block_has_a_language_that_somebody_looks_at() -> None:
    known = {*LOOKED_AT, *OF_THE_SITE, SHOWN}

    assert [f"{block}: {block.language or 'none'}" for block in BLOCKS if block.language not in known] == []


def test_no_block_is_hidden_from_the_tests_by_an_indent() -> None:
    indented = [page.name for page in PAGES if re.search(r"^[ \t>]+(```|~~~)", page.read_text(), re.MULTILINE)]

    assert indented == []


def test_a_block_that_does_not_run_says_why() -> None:
    excused = [block for block in BLOCKS if block.excuse is not None]

    assert [str(block) for block in excused if len((block.excuse or "").split()) < FEWEST_WORDS] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.excuse is not None], ids=ids)
def test_a_block_of_python_that_does_not_run_is_python(block: Block) -> None:
    assert block.language == "python"

    compile(block.code, str(block), "exec")


# ---- sh

PLACEHOLDERS = {
    "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1200000000000000001/token",
    "TELEGRAM_API_KEY": "123456789:AAF-123456789012345678901234567890",
    "HEARTBEAT_URL": "https://hc-ping.com/1",
    "DISCORD_ETH_WEBHOOK_URL": "https://discord.com/api/webhooks/1200000000000000003/token",
    "DISCORD_OPS_WEBHOOK_URL": "https://discord.com/api/webhooks/1200000000000000002/token",
    "LOGSTASH_SERVER": "logs.example.com",
}
SERVED = {"/ping", "/status", "/healthz", "/metrics", "/logs", "/metadata", "/"}
PLAIN = {
    "cd",
    "mkdir",
    ".",
    "kill",
    "python3",
    "touch",
    "rm",
    "tox",
}  # there is nothing to check in how they are called
# They end by themselves, reach nobody with NOTIFY_DRY_RUN, and have all they need on the page.
RUN = {"notify doctor", "notify env", "notify test", "notify caddyfile", "notify outbox list", "notify preview"}


def lines(block: Block) -> list[list[str]]:
    """Return the words of each command of a block of sh, without comments and redirections."""
    found = [shlex.split(line, comments=True) for line in joined(block.code)]
    return [words[: words.index(">")] if ">" in words else words for words in found if words]


def joined(code: str) -> list[str]:
    """Return the lines of a script, those of a quoted text that goes over several as one."""
    found, whole = [], ""
    for line in code.splitlines():
        whole += line + "\n"
        if whole.count("'") % 2 == 0 or whole.lstrip().startswith("#"):
            found.append(whole.strip())
            whole = ""
    assert not whole, "a quote does not end"
    return found


def commands() -> Mapping[str, set[str]]:
    """Return the options of each command."""
    page = runpy.run_path(str(DOCS / "commands_page.py"))
    return {
        name: {
            option
            for each in page["parameters"](function)
            if "Option" in type(each.info).__name__
            for names in each.names
            for option in names.split("/")
        }
        for name, function in page["walk"](app, "notify")
    }


COMMANDS = commands()


def named(words: list[str]) -> str:
    """Return which command of ours a line calls."""
    return next((name for name in (" ".join(words[:3]), " ".join(words[:2])) if name in COMMANDS), "")


def wrong(words: list[str], page: str) -> str:
    """Return what is wrong with a command, empty when nothing is."""
    assigned = [word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)]
    unknown = [name for name in assigned if name not in {row.name for row in TABLE}]
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    if unknown or not words or words == ["export"]:
        return f"no setting: {unknown}" if unknown else ""
    program, arguments = words[0], words[1:]
    if program == "notify":
        name = named(words)
        ours = words[: words.index("--")] if "--" in words else words
        options = {word.partition("=")[0] for word in ours if word.startswith("-")}
        return "" if name and options <= COMMANDS[name] | {"--help"} else f"not understood: {words}"
    if program == "pip":
        there = read_config((ROOT / "setup.cfg").read_text())["options.extras_require"]
        extras = {extra for word in arguments for found in re.findall(r"\[(.*)\]", word) for extra in found.split(",")}
        return "" if extras <= there.keys() else f"extras: {extras}"
    if program == "python":
        there = {block.file for block in blocks_of(page)}
        known = arguments[0] == "-m" or arguments[0] in there or (ROOT / arguments[0]).exists()
        return "" if known else f"no file: {arguments[0]}"
    if program == "curl":
        path = "/" + arguments[-1].removeprefix("http://").partition("/")[2]
        return "" if path in SERVED else f"not served: {path}"
    if program.startswith("scripts/"):
        return "" if (ROOT / program).exists() else f"no file: {program}"
    if program == "chmod":
        return "" if arguments[0] == "600" and arguments[1] in {each.file for each in blocks_of(page)} else f"{words}"
    if words[:2] == ["sudo", "ufw"]:
        return "" if ufw(" ".join(arguments[1:])) else f"no rule: {words}"
    return (
        ""
        if program in {"cd", "mkdir", ".", "kill", "pkill", "python3", "redis-cli", "sphinx-build", "touch", "rm"}
        else f"a program that nobody checks: {program}"
    )


def read_config(text: str) -> configparser.ConfigParser:
    """Return what a file of sections and settings says."""
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[method-assign,assignment]  # systemd's names have capitals
    read.read_file(io.StringIO(text))
    return read


def ufw(rule: str) -> bool:
    """Say whether a rule lets one address reach our port."""
    found = re.fullmatch(r"allow proto (?:udp|tcp) from (\S+) to any port (\d+) comment \S+", rule)
    return bool(found) and bool(ipaddress.ip_address(found[1])) and int(found[2]) == LOGSTASH_PORT.default


def blocks_of(page: str) -> list[Block]:
    return [block for block in BLOCKS if block.page == page]


@pytest.mark.parametrize("block", of_language("sh"), ids=ids)
def test_every_command_of_a_page_is_one_and_has_these_options(block: Block) -> None:
    assert not block.file.endswith(".env"), "a secrets file's language is dotenv"
    assert [said for words in lines(block) if (said := wrong(words, block.page))] == []


def runs(page: Path) -> list[list[str]]:
    """Return the commands of a page that a test can run."""
    return [words for block in blocks(page) if block.language == "sh" for words in lines(block) if named(words) in RUN]


def filled(block: Block) -> str:
    """Return a secrets file of a page with something for each …, which stands for what only the reader knows."""
    return re.sub(
        r"^([A-Z_]+)=(\S*…\S*)$", lambda found: f"{found[1]}={PLACEHOLDERS[found[1]]}", block.code, flags=re.MULTILINE
    )


@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_that_end_by_themselves_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = blocks(page)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Outbox(tmp_path / "state").close()  # as a run of the program has left it
    for name, content in [
        ("secrets.env", "EXECUTOR_ID=my-strategy\n"),
        ("fleet.env", next(block.code for block in of_language("dotenv") if "upstream" in block.code)),
        *((block.file, filled(block)) for block in here if block.language == "dotenv"),
        *(("EVENT.json", block.code) for block in here if block.language == "json"),
    ]:
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    for name in ("DISCORD_WEBHOOK_URL", "LOGSTASH_SERVER"):
        monkeypatch.delenv(name, raising=False)
    (port,) = free_ports(1)  # doctor looks whether it can be had
    env = {"NOTIFY_DRY_RUN": "true", "NOTIFY_STATE_DIR": str(tmp_path / "state"), "HTTP_PORT": str(port)}

    for words in runs(page):
        more = ["--no-browser"] if named(words) == "notify preview" else []
        ended = CliRunner().invoke(app, [*words[1:], *more], env=env)
        assert ended.exit_code == 0, (words, ended.output)


# ---- dotenv


@pytest.mark.parametrize("block", of_language("dotenv"), ids=ids)
def test_every_secrets_file_of_a_page_is_read_without_complaint(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text(filled(block))
    path.chmod(0o600)
    config = Settings({**read_env_file(path), "NOTIFY_STDOUT": "off"})

    assert block.file.endswith(".env"), "its first line says what file it is"
    assert misspelt.unknown(config) == []
    for row in config.rows():
        config.get(row)  # raises what is wrong with it
    destinations(config, {})
    if listed := read_env_file(path).get("TS_PUBLIC_STRATEGIES"):
        assert parse_strategies(listed).problems == ()


# ---- files of other programs


def examples() -> list[str]:
    return [file.read_text() for file in (DOCS / "examples").rglob("*") if file.is_file() and file.suffix != ".pyc"]


@pytest.mark.parametrize("block", of_language("caddyfile", "nftables"), ids=ids)
def test_a_configuration_is_a_file_under_examples_that_other_tests_run(block: Block) -> None:
    assert block.code in examples()


@pytest.mark.parametrize("block", of_language("logstash"), ids=ids)
def test_a_pipeline_of_a_page_can_be_read(block: Block) -> None:
    assert plugins(block.code) != []


@pytest.mark.parametrize("block", of_language("yaml"), ids=ids)
def test_yaml_is_a_file_under_examples_or_services_with_settings_of_ours(block: Block) -> None:
    if block.code in examples():
        return
    read = yaml.safe_load(block.code)

    for service in read["services"].values():
        env = {name: str(value) for name, value in service.get("environment", {}).items()}
        assert misspelt.unknown(Settings(env)) == []
        assert env.keys() <= {row.name for row in TABLE}
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= read.get("volumes", {}).keys()
        assert set(service.get("secrets", [])) <= read.get("secrets", {}).keys()


@pytest.mark.parametrize("block", of_language("dockerfile"), ids=ids)
def test_a_dockerfile_calls_commands_that_there_are(block: Block) -> None:
    known = {"FROM", "RUN", "USER", "WORKDIR", "VOLUME", "ENV", "ENTRYPOINT", "CMD", "COPY", "HEALTHCHECK"}
    for line in block.code.replace("\\\n", "").splitlines():
        if line.startswith("#"):
            continue
        instruction, _, rest = line.partition(" ")
        assert instruction in known
        if (called := re.search(r"\[.*\]|notify .*", rest)) and instruction in ("ENTRYPOINT", "HEALTHCHECK"):
            words = json.loads(called[0]) if called[0].startswith("[") else shlex.split(called[0].split("||")[0])
            assert wrong(words, block.page) == ""


@pytest.mark.parametrize("block", of_language("ini"), ids=ids)
def test_a_unit_of_systemd_calls_commands_and_settings_that_there_are(block: Block) -> None:
    for section in read_config(block.code).values():
        if "ExecStart" in section:
            words = shlex.split(section["ExecStart"])
            assert wrong(["notify", *words[1:]], block.page) == ""
            assert "--env-file" in words  # without it the command has nobody to tell
            started = [words[0], *(words[words.index("--") + 1 :][:1] if "--" in words else [])]
            assert all("/" in program for program in started)  # systemd has no activated environment
        settings = [each.partition("=")[0] for each in section.get("Environment", "").split()]
        assert set(settings) <= {row.name for row in TABLE}


# ---- JSON, and what Logstash gets


@pytest.mark.parametrize("block", of_language("json"), ids=ids)
def test_json_is_strict(block: Block) -> None:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    json.loads(block.code, parse_constant=refuse)


EVENT = Event(
    id="01a1e9d8b800-000017-5ac3f09e",
    time=1_796_083_200.0,
    message="cycle 17 done",
    level=20,
    body="more",
    key="a matter",
    attachments=(Attachment("chart.png", b"1"),),
    exception=ExceptionInfo("ValueError", "no price", "Traceback …"),
    tail=("a line",),
    fields={"cycle": 17},
)


def names(document: object, above: str = "") -> set[str]:
    """Return the dotted names of all that is no object."""
    if not isinstance(document, dict):
        return {above}
    return {name for key, value in document.items() for name in names(value, f"{above}.{key}" if above else key)}


def test_the_document_on_the_page_is_what_logstash_gets() -> None:
    shown = next(json.loads(block.code) for block in of_language("json") if "@timestamp" in block.code)
    sent = ecs(EVENT, Speaker("executor-my-strategy", "executor-1", ("python",)))

    of_more_than_a_line = {"error", "notify.body", "notify.key", "notify.attachments", "notify.tail"}
    said = {name for name in names(sent) if not any(name.startswith(more) for more in of_more_than_a_line)}
    assert names(shown) - {"fields.equity"} == said
    assert shown["@timestamp"] == sent["@timestamp"]
    assert shown["ecs"] == sent["ecs"]


def test_the_index_template_has_a_type_for_every_name_of_ours() -> None:
    def typed(properties: Mapping[str, dict[str, object]], above: str = "") -> set[str]:
        found: set[str] = set()
        for name, told in properties.items():
            below = told.get("properties")
            found |= typed(below, f"{above}{name}.") if isinstance(below, dict) else {above + name}
        return found

    template = json.loads((DOCS / "examples" / "index-template.json").read_text())
    sent = names(ecs(EVENT, Speaker("executor", "host", ("python",))))

    here = typed(template["template"]["mappings"]["properties"])
    assert sent - here == {"fields.cycle", "notify.attachments"}  # what only the program knows, and a list of objects


def test_the_pipeline_reads_what_is_sent_where_it_is_sent() -> None:
    pipeline = plugins((DOCS / "examples" / "logstash.conf").read_text())
    inputs = {each.name: each.settings for each in pipeline if each.section == "input"}
    (output,) = [each.settings for each in pipeline if each.section == "output"]

    assert {name: told["codec"] for name, told in inputs.items()} == {"udp": "json", "tcp": "json_lines"}
    assert {told["port"] for told in inputs.values()} == {str(LOGSTASH_PORT.default)}
    assert int(str(inputs["udp"]["buffer_size"])) >= 65_527  # bytes: the largest datagram that we send, over IPv6
    assert output["document_id"] == "%{[event][id]}"
    assert "event.id" in names(ecs(EVENT, Speaker("executor", "host", ())))
    (pattern,) = json.loads((DOCS / "examples" / "index-template.json").read_text())["index_patterns"]
    assert str(output["index"]).startswith(pattern.rstrip("*"))


@pytest.mark.parametrize(
    "broken",
    ["input { udp { port => } }", "input { udp { port => 1 }", "outputs { }", "input { udp { a => 1 a => 2 } }"],
)
def test_a_pipeline_that_logstash_could_not_read_is_seen(broken: str) -> None:
    with pytest.raises(ValueError, match=r"stands|ends|section|twice"):
        plugins(broken)


def test_the_firewall_lets_executors_in_before_it_shuts_others_out() -> None:
    rules = [line.strip() for line in (DOCS / "examples" / "logstash.nft").read_text().splitlines()]
    (allowed,) = [line for line in rules if line.startswith("elements")]
    verdicts = [line.split()[-1] for line in rules if f"dport {LOGSTASH_PORT.default}" in line]

    assert verdicts == ["accept", "accept", "drop"]
    assert all(ipaddress.ip_address(each) for each in re.findall(r"[\d.]{7,}", allowed))
    assert sum(line.count("{") - line.count("}") for line in rules) == 0
