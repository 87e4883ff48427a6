"""Events as messages: within every limit of Discord's, and with nothing lost."""

import logging
import re
import time
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notify.backends.discord import text
from notify.backends.discord.embed import make_card
from notify.backends.discord.files import MAX_FILE
from notify.backends.discord.identity import Mention
from notify.backends.discord.message import Appearance, compose, compose_plain
from notify.event import Attachment, Event, ExceptionInfo
from notify.levels import TRADE, TRADE_HIGH
from notify.plain import keep_fields
from notify.testing.discord_rules import refusal

PLAIN = Appearance()
NEW_YEAR = 1_767_225_600.25  # 2026-01-01 00:00:00.250 UTC


def event(message="Bought 1 ETH", *, level=TRADE, **parts):
    return Event(id="0199-01-ab", time=NEW_YEAR, message=message, level=level, **parts)


def composed(*events, appearance=PLAIN, **options):
    """Compose, and check against everything that Discord documents."""
    message = compose(events, appearance, **options)
    assert_accepted(message)
    return message


def assert_accepted(message):
    assert refusal(message.payload, [file.name for file in message.files]) is None
    assert all(0 < len(file.data) <= MAX_FILE for file in message.files)
    assert sum(len(file.data) for file in message.files) <= 20 * 2**20  # 5 MiB below Discord's limit of a request


def embed_of(*events, **options):
    return composed(*events, **options).payload["embeds"][0]


def raised(frames=3):
    lines = "".join(f'  File "strategy.py", line {number}, in step\n    step()\n' for number in range(frames))
    return ExceptionInfo("ValueError", "no price", f"Traceback (most recent call last):\n{lines}ValueError: no price\n")


# ---- one event, one embed


def test_an_ordinary_event_is_one_embed_of_documented_keys_only():
    payload = composed(
        event("Bought 1 ETH", body="At 3,450 USDC.", topic="trade", logger="strategy", fields={"pair": "ETH-USDC"})
    ).payload

    assert payload == {
        "embeds": [
            {
                "title": "Bought 1 ETH",
                "description": "At 3,450 USDC.",
                "color": 2040357,
                "timestamp": "2026-01-01T00:00:00.250+00:00",
                "fields": [{"name": "pair", "value": "ETH-USDC", "inline": True}],
                "footer": {"text": "trade · 0199-01-ab · strategy"},
            }
        ],
        "allowed_mentions": {"parse": []},
    }


@pytest.mark.parametrize(
    ("level", "colour", "emoji"),
    [
        (logging.CRITICAL, 14362664, "🆘 "),
        (logging.ERROR, 14362664, "❌ "),
        (logging.WARNING, 16497928, "⚠️ "),
        (TRADE_HIGH, 2040357, ""),
        (TRADE, 2040357, ""),
        (logging.INFO, 2196944, ""),
        (logging.DEBUG, 8947848, ""),
        (5, 2040357, ""),
        (45, 14362664, "❌ "),
    ],
)
def test_colour_and_emoji_tell_the_severity(level, colour, emoji):
    embed = embed_of(event("What happened", level=level))

    assert (embed["color"], embed["title"]) == (colour, f"{emoji}What happened")


def test_a_decision_above_critical_still_looks_like_a_trade(monkeypatch):
    monkeypatch.setitem(logging._levelToName, 51, "TRADE_HIGH")  # as trade-executor registers it for live trading

    assert embed_of(event("Rebalanced", level=51))["color"] == 2040357


def test_a_long_first_line_goes_into_the_description_behind_the_emoji():
    embed = embed_of(event("x" * 81 + "\nmore", level=logging.ERROR))

    assert "title" not in embed
    assert embed["description"] == "❌ " + "x" * 81 + "\nmore"


def test_an_emoji_stands_above_a_table():
    assert embed_of(event("", body="a  b\nc  d", level=logging.ERROR))["description"] == "❌\n```\na  b\nc  d\n```"


