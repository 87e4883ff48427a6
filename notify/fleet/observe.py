"""One look at one strategy."""

from dataclasses import dataclass

from notify.backends.http import HttpClient
from notify.clock import Clock
from notify.fleet.fetch import DEADLINE, Credentials, FetchError, Misconfigured, fetch_json
from notify.fleet.strategies import Strategy
from notify.fleet.verdict import MAX_AGE, Verdict, judge, offline


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of a strategy.

    Args:
        strategy: which.
        at: when, in UTC epoch seconds.
        seconds: until there was an answer, or the lack of one was certain.
        verdict: how it is.
    """

    strategy: Strategy
    at: float
    seconds: float
    verdict: Verdict


def observe(
    strategy: Strategy,
    *,
    client: HttpClient,
    clock: Clock,
    credentials: Credentials | None = None,
    max_age: float = MAX_AGE,
    deadline_seconds: float = DEADLINE,
) -> Observation:
    """Ask *strategy* for its `/status` and say how it is. Never raises for anything that it answers.

    Args:
        strategy: which.
        client: gets it; for one thread at a time.
        clock: tells the time.
        credentials: for a server that asks for them.
        max_age: seconds without progress after which it is stale.
        deadline_seconds: for the whole look.
    """
    began = clock.monotonic()
    try:
        status = fetch_json(
            client, f"{strategy.url}/status", credentials=credentials, deadline_seconds=deadline_seconds
        )
    except FetchError as error:
        verdict = offline(str(error), misconfigured=isinstance(error, Misconfigured))
    else:
        verdict = judge(status, now=clock.time(), max_age=max_age)
    return Observation(strategy=strategy, at=clock.time(), seconds=clock.monotonic() - began, verdict=verdict)
