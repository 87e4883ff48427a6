"""A status server as people and monitors see it: asked over HTTP, on a port of this machine."""

import base64
import http.client
import json
import socket
import time
from typing import Any

from services import free_ports

PATIENCE = 30.0  # seconds after which nobody is going to answer; a process that starts needs one


def free_port() -> int:
    """Return a port that nobody listens on."""
    return free_ports(1)[0]


def ask(port: int, path: str, *, user: str = "") -> tuple[int, bytes]:
    """Return the status and the body of the answer to a GET; *user* is `name:password`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def read(port: int, path: str = "/status", *, user: str = "") -> Any:
    """Return the JSON that is served there, whatever the status of the answer."""
    return json.loads(ask(port, path, user=user)[1])


def wait_until_served(port: int, *, running: bool | None = None, user: str = "") -> dict[str, Any]:
    """Wait for the server, and until the program runs or does not when that is asked, and return its `/status`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            status: dict[str, Any] = read(port, user=user)
            if running is None or status["executor_running"] is running:
                return status
        except (OSError, http.client.HTTPException):  # nobody yet, or somebody who dies while he answers
            pass
        assert time.monotonic() < deadline, "nobody serves that"
        time.sleep(0.02)


def is_served(port: int) -> bool:
    """Say whether anybody listens there."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
