"""No secret leaves: canaries through every fault of the network, with everything logged at DEBUG.

A program has secrets in its secrets file and in its environment, says them in every way a program can, and its webhook
is broken in one way after the other. Whatever comes out of it is searched: standard output and error, what is on disk,
what the servers were sent.
"""

import base64
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from urllib.parse import quote

import pytest
from children import ENDING, environment
from raw_server import answering, breaking_off, dripping, raw, silent

pytestmark = pytest.mark.process

# They look like nothing: only the file and the names of the variables tell that they are secrets.
TOKEN = "canary-of-the-webhook"
IN_FILE = "canary of/the file: 'ä\""
IN_ENVIRONMENT = "canary of the environment"
BOT = "canary-of-the-bot-that-is-not-there"
SERVICE = "canary-of-the-service-of-apprise"
CANARIES = (TOKEN, IN_FILE, IN_ENVIRONMENT, BOT, SERVICE)

PROGRAM = """
    import base64, json, logging, os, sys
    from urllib.parse import quote
    import notify

    logging.getLogger().setLevel(logging.DEBUG)
    if "leaking" in sys.argv:  # the control: what is searched here must be able to show a secret
        from notify.rules.redaction import Redactor
        Redactor.event = lambda self, event: event
    notifier = notify.setup(env_file=sys.argv[1])
    values = notify.env_file.read_env_file(sys.argv[1])
    said = [values["DATABASE"], os.environ["RPC_PASSWORD"], values["DISCORD_WEBHOOK_URL"]]
    said += [values[name] for name in ("TELEGRAM_API_KEY", "APPRISE_URLS") if name in values]
    for secret in said:
        in_base64 = base64.b64encode(secret.encode()).decode()
        spellings = [secret, quote(secret), in_base64, json.dumps(secret), repr(secret)]
        for text in spellings:
            logging.getLogger("strategy").trade("with %s in it", text, extra={"where": {"deep": [text]}})
            notifier.notify(f"{text}", body=f"a\\n{text}", level=50, topic="crash", key=text, fields={"value": text})
            notifier.trade("file", attachments=[notify.Attachment(f"{text}.txt", text.encode())])
        try:
            local = secret
            raise ConnectionError(f"cannot reach {secret}") from ValueError(secret)
        except ConnectionError as error:
            error.add_note(secret)
            logging.getLogger("strategy").exception("failed")
            notify.report_crash(error)
    print("stats", notifier.stats())
    notifier.close(1.5)
    print("stats", notifier.stats())
    print("pending", sum(counts.get("pending", 0) for counts in notifier.stats().values()))
"""


