"""Which crash an exception belongs to."""

import copy
import pickle

from notify.reported import Report, claim, report_of, withdraw


def wrapped(cause: BaseException) -> RuntimeError:
    error = RuntimeError("cannot trade")
    error.__cause__ = cause
    return error


def test_an_exception_is_claimed_once() -> None:
    error, first, second = ValueError(), Report("1"), Report("2")

    assert report_of(error) is None
    assert claim(error, first) is first
    assert claim(error, second) is first
    assert report_of(error) is first


def test_what_was_raised_from_it_belongs_to_the_same_crash() -> None:
    error, first = ValueError(), Report("1")
    claim(error, first)

    assert claim(wrapped(wrapped(error)), Report("2")) is first


def test_what_it_was_raised_from_belongs_to_the_same_crash() -> None:
    error, first = ValueError(), Report("1")
    claim(wrapped(error), first)

    assert report_of(error) is first


def test_what_was_raised_while_it_was_handled_is_another_crash() -> None:
    error, other = ValueError(), KeyError()
    other.__context__ = error
    claim(error, Report("1"))

    assert report_of(other) is None


def test_a_group_is_known_when_all_of_its_members_are() -> None:
    one, two, first = ValueError(), KeyError(), Report("1")
    group = ExceptionGroup("two legs", [wrapped(one), ExceptionGroup("inner", [two])])
    claim(one, first)

    assert report_of(group) is None
    claim(two, Report("2"))
    assert report_of(group) is first
    assert report_of(wrapped(group)) is first


def test_the_members_of_a_group_belong_to_its_crash() -> None:
    one, first = ValueError(), Report("1")
    claim(wrapped(ExceptionGroup("one leg", [wrapped(one)])), first)

    assert report_of(one) is first


def test_a_claim_that_is_withdrawn_was_never_made() -> None:
    error = ValueError()
    outer, first = wrapped(error), Report("1")
    claim(outer, first)

    withdraw(outer, first)

    assert report_of(outer) is None
    assert report_of(error) is None
    assert vars(error) == {}


def test_a_copy_and_a_pickle_of_it_know_the_report_by_its_id() -> None:
    error = ValueError("no price")
    claim(error, Report("1", outcome=object()))

    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        report = report_of(other)
        assert report is not None
        assert report.id == "1"
    # Nothing of this package is in the pickle: who reads it need not have it.
    assert b"notify." not in pickle.dumps(error)


def test_a_circle_of_causes_is_claimed() -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one

    assert claim(one, report := Report("1")) is report
    assert report_of(two) is report


def test_a_class_with_attributes_of_its_own_is_claimed() -> None:
    class Slotted(Exception):
        __slots__ = ("pair",)

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    error = Slotted()

    assert claim(error, report := Report("1")) is report
    assert report_of(error) is report
