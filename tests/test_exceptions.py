import contextlib
import gc
import linecache
import os
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from notify.exceptions import MAX_TRACEBACK, Raised, causes, chain, leaves, named


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


# ---- where source lines are read


@pytest.fixture(autouse=True)
def _lines_are_forgotten() -> Iterator[None]:
    before = dict(linecache.cache)
    yield
    linecache.cache.clear()
    linecache.cache.update(before)


def raised_in(path: str, module: dict[str, Any] | None = None) -> Raised:
    """What is raised by code that says it stands in the second line of *path*."""
    code = compile("\nraise ValueError('no liquidity')", "", "exec").replace(co_filename=path)
    return Raised(caught(lambda: exec(code, module if module is not None else {})))


def test_a_line_of_an_ordinary_file_is_shown(tmp_path: Path) -> None:
    source = tmp_path / "strategy.py"
    source.write_text("#\nbuy_everything()\n")

    text = raised_in(str(source)).info().traceback

    assert f'File "{source}", line 2, in <module>\n    buy_everything()\n' in text


def test_a_pipe_that_is_named_as_source_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # to open it would wait for a writer, for ever

    text = raised_in(str(pipe)).info().traceback

    assert f'File "{pipe}", line 2, in <module>\nValueError: no liquidity\n' in text


@pytest.mark.parametrize("place", ["cause", "context", "group"])
def test_nor_is_one_anywhere_in_the_chain(tmp_path: Path, place: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    inner = leg(lambda: exec(compile("raise ValueError('inner')", str(pipe), "exec"), {}))
    outer: Exception = RuntimeError("outer")
    if place == "cause":
        outer.__cause__ = inner
    elif place == "context":
        outer.__context__ = inner
    else:
        outer = ExceptionGroup("outer", [inner])

    text = Raised(outer).info().traceback

    assert f'File "{pipe}", line 1' in text
    assert "ValueError: inner" in text
    assert "outer" in text


@pytest.mark.parametrize(
    "lines",
    [
        "#\nbuy_everything()\n" + "#" * 5 * 2**20,  # a file of more than 4 MiB
        "#\nbuy_everything()" + " " * 2001 + "\n",  # a line of more than 2000 characters
    ],
    ids=["file", "line"],
)
def test_a_line_of_a_huge_file_and_a_huge_line_are_left_out(tmp_path: Path, lines: str) -> None:
    source = tmp_path / "generated.py"
    source.write_text(lines)

    text = raised_in(str(source)).info().traceback

    assert "buy_everything" not in text
    assert text.endswith("line 2, in <module>\nValueError: no liquidity\n")


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/maps", "/", "no such file.py", "nul\0", "<string>", ""])
def test_what_is_no_file_has_no_lines(path: str) -> None:
    assert raised_in(path).info().traceback.endswith("in <module>\nValueError: no liquidity\n")


def test_a_loader_of_the_program_is_not_asked_for_lines() -> None:
    asked: list[str] = []

    class Loader:
        def get_source(self, name: str) -> str:
            asked.append(name)
            return "#\nbuy_everything()\n"

    raised = raised_in("remote/strategy.py", {"__name__": "strategy", "__loader__": Loader()})
    text = raised.info().traceback

    assert asked == []
    assert text.endswith("in <module>\nValueError: no liquidity\n")


def test_lines_that_python_knows_already_are_shown() -> None:
    # As notebooks and code generators leave them there.
    linecache.cache["<generated>"] = (18, None, ["#\n", "buy_everything()\n"], "<generated>")

    assert "    buy_everything()\n" in raised_in("<generated>").info().traceback


# ---- what is remembered of it for long


def test_an_outline_has_type_message_and_the_innermost_frames() -> None:
    outline = Raised(caught(chained)).outline()

    assert (outline.type, outline.message) == ("RuntimeError", "cannot trade")
    path, line, function = outline.frames[-1]
    assert (path, function) == (__file__, "chained")
    assert line > chained.__code__.co_firstlineno
    assert [name for _, _, name in outline.frames] == ["caught", "chained"]


def test_an_outline_is_small_whatever_was_raised() -> None:
    error = caught(recursing)
    error.args = ("x" * 1_000_000,)

    outline = Raised(error).outline()

    assert len(outline.message) <= 500
    assert len(outline.frames) == 20
    assert {name for _, _, name in outline.frames} == {"deeper"}


def test_an_exception_that_was_never_raised_has_an_outline() -> None:
    assert Raised(KeyError("pair")).outline() == ("KeyError", "'pair'", ())


# ---- exceptions that would end the program


@pytest.mark.parametrize("end", [SystemExit, GeneratorExit])
def test_an_exception_that_would_end_the_program_when_it_is_looked_at_is_marked(end: type[BaseException]) -> None:
    class Ending(Exception):
        def __str__(self) -> str:
            raise end

        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]  # that is the point
            raise end

    info = Raised(Ending()).info()

    assert info.message == f"<unprintable Ending: {end.__name__}>"
    assert info.traceback == f"{info.type}: {info.message}\n"