def test_markup_in_a_message_is_shown_and_not_obeyed():
    embed = embed_of(event("*all* @everyone", body="<@1> [x](https://evil.example)", fields={"a_": "`b`"}))

    assert embed["title"] == r"\*all\* @everyone"
    assert embed["description"] == r"\<@1> [x]\(https://evil.example)"
    assert embed["fields"] == [{"name": r"a\_", "value": r"\`b\`", "inline": True}]


def test_sections_are_set_off_and_a_table_keeps_its_columns():
    table = (
        "asset      amount      value      profit      opened      duration\nETH        1.00        3450       +3.5 %"
    )

    embed = embed_of(event("Cycle 12", body=f"Positions\nETH 1\n…\n{table}\n…\nGas"))

    assert embed["description"] == f"**Positions**\nETH 1\n\n```\n{table}\n```\n\n**Gas**"


def test_a_section_that_is_a_table_below_its_name_has_a_heading():
    body = "Open positions\nETH   1,000 USD\nBTC      20 USD\n…\nGas"

    embed = embed_of(event("Cycle 12", body=body))

    assert embed["description"] == "**Open positions**\n```\nETH   1,000 USD\nBTC      20 USD\n```\n\n**Gas**"


def test_what_has_indented_lines_below_it_is_a_heading_too():
    body = "🌲 #39 ETH-USDC\n   profit +3.50 %\n🔻 #40 BTC-USDC\n   profit -1.20 %\n   12 days\nno more\n…\nGas"

    embed = embed_of(event("Positions", body=body))

    assert embed["description"] == (
        "**🌲 #39 ETH-USDC**\n   profit +3.50 %\n**🔻 #40 BTC-USDC**\n   profit -1.20 %\n   12 days\nno more\n\n**Gas**"
    )


def test_a_body_without_sections_has_no_headings():
    assert embed_of(event("Cycle 12", body="Positions\nETH 1"))["description"] == "Positions\nETH 1"


@pytest.mark.parametrize("blank", ["", " \n ", "\u200b", "…", "\u3164"])
def test_an_event_without_text_is_still_something_to_see(blank):
    embed = embed_of(event(blank, body=blank))

    assert not text.is_blank(embed.get("title", "") + embed.get("description", ""))


def test_a_time_that_no_calendar_has_is_left_out():
    assert "timestamp" not in embed_of(Event(id="1", time=float("nan"), message="a", level=20))


# ---- fields


def test_long_field_values_stand_in_a_line_of_their_own():
    fields = embed_of(event(fields={"short": "x" * 40, "long": "x" * 41, "list": [1, None, "ä"]}))["fields"]

    assert [(field["value"], field["inline"]) for field in fields] == [
        ("x" * 40, True),
        ("x" * 41, False),
        ('[1, null, "ä"]', True),
    ]


def test_blank_names_and_values_are_shown_as_a_dash():
    assert embed_of(event(fields={"": "", " ": "\n"}))["fields"] == [{"name": "–", "value": "–", "inline": True}] * 2


def test_fields_that_are_too_many_or_too_long_go_into_the_text():
    embed = embed_of(event(fields={f"f{number}": number for number in range(26)} | {"long": "y" * 1025}))

    assert len(embed["fields"]) == 25  # Discord's limit
    assert embed["description"] == "f25: 25\n\nlong: " + "y" * 1025


# ---- tables in fields

POSITION = {"pair": "ETH-USDC", "value": 3450.1, "profit": "+3.50 %"}


def test_a_list_of_dicts_is_a_table_among_the_fields():
    fields = embed_of(event(fields={"equity": 10412.5, "positions": [POSITION, {"pair": "AAVE", "value": -12}]}))[
        "fields"
    ]

    assert fields == [
        {"name": "equity", "value": "10412.5", "inline": True},
        {
            "name": "positions",
            "value": (
                "```\npair         value   profit\nETH-USDC  3,450.10  +3.50 %\nAAVE        -12.00        –\n```"
            ),
            "inline": False,
        },
    ]


