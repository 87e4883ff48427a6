"""What redis-py raises, as what a lane understands."""

import pytest
from redis import exceptions

from notify.backends.relay.trouble import trouble
from notify.errors import Gone, RetryLater

# As redis-py has it of a command in a transaction, with what the event said.
QUOTED = (
    "Command # 1 (XADD notify:events * event {c4nary} of pipeline caused error: WRONGTYPE) of pipeline caused error: "
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.OutOfMemoryError(f"{QUOTED}command not allowed when used memory > 'maxmemory'."), "out of memory"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "reading its data"),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), "replica"),
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "busy with somebody's script"),
        (exceptions.ResponseError(f"{QUOTED}MISCONF Redis is configured to save RDB snapshots"), "write to its disk"),
        (exceptions.MasterDownError("Link with MASTER is down"), "lost its master"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (exceptions.ResponseError("FUTURE something"), "Redis answered FUTURE"),
        (exceptions.ExecAbortError("Transaction discarded because of previous errors."), "answered EXECABORT"),
        (exceptions.TimeoutError("Timeout reading from socket"), "no answer in time"),
        (exceptions.ConnectionError("Connection closed by server."), "connection lost"),
        (ConnectionRefusedError(111, "refused"), "connection refused"),
    ],
)
def test_what_passes_is_tried_again(error: Exception, said: str) -> None:
    with pytest.raises(RetryLater, match=said) as caught:
        raise trouble(error)

    assert caught.value.after is None
    assert "c4nary" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.AuthenticationError("invalid username-password pair or user is disabled."), "the name or the pass"),
        (exceptions.ResponseError("WRONGPASS invalid username-password pair"), "the name or the password"),
        (exceptions.AuthenticationError("Authentication required."), "asks for a password"),
        (
            exceptions.NoPermissionError("User c4nary has no permissions to run the 'xadd' command"),
            "not allow this user what the relay needs",
        ),
        (exceptions.ResponseError(f"{QUOTED}WRONGTYPE Operation against a key"), "somebody else's"),
        (exceptions.ResponseError("unknown command `XADD`, with args beginning with: `c4nary`"), "it is too old"),
        (exceptions.MovedError("3999 127.0.0.1:6381"), "is a cluster"),
        (exceptions.ResponseError("DB index is out of range"), "has another set-up"),
    ],
)
def test_what_refuses_us_stops_the_lane(error: Exception, said: str) -> None:
    with pytest.raises(Gone, match=said) as caught:
        raise trouble(error)

    assert "c4nary" not in str(caught.value)
