"""How often somebody looks whether a program makes progress, and how much of the time between counts."""

_LOOKS = 20  # in the time after which a program counts as hanging: an alert is late by a twentieth of it at most
_LONGEST_INTERVAL = 5.0  # seconds: so soon is the end of a hang told
_COUNTED = 5  # intervals that count of the time between two looks, however long it was


def interval(hang_after: float) -> float:
    """Return the seconds between two looks at a program that hangs after *hang_after* seconds without progress."""
    return min(hang_after / _LOOKS, _LONGEST_INTERVAL)


def counted(passed: float, every: float) -> float:
    """Return the seconds that count of those between two looks.

    Who looks far too late did not run: he was stopped, or the machine slept. The program may not have run either, and
    its next step gets some time. But if the whole gap were left out, a program that lets nobody look for long would
    never hang.

    Args:
        passed: seconds between the two.
        every: seconds that were to be between them.
    """
    return min(passed, _COUNTED * every)
