"""The status servers of a fleet, all in one: their answers can be changed, and when each was asked is known."""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

OK = "ok"
CRASHED = "crashed"
FROZEN = "frozen"
FAILING = "answers with HTTP 500"
HANGING = "hangs"
RESETTING = "closes the connection"
REFUSING = "is not there"  # decided when the list is made: it gets a port that nobody listens on


class StrategyServer:
    """Serves `/<id>/status` of every strategy on loopback.

    Args:
        behaviours: by id, and may be changed at any time.
        interval: of the entries of the list, None for those without.
    """

    def __init__(self, behaviours: Mapping[str, str], *, interval: float | None = None) -> None:
        self.behaviours = dict(behaviours)
        self.asked: dict[str, list[float]] = {name: [] for name in behaviours}  # monotonic seconds
        self._interval = interval
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def list(self) -> str:
        """Return what TS_PUBLIC_STRATEGIES is to be."""
        entries = []
        for name, behaviour in self.behaviours.items():
            port = 1 if behaviour == REFUSING else self.port
            entry = {"id": name, "name": name.title(), "url": f"http://127.0.0.1:{port}/{name}"}
            entries.append(entry if self._interval is None else {**entry, "interval": self._interval})
        return json.dumps(entries)

    async def _end(self) -> None:
        self._server.close()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # A cancelled task would have asyncio complain.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        name = request.split(b" ")[1].decode().split("/")[1]
        self.asked[name].append(time.monotonic())
        behaviour = self.behaviours[name]
        if behaviour == HANGING:
            await reader.read()  # until the client goes away
        if behaviour in (HANGING, RESETTING):
            return
        body = json.dumps(_status(behaviour)).encode()
        head = "500 Internal Server Error" if behaviour == FAILING else "200 OK"
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


def _status(behaviour: str) -> dict[str, object]:
    crashed = behaviour == CRASHED
    return {
        "executor_running": not crashed,
        "exception": {"exception_message": "Boom"} if crashed else None,
        "last_refreshed_at": time.time(),
        "frozen_positions": int(behaviour == FROZEN),
    }
