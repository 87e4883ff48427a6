"""`notify dashboard`: a page with all strategies, on a web server of its own."""

import importlib
import signal
import sys

from notify import settings
from notify.backends.http import is_loopback
from notify.bootstrap import redactor
from notify.cli.strategies import counted, credentials, listed, need_network
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.fleet.dashboard.serve import serving
from notify.settings import Settings
from notify.status.serving import readers

_PACKAGES = ("jinja2", "werkzeug")
_OPTION_OF = {settings.HTTP_HOST.name: "--host", settings.HTTP_PORT.name: "--port"}


def serve_dashboard(env: Environment, *, host: str, port: int, interval: float, auth: bool) -> None:
    """Serve the page until SIGTERM or Ctrl-C.

    Raises `ConfigError` when a setting is unusable, nothing can listen there, or packages are missing.
    """
    missing = [name for name in _PACKAGES if not _is_installed(name)]
    if missing:
        raise ConfigError(f"this needs {' and '.join(missing)}: pip install 'executor-notify[dashboard]'")
    config = Settings(env)
    admitted = readers(config)
    sent = credentials(config) if auth else None
    need_network(config, "no strategy could be looked at")
    strategies = listed(config)
    # Before there are threads, which inherit it: the signal then waits for `sigwait`, whichever thread it comes to.
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with serving(
            strategies,
            host=host,
            port=port,
            interval=interval,
            max_age=config.get(settings.NOTIFY_STALE_AFTER),
            state_dir=settings.state_dir(config),
            readers=admitted,
            credentials=sent,
            redact=redactor(config).text,
        ) as server:
            if admitted is None and not is_loopback(host):
                _say(f"everybody who reaches {host} can see it; HTTP_USERNAME and HTTP_PASSWORD have it ask for them")
            _say(f"{counted(strategies)} at {server.url}/strategies (Ctrl-C ends it)")
            signal.sigwait(signals)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)  # a second Ctrl-C ends it at once
    except ConfigError as error:
        raise ConfigError(_by_option(str(error))) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def _say(text: str) -> None:
    print(f"notify: {text}", file=sys.stderr, flush=True)


def _by_option(text: str) -> str:
    """Return an error of the server with the option in place of the variable that the status server has it from."""
    name, colon, rest = text.partition(": ")
    return f"{_OPTION_OF.get(name, name)}{colon}{rest}"
