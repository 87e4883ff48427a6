import contextlib
import gc
import sys
import traceback
import weakref
from collections.abc import Callable

import pytest

from notify.exceptions import MAX_TRACEBACK, Raised


class Held:
    """Something that can be watched being let go."""


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def leg(function: Callable[[], object]) -> Exception:
    """What *function* raises, as a group takes it."""
    error = caught(function)
    assert isinstance(error, Exception)
    return error


def plain() -> None:
    raise ValueError("no liquidity")


def chained() -> None:
    try:
        plain()
    except ValueError as error:
        raise RuntimeError("cannot trade") from error


def in_a_handler() -> None:
    try:
        plain()
    except ValueError:
        dict[str, int]()["missing"]


def suppressed() -> None:
    try:
        plain()
    except ValueError:
        raise RuntimeError("cannot trade") from None


def grouped() -> None:
    def both() -> None:
        raise ExceptionGroup("two legs", [leg(plain), leg(chained)])

    both()


def noted() -> None:
    error = ValueError("no liquidity")
    error.add_note("pair: ETH-USDC")
    error.add_note("損 second\nline")
    raise error


def recursing() -> None:
    def deeper() -> None:
        deeper()

    deeper()


def misspelt() -> None:
    length = 3
    print(lenght + length)  # type: ignore[name-defined]  # noqa: F821 - Python suggests the right name


def not_python() -> None:
    compile("a = = 1", "strategy.py", "exec")


def exiting() -> None:
    sys.exit("bye")


@pytest.mark.parametrize(
    "function", [plain, chained, in_a_handler, suppressed, grouped, noted, recursing, misspelt, not_python, exiting]
)
def test_the_text_is_what_python_prints(function: Callable[[], object]) -> None:
    error = caught(function)

    assert Raised(error).info().traceback == "".join(traceback.format_exception(error))


def test_type_and_message_stand_by_themselves() -> None:
    info = Raised(caught(plain)).info()

    assert (info.type, info.message) == ("ValueError", "no liquidity")


def test_the_type_of_an_exception_that_is_not_pythons_own_has_its_module() -> None:
    class OutOfGas(Exception):
        pass

    name = Raised(OutOfGas()).info().type

    assert name.endswith("test_the_type_of_an_exception_that_is_not_pythons_own_has_its_module.<locals>.OutOfGas")
    assert name.startswith(f"{__name__}.")


def test_no_frame_and_no_local_is_kept_alive() -> None:
    watched: list[weakref.ref[Held]] = []

    def failing() -> None:
        local = Held()
        watched.append(weakref.ref(local))
        raise ValueError("no liquidity")

    raised = Raised(caught(failing))
    gc.collect()

    assert watched[0]() is None
    assert "no liquidity" in raised.info().traceback


def test_no_frame_of_a_cause_or_of_a_group_is_kept_alive() -> None:
    watched: list[weakref.ref[Held]] = []

    def failing() -> None:
        local = Held()
        watched.append(weakref.ref(local))
        raise ValueError("leg")

    def failing_with_cause() -> None:
        raise ExceptionGroup("legs", [leg(failing)]) from caught(failing)

    raised = Raised(caught(failing_with_cause))
    gc.collect()

    assert [reference() for reference in watched] == [None, None]
    assert "leg" in raised.info().traceback


def test_locals_never_show() -> None:
    def failing() -> None:
        private_key = "0x" + "ab" * 32
        raise ValueError(len(private_key))

    assert "abab" not in Raised(caught(failing)).info().traceback


def test_an_exception_that_cannot_be_printed_is_marked() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    def failing() -> None:
        raise Mute

    info = Raised(caught(failing)).info()

    assert info.message == "<unprintable Mute: RuntimeError>"
    assert "in failing" in info.traceback


def test_an_exception_whose_cause_cannot_be_asked_for_keeps_its_type_and_message() -> None:
    class Odd(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]  # that is the point
            raise RuntimeError("no")

    info = Raised(Odd("text")).info()

    assert info.message == "text"
    assert info.traceback == f"{info.type}: text\n"


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first

    text = Raised(first).info().traceback

    assert text.count("ValueError: first") == 1
    assert text.count("ValueError: second") == 1


def test_notes_that_are_no_strings_are_shown_all_the_same() -> None:
    error = ValueError("text")
    error.__notes__ = [3]  # type: ignore[list-item]  # that is the point

    assert Raised(error).info().traceback == "ValueError: text\n3\n"


def test_a_note_added_afterwards_is_not_shown() -> None:
    error = ValueError("text")
    error.add_note("first attempt")
    raised = Raised(error)

    error.add_note("second attempt")

    assert raised.info().traceback == "ValueError: text\nfirst attempt\n"


def test_a_huge_message_is_cut() -> None:
    info = Raised(ValueError("x" * 2 * MAX_TRACEBACK)).info()

    assert len(info.message) <= MAX_TRACEBACK
    assert len(info.traceback) <= MAX_TRACEBACK


def test_lone_surrogates_are_written_out() -> None:
    info = Raised(ValueError("\ud800")).info()

    assert info.message == r"\ud800"
    info.traceback.encode()


def test_an_exception_that_was_never_raised_has_one_line() -> None:
    assert Raised(KeyError("pair")).info().traceback == "KeyError: 'pair'\n"


def test_an_exception_near_the_end_of_the_stack_does_no_harm() -> None:
    taken: list[Raised] = []

    def deeper() -> None:
        try:
            deeper()
        except RecursionError as error:
            with contextlib.suppress(RecursionError):  # the call itself may be one too many
                taken.append(Raised(error))
            raise

    with pytest.raises(RecursionError):
        deeper()

    assert "RecursionError" in taken[-1].info().traceback
