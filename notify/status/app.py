"""The status of a run as a WSGI app: what is served where, to whom, and what is said to those who get nothing."""

import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from notify import diagnostics
from notify.clock import Clock, SystemClock
from notify.exceptions import named
from notify.interruption import came_from_a_signal
from notify.plain import class_name
from notify.run_state import RunState
from notify.status import documents, health, metrics
from notify.status.asked import Asked, Busy
from notify.status.auth import CHALLENGE, Readers, readers
from notify.status.records import records
from notify.status.strict_json import dumps, plain

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
HEADERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)
"""On every answer. Any page may read what is served without credentials, and no browser sends them along."""
_METHODS = ("GET", "HEAD")
_LOGS_KEPT = 4.0  # times what it took to make them: however often they are asked for, they cost a fifth of a processor
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Answer(NamedTuple):
    """What is sent back.

    Args:
        status: what HTTP calls it.
        body: in full.
        content_type: of the body.
        headers: besides those that every answer has.
    """

    status: HTTPStatus
    body: bytes
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()


def make_app(
    run_state: RunState,
    *,
    logs: Callable[[], Iterable[object]] | None = None,
    stats: Callable[[], Mapping[str, Any]] | None = None,
    metadata: Mapping[str, object] | None = None,
    username: str | None = None,
    password: str | None = None,
    public_logs: bool = False,
    stale_after: float = 3600.0,
    redact_text: Callable[[str], str] | None = None,
    clock: Clock | None = None,
) -> "WSGIApplication":
    """Return a WSGI app that serves what is known of a run. It mounts anywhere, and is thread-safe.

    Args:
        run_state: the facts of the run.
        logs: returns the last log records, as `Notifier.records` does.
        stats: returns the counts of the delivery, as `Notifier.stats` does.
        metadata: what the program says of itself: name, short_description, long_description, icon_url, badges, tags,
            on_chain_data, fees. Read at each request.
        username: with *password*: who may see more than `/ping`.
        password: see *username*.
        public_logs: serve `/logs` also when there is no password.
        stale_after: seconds without progress after which `/healthz` says stale.
        redact_text: takes secrets out of each text that is served; by default what looks like a secret.
        clock: tells the time since the app was made.

    Raises `ValueError`, naming the variable, for a username without a password or the other way round.
    """
    admitted = readers(username, password)
    if redact_text is None:
        from notify.rules.redaction import Redactor  # most programs say what their secrets are

        redact_text = Redactor().text
    views = _Views(run_state, logs, stats, metadata or {}, stale_after, redact_text, clock or SystemClock())
    return _App(views, admitted, logs_are_served=public_logs or admitted is not None)