def test_an_exception_of_a_class_that_tells_nothing_is_named() -> None:
    class Secretive(type):
        def __getattribute__(cls, name: str) -> NoReturn:
            raise SystemExit

    class Secret(Exception, metaclass=Secretive):
        pass

    info = Raised(Secret("text")).info()

    assert (info.type, info.message) == ("Secret", "text")
    assert info.traceback.endswith("Secret: text\n")


def test_ctrl_c_while_an_exception_is_looked_at_reaches_the_program() -> None:
    class Slow(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Raised(Slow())


# ---- what belongs together


def test_a_chain_begins_with_the_root_cause_as_python_prints_it() -> None:
    for function in (chained, in_a_handler):
        error = caught(function)

        assert [type(one) for one in chain(error)] == [ValueError, type(error)]


def test_what_was_only_being_handled_is_no_cause() -> None:
    assert [type(one) for one in causes(caught(chained))] == [RuntimeError, ValueError]
    assert [type(one) for one in causes(caught(in_a_handler))] == [KeyError]


def test_what_was_suppressed_is_in_no_chain() -> None:
    assert [type(one) for one in chain(caught(suppressed))] == [RuntimeError]


def test_a_chain_that_is_a_circle_has_each_once() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert chain(first) == [second, first]


def test_leaves_are_the_exceptions_of_a_group_at_all_depths_in_order() -> None:
    one, two, three = ValueError(1), ValueError(2), ValueError(3)

    assert leaves(ExceptionGroup("outer", [one, ExceptionGroup("inner", [two]), three])) == [one, two, three]
    assert leaves(one) == [one]


def test_chains_and_groups_of_any_size_are_looked_at_to_a_bound() -> None:
    error = group = ValueError()
    for _ in range(5000):
        wrapper = ValueError()
        wrapper.__cause__ = error
        error = wrapper
        group = ExceptionGroup("", [group])  # type: ignore[assignment]  # one in another

    assert len(chain(error)) == 1000
    assert len(leaves(group)) == 1


def test_a_class_that_lies_about_its_cause_is_not_asked() -> None:
    class Lying(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]  # that is the point
            raise SystemExit

    error = Lying()

    assert chain(error) == causes(error) == leaves(error) == [error]


# ---- in one field


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (plain, "no liquidity"),
        (chained, "cannot trade (caused by ValueError: no liquidity)"),
        (in_a_handler, "KeyError: 'missing' (while handling ValueError: no liquidity)"),
        (suppressed, "cannot trade"),
    ],
)
def test_a_summary_is_the_message_and_what_it_came_of(function: Callable[[], object], said: str) -> None:
    assert Raised(caught(function)).summary() == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("ETH"), "KeyError: 'ETH'"),
        (AssertionError(), "AssertionError"),
        (caught(lambda: exec("raise AssertionError from ValueError('x')")), "AssertionError (caused by ValueError: x)"),
        (type("NoPrice", (Exception,), {"__module__": "__main__"})("ETH"), "NoPrice: ETH"),
        (type("NoPrice", (Exception,), {"__module__": "feeds"})("ETH"), "feeds.NoPrice: ETH"),
        (ValueError("ValueErrors: two"), "ValueError: ValueErrors: two"),
        (RuntimeError("RuntimeError: of a worker"), "RuntimeError: of a worker"),
    ],
)
def test_a_message_is_named_by_its_type_once(error: BaseException, said: str) -> None:
    raised = Raised(error)

    assert named(raised.type, raised.summary()) == said
    assert named("", "no exception's") == "no exception's"


def test_a_summary_of_a_group_has_the_first_of_it() -> None:
    group = ExceptionGroup("two legs", [leg(chained), leg(plain)])

    assert Raised(group).summary() == "two legs (2 sub-exceptions) (the first is ValueError: no liquidity)"


def test_a_summary_of_a_deep_chain_has_the_root_and_no_end_is_waited_for() -> None:
    error: BaseException = ValueError("root\nsecond line")
    for number in range(50):
        wrapper = RuntimeError(f"wrapper {number}")
        wrapper.__cause__ = error
        error = wrapper

    assert Raised(error).summary() == "wrapper 49 (caused by ValueError: root\nsecond line)"
    error.__cause__.__cause__ = error  # type: ignore[union-attr]  # a circle
    assert Raised(error).summary().startswith("wrapper 49 (caused by RuntimeError: wrapper 48")


def test_a_summary_of_a_mistake_in_a_source_has_no_source() -> None:
    error = caught(lambda: compile("a b", "/srv/strategy.py", "exec"))
    wrapper = RuntimeError("no strategy")
    wrapper.__cause__ = error

    assert Raised(wrapper).summary() == "no strategy (caused by SyntaxError: invalid syntax)"


def test_a_summary_is_short_valid_text_and_names_what_has_no_message() -> None:
    wrapper = RuntimeError("\ud800" + "x " * 5000)
    wrapper.__cause__ = KeyError("y " * 5000)

    summary = Raised(wrapper).summary()

    summary.encode()
    assert len(summary) < 1100  # two texts of 500, and the words between
    assert Raised(KeyboardInterrupt()).summary() == "KeyboardInterrupt"
