"""Standard output: one event is one line, harmless to a terminal, and strict JSON when that is asked for."""

import fcntl
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from select import PIPE_BUF
from typing import Any

import pytest
from children import ENDING, environment

from notify import descriptor
from notify.backends.stdout import StdoutBackend, escape
from notify.errors import Gone, RetryLater
from notify.event import Attachment, Event, ExceptionInfo, Source
from notify.levels import TRADE, TRADE_HIGH

pytestmark = pytest.mark.interpreter

AT = 1_767_225_600.25  # 2026-01-01T00:00:00.250Z
PLAIN: dict[str, str] = {}  # an environment that says nothing about colour
PIPE_SIZE = 65_536  # bytes that a pipe of Linux holds


def event(message: str = "Bought 0.25 ETH", level: int = logging.INFO, **parts: Any) -> Event:
    return Event(id="1", time=AT, message=message, level=level, **parts)


def text(*events: Event, env: dict[str, str] = PLAIN, stream: io.StringIO | None = None, **options: Any) -> str:
    """Return what the backend writes for *events*."""
    stream = stream or io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert StdoutBackend(env=env, **options).send(events) == len(events)
    return stream.getvalue()


def document(said: Event, **options: Any) -> dict[str, Any]:
    """Return the JSON object that the backend writes, read as strictly as JSON asks for."""

    def refuse(constant: str) -> object:
        raise AssertionError(f"{constant} is no JSON")

    line = text(said, json=True, **options)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1  # which knows more line ends than "\n"
    read = json.loads(line, parse_constant=refuse)
    assert isinstance(read, dict)
    return read


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# ---- text


def test_a_line_says_when_how_grave_and_what_and_then_the_fields() -> None:
    line = text(event(level=TRADE, fields={"pair": "ETH-USDC", "price": 3450.1}, logger="strategy"))

    assert line == (
        "2026-01-01T00:00:00.250Z trade      Bought 0.25 ETH                              "
        "pair=ETH-USDC price=3450.1 logger=strategy\n"
    )


def test_a_line_without_fields_ends_with_the_message() -> None:
    assert text(event("done")) == "2026-01-01T00:00:00.250Z info       done\n"


def test_fields_of_lines_with_short_messages_stand_under_each_other() -> None:
    lines = text(event("a", fields={"x": 1}), event("a longer one", TRADE_HIGH, fields={"x": 2})).splitlines()

    assert len({line.index("x=") for line in lines}) == 1


def test_values_with_spaces_are_quoted() -> None:
    line = text(event(fields={"value": "862.53 USD", "empty": "", "sum": "a=b", "plain": "x", "none": None}))

    assert line.rstrip().endswith('value="862.53 USD" empty="" sum="a=b" plain=x none=None')


def test_odd_values_are_shown_as_text() -> None:
    fields = {
        "nan": float("nan"),
        "wei": 10**24,
        "dec": Decimal("1.10"),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "on": True,
        "list": [1, "a"],
        "bytes": b"\x1b",
    }

    line = text(event(fields=fields))

    assert line.rstrip().endswith(
        'nan=nan wei=1000000000000000000000000 dec=1.10 at="2026-01-01 00:00:00+00:00" on=True '
        "list=\"[1, 'a']\" bytes=b'\\x1b'"
    )


def test_fields_that_have_the_names_of_the_line_itself_are_shown_beside_it() -> None:
    fields = {"event": 1, "level": 2, "timestamp": 3, "logger": 4, "exception": 5, "stack": 6, "exc_info": 7}

    line = text(event("said", fields={**fields, "field_level": 8}, logger="strategy"))

    assert line.startswith("2026-01-01T00:00:00.250Z info       said ")
    for value in range(1, 9):
        assert re.search(rf"field_\w+={value}\b", line), value
    assert line.rstrip().endswith("logger=strategy")


def test_attachments_are_named_with_their_size_and_hide_nothing() -> None:
    files = (Attachment("chart.png", bytes(2048)), Attachment("level", b"x"), Attachment("pair", b""))

    line = text(event("said", fields={"pair": "ETH-USDC"}, attachments=files))

    assert "info       said " in line
    assert "pair=ETH-USDC" in line
    assert 'chart.png="2048 bytes"' in line
    assert 'field_level="1 bytes"' in line
    assert 'field_pair="0 bytes"' in line


