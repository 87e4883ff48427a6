"""For tests of programs and of backends: fakes, and the contract that every backend keeps."""

from notify.backends.memory import MemoryBackend
from notify.testing.clock import FakeClock
from notify.testing.contract import check_backend

__all__ = ["FakeClock", "MemoryBackend", "check_backend"]
