"""Strategies on loopback whose dashboards tests look at: each a real status server with a run state of its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notify.fleet.dashboard.serve import serving
from notify.fleet.strategies import parse_strategies
from notify.run_state import RunState
from notify.status import StatusServer, make_app
from notify.status.auth import Readers


class Member:
    """One strategy.

    Args:
        name: what people call it; its id, too.
        logs: its log, as `/logs` has it.
        facts: of its run, besides those of a run that has just begun.
        options: of its status server's app.
    """

    def __init__(self, name: str, logs: Sequence[Mapping[str, object]] = (), *, facts: Any, options: Any) -> None:
        self.state = RunState()
        self.state.update(executor_id=name, **facts)
        options = {"public_logs": True, "metadata": {"name": name}, **options}
        self.server = StatusServer(make_app(self.state, logs=lambda: list(logs), **options), "127.0.0.1", 0)
        self.entry: dict[str, object] = {"id": name, "name": name, "url": self.server.url}


class Fleet:
    """Strategies, and what the list says of them."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.entries: list[object] = []

    def add(self, name: str, *, logs: Any = (), options: Mapping[str, object] | None = None, **facts: Any) -> Member:
        """Have a strategy answer."""
        member = self.members[name] = Member(name, logs, facts=facts, options=options or {})
        self.entries.append(member.entry)
        return member

    def close(self) -> None:
        """Have nobody answer any more."""
        for member in self.members.values():
            member.server.close()


@contextmanager
def dashboard(
    fleet: Fleet,
    *,
    port: int = 0,
    interval: float = 1.0,
    state_dir: Path | None = None,
    readers: Readers | None = None,
) -> Iterator[StatusServer]:
    """Serve the dashboard of *fleet* and yield its server."""
    with serving(
        parse_strategies(json.dumps(fleet.entries)),
        host="127.0.0.1",
        port=port,
        interval=interval,
        max_age=3600.0,
        redact=str,
        state_dir=state_dir,
        readers=readers,
    ) as server:
        yield server