def answer(status: int, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


FAULTS = {
    "healthy": answering(answer(200, b"{}")),
    "hangs": silent,
    "drips": dripping(b"HTTP/1.1 200 OK\r\n"),
    "resets": breaking_off(b""),
    "breaks off": breaking_off(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"),
    "talks rubbish": breaking_off(b"\x00\xff canary \r\n\r\n"),
    "redirects": answering(answer(302, b"", f"Location: http://127.0.0.1:1/{TOKEN}")),
    "echoes in a 400": answering(answer(400, json.dumps({"message": f"bad {TOKEN}", "code": 50035}).encode())),
    "says 401": answering(answer(401, json.dumps({"message": f"no {TOKEN}"}).encode())),
    "says 404": answering(answer(404, b'{"message": "Unknown Webhook", "code": 10015}')),
    "says 413": answering(answer(413, b"")),
    "says 429": answering(answer(429, b'{"retry_after": 60, "global": false}', "Retry-After: 60")),
    "is banned by Cloudflare": answering(answer(429, b"<html>banned</html>")),
    "says 500": answering(answer(500, b"<html>no</html>")),
}

# With a bot of Telegram's and a service of Apprise's at the same server.
MORE_FAULTS = {
    "healthy": FAULTS["healthy"],
    "hangs": FAULTS["hangs"],
    "resets": FAULTS["resets"],
    "echoes in a 400": answering(
        answer(
            400, json.dumps({"ok": False, "error_code": 400, "description": f"bad /bot1:{BOT}/sendMessage"}).encode()
        )
    ),
    "says 401": answering(
        answer(401, json.dumps({"ok": False, "error_code": 401, "description": f"no {BOT}"}).encode())
    ),
}


class Told:
    """Everything that came out of a program."""

    def __init__(self, stdout: bytes, stderr: bytes, disk: bytes, bodies: bytes, datagrams: bytes) -> None:
        self.places = {"stdout": stdout, "stderr": stderr, "disk": disk, "bodies": bodies, "datagrams": datagrams}

    def leaks(self) -> list[tuple[str, str]]:
        return [
            (place, spelling)
            for place, content in self.places.items()
            for canary in CANARIES
            for spelling in spellings(canary)
            if spelling.encode() in content
        ]


def spellings(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]  # the last character depends on what follows


@contextmanager
def datagrams() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        receiver.setblocking(False)
        yield receiver


def run(
    tmp_path: Path, authority: str, receiver: socket.socket, *more: str, settings: str = ""
) -> tuple[bytes, bytes, bytes, bytes]:
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text(
        f"DISCORD_WEBHOOK_URL=http://{authority}/api/webhooks/1/{TOKEN}\n"
        f"DATABASE={json.dumps(IN_FILE, ensure_ascii=False)}\n"
        f"LOGSTASH_SERVER=127.0.0.1:{receiver.getsockname()[1]}\nDISCORD_LEVEL=DEBUG\nLOGSTASH_LEVEL=DEBUG\n"
        "NOTIFY_DURABLE_LEVEL=DEBUG\nLOG_LEVEL=DEBUG\nNOTIFY_STDOUT=text\n"
        f"{settings}"
    )
    state = tmp_path / "state"
    ended = subprocess.run(
        [sys.executable, "-c", dedent(PROGRAM), secrets, *more],
        capture_output=True,
        timeout=ENDING,
        env=environment(NOTIFY_STATE_DIR=str(state), RPC_PASSWORD=IN_ENVIRONMENT),
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"pending" in ended.stdout
    disk = b"".join(path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file())
    sent = b""
    while True:
        try:
            sent += receiver.recv(65536)
        except BlockingIOError:
            break
    return ended.stdout, ended.stderr, disk, sent


def bodies(read: bytes) -> bytes:
    """Return what requests held besides their first lines, where tokens belong."""
    return re.sub(rb"(POST|GET) /(api/v10/webhooks/1|bot4711000001|service)\S+ HTTP/1\.1\r\n", b"", read)


def told(tmp_path: Path, fault: str, *more: str) -> Told:
    with raw(FAULTS[fault]) as server, datagrams() as receiver:
        stdout, stderr, disk, sent = run(tmp_path, server.authority, receiver, *more)
        return Told(stdout, stderr, disk, bodies(server.read), sent)


def told_to_more(tmp_path: Path, fault: str) -> Told:
    with raw(MORE_FAULTS[fault]) as server, datagrams() as receiver:
        settings = (
            f"TELEGRAM_API_KEY=4711000001:{BOT}\nTELEGRAM_CHAT_ID=-5\nTELEGRAM_API_BASE=http://{server.authority}\n"
            f"TELEGRAM_LEVEL=DEBUG\nTELEGRAM_TOPICS=!none\nAPPRISE_LEVEL=DEBUG\n"
            f"APPRISE_URLS=json://user:{SERVICE}@{server.authority}/service/{SERVICE}?rto=0.5\n"
        )
        stdout, stderr, disk, sent = run(tmp_path, server.authority, receiver, settings=settings)
        return Told(stdout, stderr, disk, bodies(server.read), sent)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_secret_leaves_whatever_the_server_does(tmp_path: Path, fault: str) -> None:
    found = told(tmp_path, fault)

    assert found.leaks() == []
    assert b"with [redacted] in it" in found.places["stdout"]
    assert found.places["datagrams"]


@pytest.mark.parametrize("fault", MORE_FAULTS)
def test_no_secret_of_a_bot_or_a_service_leaves(tmp_path: Path, fault: str) -> None:
    found = told_to_more(tmp_path, fault)

    assert found.leaks() == []
    assert b"'telegram': {'accepted'" in found.places["stdout"]
    assert b"'apprise': {'accepted'" in found.places["stdout"]


def test_no_secret_leaves_when_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"127.0.0.1:{taken.getsockname()[1]}"
    with datagrams() as receiver:
        stdout, stderr, disk, sent = run(tmp_path, closed, receiver)

    assert Told(stdout, stderr, disk, b"", sent).leaks() == []
    assert b"connection refused" in stderr


def test_what_is_searched_shows_a_secret_that_is_not_redacted(tmp_path: Path) -> None:
    healthy = told(tmp_path, "healthy", "leaking")
    places = {place for place, _ in healthy.leaks()}
    (tmp_path / "hangs").mkdir()
    hanging = told(tmp_path / "hangs", "hangs", "leaking")

    assert places >= {"stdout", "bodies", "datagrams"}
    assert "disk" in {place for place, _ in hanging.leaks()}
