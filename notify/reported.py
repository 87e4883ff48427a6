"""Which exceptions were reported as crashes already, in whatever wrapping they come back."""

from notify.exceptions import causes, leaves

# On the exception itself: it lives as long, and Python's own exceptions take no weak reference. Where it is pickled,
# as on its way out of a worker of a pool, the mark goes with it.
_MARK = "_notify_report"
_attributes = BaseException.__dict__["__dict__"].__get__  # past a class that has its own idea of them


class Report:
    """What is known of the report of a crash.

    Args:
        id: of the event.
        outcome: what its reporter got for it; None while it is made, and in another process.
    """

    __slots__ = ("id", "outcome")

    def __init__(self, id: str, outcome: object = None) -> None:  # noqa: A002 - the event's name for it
        self.id = id
        self.outcome = outcome

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # As a string: whoever unpickles the exception need not have this package.
        return str, (self.id,)


def report_of(exception: BaseException) -> Report | None:
    """Return the report of the crash that *exception* belongs to, None when there is none.

    It belongs to that of itself, of what it was raised `from`, and to the first of those of a group's members if all
    of them were reported. What was only being handled when it was raised is another matter: that went wrong too.
    """
    for one in causes(exception):
        report = mark_of(one)
        if report is not None:
            return report
        members = leaves(one)
        if members[0] is not one:
            marks = [next(filter(None, map(mark_of, causes(member))), None) for member in members]
            if all(marks):
                return marks[0]
    return None


def claim(exception: BaseException, report: Report) -> Report:
    """Make *report* the report of *exception*, unless it has one, and return the one it has.

    Of several threads that claim at once one succeeds.
    """
    earlier = report_of(exception)
    if earlier is not None:
        return earlier
    first: Report = _attributes(exception).setdefault(_MARK, report)
    if first is not report:
        return first
    for one in _all_of(exception):
        _attributes(one).setdefault(_MARK, report)
    return report


def withdraw(exception: BaseException, report: Report) -> None:
    """Take back the claim of *report*, of which nothing came."""
    for one in _all_of(exception):
        if _attributes(one).get(_MARK) is report:
            del _attributes(one)[_MARK]


def mark_of(exception: BaseException) -> Report | None:
    """Return the report that *exception* itself was put into, whatever it was raised from."""
    mark = _attributes(exception).get(_MARK)
    return Report(mark) if type(mark) is str else mark


def _all_of(exception: BaseException) -> list[BaseException]:
    return [part for one in causes(exception) for leaf in (one, *leaves(one)) for part in causes(leaf)]