def test_a_text_with_columns_keeps_them_in_a_field():
    (field,) = embed_of(event(fields={"frame": "pair   value\nETH        1"}))["fields"]

    assert field == {"name": "frame", "value": "```\npair   value\nETH        1\n```", "inline": False}


def test_a_table_too_large_for_a_field_is_in_the_description():
    embed = embed_of(
        event(body="Prose", fields={"open_": [POSITION] * 40})
    )  # 28 characters in each row, 1024 in a field

    assert "fields" not in embed
    assert embed["description"].startswith("Prose\n\n**open\\_**\n```\npair         value   profit\nETH-USDC  3,450.10")
    assert embed["description"].count("ETH-USDC") == 40


def test_a_table_of_a_hundred_rows_says_how_many_are_in_the_file_which_is_as_wide_as_it_needs():
    rows = [{**POSITION, "number": number, "opened": "2026-01-01 12:00"} for number in range(100)]

    message = composed(event("Report", fields={"positions": rows}))

    description = message.payload["embeds"][0]["description"]
    (left,) = re.findall(r"\n… (\d+) more\n```\n\n📎 The whole text is in message.txt.$", description)
    shown = 100 - int(left)
    assert shown > 30
    assert description.count("ETH-USDC") == 2 * shown  # each row is in two parts, a part for its first columns
    (file,) = message.files
    assert "\nETH-USDC  3,450.10  +3.50 %      99  2026-01-01 12:00" in file.data.decode()


def test_the_largest_table_that_notify_keeps_is_composed_in_no_time():
    rows = [{f"column {number}": "損" * 500 for number in range(19)}] * 100  # 500 characters are the longest cell

    started = time.perf_counter()
    message = composed(event("Report", fields=keep_fields({"rows": rows})))

    assert time.perf_counter() - started < 10  # seconds; it takes one, nearly all of it for the file
    assert [file.name for file in message.files] == ["message.txt"]


def test_a_table_does_not_end_its_block_of_code():
    (field,) = embed_of(event(fields={"t": [{"a": "```\n@everyone", "b": "\x00"}]}))["fields"]

    assert field["value"].count("```") == 2
    assert "\x00" not in field["value"]


# ---- exceptions


def test_an_exception_shows_its_type_its_message_and_its_traceback():
    embed = embed_of(event("Crashed", level=logging.CRITICAL, exception=raised(1), tail=("12:00:00 INFO a: b",)))

    assert embed["description"] == (
        "ValueError: no price\n```\nTraceback (most recent call last):\n"
        '  File "strategy.py", line 0, in step\n    step()\nValueError: no price\n```\n\n```\n12:00:00 INFO a: b\n```'
    )


@pytest.mark.parametrize("kind", ["ZeroDivisionError", "strategy.sums.ZeroDivisionError"])
def test_an_exception_that_the_message_has_told_already_is_not_told_twice(kind):
    raised = ExceptionInfo(kind, "division by zero", "Traceback:\nZeroDivisionError: division by zero\n")
    crash = event("Crashed in the main thread: ZeroDivisionError: division by zero", exception=raised)

    embed = compose([crash], Appearance()).payload["embeds"][0]

    assert embed["description"] == "```\nTraceback:\nZeroDivisionError: division by zero\n```"


def test_a_long_traceback_is_cut_at_its_front_and_travels_whole_in_a_file():
    message = composed(event("Crashed", exception=raised(200)))

    description = message.payload["embeds"][0]["description"]
    assert "no price\n```\n…\n" in description
    assert description.endswith("ValueError: no price\n```\n\n📎 The whole text is in traceback.txt.")
    assert [file.name for file in message.files] == ["traceback.txt"]
    assert raised(200).traceback.strip() in message.files[0].data.decode()


