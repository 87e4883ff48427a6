"""Measures what logging costs the program that does it, side by side with what else there is.

    python tests/benchmark/run.py [--rounds 5] [--calls 10000] [--slow] [--write docs/benchmark.md]

Every competitor runs in a process of its own, once a round. A ratio is the median of the ratios within each round, so
that a machine that is busy with something else for a while does not count for or against anybody.
"""

import argparse
import os
import platform
import subprocess
import sys
import textwrap
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from statistics import mean, median

import backlog
import durable
import loops
import measure
import memory
import receivers
import steps
import table
from competitors import BURSTS, HANDLERS, HANGING, IMPORTS
from destinations import running
from measure import Times
from throughput import EVENTS, Flow, flow

_IMPORTS_A_ROUND = 2
_BURSTS_A_ROUND = 3
_LOSSES_A_ROUND = 4
_TO_RSYSLOG = (
    BURSTS[0].name,
    "notify.setup(), Logstash over UDP",
    "the least that JSON over UDP takes",
    "the same with rests as ours",
)
_DEAR_ROUNDS = 3  # at most, of bursts, trades and crashes: each takes half a minute
_PACKAGES = ("python-logstash", "python-logstash-async", "loguru", "structlog", "discord-webhook", "apprise")

Column = list[Times]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=10_000, help="of a burst; a fifth of them is paced")
    parser.add_argument("--slow", action="store_true", help="600 trades at Discord's limits, too: more than a minute")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, too")
    options = parser.parse_args()

    wanted = [*HANDLERS, *(competitor for pair in HANGING.values() for competitor in pair)]
    here = [competitor for competitor in wanted if competitor.installed()]
    absent = sorted({competitor.needs for competitor in wanted} - {competitor.needs for competitor in here})
    calls: dict[str, Column] = defaultdict(list)
    imports: dict[str, list[float]] = defaultdict(list)
    flows: dict[str, list[Flow]] = defaultdict(list)
    losses: dict[str, list[float]] = defaultdict(list)
    trades: list[durable.Times] = []
    stalls: dict[str, list[loops.Stalls]] = defaultdict(list)
    weights: dict[str, list[float]] = defaultdict(list)
    crashes: list[float] = []
    with running() as ports:
        for round_number in range(1, options.rounds + 1):
            print(f"round {round_number} of {options.rounds}", file=sys.stderr)
            for competitor in here:
                calls[competitor.name].append(measure.call(competitor, ports, options.calls))
            for module in IMPORTS * _IMPORTS_A_ROUND:
                try:
                    imports[module].append(measure.import_time(module))
                except subprocess.CalledProcessError:
                    imports.pop(module, None)
            if round_number <= _DEAR_ROUNDS:
                bursting = [competitor for competitor in BURSTS if competitor.installed()]
                for competitor in bursting * _BURSTS_A_ROUND:
                    flows[competitor.name].append(flow(competitor))
                for competitor in bursting:
                    if competitor.name in _TO_RSYSLOG and receivers.IS_HERE:
                        lost = [flow(competitor, receivers.rsyslog).lost for _ in range(_LOSSES_A_ROUND)]
                        losses[competitor.name] += lost
                trades.append(durable.trade(ports["http"]))
                for loop in loops.LOOPS:
                    stalls[loop].append(loops.stall(loop, ports["tcp, hanging"]))
                crashes.append(backlog.crash())
        for kind in memory.KINDS:
            weights[kind].append(memory.waiting(kind, ports["tcp, hanging"]))
    text = "\n\n".join(
        [
            _conditions(options.rounds, options.calls),
            *(f"Left out, because it is not installed: {module}." for module in absent),
            "### What `logger.info` costs its caller",
            _callers(calls),
            "### The same while a destination hangs",
            _hanging(calls),
            "### How fast a burst arrives",
            _flows(flows),
            "### What the steps of an event over TCP cost",
            _steps(steps.steps()),
            "### What of such a burst rsyslog loses",
            _losses(losses),
            "### What a durable `logger.trade` costs its caller",
            _durable(trades),
            "### How long durable trades hold up an event loop while Discord hangs",
            table.markdown(
                ["", "at the start, p99 ms", "longest", "later, p99 ms", "longest"],
                [
                    [loop, *(table.number(median(column)) for column in zip(*found, strict=True))]
                    for loop, found in stalls.items()
                ],
            ),
            "### What an event weighs that waits",
            table.markdown(
                ["", "bytes an event"], [[kind, table.number(median(found))] for kind, found in weights.items()]
            ),
            "### When Discord keeps its limits",
            _limits(crashes, backlog.trades() if options.slow else None),
            "### What an import costs",
            _imports(imports),
        ]
    )
    print(text)
    if options.write:
        table.write(options.write, text)


