"""Whatever a caller passes, an event comes of it."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.arguments import caller, event_of
from notify.event import Attachment, Event, Source
from notify.plain import MAX_MESSAGE

MOST_BYTES = 25 * 2**20  # of all files of an event
NOW = 1_767_225_600.0  # 2026-01-01


def said(message: object = "said", **parts: Any) -> Event:
    return event_of(NOW, Source(), message, **parts)


class Ending:
    """Would end the program, whatever it is asked."""

    def _end(self, *_: object) -> NoReturn:
        raise SystemExit

    __str__ = __repr__ = __bool__ = __eq__ = __hash__ = __len__ = __iter__ = _end  # type: ignore[assignment]  # odd
    __getattr__ = __float__ = __int__ = __index__ = _end


class Classless(Ending):
    @property  # type: ignore[misc]  # that is the point
    def __class__(self) -> NoReturn:  # type: ignore[override]  # that is the point
        raise SystemExit


class HostileBytes(bytes):
    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __len__ = __getitem__ = __iter__ = __str__ = __repr__ = decode = _refuse  # type: ignore[assignment]  # odd


class HostileText(str):
    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __len__ = __getitem__ = __iter__ = strip = upper = isascii = encode = _refuse  # type: ignore[assignment]  # odd


# ---- objects that would end the program

PARTS = ("message", "body", "level", "topic", "key", "fields", "attachments", "exc")


@pytest.mark.parametrize("kind", [Ending, Classless])
@pytest.mark.parametrize("part", PARTS)
def test_no_argument_ends_the_program(part: str, kind: Callable[[], object]) -> None:
    parts: dict[str, Any] = {"message": "said", part: kind()}

    event = said(parts.pop("message"), **parts)

    shown = (event.message, event.body, event.topic, str(event.key), str(event.fields))
    assert any("unprintable" in text or "unreadable" in text for text in shown)
    assert event.message == "said" or part == "message"


@given(st.dictionaries(st.sampled_from(PARTS), st.builds(Ending) | st.builds(Classless) | st.text() | st.floats()))
def test_an_event_comes_of_any_arguments(parts: dict[str, Any]) -> None:
    event = said(parts.pop("message", "said"), **parts)

    assert type(event.message) is str
    assert type(event.level) is int
    assert all(type(name) is str for name in event.fields)


def test_ctrl_c_while_an_argument_is_looked_at_reaches_the_program() -> None:
    class Slow:
        def __str__(self) -> NoReturn:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        said(Slow())


def test_a_signal_that_ends_the_program_does_so_while_an_argument_is_looked_at() -> None:
    class Signalled:
        def items(self) -> Iterator[tuple[str, int]]:
            signal.raise_signal(signal.SIGTERM)
            yield "went on", 1

    def stop(number: int, frame: object) -> NoReturn:
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(SystemExit):
            said(fields=Signalled())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_name_that_is_no_parameter_is_marked_and_the_level_stays() -> None:
    event = said(felds={"pair": "ETH"}, level="error")

    assert (event.message, event.level) == ("said", logging.ERROR)
    assert event.fields == {"notify": "<unreadable arguments: TypeError>"}


# ---- levels


@pytest.mark.parametrize(
    ("level", "number"),
    [(True, 1), (HostileText("error"), logging.ERROR), ("Trade", 21), (10**30, 2**63 - 1), (-(10**30), 1 - 2**63)],
    ids=["bool", "text of their own", "name", "huge", "deep"],
)
def test_a_level_is_a_number_that_can_be_printed(level: object, number: int) -> None:
    event = said(level=level)

    assert event.level == number
    assert type(event.level) is int
    assert not event.fields


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("TRAED", "'TRAED'"),
        ("hunter2 is the password", "an object of str"),  # whatever that is: nobody could say that it may be shown
        ("s" * 21, "an object of str"),  # a letter more than a name may have
        ([20], "an object of list"),
        (Ending(), "an object of Ending"),
    ],
    ids=["a slip", "a sentence", "too long", "a list", "hostile"],
)
def test_what_is_no_level_is_told_with_what_is_taken_and_where_it_was_said(
    level: object, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = event_of(NOW, Source("/app/bot.py", 12), "said", level=level)

    assert event.level == logging.INFO
    assert "level" in event.fields
    assert (
        capsys.readouterr().err
        == f"notify: notify(level=…) in /app/bot.py, line 12: {told} is no level; INFO is taken\n"
    )


def test_of_many_wrong_levels_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        said(level="TRAED")

    assert capsys.readouterr().err.count("TRAED") == 1


def test_fields_that_are_no_mapping_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    event = said(fields="nope")

    assert event.fields == {"fields": "nope"}
    told = "str is no mapping of names to values; it is shown as a field"
    assert capsys.readouterr().err == f"notify: notify(fields=…): {told}\n"


def test_nothing_is_told_of_what_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    said(level="trade", fields={"fields": 1})
    said(level=21, fields=None)

    assert capsys.readouterr().err == ""


# ---- attachments


def test_bytes_of_a_class_of_the_programs_own_are_attached_as_bytes() -> None:
    event = said(attachments=[Attachment("a.bin", HostileBytes(b"ab")), Attachment("b.bin", b"c")])

    assert [file.filename for file in event.attachments] == ["a.bin", "b.bin"]
    assert event.attachments[0].data == b"ab"
    assert type(event.attachments[0].data) is bytes
    assert not event.fields


def test_an_attachment_is_not_copied() -> None:
    file = Attachment("a.png", b"a" * 1000, "image/png")

    assert said(attachments=[file]).attachments[0] is file


def test_a_media_type_that_is_no_text_becomes_text() -> None:
    (file,) = said(attachments=[Attachment("a.png", b"a", 3)]).attachments  # type: ignore[arg-type]  # odd

    assert file.content_type == "3"


def test_one_attachment_that_breaks_does_not_cost_the_others() -> None:
    class Broken(Attachment):
        data = property(lambda self: 1 / 0)  # type: ignore[assignment]  # that is the point

        def __init__(self) -> None:
            """Take nothing."""

    event = said(attachments=[Broken(), Classless(), Attachment("a", b"a")])

    assert [file.filename for file in event.attachments] == ["a"]
    assert event.fields == {"attachments": "2 of 3 are no Attachment, or too many"}


def test_of_attachments_that_raise_halfway_what_came_is_attached() -> None:
    def files() -> Iterator[Attachment]:
        yield Attachment("a", b"a")
        raise SystemExit

    event = said(attachments=files())

    assert [file.filename for file in event.attachments] == ["a"]
    assert event.fields == {"attachments": "<unreadable: SystemExit>"}


def test_files_that_are_too_many_bytes_together_are_left_out_by_name() -> None:
    half = b"0" * (MOST_BYTES // 2)
    files = [Attachment("a", half), Attachment("b", half + b"0"), Attachment("c", half), Attachment("d", b"0")]

    event = said(attachments=files)

    assert [file.filename for file in event.attachments] == ["a", "c"]  # each that still fits
    assert event.fields == {"attachments": "d is left out: 1 bytes are too many"}


def test_files_of_25_mebibytes_together_are_attached() -> None:
    event = said(attachments=[Attachment("a", b"0" * MOST_BYTES)])

    assert len(event.attachments) == 1
    assert not event.fields


def test_the_name_of_a_file_that_is_left_out_is_cut() -> None:
    event = said(attachments=[Attachment("n" * 1000, b"0" * (MOST_BYTES + 1))])

    assert event.attachments == ()
    assert "26,214,401 bytes" in str(event.fields["attachments"])
    assert len(str(event.fields["attachments"])) < 200  # 100 of them are of the name


# ---- long texts


@pytest.mark.parametrize("part", ["message", "body"])
def test_a_text_above_twelve_mebi_characters_is_cut_with_its_middle_marked(part: str) -> None:
    parts = {"message": "said", part: "a" * MAX_MESSAGE + "z"}

    text = getattr(said(**parts), part)

    assert len(text) <= MAX_MESSAGE == 12 * 2**20
    assert (text[0], text[-1]) == ("a", "z")
    assert " characters cut]…" in text


def test_a_text_of_eight_mebi_characters_stays_whole() -> None:
    assert said("a" * MAX_MESSAGE).message == "a" * MAX_MESSAGE


# ---- the place in the code


def test_a_thread_whose_name_raises_has_none() -> None:
    class Nameless(threading.Thread):
        @property
        def name(self) -> NoReturn:  # type: ignore[override]  # that is the point
            raise SystemExit

        def run(self) -> None:
            sources.append(self.asked())

        def asked(self) -> Source:
            return caller()

    sources: list[Source] = []
    thread = Nameless()
    thread.start()
    thread.join()

    assert [(source.thread, source.function) for source in sources] == [("", "run")]


def test_globals_of_a_class_of_the_programs_own_are_not_asked() -> None:
    class Globals(dict):  # type: ignore[type-arg]  # anything
        def get(self, *_: object) -> NoReturn:
            raise SystemExit

    module = Globals(caller=caller, __name__="strategy", __builtins__=__builtins__)
    exec("def ask(): return caller(('structlog',))\ndef say(): return ask()\nsource = say()", module)

    assert module["source"].function == "say"
