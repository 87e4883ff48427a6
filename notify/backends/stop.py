"""How long nothing is sent to a destination that has asked for a pause."""

LONGEST = 3600.0  # seconds; whoever asks for more is asked again after that
# Seconds of a stop, whatever was asked for: a server that keeps saying "at once" is asked after 1, 2, 4 … 60 of them.
# A minute is the longest window of Discord's and Telegram's limits that is known.
SHORTEST, SHORTEST_LAST = 1.0, 60.0
MOST = 10
"""Stops in a row that are counted: enough to reach the last of the shortest."""


def length(asked: float, stops: int) -> float:
    """Return the seconds of a stop.

    Args:
        asked: seconds that the destination asks for.
        stops: how many there were before, in a row.
    """
    return min(max(asked, min(SHORTEST * 2.0**stops, SHORTEST_LAST)), LONGEST)
