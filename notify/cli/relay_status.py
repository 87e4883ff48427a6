"""`notify relay status`: how a relay is, for people, for programs and for monitors."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from notify.backends.relay.server import open_client
from notify.backends.relay.trouble import trouble
from notify.backends.stdout import escape
from notify.cli.nagios import Code, line
from notify.cli.output import print_json, print_table
from notify.duration import duration
from notify.env_file import Environment
from notify.errors import Gone
from notify.plain import iso_time
from notify.plural import plural
from notify.relay.look import Overview, Seen, look
from notify.relay.service import address_of, numbers
from notify.rules.redaction import Redactor
from notify.settings import Settings, known_secrets

_DAY = 86_400.0
_FULL = 0.8  # of the memory that Redis may use


def status(env: Environment, *, max_age: float, timeout: float, as_json: bool) -> int:
    """Look once, print it, and return the exit code of a plugin.

    Raises `ConfigError` when NOTIFY_RELAY_URL is not set or unusable.
    """
    config = Settings(env)
    client = open_client(address_of(config), request_seconds=timeout)
    try:
        overview = look(client)
    except Exception as error:  # noqa: BLE001 - redis-py's
        means = trouble(error)
        code = Code.UNKNOWN if isinstance(means, Gone) else Code.CRITICAL
        if as_json:
            print_json({"code": int(code), "status": code.name, "text": str(means)})
        else:
            print(line(code, str(means), {}))
        return code
    finally:
        client.close()
    overview = _redacted(overview, Redactor(known_secrets(config)).text)
    code, text = judged(overview, max_age=max_age)
    if as_json:
        print_json(_as_json(overview, code, text))
    else:
        data = {"waiting": str(overview.waiting), "pending": str(overview.pending)}
        print(line(code, text, data | {"oldest": f"{overview.oldest or 0:.0f}s;{max_age:g}"}))
        _print_tables(overview)
    return code


def judged(overview: Overview, *, max_age: float) -> tuple[Code, str]:
    """Say how a relay is: the gravest of what is wrong, and all of it in words."""
    living = sum(each.lives for each in overview.workers)
    code, said = Code.OK, []
    for grave, text in _wrong(overview, living, max_age):
        code = max(code, grave)
        said.append(text)
    more = " or more" if overview.more else ""
    said.append(f"{living} {plural(living, 'worker')}, {overview.waiting:,}{more} waiting, "
                f"{overview.pending:,} under way, {overview.rate:.1f} events/s delivered")  # fmt: skip
    return code, "; ".join(said)


def _wrong(overview: Overview, living: int, max_age: float) -> Iterator[tuple[Code, str]]:
    if not living:
        waits = overview.waiting + overview.pending
        yield (Code.CRITICAL, "no worker lives, and events wait") if waits else (Code.WARNING, "no worker lives")
    if overview.oldest is not None and overview.oldest > max_age:
        yield Code.WARNING, f"the oldest event waits for {duration(round(overview.oldest))}"
    if overview.dead_since is not None and overview.dead_since < _DAY:
        yield Code.WARNING, f"something was set aside {duration(round(overview.dead_since))} ago ({overview.dead_of})"
    if overview.memory_limit and overview.memory > _FULL * overview.memory_limit:
        yield Code.WARNING, f"Redis uses {overview.memory / overview.memory_limit:.0%} of its memory"


def _redacted(overview: Overview, redact: Callable[[str], str]) -> Overview:
    """Return *overview* with the secrets replaced in what workers and destinations have said."""
    workers = [each._replace(report=_values(each.report, redact)) for each in overview.workers]
    return overview._replace(dead_of=redact(overview.dead_of), workers=workers)


def _values(said: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(said, str):
        return redact(said)
    if isinstance(said, Mapping):
        return {name: _values(value, redact) for name, value in said.items()}
    return [_values(value, redact) for value in said] if isinstance(said, list) else said


def _print_tables(overview: Overview) -> None:
    if overview.workers:
        columns = ("worker", "lease", "under way", "backend", "delivered", "waiting")
        print_table("Workers", columns, [row for each in overview.workers for row in _rows(each)],
                    unfolded=["worker", "backend"])  # fmt: skip
        for each in overview.workers:
            for name, error in _errors(each):
                print(escape(f"{name} of {each.name} waits: {error}"))
    if overview.limits:
        rows = [(limit.of, f"{limit.seconds:.0f} s") for limit in overview.limits]
        print_table("Limits in force", ("of", "for another"), rows)
    if overview.dead:
        print(escape(f"{overview.dead:,} in notify:dead, the last because {overview.dead_of}"))


def _rows(worker: Seen) -> Iterator[tuple[str, ...]]:
    """Yield a row for each backend of a worker, the first of which has its name."""
    who = (worker.name, f"{worker.lease:.0f} s" if worker.lives else "dead", f"{worker.pending:,}")
    for name, each in (_backends(worker) or {"": {}}).items():
        yield *who, name, f"{each.get('delivered', 0):,}", f"{each.get('pending', 0):,}"
        who = ("", "", "")


def _errors(worker: Seen) -> Iterator[tuple[str, str]]:
    """Yield each backend of a worker that has something before it, and why that did not arrive so far."""
    for name, each in _backends(worker).items():
        if each.get("pending") and each.get("last_error"):
            yield name, each["last_error"]


def _backends(worker: Seen) -> Mapping[str, Mapping[str, Any]]:
    backends = worker.report.get("backends")
    return backends if isinstance(backends, dict) else {}


def _as_json(overview: Overview, code: Code, text: str) -> dict[str, Any]:
    return {
        "code": int(code),
        "status": code.name,
        "text": text,
        "at": iso_time(time.time()),
        "server": {"version": overview.server.version, "policy": overview.server.policy,
                   "appends": overview.server.appends},
        **numbers(overview),
        "waiting_is_more": overview.more,
        "oldest_seconds": overview.oldest,
        "dead_letters_since_seconds": overview.dead_since,
        "dead_letters_of": overview.dead_of or None,
        "limits": [{"of": each.of, "seconds": round(each.seconds, 3)} for each in overview.limits],
        "workers": [
            {"name": each.name, "lives": each.lives, "lease_seconds": round(each.lease, 3), "pending": each.pending,
             **each.report}
            for each in overview.workers
        ],
    }  # fmt: skip