def test_a_tail_that_does_not_fit_is_in_the_file():
    message = composed(event("Crashed", exception=raised(1), tail=tuple(f"log {number}" for number in range(1000))))

    assert "log 0" not in message.payload["embeds"][0]["description"]
    assert message.files[0].data.decode().endswith("log 998\nlog 999")


def test_a_long_report_leaves_room_for_the_traceback():
    description = embed_of(event("Crashed", body="word " * 2000, exception=raised(200)))["description"]

    assert description.count("word") > 200  # about 1500 characters of the half that is the report's
    assert "line 199" in description


# ---- long text and files


def test_a_message_over_the_limit_travels_whole_in_a_file_under_a_readable_head():
    report = "\n".join(f"line {number} of the report" for number in range(1000))

    message = composed(event("Report", body=report, fields={"n": 1000}, logger="strategy"))

    description = message.payload["embeds"][0]["description"]
    assert description.startswith("line 0 of the report\nline 1 of the report\n")
    assert description.endswith("of the report\n\n📎 The whole text is in message.txt.")
    (file,) = message.files
    assert file.name == "message.txt"
    for part in ("Report", report, "n: 1000", "logger strategy", "0199-01-ab"):
        assert part in file.data.decode()


def test_a_table_that_is_cut_ends_with_a_row_and_has_its_fence_closed():
    row = "ETH-USDC  one  two  three"

    description = embed_of(event("Report", body="\n".join([row] * 300)))["description"]

    rows = description.removeprefix("```\n").partition("\n```\n\n📎")[0].split("\n")
    assert set(rows) == {row}
    assert len(rows) > 100  # 3500 characters, 26 in a row
    assert description.count("```") == 2


def test_one_line_that_is_too_long_is_cut_within():
    description = embed_of(event("Report", body="a  b " * 2000 + "\na  b"))["description"]

    assert description.startswith("```\na  b a  b")
    assert len(description) > 3000  # of 3500 that are for it


def test_nothing_follows_a_section_that_is_cut():
    description = embed_of(event("Report", body="first " * 1000 + "\n…\nsecond"))["description"]

    assert description.endswith("first first\n\n📎 The whole text is in message.txt.")


def test_text_of_emoji_stays_below_the_size_that_discord_does_not_document():
    description = embed_of(event("Report", body="🚀" * 10_000))["description"]

    assert len(description.encode("utf-16-le")) < 9_960  # what it took of the largest description it was seen to take


def test_a_text_over_ten_mebibytes_loses_its_middle_and_says_so():
    (file,) = composed(event("a" * MAX_FILE + "b" * MAX_FILE)).files

    assert re.search(rb"a\n\xe2\x80\xa6\[\d+ bytes cut: more than Discord takes\]\xe2\x80\xa6\nb", file.data)


def test_the_first_image_shows_in_the_embed_and_other_files_are_attached():
    message = composed(
        event(attachments=(Attachment("a.csv", b"1"), Attachment("b.PNG", b"2"), Attachment("c.gif", b"3")))
    )

    assert message.payload["embeds"][0]["image"] == {"url": "attachment://b.PNG"}
    assert message.payload["attachments"] == [
        {"id": "0", "filename": "a.csv"},
        {"id": "1", "filename": "b.PNG"},
        {"id": "2", "filename": "c.gif"},
    ]


@pytest.mark.parametrize(
    ("filename", "content_type", "name"),
    [
        ("../../etc/pass wd", None, "_.._etc_pass_wd"),
        ('a"\r\nb.png', None, "a_b.png"),
        ("", None, "file"),
        ("...", None, "file"),
        ("損益.png", None, "_.png"),
        ("chart", "image/png", "chart.png"),
        ("x" * 300 + ".txt", None, "x" * 60 + ".txt"),
    ],
)
def test_file_names_are_made_safe(filename, content_type, name):
    (file,) = composed(event(attachments=(Attachment(filename, b"1", content_type),))).files

    assert file.name == name


