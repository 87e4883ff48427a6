"""The uptime monitor: has every strategy looked at, and says what changes."""

from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue

from notify.arguments import caller, event_of
from notify.clock import SystemClock
from notify.fleet.fetch import Credentials
from notify.fleet.observe import Observation
from notify.fleet.outages import Fleet, observed, resumed
from notify.fleet.poller import Poller
from notify.fleet.say import Announcement
from notify.fleet.strategies import Strategies
from notify.fleet.watch_file import WatchFile
from notify.notifier import Notifier

_TOPIC = "watchdog"


class Watch:
    """Says through a notifier when strategies go down and come up.

    Workers look, and the one thread that calls `run` makes of it what is said, in order.

    Args:
        strategies: whom to watch, and what is wrong with the list.
        interval: seconds between two looks at a strategy that has no interval of its own.
        notifier: what says it. Its run state is refreshed with every observation, and counts rounds as cycles.
        file: keeps what is known.
        credentials: for servers that ask for them; sent to every strategy.
        max_age: seconds without progress after which a strategy is stale.
    """

    def __init__(
        self,
        strategies: Strategies,
        *,
        interval: float,
        notifier: Notifier,
        file: WatchFile,
        credentials: Credentials | None,
        max_age: float,
    ) -> None:
        self._intervals = {each.id: each.interval or interval for each in strategies.strategies}
        self._problems = strategies.problems
        self._notifier = notifier
        self._file = file
        self._fleet = Fleet()
        self._looks = 0
        self._seen: SimpleQueue[Observation] = SimpleQueue()
        self._poller = Poller(
            strategies.strategies,
            interval=interval,
            on_observation=self._seen.put,
            credentials=credentials,
            max_age=max_age,
            clock=SystemClock(),
        )

    def run(self) -> None:
        """Watch until the notifier is closed, or the thread interrupted: by Ctrl-C, or a signal that ends the process.

        Raises `RuntimeError` when the system refuses a thread for it.
        """
        self._notifier.at_close(lambda: self._poller.close(0.0))  # nobody waits for what it sees now
        self._notifier.at_close(lambda: self._file.save(self._fleet))  # a signal may come between the two
        fleet, said = resumed(self._file.read(), self._intervals.keys(), self._problems)
        self._say(fleet, said)
        self._poller.start()
        while not self._notifier.closed:
            for seen in self._next():
                self._take(seen)
            self._file.save(self._fleet)

    def _next(self) -> Iterator[Observation]:
        """Wait for an observation, and yield it with all that have come meanwhile."""
        yield self._seen.get()
        try:
            while True:
                yield self._seen.get_nowait()
        except Empty:
            return

    def _take(self, seen: Observation) -> None:
        self._say(*observed(self._fleet, seen, intervals=self._intervals))
        state = self._notifier.run_state
        self._looks += 1
        if self._looks % len(self._intervals) == 0:
            state.completed_cycle = state.cycles
            state.cycles += 1
        state.refresh()

    def _say(self, fleet: Fleet, said: Sequence[Announcement]) -> None:
        for each in said:
            event = event_of(
                self._notifier.clock.time(),
                caller(),
                each.message,
                body=each.body,
                level=each.level,
                topic=_TOPIC,
                key=each.key,
                fields=each.fields,
            )
            self._notifier.accept(event, folds=False)  # what goes on here is known better than by how often it is said
        self._fleet = fleet
        if said:
            # At once, and after it was said: killed in between, the next run says it again rather than never.
            self._file.save(fleet)
