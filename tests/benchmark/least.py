"""The least that JSON over UDP and over TCP takes: bare handlers, to see how much of what ours cost could go at all."""

import collections
import functools
import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from notify.rules.secret_search import SecretSearch

_BURST = 54  # datagrams, as many as fit one of ours
_BATCH = 256  # records otherwise
_TOGETHER = 16  # messages that are searched for secrets at once
_LOOK_EVERY = 0.05  # seconds, as long as our dispatcher sleeps
_UDP_SEGMENT = 103
_SCALARS = frozenset({str, int, float, bool, type(None)})
_STANDARD = len(logging.makeLogRecord({}).__dict__)

Document = dict[str, Any]
Send = Callable[[Sequence[bytes]], None]


class _Copy(NamedTuple):
    """What a document is made of."""

    created: float
    msecs: float
    template: str
    args: tuple[object, ...]
    path: str
    level: str
    logger: str
    extras: Document


def handler(kind: str, port: int, *, rest: float = 0.0, careful: bool = False) -> logging.Handler:
    """Return a handler that does no more than it must: a document for each record, in the order of python-logstash's.

    It has no bounds and no routes, and loses all when the socket fails.

    Args:
        kind: `udp` or `tcp`.
        port: of the loopback interface.
        rest: seconds between bursts of 54 datagrams, each of which is sent in one call, as ours are; 0: datagrams one
            by one, without a rest.
        careful: copy what may change later on the caller's thread, and search for secrets.
    """
    import orjson

    sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", port))
    send = _lines(sender) if kind == "tcp" else _bursts(sender, rest) if rest else _datagrams(sender)
    waiting: collections.deque[Any] = collections.deque()
    hint = SecretSearch(["a known secret"]).hint
    made = logging.NullHandler()
    made.handle = (lambda record: waiting.append(_copied(record))) if careful else waiting.append

    def run() -> None:
        while True:
            time.sleep(_LOOK_EVERY)
            while waiting:
                taken = [waiting.popleft() for _ in range(min(_BURST if rest else _BATCH, len(waiting)))]
                documents = list(map(_document_of_copy if careful else _document, taken))
                for group in range(0, len(documents), _TOGETHER) if careful else ():
                    hint("\n".join(_texts(documents[group : group + _TOGETHER])))
                send([orjson.dumps(each) for each in documents])

    threading.Thread(target=run, daemon=True).start()
    return made


def _copied(record: logging.LogRecord) -> _Copy:
    attributes = record.__dict__
    extras = {name: _scalar(attributes[name]) for name in itertools.islice(attributes, _STANDARD, None)}
    args = tuple(map(_scalar, record.args))
    parts = (record.created, record.msecs, record.msg, args, record.pathname, record.levelname, record.name, extras)
    return tuple.__new__(_Copy, parts)


def _scalar(value: object) -> object:
    return value if type(value) in _SCALARS else repr(value)


@functools.cache
def _second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


def _document(record: logging.LogRecord) -> Document:
    document = {
        "@timestamp": f"{_second(int(record.created))}.{int(record.msecs):03d}Z",
        "@version": "1",
        "message": record.getMessage(),
        "host": "host",
        "path": record.pathname,
        "type": "logstash",
        "level": record.levelname,
        "logger_name": record.name,
    }
    attributes = record.__dict__
    for name in itertools.islice(attributes, _STANDARD, None):
        document[name] = attributes[name]
    return document


def _document_of_copy(copy: _Copy) -> Document:
    created, msecs, template, args, path, level, logger, extras = copy
    return {
        "@timestamp": f"{_second(int(created))}.{int(msecs):03d}Z",
        "@version": "1",
        "message": template % args if args else template,
        "host": "host",
        "path": path,
        "type": "logstash",
        "level": level,
        "logger_name": logger,
        **extras,
    }


def _texts(documents: Sequence[Document]) -> list[str]:
    """Return what differs from one to the next, as long as it is text."""
    found = []
    for document in documents:
        found.append(document["message"])
        found += [value for value in itertools.islice(document.values(), 8, None) if type(value) is str]
    return found


def _lines(sender: socket.socket) -> Send:
    return lambda lines: sender.sendall(b"\n".join(lines) + b"\n")


def _datagrams(sender: socket.socket) -> Send:
    def send(lines: Sequence[bytes]) -> None:
        for each in lines:
            sender.send(each)

    return send


def _bursts(sender: socket.socket, rest: float) -> Send:
    next_at = 0.0

    def send(lines: Sequence[bytes]) -> None:
        nonlocal next_at
        size = max(map(len, lines))
        even = [each[:-1].ljust(size - 1) + b"}" for each in lines]
        time.sleep(max(0.0, next_at - time.monotonic()))
        sender.sendmsg(even, [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("H", size))])
        next_at = time.monotonic() + rest

    return send