def test_files_of_one_name_are_all_kept():
    chart = Attachment("chart.png", b"1")

    message = composed(event(attachments=(chart, chart)), event(attachments=(Attachment("CHART.png", b"2"),)))

    assert [file.name for file in message.files] == ["chart.png", "chart-2.png", "CHART-3.png"]
    assert message.payload["embeds"][1]["image"] == {"url": "attachment://CHART-3.png"}


def test_files_that_discord_does_not_take_are_named_instead():
    files = (Attachment("big.bin", bytes(MAX_FILE + 1)), Attachment("small.bin", b"1"), Attachment("none.bin", b""))

    message = composed(event("Report", attachments=files))

    assert [file.name for file in message.files] == ["small.bin"]
    assert message.payload["embeds"][0]["description"] == (
        "✂️ Left out, because Discord does not take it: big.bin (10.0 MiB), none.bin (0 bytes)."
    )


def test_of_more_than_ten_files_the_text_and_the_first_ones_go():
    files = tuple(Attachment(f"{number}.bin", b"1") for number in range(12))

    message = composed(event("Report", body="x" * 5000, attachments=files))

    assert [file.name for file in message.files] == ["message.txt", *(f"{number}.bin" for number in range(9))]
    assert "9.bin (1 byte), 10.bin (1 byte), 11.bin (1 byte)." in message.payload["embeds"][0]["description"]


def test_without_files_the_message_says_what_is_missing():
    message = composed(event("Report", body="x" * 5000, attachments=(Attachment("a.bin", b"1"),)), with_files=False)

    assert message.files == ()
    assert message.payload["embeds"][0]["description"].endswith(
        "✂️ The rest of the text was too much for Discord.\n"
        "✂️ Left out, because Discord does not take it: a.bin (1 byte)."
    )


def test_an_event_that_is_too_much_in_every_way_is_within_the_sum_of_all_limits():
    big = tuple(Attachment("n" * 100, bytes(MAX_FILE + 1)) for _ in range(5))
    fields = {f"field {number}": "v" * 100 for number in range(100)}

    composed(
        event("t" * 80, body="words " * 2000, fields=fields, attachments=big, topic="p" * 90, logger="l" * 90),
        event("another"),
    )


# ---- several events, one message


def test_ten_events_share_a_message_and_the_eleventh_waits():
    message = composed(*(event(f"event {number}") for number in range(11)))

    assert message.count == 10
    assert [embed["title"] for embed in message.payload["embeds"]] == [f"event {number}" for number in range(10)]


def test_events_share_a_message_only_as_far_as_their_text_fits():
    # Title, text and footer of each are about 2530 characters, so that two fit below Discord's 6000.
    message = composed(*(event("Report", body="x" * 2500) for _ in range(3)))

    assert message.count == 2


def test_an_event_whose_files_do_not_fit_waits():
    half = event(attachments=tuple(Attachment(f"{number}.bin", b"1") for number in range(6)))

    assert composed(half, half).count == 1


def test_an_event_whose_files_are_too_heavy_waits():
    heavy = event(attachments=(Attachment("a.bin", bytes(MAX_FILE)), Attachment("b.bin", bytes(MAX_FILE))))

    assert composed(heavy, event("small", attachments=(Attachment("c.bin", b"1"),))).count == 1


# ---- who is called, and how loudly


@pytest.mark.parametrize(
    ("mention", "content"), [(Mention("users", "42"), "<@42>"), (Mention("roles", "43"), "<@&43>")]
)
def test_from_error_on_the_mention_is_called_and_nobody_else(mention, content):
    appearance = Appearance(mention=mention)

    payload = composed(event("@everyone"), event("Crashed", level=logging.ERROR), appearance=appearance).payload

    assert payload["content"] == content
    assert payload["allowed_mentions"] == {"parse": [], mention.kind: [mention.id]}


