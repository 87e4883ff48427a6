"""What the file of a run says: a line of JSON when it begins, and one for each thing that is to be known of its end.

A line is added by one write, so that it is there whole or not at all, whatever the process dies of, and whoever
interrupts whom. The second line alone, of what is known of the run, has a length that never changes, and is written
over by one write. Nothing is flushed: a power cut in the first half minute of a run may leave an empty file.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from notify.clip import clip
from notify.crash.identity import Process
from notify.plain import clean

DIRECTORY = "runs"
"""Of the files of all runs, in the state directory."""

MOST = 16_384
"""Bytes that are read of such a file, which has less than a thousand."""

LATEST = 253_402_300_799
"""Epoch seconds of the end of the year 9999, after which there are no dates."""

CRASH_REPORTED = b'{"crash_reported": true}\n'
GOES_ON = b'{"goes_on": true}\n'
ENDED = b'{"ended": true}\n'

_VERSION = 1
_FACTS = 512  # bytes of the second line: two facts of four bytes a code point, and their names
_FACT = 50  # code points of one of its values
_NAME = re.compile(r"([0-9]{1,10})-[0-9a-f]{8}\.json")
_PROGRAM = 200  # code points
_BOOT_ID = 100  # code points


class NewerVersion(ValueError):
    """A later version of this package wrote it; it will know what to make of it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program.

    Args:
        program: what it is called.
        process: that runs it.
        started_at: UTC epoch seconds.
        boot_id: of the machine's start, None where the system does not say.
        supervisor: the process that starts it and outlives it, if it is started by one.
        crash_reported: whether it has reported a crash itself, and not gone on since.
        ended: whether it has come to an orderly end.
        version: of the program, as it has said; empty if it has not.
        completed_cycle: the last one, as it has said; empty if it has not.
    """

    program: str
    process: Process
    started_at: float
    boot_id: str | None
    supervisor: Process | None = None
    crash_reported: bool = False
    ended: bool = False
    version: str = ""
    completed_cycle: str = ""


def pid_of(name: str) -> int | None:
    """Return the process id in the name of a run's file, None when *name* is no such name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def fault_path(path: Path) -> Path:
    """Return where faulthandler writes for the run with the file *path*."""
    return path.with_suffix(".fault")


def encode(run: Run) -> bytes:
    """Return the first line of the file of *run*."""
    said = {
        "version": _VERSION,
        "program": clean(clip(run.program, _PROGRAM)),
        "process": run.process,
        "started_at": run.started_at,
        "boot_id": run.boot_id,
        "supervisor": run.supervisor,
    }
    return json.dumps(said).encode() + b"\n"


def encode_facts(version: str, completed_cycle: str) -> bytes:
    """Return the second line of the file of a run."""
    said = {"program_version": _fact(version), "completed_cycle": _fact(completed_cycle)}
    return json.dumps(said, ensure_ascii=False).encode().ljust(_FACTS - 1) + b"\n"


def decode(data: bytes) -> Run:
    """Return the run whose file has this content.

    Raises `NewerVersion`, and `ValueError` when it is damaged; a last line that is not whole does not count as damage.
    """
    first, *lines = data.split(b"\n")
    said = _parse(first)
    version = said.get("version")
    if type(version) is int and version > _VERSION:
        raise NewerVersion("written by a later version")
    process = _process(said.get("process"))
    if version != _VERSION or process is None:
        raise ValueError("damaged")
    added = [line + b"\n" for line in lines]
    crashes = [line for line in added if line in (CRASH_REPORTED, GOES_ON)]
    facts = _facts(lines[0] if lines else b"")
    return Run(
        program=_text(said.get("program"), _PROGRAM) or "",
        process=process,
        started_at=_seconds(said.get("started_at")),
        boot_id=_text(said.get("boot_id"), _BOOT_ID),
        supervisor=_process(said.get("supervisor")),
        crash_reported=crashes[-1:] == [CRASH_REPORTED],
        ended=ENDED in added,
        version=_text(facts.get("program_version"), _FACT) or "",
        completed_cycle=_text(facts.get("completed_cycle"), _FACT) or "",
    )


def _fact(text: str) -> str:
    # JSON makes six bytes of a control character, and nobody can read it.
    return clip("".join(filter(str.isprintable, text)), _FACT)


def _facts(line: bytes) -> dict[str, object]:
    try:
        return _parse(line)
    except ValueError:
        return {}


def _parse(line: bytes) -> dict[str, object]:
    try:
        said = json.loads(line)
    except RecursionError:
        raise ValueError("damaged") from None
    if not isinstance(said, dict):
        raise ValueError("damaged")
    return said


def _process(said: object) -> Process | None:
    match said:
        case [int(pid), int() | None as started]:
            return Process(pid, started)
    return None


def _seconds(said: object) -> float:
    match said:
        case int() | float() if 0 <= said <= LATEST:
            return float(said)
    raise ValueError("damaged")


def _text(said: object, limit: int) -> str | None:
    return clean(clip(said, limit)) if isinstance(said, str) else None
