"""`notify watch` as a command and as a process: what people hear, and what a restart, a kill or a signal does to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from children import environment
from strategy_server import CRASHED, FAILING, FROZEN, HANGING, OK, REFUSING, RESETTING, StrategyServer
from typer.testing import CliRunner, Result

from notify.cli.app import app
from notify.clock import SystemClock
from notify.fleet.watch_file import WatchFile
from notify.testing.fake_discord import FakeDiscord

PATIENCE = 30.0  # seconds after which something that takes two or three is missing
VEGA = '{"id": "vega", "name": "Vega", "url": "http://127.0.0.1:1"}'


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - {"XDG_STATE_HOME"}:
        monkeypatch.delenv(name)


# ---- what keeps it from beginning


def invoke(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, ["watch", *arguments], env=env)


@pytest.mark.process
@pytest.mark.parametrize(
    ("listed", "lines"),
    [
        ("", ["TS_PUBLIC_STRATEGIES: names no strategy to watch; it is a JSON list of {id, name, url}"]),
        ("[]", ["TS_PUBLIC_STRATEGIES: names no strategy to watch; it is a JSON list of {id, name, url}"]),
        ("[{", ["TS_PUBLIC_STRATEGIES: not JSON (line 1, column 3)",
                "TS_PUBLIC_STRATEGIES: names no strategy to watch; it is a JSON list of {id, name, url}"]),
        ('[{"id": "vega"}, 5]', ["TS_PUBLIC_STRATEGIES: entry 1 (vega): name is missing; url is missing",
                                 "TS_PUBLIC_STRATEGIES: entry 2: not an object with id, name and url",
                                 "TS_PUBLIC_STRATEGIES: names no strategy to watch; "
                                 "it is a JSON list of {id, name, url}"]),
    ],
)  # fmt: skip
def test_nobody_to_watch_is_exit_code_2_with_a_line_for_each_thing_that_is_wrong(listed: str, lines: list[str]) -> None:
    run = command(TS_PUBLIC_STRATEGIES=listed)

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.splitlines() == [f"notify: {line}" for line in lines]


def command(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "notify", "watch", *arguments],
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("variable", ["UNIT_TESTING", "SIMULATE"])
def test_without_a_network_nobody_is_watched(variable: str) -> None:
    result = invoke(TS_PUBLIC_STRATEGIES=f"[{VEGA}]", **{variable: "true"})

    assert "nothing may leave this machine" in str(result.exception)


def test_credentials_that_are_not_set_are_named() -> None:
    result = invoke("--auth", TS_PUBLIC_STRATEGIES=f"[{VEGA}]")

    assert str(result.exception) == "--auth: set HTTP_USERNAME and HTTP_PASSWORD, in the environment or with --env-file"


def test_a_second_watch_with_the_same_state_directory_does_not_begin(state: Path) -> None:
    with WatchFile(state, SystemClock()):
        result = invoke(TS_PUBLIC_STRATEGIES=f"[{VEGA}]", NOTIFY_STATE_DIR=str(state))

    assert str(result.exception) == f"{state}: another `notify watch` has this state directory"


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "soon", "86401"])
def test_an_interval_that_is_none_is_refused(interval: str) -> None:
    result = invoke(f"--interval={interval}", TS_PUBLIC_STRATEGIES=f"[{VEGA}]")

    assert result.exit_code == 2
    assert "--interval" in result.stderr


# ---- what people hear


class Watching:
    """Runs `notify watch`, with a stand-in for Discord that hears of it."""

    def __init__(self, discord: FakeDiscord, state: Path) -> None:
        self.discord = discord
        self.state = state

    @contextmanager
    def over(self, server: StrategyServer, *arguments: str, **env: str) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [sys.executable, "-m", "notify", "watch", "--interval", "1", *arguments],
            env=environment(
                TS_PUBLIC_STRATEGIES=server.list(),
                NOTIFY_STATE_DIR=str(self.state),
                NOTIFY_STDOUT="off",
                DISCORD_WEBHOOK_URL=self.discord.url,
                **env,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def heard(self) -> list[str]:
        """The titles of what Discord was sent about strategies, without their emoji."""
        titles = [embed.get("title", "") for message in list(self.discord.messages) for embed in message.embeds]
        return [title.lstrip("🆘❌⚠️💱✅ ") for title in titles if "Told to stop" not in title]

    def wait_for(self, title: str) -> None:
        wait_until(lambda: title in " / ".join(self.heard), lambda: f"{title!r} did not come, but {self.heard}")


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], str], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


def looked_at(server: StrategyServer, times: int, *names: str, patience: float = PATIENCE) -> None:
    """Wait until each of *names* was looked at *times* times from now on."""
    wanted = {name: len(server.asked[name]) + times for name in names}
    wait_until(
        lambda: all(len(server.asked[name]) >= count for name, count in wanted.items()),
        lambda: f"{server.asked}",
        patience,
    )


def ended(process: "subprocess.Popen[str]", signum: int) -> int:
    process.send_signal(signum)
    _, complaints = process.communicate(timeout=PATIENCE)
    assert complaints == ""
    return process.returncode


@pytest.fixture
def watching(state: Path) -> Iterator[Watching]:
    with FakeDiscord(speed=60) as discord:
        yield Watching(discord, state)


@pytest.mark.process
def test_a_restart_and_a_kill_repeat_nothing_and_what_ended_meanwhile_is_told(watching: Watching) -> None:
    with StrategyServer({"vega": CRASHED, "sirius": FROZEN}) as server:
        with watching.over(server) as process:
            watching.wait_for("Vega has crashed: Boom")
            assert ended(process, signal.SIGTERM) == -signal.SIGTERM
        with watching.over(server) as process:
            looked_at(server, 2, "vega", "sirius")
            process.kill()
        server.behaviours["vega"] = OK
        with watching.over(server) as process:
            watching.wait_for("Vega is up again after ")
            looked_at(server, 2, "vega", "sirius")
            ended(process, signal.SIGTERM)

    heard = [title.partition(" after ")[0].partition(":")[0] for title in watching.heard]
    assert heard == ["Sirius", "Vega has crashed", "The last run was killed", "Vega is up again"]


@pytest.mark.process
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_time_also_while_looks_hang(watching: Watching, signum: int, code: int) -> None:
    with StrategyServer({f"strategy-{number}": HANGING for number in range(20)}) as server:
        with watching.over(server) as process:
            looked_at(server, 1, *server.behaviours)
            began = time.monotonic()

            assert ended(process, signum) == code

        assert time.monotonic() - began < 5.0 + 1.0  # guarantee 7, and a busy machine


@pytest.mark.process
def test_when_everything_is_unreachable_people_hear_one_thing(watching: Watching) -> None:
    names = [f"strategy-{number}" for number in range(20)]
    with StrategyServer(dict.fromkeys(names, OK)) as server, watching.over(server) as process:
        looked_at(server, 1, *names)
        server.behaviours = dict.fromkeys(names, RESETTING)
        watching.wait_for("None of 20 strategies answers: ")
        looked_at(server, 1, *names)
        server.behaviours = dict.fromkeys(names, OK)
        watching.wait_for("Strategies answer again after ")
        looked_at(server, 1, *names)
        ended(process, signal.SIGTERM)

    assert len(watching.heard) == 2


@pytest.mark.process
def test_a_damaged_file_costs_one_line_and_no_watch(watching: Watching, state: Path) -> None:
    state.mkdir(0o700)
    (state / "watch.json").write_text('{"version": 1, "str')
    with StrategyServer({"vega": CRASHED, "sirius": OK}) as server, watching.over(server) as process:
        watching.wait_for("Vega has crashed: Boom")
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=PATIENCE)

    assert complaints.splitlines() == [
        f"notify: {state}/watch.json: damaged, set aside as watch.damaged.json: what was told is not known"
    ]


# ---- many


@pytest.mark.process
def test_many_strategies_are_looked_at_on_time_whatever_each_does(
    watching: Watching, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
) -> None:
    """With `--strategies 500` the rate is that of 500 strategies every 30 s, and it takes a minute and a half."""
    count = pytestconfig.getoption("strategies")
    interval = 30.0 if count >= 500 else 2.0
    kinds = [OK] * 6 + [HANGING, HANGING, FAILING, REFUSING]
    names = {f"strategy-{number}": kinds[number % 10] for number in range(count)}
    with StrategyServer(names, interval=interval) as server, watching.over(server) as process:
        began = time.monotonic()
        answering = [name for name, kind in names.items() if kind in (OK, FAILING)]
        looked_at(server, 3, *answering, patience=3 * interval + PATIENCE)
        memory = peak_memory(process.pid)
        seconds = time.monotonic() - began
        cpu = processor_seconds(process.pid) / seconds
        process.kill()

    late = lateness(server, interval)
    figures = {
        "strategies": count,
        "late_p50": percentile(late, 0.5),
        "late_p99": percentile(late, 0.99),
        "late_most": max(late),
        "memory_mb": memory,
        "cpu": cpu,
    }
    print(json.dumps(figures))
    for name, value in figures.items():
        record_property(name, value)
    assert percentile(late, 0.5) < 0.5  # seconds; on an idle machine a hundredth of that
    assert percentile(late, 0.99) < 5.0  # seconds: what a look at one that hangs takes
    assert memory < 150  # MB


def lateness(server: StrategyServer, interval: float) -> list[float]:
    """Return by how much each look at who answers came later than a multiple of the interval after the first."""
    found = []
    for name, times in server.asked.items():
        # One that hangs is looked at for 5 s; one that is not there does not know when it was asked.
        if times and (server.behaviours[name] != HANGING or interval > 5):
            grid = min(at - number * interval for number, at in enumerate(times))
            found += [at - grid - number * interval for number, at in enumerate(times)]
    return found


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def peak_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def processor_seconds(pid: int) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
