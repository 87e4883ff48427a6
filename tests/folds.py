"""Backends that people read, to test folding with."""

from collections.abc import MutableMapping

from notify.backends.memory import MemoryBackend


class People(MemoryBackend):
    """Gets repeats counted, and cannot change what it has sent."""

    folds = True


class Chat(People):
    """Gets repeats counted, and could change what it has sent."""

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__(durable=durable)
        self.posted: MutableMapping[str, str] = {}
