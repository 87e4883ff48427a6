"""Real monitors in front of the status server: what they make of its answers, with the configurations of the docs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import pytest
from raw_server import OK, Raw, answering, raw
from services import adapted, eventually, free_ports, program, running_service

from notify.backends.memory import MemoryBackend
from notify.notifier import Notifier
from notify.run_state import RunState
from notify.status import StatusServer, make_app
from notify.testing import FakeClock

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
ALERTS = EXAMPLES / "alerts.yml"
USERNAME, PASSWORD = "operator", "c4nary-password"
STALE_AFTER = 3600.0  # seconds, as by default
# Where the examples have the file with the password.
PASSWORD_FILE = "/etc/prometheus/notify.password"
# What somebody might write who does not know that a regular expression is searched for anywhere.
CARELESS = """
  careless:
    prober: http
    http:
      valid_status_codes: [200, 503]
      fail_if_body_not_matches_regexp: ['"status":\\s*"ok"']
"""


def run(name: str) -> RunState:
    """Return a run that makes progress."""
    state = RunState()
    state.executor_id = name
    state.cycles = 3
    state.refresh()
    return state


def stale_run() -> RunState:
    clock = FakeClock()
    state = RunState(clock)
    state.refresh()
    clock.advance(STALE_AFTER + 1)
    return state


def crashed_run() -> RunState:
    state = run("crashed")
    state.set_fail(RuntimeError('{"status":"ok"} "status": "ok"'))
    state.update(state={"status": "ok"}, status="ok")
    return state


# By the status that they have.
RUNS = {"ok": lambda: run("ok"), "stale": stale_run, "crashed": crashed_run, "starting": RunState}


# ---- the blackbox exporter


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """Programs in every state, by its name. The one called dead is not there."""
    servers = {
        name: StatusServer(make_app(made(), stale_after=STALE_AFTER), "127.0.0.1", 0) for name, made in RUNS.items()
    }
    guarded = make_app(run("guarded"), username=USERNAME, password=PASSWORD)
    servers["guarded"] = StatusServer(guarded, "127.0.0.1", 0)
    yield {name: server.url for name, server in servers.items()} | {"dead": f"http://127.0.0.1:{free_ports(1)[0]}"}
    for server in servers.values():
        server.close()


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secrets") / "password"
    file.write_text(PASSWORD)
    return file


@pytest.fixture(scope="module")
def blackbox(tmp_path_factory: pytest.TempPathFactory, password_file: Path) -> Iterator[int]:
    """The port of an exporter that runs the example."""
    directory = tmp_path_factory.mktemp("blackbox")

    def arguments(ports: tuple[int, ...]) -> list[object]:
        file = directory / "blackbox.yml"
        file.write_text(adapted((EXAMPLES / "blackbox.yml").read_text(), {PASSWORD_FILE: password_file}) + CARELESS)
        return [f"--config.file={file}", f"--web.listen-address=127.0.0.1:{ports[0]}"]

    with running_service("prometheus-blackbox-exporter", arguments, directory) as service:
        yield service.port


def probe(blackbox: int, url: str, module: str = "healthz") -> dict[str, float]:
    """Return what the exporter finds out about `/healthz` at *url*."""
    query = urlencode({"module": module, "target": f"{url}/healthz"})
    lines = get(f"http://127.0.0.1:{blackbox}/probe?{query}").splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def get(url: str) -> str:
    """Return what *url* answers, whatever its status, past every proxy of this machine."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=20) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        with error:
            return error.read().decode()


@pytest.mark.parametrize(
    ("name", "status"), [("ok", 200), ("stale", 503), ("crashed", 503), ("starting", 503), ("dead", 0)]
)
def test_only_a_program_that_makes_progress_is_a_success(
    blackbox: int, urls: dict[str, str], name: str, status: int
) -> None:
    found = probe(blackbox, urls[name])

    assert (found["probe_success"], found["probe_http_status_code"]) == (float(name == "ok"), status)


def test_a_program_with_a_password_is_asked_with_it(blackbox: int, urls: dict[str, str]) -> None:
    without, with_it = (probe(blackbox, urls["guarded"], module) for module in ("healthz", "healthz_with_password"))

    assert (without["probe_success"], without["probe_http_status_code"]) == (0, 401)
    assert with_it["probe_success"] == 1


