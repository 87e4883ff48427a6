"""The program that the crash oracle kills: it notifies numbered events, and says each number once that is on disk.

Run without arguments it is the parent of such programs. It reads a life per line from standard input, begins it, ends
it if that is its part, and says how it ended. A child has the same standard output, so that all lines are in order.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

GRACE = 30  # seconds after which a life ends that nothing else has ended; it needs one or two


@dataclass(frozen=True)
class Life:
    """What one process does until its end.

    Args:
        state: the state directory.
        url: of the webhook.
        end: how it ends: `signal` of its parent, `server` by the stand-in's hand, `disk` in the middle of a call that
            touches the disk, a key of `ENDS` by itself, or `close` in peace, once everything is delivered.
        signal: the one that the parent sends.
        after: seconds from the start to that signal.
        at: the event, the call or the message, counted from one, at which it ends otherwise.
        torn: a write that it ends at is half done.
        first: the first event's number.
        count: of events.
        pause: seconds between them.
        outbox: `on`, `off`, or `hasty`: takes for delivered what is about to be sent.
        fresh: in an interpreter of its own instead of a fork of one that has imported everything.
    """

    state: str
    url: str
    end: str
    signal: int = 0
    after: float = 0.0
    at: int = 0
    torn: bool = False
    first: int = 1
    count: int = 0
    pause: float = 0.0
    outbox: str = "on"
    fresh: bool = False


ENDS = {
    "exit": lambda: os._exit(7),  # a number that nothing else ends with
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
}


def say(*words: object) -> None:
    """Write a line by one call, so that no kill cuts it in two."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def live(life: Life) -> int:
    """Return the exit status, if it comes to that."""
    signal.alarm(GRACE)
    if life.outbox == "hasty":
        acknowledge_before_sending()
    if life.end == "disk":
        sys.path.append(str(Path(__file__).parent))  # which PYTHONSAFEPATH keeps off
        from disk_calls import die_at  # ctypes into SQLite: not for the others

        calls = die_at(life.at, life.state, torn=life.torn)
    import notify

    notifier = notify.setup(
        env={
            "DISCORD_WEBHOOK_URL": life.url,
            "EXECUTOR_ID": "oracle",
            "NOTIFY_STATE_DIR": life.state,
            "NOTIFY_STDOUT": "off",
            "NOTIFY_DURABLE_LEVEL": "off" if life.outbox == "off" else "TRADE",
        }
    )
    for index in range(1, life.count + 1):
        number = life.first + index - 1
        ticket = notifier.trade(f"Bought lot {number}")
        say("durable" if ticket.durable or life.outbox == "off" else "memory", number)
        if index == life.at and life.end in ENDS:
            ENDS[life.end]()
        time.sleep(life.pause)
    if life.end in ("close", "disk"):
        delivered = notifier.flush(GRACE)
        notifier.close()
        if life.end == "disk":
            say("calls", calls())
        return 0 if delivered else 1
    while True:  # in short sleeps: a signal that comes just before a pause is handled after it
        time.sleep(0.01)


def acknowledge_before_sending() -> None:
    """Make the mistake that the oracle is to find."""
    from notify.delivery import lane, outbox

    attempt = lane.attempt

    class Hasty(outbox.Outbox):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            lane.attempt = self.attempt

        def attempt(self, backend, events):
            self.delivered("discord", [event.id for event in events])
            return attempt(backend, events)

    outbox.Outbox = Hasty


def begin(life: Life) -> int:
    """Return the process id of what lives it."""
    if life.fresh:
        return os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, __file__, json.dumps(asdict(life))])
    pid = os.fork()
    if pid == 0:
        status = 70  # after an error that Python tells on stderr
        try:
            status = live(life)
        finally:
            os._exit(status)
    return pid


def be_parent() -> None:
    """Live what standard input tells, one life after the other."""
    import requests  # noqa: F401 - with what else a fork need not import again

    import notify.backends.discord
    import notify.delivery.outbox
    import notify.rules.redaction  # noqa: F401

    for line in sys.stdin:
        life = Life(**json.loads(line))
        pid = begin(life)
        say("pid", pid)
        if life.end == "signal":
            time.sleep(life.after)
            os.kill(pid, life.signal)  # nobody has waited for it, so the number is still its own
        say("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if len(sys.argv) > 1:
        sys.exit(live(Life(**json.loads(sys.argv[1]))))
    be_parent()
