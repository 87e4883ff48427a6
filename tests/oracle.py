"""The crash oracle: many lives of one program, a server that misbehaves, and what must be true in the end.

judge(lives, arrivals)     what was said to be on disk, against what arrived
chain(directory, …)        lives one after the other on one state directory, and the last of them in peace
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random

from oracle_child import Life
from oracle_server import Arrival, StandIn

# How the server may treat a life: well more often than not, or what waits would only ever grow.
MODES = ("well", "well", "well", "500", "reset", "hang", "429")
# How a life may end: mostly killed by its parent at any moment.
KILLS = (*["SIGKILL"] * 16, "SIGTERM", "exit", "abort", "segfault", "server", "server")
_ENDED = {"exit": 7, "abort": -signal.SIGABRT, "segfault": -signal.SIGSEGV, "server": -signal.SIGKILL, "close": 0}


@dataclass(frozen=True)
class Lived:
    """What is known of one life.

    Args:
        durable: the numbers that it said were on disk.
        others: that may have arrived as well, or not.
        killed: whether it did not end in peace.
    """

    durable: tuple[int, ...]
    others: tuple[int, ...] = ()
    killed: bool = True


@dataclass
class Verdict:
    """What became of everything; a good one has nothing in the four lists.

    Args:
        kills: lives that did not end in peace.
        durable: events that were said to be on disk.
        delivered: events that arrived.
        repeated_by_kill: messages that came twice because their sender died without knowing that they had arrived.
        repeated_by_reset: the same, because the connection was reset.
        lost: said to be on disk, and not arrived.
        unknown: arrived, and never sent.
        repeated: came again although their sender had been told that they had arrived.
        disordered: came after a later one.
    """

    kills: int = 0
    durable: int = 0
    delivered: int = 0
    repeated_by_kill: int = 0
    repeated_by_reset: int = 0
    lost: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    disordered: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """Show counts, and only the first few numbers of what is wrong."""
        return ", ".join(
            f"{name} {len(value)} {value[:10]}" if isinstance(value, list) else f"{name} {value}"
            for name, value in vars(self).items()
        )

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.unknown or self.repeated or self.disordered)


def judge(lives: Sequence[Lived], arrivals: Sequence[Arrival]) -> Verdict:
    """Compare what was promised with what came."""
    promised = {number for life in lives for number in life.durable}
    possible = promised | {number for life in lives for number in life.others}
    seen: dict[int, int] = {}  # by number, the index of the last arrival with it
    verdict = Verdict(kills=sum(life.killed for life in lives), durable=len(promised))
    last_of = {arrival.life: index for index, arrival in enumerate(arrivals)}
    by_reset, by_kill = set(), set()
    for index, arrival in enumerate(arrivals):
        for number in arrival.numbers:
            if number in seen:
                cause = seen[number]
                before = arrivals[cause]
                if before.reset:
                    by_reset.add(cause)
                elif lives[before.life].killed and cause == last_of[before.life]:
                    by_kill.add(cause)  # so there is one for each kill at most
                else:
                    verdict.repeated.append(number)
        latest = max(seen, default=0)
        for number in arrival.numbers:
            if number not in seen and number < latest:
                verdict.disordered.append(number)
            latest = max(latest, number)
        seen |= dict.fromkeys(arrival.numbers, index)
    verdict.repeated_by_reset, verdict.repeated_by_kill = len(by_reset), len(by_kill)
    verdict.delivered = len(seen)
    verdict.lost = sorted(promised - seen.keys())
    verdict.unknown = sorted(seen.keys() - possible)
    return verdict


def total(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the sum of *verdicts*."""
    first, *others = verdicts
    for other in others:
        first = Verdict(**{name: value + getattr(other, name) for name, value in vars(first).items()})
    return first


def chain(
    directory: Path,
    count: int,
    chance: Random,
    *,
    outbox: str = "on",
    modes: Sequence[str] = MODES,
    kills: Sequence[str] = KILLS,
    fresh: int = 0,
) -> Verdict:
    """Have *count* lives killed one after the other, and the next one deliver what they left.

    Args:
        directory: the state directory.
        count: of lives that are killed.
        chance: makes every choice.
        outbox: of every life but the last, see `Life`.
        modes: of the server.
        kills: ways to end.
        fresh: each how manieth life has an interpreter of its own; 0 for none.
    """
    with world(directory.with_suffix(".stderr")) as one:
        for index in range(count):
            mode, kill = chance.choice(modes), chance.choice(kills)
            own = bool(fresh) and index % fresh == 0
            life = Life(
                str(directory),
                one.server.url,
                end="signal" if kill.startswith("SIG") else kill,
                signal=getattr(signal, kill, 0),
                # A fork has set up after 20 ms, an interpreter after 200, on a busy machine twice that.
                after=chance.uniform(0.1, 0.5) if own else chance.uniform(0.0, 0.12),
                at=chance.randint(1, 3) if kill == "server" else chance.randint(1, 40),
                count=60,
                pause=chance.choice((0.0, 0.001, 0.003)),
                outbox=outbox,
                fresh=own,
            )
            one.live(life, "well" if kill == "server" else mode)
        one.live(Life(str(directory), one.server.url, "close", fresh=True))
        return one.verdict()


class World:
    """The server, the parent of all lives, and what is known of those."""

    def __init__(self, server: "StandIn", parent: "subprocess.Popen[str]", complaints: Path) -> None:
        self.server = server
        self.lives: list[Lived] = []
        self.calls = 0
        """That touched the disk in the last life, if it counted them."""
        self._parent = parent
        self._complaints = complaints
        self._next = 1

    def verdict(self) -> Verdict:
        """Return what became of everything so far."""
        return judge(self.lives, self.server.arrivals)

    def live(self, life: Life, *modes: str) -> None:
        """Have *life* lived from the next number on, while the server is in *modes*, `well` by default."""
        life = replace(life, first=self._next)
        self.server.begin(len(self.lives), modes or ("well",), dies_at=life.at if life.end == "server" else 0)
        said: dict[str, list[int]] = {"durable": [], "memory": [], "pid": [], "ended": [], "calls": []}
        self._parent.stdin.write(json.dumps(asdict(life)) + "\n")
        self._parent.stdin.flush()
        while not said["ended"]:
            what, number = self._parent.stdout.readline().split()
            said[what].append(int(number))
            if what == "pid":
                self.server.victim.put(int(number))
        self.server.settle()
        (status,) = said["ended"]
        expected = -signal.SIGKILL if life.end == "disk" else _ENDED.get(life.end, -life.signal)
        peaceful = status == 0 and life.end in ("close", "disk")
        complained = f"{life} ended with {status}: {self._complaints.read_text()[-2000:]}"
        assert peaceful or status == expected, complained
        last = max(said["durable"] + said["memory"], default=self._next - 1)
        self.calls = sum(said["calls"])
        # One more may have been written, and not said any more. So its number is not used again.
        others = (*said["memory"], last + 1) if life.count else ()
        self.lives.append(Lived(tuple(said["durable"]), others, killed=not peaceful))
        self._next = last + 2


@contextmanager
def world(complaints: Path) -> Iterator[World]:
    """Have a server and a parent of lives while the context lasts. What the lives say on stderr is at *complaints*."""
    program = [sys.executable, str(Path(__file__).with_name("oracle_child.py"))]
    with (
        complaints.open("w") as stderr,
        StandIn() as server,
        subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        ) as parent,
    ):
        try:
            yield World(server, parent, complaints)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)  # with its child, if the test has failed in the middle of a life
