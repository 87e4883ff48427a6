"""The running dashboard: who looks at the strategies, who remembers, and who answers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from notify.clock import SystemClock
from notify.fleet.dashboard.app import Dashboard
from notify.fleet.dashboard.board import Board
from notify.fleet.dashboard.details import Desk
from notify.fleet.dashboard.history import History
from notify.fleet.dashboard.icons import Icons
from notify.fleet.fetch import Credentials
from notify.fleet.poller import Poller
from notify.fleet.strategies import Strategies
from notify.status import StatusServer
from notify.status.auth import Readers


@contextmanager
def serving(
    strategies: Strategies,
    *,
    host: str,
    port: int,
    interval: float,
    max_age: float,
    state_dir: Path | None,
    readers: Readers | None = None,
    credentials: Credentials | None = None,
    redact: Callable[[str], str],
) -> Iterator[StatusServer]:
    """Serve the dashboard until the context ends, and yield its server.

    Args:
        strategies: what is shown.
        host: the address to listen on.
        port: 0 for any that is free.
        interval: seconds between two looks at a strategy that has no interval of its own.
        max_age: seconds without progress after which a strategy is stale.
        state_dir: where the history is kept; None: in memory.
        readers: who may see it; None: everybody who can reach it.
        credentials: for strategies that ask for them.
        redact: takes secrets out of what strategies say.

    Raises `ConfigError` when nothing can listen there.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        history = History(state_dir, clock=clock)
        stack.callback(history.close)
        board = Board(strategies.strategies, history, clock=clock, redact=redact)
        icons = Icons(strategies.strategies, answers=board.answers, credentials=credentials, clock=clock)
        dashboard = Dashboard(
            board=board,
            desk=Desk(credentials=credentials, redact=redact, clock=clock),
            icons=icons,
            problems=strategies.problems,
            interval=interval,
            readers=readers,
            clock=clock,
        )
        dashboard.warm_up()
        server = StatusServer(dashboard, host, port)
        stack.callback(server.close)
        poller = Poller(
            strategies.strategies,
            interval=interval,
            on_observation=board.add,
            credentials=credentials,
            max_age=max_age,
            clock=clock,
        )
        stack.callback(poller.close)
        poller.start()
        stack.callback(icons.close)
        icons.start()
        yield server