class _Views:
    """Makes the answers, one method a path."""

    def __init__(
        self,
        run_state: RunState,
        logs: Callable[[], Iterable[object]] | None,
        stats: Callable[[], Mapping[str, Any]] | None,
        metadata: Mapping[str, object],
        stale_after: float,
        redact: Callable[[str], str],
        clock: Clock,
    ) -> None:
        self._run_state = run_state
        self._logs = Asked(lambda: list(logs()) if logs is not None else [])
        self._stats = Asked(lambda: dict(stats()) if stats is not None else {})
        self._metadata = metadata
        self._stale_after = stale_after
        self._redact = redact
        self._clock = clock
        self._began = clock.monotonic()
        self._making_logs = threading.Lock()
        self._kept_logs: tuple[float, Answer] | None = None  # monotonic seconds until which they are good

    def ping(self) -> Answer:
        """Say that the process and what is in front of it are there."""
        return Answer(HTTPStatus.OK, b'{"ping": "pong"}')

    def status(self) -> Answer:
        """Tell all facts of the run."""
        return _json(HTTPStatus.OK, {**self._told(), "delivery": self._delivery()})

    def healthz(self) -> Answer:
        """Tell whether the run is well. Asks nobody, so that nobody can keep it from answering."""
        told = self._told(documents.OF_HEALTH)
        progress = self._run_state.seconds_without_progress()
        kind = documents.exception_type(self._run_state.exception)
        message = (told["exception"] or {}).get("exception_message")
        verdict = health.verdict(
            running=bool(told["executor_running"]),
            failed_of=named(kind, message) if isinstance(message, str) else None,
            progress=progress,
            age=self._clock.monotonic() - self._began,
            stale_after=self._stale_after,
        )
        status = HTTPStatus.OK if verdict.status == health.OK else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, documents.health(verdict, told, progress, self._stale_after))

    def metrics(self) -> Answer:
        """Tell Prometheus the numbers."""
        families = [
            *metrics.families_of_run(self._told(metrics.FACTS), self._run_state.crashes),
            *metrics.families_of_delivery(self._delivery() or {}),
        ]
        return Answer(HTTPStatus.OK, metrics.text(families), metrics.CONTENT_TYPE)

    def logs(self) -> Answer:
        """Tell the last log records. To search thousands for secrets takes a while, from the program, too."""
        if (kept := self._logs_at_hand()) is not None:
            return kept
        try:
            found = self._logs.get()
        except Busy:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the log records cannot be had at present")
        with self._making_logs:
            if (kept := self._logs_at_hand()) is not None:
                return kept
            began = self._clock.monotonic()
            made = _json(HTTPStatus.OK, records(found, self._redact))
            now = self._clock.monotonic()
            self._kept_logs = (now + _LOGS_KEPT * (now - began), made)
        return made

    def metadata(self) -> Answer:
        """Tell what the program says of itself."""
        return _json(HTTPStatus.OK, documents.metadata(self._metadata, self._told(), self._redact))

    def banner(self) -> Answer:
        """Tell people where they are."""
        name = self._metadata.get("name") or self._told(("executor_id",))["executor_id"] or "notify"
        name = _CONTROL.sub(" ", str(plain(name, self._redact)))
        text = f"{name}: status of this program, by notify\n\n" + "".join(f"{path}\n" for path in PATHS if path != "/")
        return Answer(HTTPStatus.OK, text.encode(), _TEXT)

    def _logs_at_hand(self) -> Answer | None:
        kept = self._kept_logs
        return kept[1] if kept is not None and self._clock.monotonic() < kept[0] else None

    def _told(self, only: Collection[str] = ()) -> dict[str, Any]:
        return documents.status(self._run_state.as_dict(), self._redact, only)

    def _delivery(self) -> dict[str, Any] | None:
        try:
            counts = self._stats.get()
        except Busy:
            return None
        except Exception as error:  # noqa: BLE001 - the facts of the run are told all the same
            diagnostics.report("status delivery", f"the counts of the delivery could not be had: {class_name(error)}")
            return None
        # Each by itself: the name of a backend, such as `webhook`, says nothing of what its counts are.
        return {str(plain(name, self._redact)): plain(each, self._redact) for name, each in counts.items()}


PATHS: dict[str, Callable[[_Views], Answer]] = {
    "/ping": _Views.ping,
    "/status": _Views.status,
    "/healthz": _Views.healthz,
    "/metrics": _Views.metrics,
    "/logs": _Views.logs,
    "/metadata": _Views.metadata,
    "/": _Views.banner,
}


class _App:
    """Decides who gets which answer, and sends it."""

    def __init__(self, views: _Views, admitted: Readers | None, *, logs_are_served: bool) -> None:
        self._views = views
        self._readers = admitted
        self._logs_are_served = logs_are_served

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO") or "/"
        try:
            answer = self._answer(path, environ)
        except BaseException as error:
            if came_from_a_signal(error):
                raise
            known = path if path in PATHS else "a path"
            diagnostics.report(f"status {known}", f"{known} could not be served: {class_name(error)}")
            answer = refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, "this is a defect of notify; its standard error says more"
            )
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            *HEADERS,
            *answer.headers,
        ]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]

    def _answer(self, path: str, environ: "WSGIEnvironment") -> Answer:
        if path != "/ping" and not self._is_admitted(environ.get("HTTP_AUTHORIZATION", "")):
            challenge = (("WWW-Authenticate", CHALLENGE),)
            return refusal(HTTPStatus.UNAUTHORIZED, "this needs a username and a password", challenge)
        view = PATHS.get(path)
        if view is None:
            return refusal(HTTPStatus.NOT_FOUND, f"there is nothing here; try {' '.join(PATHS)}")
        if environ.get("REQUEST_METHOD") not in _METHODS:
            allowed = (("Allow", ", ".join(_METHODS)),)
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this can only be read: GET or HEAD", allowed)
        if path == "/logs" and not self._logs_are_served:
            why = "logs are served with HTTP_USERNAME and HTTP_PASSWORD, or when HTTP_PUBLIC_LOGS is true"
            return refusal(HTTPStatus.FORBIDDEN, why)
        return view(self._views)

    def _is_admitted(self, authorization: str) -> bool:
        return self._readers is None or self._readers.admit(authorization)


def refusal(status: HTTPStatus, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return the answer to who gets nothing.

    Args:
        status: what HTTP calls it.
        reason: in words, of ours alone: nothing of the request is in it.
        headers: that belong to it.
    """
    return _json(status, {"error": status.phrase.lower(), "reason": reason}, headers)


def _json(status: HTTPStatus, document: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, dumps(document), headers=headers)
