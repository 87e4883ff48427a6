"""Prometheus text, format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


_OF_FACTS = {
    "executor_running": ("executor_running", "gauge", "Whether the program runs: 1, or 0 after a crash."),
    "started_at": ("started_timestamp_seconds", "gauge", "When the run began."),
    "last_refreshed_at": ("last_refreshed_timestamp_seconds", "gauge", "When it last made progress."),
    "crashed_at": ("crashed_timestamp_seconds", "gauge", "When it crashed last."),
    "cycles": ("cycles_total", "counter", "Cycles begun since the program started."),
    "completed_cycle": ("completed_cycle", "gauge", "Number of the last cycle that was completed."),
    "frozen_positions": ("frozen_positions", "gauge", "Positions that need a person."),
    "hot_wallet_gas": ("hot_wallet_gas", "gauge", "Native token that is left for gas."),
    "hot_wallet_gas_warning_level": ("hot_wallet_gas_warning_level", "gauge", "Below this, gas is low."),
}
_RELAY = "notify:events"  # no backend can be called so
_OF_A_RELAY = {
    "waiting": ("relay_events_waiting", "gauge", "Events in the stream that no worker has taken yet."),
    "pending": ("relay_events_pending", "gauge", "Events that a worker has taken and not delivered everywhere."),
    "oldest_seconds": ("relay_oldest_event_seconds", "gauge", "How long the oldest of both has waited."),
    "workers": ("relay_workers", "gauge", "Workers that live."),
    "limits": ("relay_limits_in_force", "gauge", "Destinations that take nothing at the moment."),
    "dead_letters": ("relay_dead_letters", "gauge", "Entries in notify:dead."),
    "memory_bytes": ("relay_memory_bytes", "gauge", "Memory that Redis uses."),
    "memory_limit_bytes": ("relay_memory_limit_bytes", "gauge", "Memory that Redis may use; 0: all there is."),
}
FACTS = tuple(_OF_FACTS)
"""The facts of a run that are measured."""


class Family(NamedTuple):
    """One metric and its samples.

    Args:
        name: without the prefix `notify_`.
        kind: `gauge` or `counter`.
        explanation: one line for people.
        samples: labels and value of each. A value that is no finite number is left out.
    """

    name: str
    kind: str
    explanation: str
    samples: Iterable[tuple[Mapping[str, str], object]]


def text(families: Iterable[Family]) -> bytes:
    """Return *families* as Prometheus reads them. One without samples is left out."""
    lines: list[str] = []
    for family in families:
        name = f"notify_{family.name}"
        samples = [
            f"{name}{_labels(labels)} {number}"
            for labels, value in family.samples
            if (number := _number(value)) is not None
        ]
        if samples:
            lines += (f"# HELP {name} {family.explanation}", f"# TYPE {name} {family.kind}", *samples)
    return "".join(f"{line}\n" for line in lines).encode()


def families_of_run(facts: Mapping[str, object], crashes: int) -> list[Family]:
    """Return what is measured of a run.

    Args:
        facts: `FACTS`, as `/status` has them.
        crashes: how often the run has failed since the process began.
    """
    return [Family(name, kind, what, [({}, facts[fact])]) for fact, (name, kind, what) in _OF_FACTS.items()] + [
        Family("crashes_total", "counter", "Crashes since the process began.", [({}, crashes)])
    ]


def families_of_delivery(delivery: Mapping[str, Mapping[str, object]]) -> list[Family]:
    """Return what is measured of the delivery.

    Args:
        delivery: `Notifier.stats()`, as strict JSON has it; one of a worker has `notify:events`, too.
    """
    # `make_app` takes any function for this, and what is too much of it is a text by now.
    delivery = {name: stats for name, stats in delivery.items() if isinstance(stats, Mapping)}
    backends = {name: stats for name, stats in delivery.items() if name not in ("outbox", _RELAY)}

    def of(count: str) -> list[tuple[Mapping[str, str], object]]:
        return [({"backend": name}, stats.get(count)) for name, stats in backends.items()]

    dropped = {name: reasons for name, stats in backends.items() if isinstance(reasons := stats.get("dropped"), dict)}
    ended: list[tuple[Mapping[str, str], object]] = []
    for name, stats in backends.items():
        ended.append(({"backend": name, "outcome": "delivered"}, stats.get("delivered")))
        for outcome in ("folded", "handed_over", "unrouted"):
            if outcome in stats:
                ended.append(({"backend": name, "outcome": outcome}, stats[outcome]))
        if name in dropped:
            counts = [count for count in dropped[name].values() if isinstance(count, int)]
            ended.append(({"backend": name, "outcome": "dropped"}, sum(counts)))
    by_reason: list[tuple[Mapping[str, str], object]] = [
        ({"backend": name, "reason": reason}, count) for name in dropped for reason, count in dropped[name].items()
    ]
    outbox = delivery.get("outbox")
    broken: list[tuple[Mapping[str, str], object]] = []
    if outbox is not None:
        broken.append(({}, outbox.get("broken") is not None))
    return [
        Family("events_accepted_total", "counter", "Events that were to go there.", of("accepted")),
        Family("events_total", "counter", "Events by what became of them.", ended),
        Family("events_dropped_total", "counter", "Events that will not arrive, by reason.", by_reason),
        Family("events_pending", "gauge", "Events that wait.", of("pending")),
        Family("delivery_retries_total", "counter", "Attempts that were made again.", of("retried")),
        Family("last_success_timestamp_seconds", "gauge", "When something last arrived.", of("last_success_at")),
        Family("outbox_broken", "gauge", "1 while durable events cannot be kept on disk.", broken),
        *_families_of_relay(delivery.get(_RELAY, {})),
    ]


def _families_of_relay(relay: Mapping[str, object]) -> list[Family]:
    return [Family(name, kind, what, [({}, relay.get(fact))]) for fact, (name, kind, what) in _OF_A_RELAY.items()]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: object) -> str | None:
    """Return *value* as a number in text; a Decimal is text in strict JSON."""
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return repr(value) if isinstance(value, float) and math.isfinite(value) else None
