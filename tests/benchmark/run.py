"""Measures what logging costs the program that does it, side by side with what else there is.

    python tests/benchmark/run.py [--rounds 5] [--calls 10000] [--write docs/benchmark.md]

Every competitor runs in a process of its own, once a round. A ratio is the median of the ratios within each round, so
that a machine that is busy with something else for a while does not count for or against anybody.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from statistics import median

import measure
import table
from competitors import BASE, HANDLERS, HANGING, IMPORTS
from destinations import running
from measure import Times

_IMPORTS_A_ROUND = 2
_PACKAGES = ("python-logstash", "python-logstash-async", "loguru", "structlog", "discord-webhook", "apprise")

Column = list[Times]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=10_000, help="of a burst; a fifth of them is paced")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, too")
    options = parser.parse_args()

    wanted = [*HANDLERS, *(competitor for pair in HANGING.values() for competitor in pair)]
    here = [competitor for competitor in wanted if competitor.installed()]
    absent = sorted({competitor.needs for competitor in wanted} - {competitor.needs for competitor in here})
    calls: dict[str, Column] = defaultdict(list)
    imports: dict[str, list[float]] = defaultdict(list)
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
    text = "\n\n".join(
        [
            _conditions(options.rounds, options.calls),
            *(f"Left out, because it is not installed: {module}." for module in absent),
            "### What `logger.info` costs its caller",
            _callers(calls),
            "### The same while a destination hangs",
            _hanging(calls),
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
    return (
        f"{rounds} rounds of {calls:,} calls. Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} cores. {', '.join(versions)}."
    )


def _ratio(one: Column, other: Column, what: str) -> str:
    return table.ratio(median(getattr(a, what) / getattr(b, what) for a, b in zip(one, other, strict=True)))


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
                row.append(_ratio(column, calls[BASE.name], pace))
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
                row.append(_ratio(calls[hanging.name], calls[healthy.name], pace))
            rows.append(row)
    return table.markdown(head, rows)


def _imports(imports: dict[str, list[float]]) -> str:
    return table.markdown(
        ["", "ms"], [[f"`import {module}`", table.number(median(times))] for module, times in imports.items()]
    )


if __name__ == "__main__":
    main()
