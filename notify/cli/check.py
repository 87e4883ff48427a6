"""`notify check`: one look at one strategy, as a plugin of Nagios and as a HEALTHCHECK of Docker.

Which code for what, by the guidelines of the plugins (UNKNOWN is for a check that could not be made as it was asked
for, and not for names that are not found or time-outs):

- OK: it makes progress.
- WARNING: no progress for too long, frozen positions, low gas. It runs, and a person should look at it.
- CRITICAL: it says that it has crashed; or nothing usable came: nobody there, no answer in time, a server's error.
- UNKNOWN: the check is set up wrongly. The address is none, no executor is behind it (a web page, another JSON, 404, a
  redirect), or it asks for a password. How the strategy is, nobody knows.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from notify import settings
from notify.backends.http import HttpClient
from notify.cli.nagios import Code, line
from notify.cli.output import print_json
from notify.cli.strategies import credentials
from notify.clock import SystemClock
from notify.duration import duration
from notify.errors import ConfigError
from notify.fleet.observe import Observation, observe
from notify.fleet.strategies import Strategy, wrong_with_url
from notify.fleet.verdict import State, Verdict
from notify.rules.redaction import Redactor
from notify.settings import Settings

_ENDPOINTS = ("/status", "/ping")


class Answer(NamedTuple):
    """What `notify check` says.

    Args:
        code: how it is.
        text: for people.
        data: performance data.
    """

    code: Code
    text: str
    data: Mapping[str, str]


def check(env: Mapping[str, str], url: str, *, max_age: float | None, timeout: float, auth: bool, as_json: bool) -> int:
    """Look once, print one line, or a JSON document, and return the exit code of a plugin.

    Raises `ConfigError` when *url* is no address, or *auth* is asked for and there are no credentials.
    """
    import requests  # noqa: F401 - what loading it takes is not the strategy's

    config = Settings(env)
    strategy = _strategy(url)
    age = config.get(settings.NOTIFY_STALE_AFTER) if max_age is None else max_age
    client = HttpClient()
    seen = observe(
        strategy,
        client=client,
        clock=SystemClock(),
        credentials=credentials(config) if auth else None,
        max_age=age,
        deadline_seconds=timeout,
    )
    client.close()
    answer = judged(seen, now=time.time(), max_age=age, auth=auth)
    redact = Redactor(settings.known_secrets(config)).text
    text = redact(answer.text)
    if as_json:
        print_json(_as_json(seen, answer.code, text, redact))
    else:
        print(line(answer.code, text, answer.data))
    return answer.code


def judged(seen: Observation, *, now: float, max_age: float, auth: bool) -> Answer:
    """Return what to say of what was seen.

    Args:
        seen: of the strategy.
        now: UTC epoch seconds.
        max_age: seconds without progress after which it is stale.
        auth: whether credentials were sent.
    """
    verdict = seen.verdict
    data = {"time": f"{seen.seconds:.3f}s"}
    if verdict.cycles is not None:
        data = {"cycles": str(verdict.cycles), **data}
    if verdict.last_refreshed_at is not None:
        data = {"age": f"{max(0, int(now - verdict.last_refreshed_at))}s;{max_age:g}", **data}
    name = verdict.executor_id or seen.strategy.url
    return Answer(_code(verdict), f"{name} {'; '.join(_told(verdict, now=now, auth=auth))}", data)


def _code(verdict: Verdict) -> Code:
    if verdict.misconfigured:
        return Code.UNKNOWN
    if verdict.state in (State.CRASHED, State.OFFLINE):
        return Code.CRITICAL
    return Code.WARNING if verdict.state is State.STALE or verdict.warnings else Code.OK


def _told(verdict: Verdict, *, now: float, auth: bool) -> Iterable[str]:
    match verdict.state:
        case State.CRASHED:
            ago = "" if verdict.crashed_at is None else f" {duration(now - verdict.crashed_at)} ago"
            yield f"crashed{ago}: {verdict.reason}"
        case State.OFFLINE if verdict.misconfigured:
            hint = ""
            if "password" in verdict.reason:
                hint = "; HTTP_USERNAME or HTTP_PASSWORD is wrong" if auth else "; --auth sends one"
            yield f"cannot be checked: {verdict.reason}{hint}"
        case State.OFFLINE:
            yield f"is offline: {verdict.reason}"
        case State.STALE:
            yield f"is stale: {verdict.reason}"
        case State.RUNNING:
            yield f"runs, {duration(now - (verdict.last_refreshed_at or now))} after its last progress"
    yield from verdict.warnings
    if verdict.version is not None:
        yield f"version {verdict.version}"


def _strategy(url: str) -> Strategy:
    """Return whom to look at: *url* may be that of an endpoint. Raises `ConfigError` that does not show it."""
    base = url.strip().rstrip("/")
    for endpoint in _ENDPOINTS:
        base = base.removesuffix(endpoint)
    base = base.rstrip("/")
    wrong = list(wrong_with_url(base))
    if wrong:
        raise ConfigError("; ".join(wrong))
    return Strategy(id=base, name=base, url=base)


def _as_json(seen: Observation, code: Code, text: str, redact: Callable[[str], str]) -> dict[str, object]:
    verdict = seen.verdict
    executor_id, version = (None if said is None else redact(said) for said in (verdict.executor_id, verdict.version))
    return {
        "code": int(code),
        "status": code.name,
        "text": text,
        "state": verdict.state,
        "seconds": round(seen.seconds, 6),
        "url": seen.strategy.url,
        "executor_id": executor_id,
        "last_refreshed_at": verdict.last_refreshed_at,
        "crashed_at": verdict.crashed_at,
        "cycles": verdict.cycles,
        "version": version,
    }
