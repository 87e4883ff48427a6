"""What `notify doctor` finds out about the status server, as `setup()` would begin it."""

from notify import settings
from notify.backends.http import HttpClient
from notify.bootstrap import serving
from notify.cli.finding import OK, WARNING, WRONG, Finding
from notify.clock import SystemClock
from notify.errors import ConfigError
from notify.fleet.fetch import FetchError, fetch_json
from notify.fleet.observe import observe
from notify.fleet.strategies import Strategy
from notify.settings import Settings
from notify.status.listening import bind, url_of
from notify.status.serving import Serving

_DEADLINE = 1.0  # seconds for each question to a server on this machine


def status_findings(config: Settings) -> list[Finding]:
    """Say where and to whom the status is served, and whether it can be. Asks who listens there, and nobody else."""
    try:
        how = serving(config)
    except ConfigError as error:
        return [_wrong(error)]
    if how is None:
        return []
    holder = None
    try:
        bind(how.host, how.port).close()
    except ConfigError as error:
        finding = _wrong(error)
        holder = _holder(how) if finding.subject == settings.HTTP_PORT.name else None
        if holder is None:
            return [finding]
        if not holder or holder != config.get(settings.EXECUTOR_ID):
            return [Finding(finding.subject, WARNING, f"{finding.text}: {_told(holder)}")]
    who = "with a password" if how.username else "without a password"
    logs = "and its logs" if how.username or how.public_logs else "and no logs"
    text = f"serves the run {logs} at {how.url}, {who}"
    if holder is not None:
        text += f"; {holder} is served there now"
    if how.is_open:
        return [Finding("status server", WARNING, f"{text}: everybody who reaches it can see it")]
    return [Finding("status server", OK, text)]


def _wrong(error: ConfigError) -> Finding:
    subject, _, text = str(error).partition(": ")
    return Finding(subject, WRONG, text)


def _told(holder: str) -> str:
    if not holder:
        return "one with a status server of ours, perhaps the one that runs with these settings"
    return f"{holder}, whose status is served there; if these settings are of another one, it needs another port"


def _holder(how: Serving) -> str | None:
    """Return what the status server of ours that answers there calls itself, None when there is none.

    It is empty where the server asks for a password first: none is sent, since nobody knows to whom.
    """
    url = url_of(how.host, how.port)
    client = HttpClient()
    try:
        answer = fetch_json(client, f"{url}/ping", deadline_seconds=_DEADLINE)
        if answer != {"ping": "pong"}:
            return None
        asked = Strategy(id=url, name=url, url=url)
        seen = observe(asked, client=client, clock=SystemClock(), deadline_seconds=_DEADLINE)
    except FetchError:
        return None
    finally:
        client.close()
    return seen.verdict.executor_id or ""