@pytest.mark.parametrize(
    "body",
    [b'<html>{"status":"ok"}</html>', b'{"executors": {"vega": {"status":"ok"}}}', b"", b'{"status":"okay'],
)
def test_whatever_else_answers_200_in_its_place_is_no_success(blackbox: int, body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with raw(answering(answer)) as server:
        found = probe(blackbox, f"http://{server.authority}")

    assert (found["probe_success"], found["probe_failed_due_to_regex"]) == (0, 1)


@pytest.mark.parametrize("name", ["stale", "crashed", "starting"])
def test_a_careless_expression_finds_no_other_status_that_says_ok(
    blackbox: int, urls: dict[str, str], name: str
) -> None:
    found = probe(blackbox, urls[name], "careless")

    # The expression is what fails: the status code is one that it takes.
    assert (found["probe_success"], found["probe_failed_due_to_regex"]) == (0, 1)
    assert probe(blackbox, urls["ok"], "careless")["probe_success"] == 1


@pytest.mark.parametrize("name", list(RUNS))
def test_the_answer_begins_with_its_status_and_has_no_other(urls: dict[str, str], name: str) -> None:
    pairs = json.loads(get(f"{urls[name]}/healthz"), object_pairs_hook=list)

    assert pairs[0] == ("status", name)
    assert list(keys_of(pairs)).count("status") == 1


def keys_of(pairs: object) -> Iterator[str]:
    """Yield every key of a JSON document whose objects are lists of pairs."""
    for entry in pairs if isinstance(pairs, list) else ():
        if isinstance(entry, tuple):
            yield entry[0]
        yield from keys_of(entry[1] if isinstance(entry, tuple) else entry)


# ---- Prometheus


class Watched(NamedTuple):
    """A Prometheus that runs the example, and what it watches.

    Args:
        port: of Prometheus.
        vega: the facts of the program that it calls vega.
        vega_port: where that listens.
        alertmanager: what gets the alerts.
    """

    port: int
    vega: RunState
    vega_port: int
    alertmanager: Raw

    def value(self, expression: str) -> float | None:
        """Return the value of the one series that *expression* finds; None when there is none."""
        query = urlencode({"query": expression})
        found = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/query?{query}"))["data"]["result"]
        assert len(found) <= 1, f"{expression} is not one series"
        return float(found[0]["value"][1]) if found else None


@pytest.fixture(scope="module")
def notifier() -> Iterator[Notifier]:
    """A notifier that has delivered one message."""
    with Notifier({"memory": MemoryBackend()}) as made:
        made.notify("hello")
        assert made.flush()
        yield made


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, blackbox: int, password_file: Path, notifier: Notifier
) -> Iterator[Watched]:
    directory, state, (vega, sirius) = tmp_path_factory.mktemp("prometheus"), run("vega"), free_ports(2)
    app = make_app(state, stats=notifier.stats)
    guarded = StatusServer(make_app(run("sirius"), username=USERNAME, password=PASSWORD), "127.0.0.1", sirius)
    server = StatusServer(app, "127.0.0.1", vega)

    def arguments(ports: tuple[int, ...]) -> list[object]:
        replaced = {
            "127.0.0.1:19003": f"127.0.0.1:{vega}",
            "127.0.0.1:19004": f"127.0.0.1:{sirius}",
            "https://vega.example.com": f"http://127.0.0.1:{vega}",
            "https://sirius.example.com": f"http://127.0.0.1:{sirius}",
            "127.0.0.1:9115": f"127.0.0.1:{blackbox}",
            "127.0.0.1:9093": alertmanager.authority,
            PASSWORD_FILE: password_file,
            "_interval: 15s": "_interval: 1s",
            "- alerts.yml": f"- {ALERTS}",
        }
        file = directory / "prometheus.yml"
        file.write_text(adapted((EXAMPLES / "prometheus.yml").read_text(), replaced))
        return [
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
        ]

    with raw(answering(OK)) as alertmanager, running_service("prometheus", arguments, directory) as service:
        ready = f"http://127.0.0.1:{service.port}/-/ready"
        eventually(lambda: "is Ready" in get(ready), "Prometheus has read what it keeps")
        yield Watched(service.port, state, vega, alertmanager)
    server.close()
    guarded.close()