def test_a_table_among_the_fields_stands_indented_below_the_body() -> None:
    rows = [{"pair": "ETH-USDC", "value": 3450.1, "note\x1b": "a\x1b[31m"}, {"pair": "AAVE", "value": -12}]

    shown = text(event(body="Prose", fields={"equity": 1, "open\npositions": rows}))

    line, *below = shown.split("\n")
    assert line.rstrip().endswith("equity=1")
    assert below == [
        "    Prose",
        "    open\\npositions:",
        "    pair         value  note\\x1b",
        "    ETH-USDC  3,450.10  a\\x1b[31m",
        "    AAVE        -12.00  –",
        "",
    ]


def test_body_and_traceback_follow_indented_and_the_tail_is_not_repeated() -> None:
    said = event(
        "Crashed",
        logging.CRITICAL,
        body="first\n\nsecond\tcolumn\r\n",
        tail=("12:00:00 INFO a: one", "12:00:01 INFO a: two"),
        exception=ExceptionInfo("ValueError", "no", "Traceback (most recent call last):\nValueError: no\n"),
    )

    assert text(said).splitlines()[1:] == [
        "    first",
        "    ",
        "    second  column",
        "    Traceback (most recent call last):",
        "    ValueError: no",
    ]


@pytest.mark.parametrize(
    ("control", "written"),
    [
        ("\r", r"\r"),
        ("\x00", r"\x00"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x07", r"\x07"),
        ("\x7f", r"\x7f"),
        ("\x9b31m", r"\x9b31m"),  # the one-character form of ESC [
        ("\x85", r"\x85"),
        ("\u2028", r"\u2028"),
        ("\u2029", r"\u2029"),
        ("\u202e", r"\u202e"),  # right-to-left override
        ("\u2066", r"\u2066"),
        ("\u200f", r"\u200f"),
        ("\u061c", r"\u061c"),
    ],
)
def test_what_a_terminal_would_act_upon_is_written_out_everywhere(control: str, written: str) -> None:
    said = event(
        f"a{control}b",
        fields={f"n{control}": f"v{control}"},
        attachments=(Attachment(f"f{control}", b""),),
        logger=f"l{control}",
        body=f"body{control}b",
    )

    shown = text(said)

    assert f"a{written}b" in shown
    assert f"n{written}=v{written}" in shown
    assert f"f{written}=" in shown
    assert f"logger=l{written}" in shown
    assert f"    body{written}b\n" in shown
    assert control not in shown


def test_a_message_or_field_cannot_pretend_to_be_another_line() -> None:
    forged = "a\n2026-01-01T00:00:00.000Z critical   forged"

    assert len(text(event(forged, fields={forged: forged}, logger=forged)).splitlines()) == 1


def test_escaping_leaves_what_people_read_alone() -> None:
    shown = "Ünïcödé 🌲 損益 − × …"
    assert escape(shown) == shown


@pytest.mark.parametrize(
    ("level", "name"), [(logging.DEBUG, "debug"), (TRADE_HIGH, "trade_high"), (17, "level 17"), (-5, "level -5")]
)
def test_levels_have_the_names_that_logging_knows(level: int, name: str) -> None:
    assert f"Z {name} " in text(event(level=level))


def test_what_a_dry_run_would_send_is_marked_with_its_destination() -> None:
    assert "(dry run, for discord) Bought" in text(event(), destination="discord")


# ---- colour


@pytest.mark.parametrize(
    ("env", "terminal", "colored"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),  # no-color.org: only when not empty
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": ""}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_for_terminals_and_who_asks_for_it(env: dict[str, str], terminal: bool, colored: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()

    assert ("\x1b[" in text(event(level=TRADE), env=env, stream=stream)) is colored


def test_trades_and_trouble_stand_out_from_ordinary_lines() -> None:
    def style(level: int) -> str:
        line = text(event("said", level), env={"FORCE_COLOR": "1"})
        return line[: line.index("said")].rpartition(" ")[2]

    trade, warning, error = style(TRADE), style(logging.WARNING), style(logging.ERROR)

    assert style(logging.INFO) == style(logging.DEBUG) == ""
    assert len({trade, warning, error, ""}) == 4
    assert style(TRADE_HIGH) == trade
    assert style(logging.CRITICAL) == error


def test_a_line_with_colour_says_the_same_as_one_without() -> None:
    said = event(level=TRADE, fields={"pair": "ETH-USDC"}, logger="strategy", body="more")

    colored = text(said, env={"FORCE_COLOR": "1"})

    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == text(said)
    *ended, rest = colored.split("\x1b[0m")
    assert all(part.count("\x1b[") <= 1 for part in ended)  # each style ends before the next begins
    assert "\x1b[" not in rest


# ---- JSON


def test_json_has_every_part_that_there_is() -> None:
    said = event(
        "Crashed",
        logging.CRITICAL,
        topic="crash",
        key="loop",
        body="more",
        fields={"pair": "ETH-USDC", "price": Decimal("1.10")},
        logger="strategy",
        exception=ExceptionInfo("ValueError", "no", "Traceback\n"),
        tail=("one",),
        attachments=(Attachment("a.png", b"123"),),
        source=Source("/srv/bot.py", 42, "decide", 1, "MainThread"),
    )

    assert document(said) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "CRITICAL",
        "topic": "crash",
        "logger": "strategy",
        "message": "Crashed",
        "body": "more",
        "key": "loop",
        "fields": {"pair": "ETH-USDC", "price": "1.10"},
        "exception": {"type": "ValueError", "message": "no", "traceback": "Traceback\n"},
        "tail": ["one"],
        "attachments": [{"filename": "a.png", "bytes": 3}],
        "source": "/srv/bot.py:42",
        "id": "1",
    }


def test_json_leaves_out_what_is_empty_but_the_message() -> None:
    assert document(event("")).keys() == {"time", "level", "topic", "message", "id"}


def test_json_is_strict_whatever_the_fields_hold() -> None:
    fields = {
        "nan": float("nan"),
        "inf": float("-inf"),
        "wei": 10**24,
        "low": -(2**63),
        "deep": {"nan": [float("nan")], None: 1, "\ud800": "\ud800"},
        "bytes": b"x",
        "message": "no clash",
    }

    assert document(event("said", fields=fields))["fields"] == {
        "nan": None,
        "inf": None,
        "wei": "1000000000000000000000000",
        "low": -(2**63),
        "deep": {"nan": [None], "null": 1, "\\ud800": "\\ud800"},
        "bytes": "b'x'",
        "message": "no clash",
    }


def test_json_keeps_texts_that_are_no_valid_unicode() -> None:
    # Names of files and paths of code come from the system, which does not promise any.
    said = event(
        "said", key="k\udcff", attachments=(Attachment("a\udcff", b""),), source=Source("/srv/\udcff.py", 1, "", 0, "")
    )

    read = document(said)

    assert (read["key"], read["attachments"][0]["filename"]) == ("k\\udcff", "a\\udcff")
    assert read["source"] == "/srv/\\udcff.py:1"


@pytest.mark.parametrize("control", ["\n", "\x1b", "\x7f", "\x85", "\u2028", "\u202e"])
def test_json_on_a_terminal_is_one_line_and_harmless(control: str) -> None:
    said = event(f"a{control}b", fields={control: control})

    assert control not in text(said, json=True).rstrip("\n")
    assert document(said)["message"] == f"a{control}b"
    assert document(said)["fields"] == {control: control}


def test_json_of_a_dry_run_names_its_destination() -> None:
    assert document(event(), destination="discord")["dry_run"] == "discord"


# ---- the stream


class Narrow(io.StringIO):
    """A stream that can hold ASCII only, as under LC_ALL=C."""

    encoding = "ascii"

    def write(self, shown: str) -> int:
        shown.encode("ascii")
        return super().write(shown)


def test_a_stream_without_the_characters_gets_them_written_out() -> None:
    assert "Gewinn \\xfc \\U0001f332" in text(event("Gewinn ü 🌲"), stream=Narrow())


def test_json_on_a_stream_without_the_characters_is_still_json() -> None:
    said = event("Gewinn ü 🌲 损", fields={"ü": "🌲"})

    assert document(said, stream=Narrow()) == document(said)


def test_standard_output_is_looked_up_at_each_event() -> None:
    backend = StdoutBackend(env=PLAIN)
    streams = [io.StringIO(), Terminal()]

    for stream in streams:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            backend.send([event(level=TRADE)])

    assert ["\x1b[" in stream.getvalue() for stream in streams] == [False, True]


def test_an_object_that_can_only_write_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tee:
        def __init__(self) -> None:
            self.written = ""

        def write(self, shown: str) -> None:
            self.written += shown

    tee = Tee()
    monkeypatch.setattr(sys, "stdout", tee)

    StdoutBackend(env=PLAIN).send([event()])

    assert "Bought" in tee.written


@pytest.mark.parametrize("json", [False, True])
def test_a_closed_standard_output_is_gone(monkeypatch: pytest.MonkeyPatch, json: bool) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)

    with pytest.raises(Gone):
        StdoutBackend(json=json, env=PLAIN).send([event()])


