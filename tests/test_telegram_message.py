"""Events as requests of the Bot API."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.backends.files import File
from notify.backends.telegram import text
from notify.backends.telegram.files import MAX_FILE, attach, is_photo, text_file
from notify.backends.telegram.message import LIMIT
from notify.backends.telegram.steps import CAPTION, Step, steps_for
from notify.backends.text import length
from notify.cli.test import chart
from notify.event import Attachment, Event, ExceptionInfo
from notify.levels import TRADE, TRADE_HIGH
from notify.testing.contract import hostile_events
from notify.testing.telegram_rules import check_text, shown

PNG = chart()  # 480 × 160 pixels
CRASH = ExceptionInfo("ValueError", "no price", "Traceback (most recent call last):\n  x\nValueError: no price")
LONG_LINES = "\n".join(f"line {number:05}" for number in range(2000))  # 22,000 characters: six messages


def event(message="Bought 1 ETH", *, level=logging.INFO, **parts):
    return Event(id="id", time=1_767_225_600.0, message=message, level=level, **parts)


def steps(*args, silent=False, **parts):
    return steps_for(event(*args, **parts), silent=silent)


def first_html(*args, **parts):
    return text.html(steps(*args, **parts)[0].blocks)


def methods(made):
    return [step.method for step in made]


# ---- how an event looks


def test_the_first_line_is_bold_and_the_last_line_small():
    assert first_html("Bought 1 ETH\nat 3,450", logger="strategy", topic="trade") == (
        "<b>Bought 1 ETH</b>\n\nat 3,450\n\n<i>trade · strategy · id</i>"
    )


@pytest.mark.parametrize(
    ("level", "begin"),
    [
        (logging.DEBUG, "<b>x"),
        (logging.INFO, "<b>x"),
        (TRADE, "<b>💰 x"),
        (TRADE_HIGH, "<b>💰 x"),
        (logging.WARNING, "<b>⚠️ x"),
        (logging.ERROR, "<b>❌ x"),
        (logging.CRITICAL, "<b>🆘 x"),
        (99, "<b>🆘 x"),
    ],
)
def test_the_emoji_is_that_of_the_level(level, begin):
    assert first_html("x", level=level).startswith(begin)


def test_markup_in_an_event_is_shown_and_does_nothing():
    hostile = "<b>&amp;</pre><script>"

    made = first_html(hostile, body=hostile, fields={hostile: hostile}, topic=hostile)

    assert shown(made).count(hostile) == 5


def test_sections_of_a_report_have_headings_and_tables_are_monospace():
    body = "Open positions\nETH   1,000 USD\nBTC      20 USD\n…\na  1\nb  2\n…\nCash\n5 USD"

    made = first_html("Report", body=body)

    assert "<b>Open positions</b>\n<pre>ETH   1,000 USD\nBTC      20 USD</pre>" in made
    assert "<pre>a  1\nb  2</pre>" in made
    assert "<b>Cash</b>\n5 USD" in made
    assert "…" not in made


def test_fields_are_lines_and_a_table_among_them_is_monospace():
    made = first_html(fields={"price": 3450.1, "rows": "a  b\nc  d", "none": None, "": ""})

    assert "<b>price</b>: 3450.1\n<b>rows</b>:\n<pre>a  b\nc  d</pre>\n<b>none</b>: None\n<b>–</b>: –" in made


def test_a_list_of_dicts_is_drawn_as_a_table():
    made = first_html(fields={"positions": [{"pair": "ETH-USDC", "value": 3450.1}, {"pair": "AAVE", "value": -12}]})

    assert "<b>positions</b>:\n<pre>pair         value\nETH-USDC  3,450.10\nAAVE        -12.00</pre>" in made


def test_an_exception_is_a_bold_type_and_a_monospace_traceback():
    made = first_html("Cycle failed", exception=CRASH, tail=("one", "two"))

    assert f"<b>ValueError</b>: no price\n<pre>{CRASH.traceback}</pre>" in made
    assert "<b>Last log lines</b>\n<pre>one\ntwo</pre>" in made


def test_an_exception_that_the_message_names_is_not_named_again():
    made = first_html("Crashed: ValueError: no price", exception=CRASH)

    assert made.count("no price") == 2  # the message's and the traceback's


@pytest.mark.parametrize("blank", ["", " \n ", "\u3164"])
def test_an_event_with_nothing_to_see_says_so(blank):
    assert "(no text)" in first_html(blank)


def test_a_first_line_that_is_a_text_of_its_own_is_not_bold():
    assert first_html("x" * 300, level=logging.ERROR).startswith("❌ xxx")


def test_an_emoji_stands_before_a_table_where_there_is_no_first_line():
    assert first_html("", body="a  b\nc  d", level=logging.ERROR).startswith("❌\n\n<pre>a  b")


def test_a_line_that_separates_sections_is_no_heading():
    assert first_html("…\nOne", level=logging.ERROR).startswith("<b>❌ One</b>")


# ---- how much of it in how many messages


def test_a_long_event_is_numbered_messages_of_which_the_first_sounds():
    made = steps("Report", body=LONG_LINES[:9000])  # characters; 4096 in a message

    assert methods(made) == ["sendMessage"] * 3
    assert [text.plain(step.blocks).rpartition("\n")[2] for step in made] == ["(1/3)", "(2/3)", "(3/3)"]
    assert [step.silent for step in made] == [False, True, True]
    whole = "\n".join(text.plain(step.blocks) for step in made)
    assert all(line in whole for line in LONG_LINES[:9000].split("\n"))


def test_what_is_far_too_long_is_a_head_and_a_file_with_everything():
    made = steps("Report", body=LONG_LINES)

    assert methods(made) == ["sendMessage", "sendDocument"]
    head = text.html(made[0].blocks)
    assert head.startswith("<b>Report</b>\n\nline 00000\n")
    assert "📎 The whole text is in message.txt." in head
    assert made[1].file.name == "message.txt"
    assert LONG_LINES in made[1].file.data.decode()


def test_a_long_traceback_is_in_a_file_and_its_end_in_the_message():
    trace = "\n".join(f'  File "{number}.py", line 1' for number in range(2000)) + "\nValueError: the end"
    raised = ExceptionInfo("ValueError", "the end", trace)

    made = steps("Crashed", body="about the crash", exception=raised, level=logging.CRITICAL)

    head = text.html(made[0].blocks)
    assert head.startswith("<b>🆘 Crashed</b>\n\nabout the crash\n\n<b>ValueError</b>: the end\n<pre>…\n")
    assert "ValueError: the end</pre>" in head
    assert made[1].file.name == "traceback.txt"
    assert trace in made[1].file.data.decode()


def test_everything_an_event_says_is_in_its_file():
    said = event(
        "message",
        body="body",
        fields={"field": "value"},
        exception=CRASH,
        tail=("tail",),
        logger="logger",
        topic="topic",
    )

    content = text_file(said).data.decode()

    for part in ("message", "body", "field: value", CRASH.traceback, "tail", "logger", "topic", "INFO", "2026-01-01"):
        assert part in content


def test_a_file_is_bounded_and_says_so():
    content = text_file(event("x", body="word " * 5_000_000)).data  # 25 million characters, which no event has

    assert len(content) <= MAX_FILE
    assert b"characters cut]" in content


# ---- files


def test_an_image_stands_under_its_short_text_in_one_message():
    (step,) = steps("Equity", attachments=(Attachment("equity.png", PNG),))

    assert (step.method, step.silent) == ("sendPhoto", False)
    fields = {part.name: part for part in step.parts(-100)}
    assert fields["caption"].content.startswith(b"<b>Equity</b>")
    assert fields["show_caption_above_media"].content == b"true"
    assert fields["photo"].content == PNG


def test_an_image_with_a_long_text_follows_it():
    made = steps("Report", body="x " * 600, attachments=(Attachment("equity.png", PNG),))  # 1024 are a caption

    assert methods(made) == ["sendMessage", "sendPhoto"]
    assert made[1].blocks == ()
    assert [step.silent for step in made] == [False, True]


def test_other_files_are_documents_and_images_come_first():
    files = (Attachment("trades.csv", b"a,b"), Attachment("one.png", PNG), Attachment("two.png", PNG))

    made = steps("Report", attachments=files)

    assert [(step.method, step.file.name) for step in made] == [
        ("sendPhoto", "one.png"), ("sendPhoto", "two.png"), ("sendDocument", "trades.csv"),
    ]  # fmt: skip


def test_files_that_telegram_does_not_take_are_named():
    files = (Attachment("empty.txt", b""), Attachment("huge.bin", bytes(MAX_FILE + 1)))

    made = first_html("Report", attachments=files)

    assert "✂️ Left out, because Telegram does not take it: empty.txt (0 bytes), huge.bin (47.7 MiB)." in made


def test_a_file_has_a_name_that_survives_a_header():
    files, _ = attach([Attachment('../../a "b"\r\nc.txt', b"x"), Attachment("損益.csv", b"x"), Attachment("..", b"x")])

    assert [file.name for file in files] == ["_.._a_b_c.txt", "_.csv", "file"]
    assert [file.content_type for file in files] == ["text/plain", "text/csv", "application/octet-stream"]


@pytest.mark.parametrize(
    ("data", "photo"),
    [
        (PNG, True),
        (b"\xff\xd8\xff\xe0", True),
        (b"RIFF\0\0\0\0WEBP", True),
        (b"GIF89a", False),
        (b"<svg", False),
        (PNG + bytes(10_000_000), False),
    ],
)
def test_a_photo_is_told_by_its_content(data, photo):
    assert is_photo(File("x.png", data, "image/png")) is photo


# ---- what is tried when Telegram refuses


def test_a_refused_photo_becomes_a_document_and_then_a_word_about_it():
    (step,) = steps("Equity", attachments=(Attachment("equity.png", PNG),))

    document = step.less()
    assert (document.method, document.blocks) == ("sendDocument", step.blocks)
    note = document.less()
    assert note.method == "sendMessage"
    assert text.html(note.blocks).startswith("<b>Equity</b>")
    assert "✂️ Left out, because Telegram refused it: equity.png (" in text.html(note.blocks)


def test_a_refused_text_is_sent_without_markup_and_then_nothing_is_left_to_try():
    (step,) = steps("a <b>")

    plainly = step.less()

    assert plainly.json(5)["text"] == "a <b>\n\nlog · id"
    assert "parse_mode" not in plainly.json(5)
    assert plainly.less() is None


# ---- sound


def test_an_event_that_makes_no_sound_makes_none_in_any_message():
    made = steps("Report", body=LONG_LINES, attachments=(Attachment("a.png", PNG),), silent=True)

    assert [step.silent for step in made] == [True] * 3
    assert made[0].json(5)["disable_notification"] is True
    assert b"true" in [part.content for part in made[1].parts(5) if part.name == "disable_notification"]


def test_a_request_has_documented_parameters_only():
    (step,) = steps("x")

    assert step.json(-100) == {
        "chat_id": -100,
        "text": "<b>x</b>\n\n<i>log · id</i>",
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }


# ---- whatever the event

TEXTS = st.text(max_size=200) | st.sampled_from(["&" * 5000, "x" * 20_000, "損 🚀\n" * 3000, "<b>" * 2000, "…\n" * 50])


def valid(made: list[Step]):
    assert made
    for step in made:
        html = text.html(step.blocks)
        assert length(html) <= (CAPTION if step.file else LIMIT)
        assert shown(html) == text.plain(step.blocks)
        check_text(shown(html).strip(), caption=step.file is not None)


@pytest.mark.parametrize("hostile", hostile_events(), ids=lambda hostile: hostile.message[:20].strip() or "blank")
def test_hostile_events_are_requests_that_telegram_takes(hostile):
    valid(steps_for(hostile, silent=False))


@given(
    message=TEXTS,
    body=TEXTS,
    level=st.sampled_from([10, 20, 21, 30, 40, 50]),
    fields=st.dictionaries(TEXTS, TEXTS, max_size=3),
    raised=st.none() | st.builds(ExceptionInfo, TEXTS, TEXTS, TEXTS),
    lines=st.lists(TEXTS, max_size=2),
    topic=TEXTS,
    image=st.booleans(),
)
def test_every_event_is_requests_that_telegram_takes(message, body, level, fields, raised, lines, topic, image):
    files = (Attachment("a.png", PNG),) if image else ()
    said = event(
        message,
        body=body,
        level=level,
        fields=fields,
        exception=raised,
        tail=tuple(lines),
        topic=topic,
        attachments=files,
    )

    valid(steps_for(said, silent=False))