def _conditions(rounds: int, calls: int) -> str:
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    told = (
        f"{rounds} rounds of {calls:,} calls. Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} cores. {', '.join(versions)}."
    )
    return textwrap.fill(told, 150, break_on_hyphens=False)


def _ratio(one: Column, other: Column, what: str, base: str) -> str:
    """Return the quotient of two columns of two processes: of their multiples of *base*, if that is not empty."""

    def cost(times: Times) -> float:
        return getattr(times, what) / (getattr(times, base) if base else 1.0)

    return table.ratio(median(cost(a) / cost(b) for a, b in zip(one, other, strict=True)))


def _over_base(column: Column, what: str) -> str:
    return table.ratio(median(getattr(times, what) / getattr(times, f"{what}_base") for times in column))


def _microseconds(column: Column, what: str) -> str:
    return table.number(median(getattr(times, what) for times in column))


def _callers(calls: dict[str, Column]) -> str:
    head = ["", "paced p50 µs", "p99 µs", "× NullHandler", "burst p50 µs", "p99 µs", "× NullHandler"]
    rows = []
    for name in (competitor.name for competitor in HANDLERS):
        if name in calls:
            column = calls[name]
            row = [name]
            for pace in ("paced", "burst"):
                row += [_microseconds(column, pace), _microseconds(column, f"{pace}_p99")]
                row.append(_over_base(column, pace))
            rows.append(row)
    return table.markdown(head, rows)


def _hanging(calls: dict[str, Column]) -> str:
    head = ["", "healthy, paced p50 µs", "hanging", "× healthy", "healthy, burst p50 µs", "hanging", "× healthy"]
    rows = []
    for name, (healthy, hanging) in HANGING.items():
        if healthy.name in calls:
            row = [name]
            for pace in ("paced", "burst"):
                row += [_microseconds(calls[healthy.name], pace), _microseconds(calls[hanging.name], pace)]
                # Of what blocks a few calls are made: too few for a base, and their time is not the processor's.
                base = "" if healthy.blocks else f"{pace}_base"
                row.append(_ratio(calls[hanging.name], calls[healthy.name], pace, base))
            rows.append(row)
    return table.markdown(head, rows)


def _flows(flows: dict[str, list[Flow]]) -> str:
    head = ["", "events/s", "× python-logstash, UDP", "lost %", "µs of processor an event"]
    rows = []
    for name, found in flows.items():
        peer = flows.get(BURSTS[0].name, found)
        rows.append(
            [
                name,
                table.number(median(flow.rate for flow in found)),
                table.ratio(median(one.rate / other.rate for one, other in zip(found, peer, strict=True))),
                f"{median(flow.lost for flow in found):.2%}".removesuffix("%"),
                table.number(median(flow.processor for flow in found)),
            ]
        )
    return f"{EVENTS:,} events from one thread.\n\n{table.markdown(head, rows)}"


def _steps(found: dict[str, float]) -> str:
    rows = [[name, f"{value:.2f}"] for name, value in (found | {"all of them": sum(found.values())}).items()]
    return table.markdown(["one after the other, in one thread", "µs an event"], rows)


def _losses(losses: dict[str, list[float]]) -> str:
    if not losses:
        return "Left out, because rsyslogd is not installed."
    rows = [
        [name, *(f"{value:.2%}".removesuffix("%") for value in (mean(found), max(found)))]
        for name, found in losses.items()
    ]
    bursts = len(next(iter(losses.values())))
    return f"{bursts} bursts over UDP.\n\n{table.markdown(['', 'lost %', 'the worst burst'], rows)}"


def _durable(trades: list[durable.Times]) -> str:
    found = [table.number(median(column)) for column in zip(*trades, strict=True)]
    whose = ["an INSERT of such a row, and nothing else", "alone", "beside a thread that computes without a pause"]
    rows = [[name, *found[2 * place : 2 * place + 2]] for place, name in enumerate(whose)]
    return table.markdown(["", "paced p50 µs", "p99 µs"], rows)


def _limits(crashes: list[float], trades: backlog.Arrival | None) -> str:
    rows = [["from a crash behind 1,000 trades to its arrival", f"{median(crashes):.2f}", "", ""]]
    if trades is not None:
        rows.append(["600 trades", f"{trades.seconds:.1f}", str(trades.lost), f"{trades.limited} of {trades.requests}"])
    return table.markdown(["", "seconds", "lost", "requests answered 429"], rows)


def _imports(imports: dict[str, list[float]]) -> str:
    return table.markdown(
        ["", "ms"], [[f"`import {module}`", table.number(median(times))] for module, times in imports.items()]
    )


if __name__ == "__main__":
    main()