def test_a_program_without_standard_output_is_no_error_but_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # pythonw, and daemons that closed it before Python began

    with pytest.raises(Gone):
        StdoutBackend(env=PLAIN).send([event()])


def test_closing_the_backend_leaves_standard_output_open(capsys: pytest.CaptureFixture[str]) -> None:
    backend = StdoutBackend(env=PLAIN)

    backend.close()
    backend.send([event()])

    assert "Bought" in capsys.readouterr().out


# ---- a pipe


class Pipe:
    """A pipe, and the stream that a program writes to it with."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.stream = os.fdopen(self.writer, "w", encoding=encoding)

    def read(self) -> str:
        try:
            return os.read(self.reader, PIPE_SIZE).decode(self.stream.encoding)
        except BlockingIOError:
            return ""

    def close(self) -> None:
        os.close(self.reader)
        self.stream.close()


@pytest.fixture
def make_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pipe]]:
    """Return what makes a pipe and puts it in the place of standard output."""
    monkeypatch.setattr(descriptor, "_PATIENCE", 0.01)  # seconds
    monkeypatch.setattr(descriptor, "_rests", {})
    pipes: list[Pipe] = []

    def make(encoding: str = "utf-8") -> Pipe:
        pipe = Pipe(encoding)
        pipes.append(pipe)
        monkeypatch.setattr(sys, "stdout", pipe.stream)
        return pipe

    yield make
    for pipe in pipes:
        pipe.close()


def numbered(number: int, message: str = "") -> Event:
    return Event(id=str(number), time=AT, message=f"{number} {message}", level=logging.INFO)


def long(number: int) -> Event:
    return numbered(number, "x" * 2 * PIPE_SIZE)


def test_events_are_in_the_pipe_at_once(make_pipe: Callable[..., Pipe]) -> None:
    pipe = make_pipe()

    assert StdoutBackend(env=PLAIN).send([event("öne"), event("twö")]) == 2

    assert [line.split()[-1] for line in pipe.read().splitlines()] == ["öne", "twö"]


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", "ü \\U0001f332"), ("ascii", "\\xfc \\U0001f332")])
def test_a_pipe_gets_the_encoding_of_standard_output(make_pipe: Callable[..., Pipe], encoding: str, shown: str) -> None:
    pipe = make_pipe(encoding)

    StdoutBackend(env=PLAIN).send([event("ü 🌲")])

    assert pipe.read().endswith(f" {shown}\n")


def test_what_the_program_has_printed_stays_in_its_buffer(make_pipe: Callable[..., Pipe]) -> None:
    pipe = make_pipe()
    pipe.stream.write("printed\n")

    StdoutBackend(env=PLAIN).send([event("said")])
    first = pipe.read()
    pipe.stream.flush()

    assert first.endswith("said\n")
    assert pipe.read() == "printed\n"


def test_a_pipe_that_nobody_reads_keeps_its_events_for_later(make_pipe: Callable[..., Pipe]) -> None:
    pipe, backend = make_pipe(), StdoutBackend(env=PLAIN)
    events = [numbered(number, "x" * 1000) for number in range(100)]

    sent = backend.send(events)
    with pytest.raises(RetryLater) as caught:
        backend.send(events[sent:])
    read = pipe.read()
    while sent < len(events):
        sent += backend.send(events[sent:])
        read += pipe.read()

    assert caught.value.after == 0  # it has waited already
    assert read == text(*events)


def test_an_event_in_parts_goes_on_where_it_stopped(make_pipe: Callable[..., Pipe]) -> None:
    pipe, backend = make_pipe(), StdoutBackend(env=PLAIN)

    read = sent_slowly(backend, pipe, [long(1), numbered(2), long(3)])

    assert read == text(long(1), numbered(2), long(3))


def sent_slowly(backend: StdoutBackend, pipe: Pipe, events: list[Event]) -> str:
    """Send *events* as a lane does, and read what is there whenever nothing goes through."""
    read = ""
    while events:
        try:
            events = events[backend.send(events) :]
        except RetryLater:
            read += pipe.read()
    return read + pipe.read()


def test_an_event_in_parts_is_ended_even_when_its_lane_has_dropped_it(make_pipe: Callable[..., Pipe]) -> None:
    pipe, backend = make_pipe(), StdoutBackend(env=PLAIN)
    with pytest.raises(RetryLater):
        backend.send([long(1)])

    read = sent_slowly(backend, pipe, [numbered(2), numbered(3)])

    assert read == text(long(1), numbered(2), numbered(3))


def test_another_backend_ends_an_event_in_parts_before_its_own(make_pipe: Callable[..., Pipe]) -> None:
    # A dry run has one for each destination.
    pipe, one, other = make_pipe(), StdoutBackend(env=PLAIN), StdoutBackend(env=PLAIN)
    with pytest.raises(RetryLater):
        one.send([long(1)])

    read = sent_slowly(other, pipe, [numbered(2)])
    assert one.send([long(1), numbered(3)]) == 2

    assert read + pipe.read() == text(long(1), numbered(2), numbered(3))


def test_an_event_in_parts_is_written_whole_where_standard_output_is_now(make_pipe: Callable[..., Pipe]) -> None:
    before, backend = make_pipe(), StdoutBackend(env=PLAIN)
    with pytest.raises(RetryLater):
        backend.send([long(1)])
    now = make_pipe()

    read = sent_slowly(backend, now, [long(1)])

    assert read == text(long(1))
    assert text(long(1)).startswith(before.read())


def test_a_pipe_whose_reader_has_gone_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(Gone):
            StdoutBackend(env=PLAIN).send([event()])


def test_an_object_whose_reader_has_gone_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tee:
        def write(self, shown: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Tee())

    with pytest.raises(Gone):
        StdoutBackend(env=PLAIN).send([event()])


# ---- as a process


PROGRAM = """if True:
    import logging, os, sys
    import notify

    notifier = notify.setup(env={{"NOTIFY_STDOUT": "{form}"}})
    log = logging.getLogger("strategy")
    for number in range({lines}):
        log.info("line %d %s", number, "x" * 300)
    notifier.close({timeout})
    sys.exit(7)
