"""Which version of the executor runs: what its Docker image says."""

from contextlib import suppress
from pathlib import Path

from notify.clip import clip

_FILES = {
    "tag": "GIT_VERSION_TAG.txt",
    "commit_message": "GIT_COMMIT_MESSAGE.txt",
    "commit_hash": "GIT_VERSION_HASH.txt",
}
_LONGEST = 500  # code points


def docker_version() -> dict[str, str | None]:
    """Return `tag`, `commit_message` and `commit_hash` from files in the working directory; None: it is missing."""
    return {fact: _content(Path(name)) for fact, name in _FILES.items()}


def _content(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return clip(path.read_text(encoding="utf-8").strip(), _LONGEST)
    return None