@pytest.mark.parametrize("level", [logging.INFO, TRADE, TRADE_HIGH, logging.WARNING])
def test_below_error_nobody_is_called(level):
    payload = composed(event(level=level), appearance=Appearance(mention=Mention("users", "42"))).payload

    assert "content" not in payload
    assert payload["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    ("levels", "silent"),
    [((TRADE, TRADE), True), ((TRADE, logging.WARNING), False), ((logging.CRITICAL,), False)],
)
def test_a_message_is_silent_when_all_its_events_are_and_none_is_critical(levels, silent):
    quiet = Appearance(silent=lambda event: event.level != logging.WARNING)

    payload = composed(*(event(level=level) for level in levels), appearance=quiet).payload

    assert payload.get("flags") == (4096 if silent else None)  # Discord's SUPPRESS_NOTIFICATIONS


# ---- the plain form


def test_the_plain_form_has_text_and_files_and_no_embed():
    appearance = Appearance(username="us", avatar_url="https://example.com/a.png", mention=Mention("users", "42"))
    crash = event("*Crashed*", level=logging.ERROR, body="x" * 5000, attachments=(Attachment("a.png", b"1"),))

    message = compose_plain(crash, appearance)

    assert_accepted(message)
    assert message.payload.keys() == {"content", "allowed_mentions", "attachments", "flags"}
    assert message.payload["content"].startswith("<@42>\n❌ \\*Crashed\\*\nxxx")
    assert message.payload["content"].endswith("xxx\n📎 The whole text is in message.txt.")
    assert [file.name for file in message.files] == ["message.txt", "a.png"]


# ---- whatever an event holds

TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=st.characters(codec=None, categories=["Cs", "Cc", "Cf", "Zs", "So"]), max_size=50),
    st.sampled_from(
        [
            "",
            "\x00",
            "…",
            "```\n```",
            "`" * 5000,
            "_" * 9000,
            "\u202e right to left",
            "🚀" * 10_000,
            "a\n" * 4000,
            "x" * 20_000,
            "\\" * 6001,
            "e" + "\u0301" * 7000,
            "損" * 7000,
            ("wide " * 20 + "\n…\n") * 200,
            "<@1> @everyone https://example.com/_a_",
            "</style><script>&amp;<b onclick='x'>",
        ]
    ),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.binary(max_size=10),
    st.lists(st.dictionaries(st.text(max_size=9), st.text(max_size=40) | st.floats(), max_size=3), max_size=4),
)
ATTACHMENTS = st.builds(
    Attachment, TEXTS, st.binary(max_size=20), st.none() | TEXTS | st.sampled_from(["image/png", "text/plain"])
)
EVENTS = st.builds(
    Event,
    id=TEXTS,
    time=st.floats(),
    message=TEXTS,
    level=st.integers(min_value=-1, max_value=60),
    body=TEXTS,
    topic=TEXTS,
    fields=st.dictionaries(TEXTS, VALUES, max_size=40).map(MappingProxyType),
    attachments=st.lists(ATTACHMENTS, max_size=12).map(tuple),
    exception=st.none() | st.builds(ExceptionInfo, TEXTS, TEXTS, TEXTS),
    tail=st.lists(TEXTS, max_size=3).map(tuple),
    logger=TEXTS,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(EVENTS, min_size=1, max_size=3), st.booleans())
def test_whatever_an_event_holds_discord_takes_it(events, with_files):
    appearance = Appearance(username="us", mention=Mention("roles", "1"), silent=lambda event: True)

    message = compose(events, appearance, with_files=with_files)

    assert_accepted(message)
    assert 1 <= message.count <= len(events)
    assert message.payload["allowed_mentions"]["parse"] == []
    assert_accepted(compose_plain(events[0], appearance))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(EVENTS)
def test_whatever_an_event_holds_its_embed_is_within_the_second_limit_too(hostile):
    embed = make_card(hostile).embed

    assert text.length(embed.get("description", "")) <= 4096  # Discord's, in the larger unit
    assert text.length(embed.get("title", "")) <= 256