"""


@pytest.mark.process
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("options", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_a_program_whose_standard_output_nobody_reads_ends_as_it_wants_to(form: str, options: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    try:
        # Some 400 kB of lines, for a pipe of 64 kB.
        command = [sys.executable, *options, "-c", PROGRAM.format(form=form, lines=1000, timeout=0.5)]
        ended = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=ENDING, env=environment()
        )
    finally:
        os.close(reader)
        os.close(writer)

    assert ended.returncode == 7
    assert "Fatal Python error" not in ended.stderr
    dropped, in_hand = ended.stderr.splitlines()
    assert re.fullmatch("notify: stdout: dropped [0-9]+ of its events: closed before they could be sent", dropped)
    assert re.fullmatch("notify: stdout: nobody knows what became of [0-9]+ of its events: .*", in_hand)


@pytest.mark.process
@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
def test_every_line_of_a_program_arrives_once_and_whole_however_slowly_it_is_read(blocking: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)  # as a parent of asyncio or node leaves it
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BUF)  # so small that it is full all the time
    command = [sys.executable, "-c", PROGRAM.format(form="json", lines=1000, timeout=ENDING)]
    with subprocess.Popen(command, stdout=writer, env=environment()) as process:
        os.close(writer)
        read = b""
        while chunk := os.read(reader, 1000):
            read += chunk
    os.close(reader)

    messages = [json.loads(line)["message"] for line in read.splitlines()]
    assert [message.split()[1] for message in messages] == [str(number) for number in range(1000)]
    assert process.returncode == 7


@pytest.mark.process
def test_a_program_whose_reader_has_gone_ends_as_it_wants_to() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-c", PROGRAM.format(form="text", lines=10, timeout=5)]
        ended = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=ENDING, env=environment()
        )
    finally:
        os.close(writer)

    assert ended.returncode == 7
    assert "nobody reads standard output any more" in ended.stderr
