"""What a backend notes to find its messages again, for all workers together."""

from collections.abc import Callable, Iterator, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any

from notify import diagnostics
from notify.delivery.folding.posted import CHARACTERS, ENTRIES
from notify.errors import RetryLater
from notify.plain import class_name
from notify.relay.keys import POSTED
from notify.relay.scripts import HEAD, source

if TYPE_CHECKING:
    from redis import Redis


class SharedPosted(MutableMapping[str, str]):
    """Texts by text in Redis, of which the oldest make room. For one thread at a time, the lane's.

    What another program has put in their place is nothing, and makes room for the next that is noted.
    Who reads while Redis is away gets `RetryLater`, before anything was sent. Who writes then gets nothing: the message
    is there already, and sending it once more is worse than not finding it again.

    Args:
        client: of Redis, with deadlines of its own. It decodes nothing.
        backend: the name of whose they are.
    """

    def __init__(self, client: "Redis", backend: str) -> None:
        self._client = client
        self._notes = f"{POSTED}{backend}"
        self._script = client.register_script(HEAD + source("ours") + source("posted"))

    def __getitem__(self, name: str) -> str:
        found: Any = self._read(lambda: self._client.hget(self._notes, _known(name)))
        if found is None:
            raise KeyError(name)
        return _text(found)

    def __setitem__(self, name: str, value: str) -> None:
        self._write(name, "1", value)

    def __delitem__(self, name: str) -> None:
        if self._write(name, "0", "") == 0:
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return int(self._read(lambda: self._client.hlen(self._notes)) or 0)

    def values(self) -> ValuesView[str]:
        """Return all texts at once."""
        return self._all().values()

    def _all(self) -> dict[str, str]:
        found: Any = self._read(lambda: self._client.hgetall(self._notes)) or {}
        return {_text(name): _text(value) for name, value in found.items()}

    def _read(self, ask: Callable[[], Any]) -> Any:
        """Return what *ask* does, None when something else stands there. Raises `RetryLater` while Redis is away."""
        from redis import RedisError

        try:
            return ask()
        except (RedisError, OSError) as error:
            if str(error).startswith("WRONGTYPE"):
                return None
            raise RetryLater(None, f"Redis does not tell which messages are there: {class_name(error)}") from None

    def _write(self, name: str, stays: str, value: str) -> int | None:
        """Return how many were there before; None when Redis is away."""
        from redis import RedisError

        keys = [self._notes, f"{self._notes}:ages", f"{self._notes}:bytes"]
        try:
            return int(self._script(keys=keys, args=[_known(name), stays, _known(value), ENTRIES, CHARACTERS]))
        except (RedisError, OSError) as error:
            diagnostics.report(
                "relay posted", f"a message cannot be noted in Redis and will not be changed: {class_name(error)}"
            )
            return None


def _text(kept: bytes) -> str:
    try:
        return kept.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # another program's: no text of ours, and no note of a message
        return ""


def _known(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
