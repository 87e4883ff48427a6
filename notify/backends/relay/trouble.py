"""What a client of Redis raises, as what a lane understands. Its texts quote commands, so none is passed on."""

import re

from notify.backends.http.session import reason
from notify.errors import DeliveryError, Gone, RetryLater

# By the first word of what the server answers. What it says of itself passes; of us or of its set-up it does not.
_PASSING = {
    "OOM": "Redis is out of memory",
    "LOADING": "Redis is reading its data",
    "READONLY": "Redis is a replica at the moment and takes nothing",
    "BUSY": "Redis is busy with somebody's script",
    "MISCONF": "Redis cannot write to its disk",
    "MASTERDOWN": "Redis has lost its master",
    "CLUSTERDOWN": "Redis' cluster is down",
    "NOREPLICAS": "Redis has too few replicas",
    "TRYAGAIN": "Redis is moving its data",
}
_LASTING = {
    "WRONGPASS": "Redis refuses the name or the password",
    "NOAUTH": "Redis asks for a password",
    "NOPERM": "Redis does not allow this user what the relay needs",
    "WRONGTYPE": "a key in Redis that should be the relay's is somebody else's",
    "MOVED": "Redis is a cluster, which has no one place for a stream",
    "ERR": "Redis does not know what it is asked: it is too old, or has another set-up",
}
_QUOTED = " of pipeline caused error: "  # what redis-py puts before a server's text, after the command
_CODE = re.compile(r"[A-Z]{3,20}(?=\s|$)")


def trouble(error: Exception) -> DeliveryError:
    """Return what *error*, of redis or of the system, means for the events: `RetryLater` or `Gone`.

    The text holds neither credentials nor anything of an event.
    """
    code = _code(error)
    if code in _PASSING:
        return RetryLater(reason=_PASSING[code])
    if code in _LASTING:
        return Gone(_LASTING[code])
    if code:
        return RetryLater(reason=f"Redis answered {code}")
    return RetryLater(reason=f"Redis was not reached: {_why(error)}")


def _code(error: Exception) -> str:
    """Return the first word of what the server answered, empty when it did not."""
    from redis import exceptions

    # redis-py takes the word off where it has a class for it.
    classes: tuple[tuple[type[Exception], str], ...] = (
        (exceptions.OutOfMemoryError, "OOM"),
        (exceptions.BusyLoadingError, "LOADING"),
        (exceptions.ReadOnlyError, "READONLY"),
        (exceptions.NoPermissionError, "NOPERM"),
        (exceptions.AuthenticationError, "WRONGPASS"),
        (exceptions.AuthorizationError, "NOPERM"),
        (exceptions.ExecAbortError, "EXECABORT"),
        (exceptions.MasterDownError, "MASTERDOWN"),
        (exceptions.ClusterDownError, "CLUSTERDOWN"),
        (exceptions.TryAgainError, "TRYAGAIN"),
        (exceptions.MovedError, "MOVED"),
    )
    for kind, code in classes:
        if isinstance(error, kind):
            return "NOAUTH" if code == "WRONGPASS" and "equired" in str(error) else code
    if not isinstance(error, exceptions.ResponseError):
        return ""
    found = _CODE.match(str(error).rpartition(_QUOTED)[2])
    return found[0] if found else "ERR"


def _why(error: Exception) -> str:
    from redis import exceptions

    if isinstance(error, exceptions.TimeoutError):
        return "no answer in time"
    why = reason(error)
    return "connection lost" if why == type(error).__name__ else why
