"""What a backend notes to find its messages again."""

from collections.abc import Callable, Iterator, MutableMapping

ENTRIES = 2000
CHARACTERS = 2 * 2**20  # of names and values together


class Posted(MutableMapping[str, str]):
    """Texts by text, of which the oldest make room. For one thread at a time, the lane's.

    Args:
        notes: what there is already.
        note: told what changes; None for what is removed.
    """

    def __init__(
        self, notes: dict[str, str], note: Callable[[str, str | None], None] = lambda name, value: None
    ) -> None:
        self._notes = notes
        self._note = note
        self._size = sum(len(name) + len(value) for name, value in notes.items())
        self._shed()

    def __getitem__(self, name: str) -> str:
        return self._notes[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._drop(name)
        self._notes[name] = value
        self._size += len(name) + len(value)
        self._shed()
        self._note(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self._notes:
            raise KeyError(name)
        self._drop(name)
        self._note(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._notes))

    def __len__(self) -> int:
        return len(self._notes)

    def _drop(self, name: str) -> None:
        value = self._notes.pop(name, None)
        if value is not None:
            self._size -= len(name) + len(value)

    def _shed(self) -> None:
        while len(self._notes) > ENTRIES or self._size > CHARACTERS:
            name = next(iter(self._notes))
            self._drop(name)
            self._note(name, None)
