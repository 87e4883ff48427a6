"""Icons of strategies, got by this program, so that no browser of an operator asks strangers for anything."""

import hashlib
import ipaddress
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from notify import diagnostics
from notify.backends.http import HttpClient
from notify.clock import Clock
from notify.errors import RetryLater
from notify.fleet.dashboard.reading import read_metadata
from notify.fleet.fetch import DEADLINE, Credentials, FetchError, fetch_json
from notify.fleet.strategies import Strategy
from notify.plain import class_name
from notify.threads import Worker

_MOST_BYTES = 512 * 1024  # of an icon: trade-executor's own has 314 kB
_MOST_ALL = 16 * 2**20  # bytes of all icons
_AGAIN = 86_400.0  # seconds after which an icon is got again
_RETRY = 600.0  # seconds, where there was none
_LOOK_EVERY = 5.0  # seconds between looks at who has answered meanwhile
_LONGEST = 2048  # characters of a URL
# By their first bytes, whatever a server calls them. SVG is left out: it is a document, with scripts and links.
_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


class Icon(NamedTuple):
    """A picture.

    Args:
        content_type: one of PNG, JPEG, GIF and WebP.
        content: its bytes.
    """

    content_type: str
    content: bytes


class Icons:
    """Gets the icon that each strategy names in `/metadata`, one after the other, and keeps them. Thread-safe.

    Args:
        strategies: whose icons.
        answers: says of a strategy whether it is worth asking.
        credentials: for strategies that ask for them; sent to nobody else.
        clock: tells when to ask again.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        *,
        answers: Callable[[Strategy], bool],
        credentials: Credentials | None = None,
        clock: Clock,
    ) -> None:
        self._strategies = tuple(strategies)
        self._answers = answers
        self._credentials = credentials
        self._clock = clock
        self._changed = threading.Condition()
        self._closing = False
        self._due: dict[str, float] = {}  # by strategy: when to ask, in monotonic seconds
        self._names: dict[str, str] = {}  # by strategy: which icon
        self._icons: dict[str, Icon] = {}  # by a digest of their content: many strategies have the same one
        self._worker: Worker | None = None

    def start(self) -> None:
        """Begin to look."""
        self._worker = Worker("icons", self._look_on)

    def close(self) -> None:
        """Stop. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(1.0)  # seconds; a look at hand ends by itself at its deadline

    def name_of(self, strategy: str) -> str:
        """Return the name of the icon of the strategy with this id; empty: it has none."""
        if self._worker is not None:
            self._worker.revive()  # the system may have refused its thread
        return self._names.get(strategy, "")

    @property
    def count(self) -> int:
        """How many strategies have one."""
        return len(self._names)

    def get(self, name: str) -> Icon | None:
        """Return the icon called *name*."""
        return self._icons.get(name)

    def _look_on(self) -> None:
        client = HttpClient()
        while not self._closing:
            for strategy in self._strategies:
                if self._closing:
                    break
                if self._due.get(strategy.id, 0.0) <= self._clock.monotonic() and self._answers(strategy):
                    self._look(strategy, client)
            deadline = self._clock.monotonic() + _LOOK_EVERY
            with self._changed:
                if not self._closing:
                    self._clock.wait_until(self._changed, deadline)
        client.close()

    def _look(self, strategy: Strategy, client: HttpClient) -> None:
        icon = None
        try:
            icon = fetch_icon(strategy, client, self._credentials)
        except (FetchError, RetryLater):
            pass  # its initials are shown, and what is wrong with it stands on its own page
        except Exception as error:  # noqa: BLE001 - the other icons must come all the same
            diagnostics.report("icon", f"the icon of a strategy could not be had: {class_name(error)}")
        self._due[strategy.id] = self._clock.monotonic() + (_RETRY if icon is None else _AGAIN)
        if icon is None:
            return
        name = hashlib.sha256(icon.content).hexdigest()[:12]
        if name in self._icons or sum(len(each.content) for each in self._icons.values()) <= _MOST_ALL:
            self._icons[name] = icon
            self._names[strategy.id] = name


def fetch_icon(strategy: Strategy, client: HttpClient, credentials: Credentials | None = None) -> Icon | None:
    """Return the icon that *strategy* names in its `/metadata`, None when there is none that can be shown.

    Raises `FetchError` or `RetryLater` when nothing comes.
    """
    url = read_metadata(fetch_json(client, f"{strategy.url}/metadata", credentials=credentials)).icon_url
    its_own = _origin(url) == _origin(strategy.url)
    if not its_own and not is_public(url):
        return None
    headers = {"Accept": "image/*", "Connection": "close"}
    if its_own and credentials is not None:
        headers["Authorization"] = credentials.header()
    answer = client.get(url, headers=headers, deadline_seconds=DEADLINE, max_body=_MOST_BYTES + 1)
    if answer.status != 200 or len(answer.body) > _MOST_BYTES:
        return None
    kind = _kind(answer.body)
    return Icon(kind, answer.body) if kind else None


def is_public(url: str) -> bool:
    """Say whether *url* may be asked for because a stranger says so: https, and a name that others know, too.

    A strategy must not have this program ask the machines around it: no addresses, no names without a dot.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or "@" in parts.netloc or len(url) > _LONGEST or port not in (None, 443):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
        return "." in host.strip(".") and not last.isdigit() and last not in ("local", "internal", "localhost")
    return False


def _origin(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.scheme, parts.netloc.lower()) if parts.scheme in ("http", "https") else None


def _kind(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _KINDS if content.startswith(beginning)), "")
