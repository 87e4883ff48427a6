"""The lanes' connection to the outbox: there whenever it is asked for, whoever has closed it meanwhile."""

from pathlib import Path

from notify.delivery.outbox.store import Store


class LanesStore:
    """Opens the connection, and opens it again. Not thread-safe: whoever calls it has the lanes' lock.

    Args:
        path: of the outbox's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Store | None = None

    def get(self, *, patience: float = 0.0) -> Store:
        """Return the connection, which is open. Raises `StoreError`.

        Args:
            patience: seconds to wait for other processes when it is to be opened.
        """
        store = self._store  # a signal handler may close it
        if store is None or not store.is_open():
            self._store = store = Store(self._path, patience=patience)
        return store

    def close(self) -> None:
        """Close the connection, if it is open."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def abandon(self) -> None:
        """Have nobody use or close the connection. See `Connection.abandon`."""
        store, self._store = self._store, None
        if store is not None:
            store.abandon()