def test_prometheus_has_the_series_of_a_program(watched: Watched) -> None:
    eventually(lambda: watched.value('up{executor="vega",job="executors"}') == 1, "vega is scraped")

    of_vega = {
        "notify_executor_running": 1,
        "notify_cycles_total": 3,
        "notify_crashes_total": 0,
        "notify_frozen_positions": 0,
        "notify_last_refreshed_timestamp_seconds": watched.vega.last_refreshed_at,
        'notify_events_total{backend="memory",outcome="delivered"}': 1,
        'notify_events_total{backend="memory",outcome="dropped"}': 0,
        'notify_events_pending{backend="memory"}': 0,
    }
    found = {
        series: watched.value(f'{series.rstrip("}")}{"," if "{" in series else "{"}executor="vega"}}')
        for series in of_vega
    }
    assert found == pytest.approx(of_vega, abs=0.01)


def test_prometheus_knows_what_each_series_is(watched: Watched) -> None:
    eventually(lambda: watched.value('up{executor="vega",job="executors"}') == 1, "vega is scraped")

    told = json.loads(get(f"http://127.0.0.1:{watched.port}/api/v1/metadata"))["data"]

    types = {name: said[0]["type"] for name, said in told.items() if name.startswith("notify_")}
    assert {name for name, kind in types.items() if kind == "counter"} == {
        name for name in types if name.endswith("_total")
    }
    assert set(types.values()) == {"counter", "gauge"}
    assert {"notify_executor_running", "notify_events_total", "notify_events_pending"} <= types.keys()


def test_prometheus_scrapes_a_program_with_a_password(watched: Watched) -> None:
    eventually(lambda: watched.value('up{executor="sirius",job="executors"}') == 1, "sirius is scraped")

    assert watched.value('notify_executor_running{executor="sirius"}') == 1


def test_prometheus_probes_through_the_blackbox_exporter(watched: Watched) -> None:
    for executor in ("vega", "sirius"):
        eventually(lambda of=executor: watched.value(f'probe_success{{executor="{of}"}}') == 1, f"{executor} is well")


def test_a_crash_becomes_an_alert_within_seconds(watched: Watched) -> None:
    eventually(lambda: watched.value('up{executor="vega",job="executors"}') == 1, "vega is scraped")
    assert b"alertname" not in watched.alertmanager.read

    watched.vega.set_fail(RuntimeError("oops"))

    eventually(lambda: b'"alertname":"ExecutorCrashed"' in watched.alertmanager.read, "Alertmanager gets it")
    assert b"vega has crashed" in watched.alertmanager.read
    assert b"sirius" not in watched.alertmanager.read
    eventually(lambda: watched.value('probe_success{executor="vega"}') == 0, "the probe fails, too")


# ---- promtool


def promtool(*arguments: object, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program("promtool"), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", list(RUNS))
def test_promtool_finds_nothing_wrong_with_our_metrics(urls: dict[str, str], name: str) -> None:
    checked = promtool("check", "metrics", stdin=get(f"{urls[name]}/metrics"))

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_promtool_finds_nothing_wrong_with_those_of_the_delivery(notifier: Notifier) -> None:
    server = StatusServer(make_app(run("vega"), stats=notifier.stats), "127.0.0.1", 0)
    text = get(f"{server.url}/metrics")
    server.close()

    checked = promtool("check", "metrics", stdin=text)

    assert 'notify_events_total{backend="memory",outcome="delivered"} 1' in text
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    rules, configuration = promtool("check", "rules", ALERTS), promtool("check", "config", EXAMPLES / "prometheus.yml")

    assert (rules.returncode, rules.stderr) == (0, "")
    assert (configuration.returncode, configuration.stderr) == (0, "")


def test_every_rule_fires_when_it_should_and_not_before() -> None:
    cases = Path(__file__).parent / "data" / "alerts.test.yml"

    tested = promtool("test", "rules", cases)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    named = set(re.findall(r"alert: (\w+)", ALERTS.read_text()))
    firing = set(re.findall(r"alertname: (\w+)\n", cases.read_text()))
    assert named == firing
