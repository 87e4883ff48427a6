import json
import logging
from decimal import Decimal

import pytest
from documents import ecs, version_1
from hypothesis import given, settings
from hypothesis import strategies as st

from notify.backends.logstash.encoding import LEAST_LIMIT, encode, encode_all
from notify.backends.logstash.wire import NOTHING, Document, Shared, Speaker
from notify.event import Attachment, Event, ExceptionInfo
from notify.plain import keep_fields

LIMIT = 65_507  # bytes of a datagram
SPEAKER = Speaker("executor-test", "trader-1", ("python",))


def read(line: bytes) -> dict[str, object]:
    def refuse(constant: str) -> object:
        raise AssertionError(f"{constant} is not JSON")

    assert b"\n" not in line
    document: dict[str, object] = json.loads(line, parse_constant=refuse)
    return document


def document(**parts: object) -> Document:
    said = Event(**{"id": "id-1", "time": 1_767_225_600.0, "message": "m", "level": logging.INFO, **parts})  # type: ignore[arg-type]  # parts of Event
    return version_1(said, SPEAKER)


def test_a_document_that_fits_is_left_as_it_is() -> None:
    understood = read(encode(document(message="x" * 60_000), LIMIT))

    assert understood["message"] == "x" * 60_000
    assert "truncated" not in understood


def test_the_longest_string_keeps_its_head_and_tail_and_the_event_says_so() -> None:
    message = "head " + "x" * 200_000 + " tail"
    whole = document(message=message, body="short")

    line = encode(whole, LIMIT)

    understood = read(line)
    assert LIMIT * 0.95 < len(line) <= LIMIT  # nearly all of the room is used
    assert str(understood["message"]).startswith("head xxx")
    assert str(understood["message"]).endswith("xxx tail")
    assert understood["body"] == "short"
    assert understood["truncated"] is True
    assert understood["original_bytes"] == len(json.dumps(whole, separators=(",", ":")))


def test_what_is_escaped_on_the_wire_is_measured_on_the_wire() -> None:
    for text in ("損" * 60_000, "🚀" * 60_000, "\x01" * 60_000, "\0" * 60_000, '"' * 60_000, "\ud800" * 60_000):
        line = encode(document(message=text), LIMIT)

        assert LIMIT * 0.9 < len(line) <= LIMIT, ascii(text[0])
        assert read(line)["truncated"] is True


def test_long_strings_are_cut_deep_inside_and_short_ones_are_not() -> None:
    fields = {"report": {"rows": ["r" * 50_000, "short"]}, "note": "n" * 50_000}

    understood = read(encode(document(fields=fields), LIMIT))

    report = understood["report"]
    assert isinstance(report, dict)
    assert report["rows"][1] == "short"
    # Both are cut to the same length: half of the room each.
    assert 25_000 < len(report["rows"][0]) == len(str(understood["note"])) < 33_000


def test_when_cutting_is_not_enough_the_largest_entries_are_left_out() -> None:
    fields = {"table": [["cell"] * 100] * 400, "price": 1.5}

    line = encode(document(fields=fields), LIMIT)

    understood = read(line)
    assert len(line) <= LIMIT
    assert "table" not in understood
    assert understood["price"] == 1.5
    assert understood["truncated"] is True


def test_every_document_can_be_cut_to_the_least_limit() -> None:
    worst = document(
        id="\x01" * 5_000,  # six bytes each on the wire, the worst there is
        message="\x01" * 5_000,
        body="b" * 5_000,
        tail=("\x01" * 100,) * 1_000,
        exception=ExceptionInfo("E", "m", "\x01" * 5_000),
        fields={"\x01" * 5_000: 1, **{f"field {number}": "v" * 100 for number in range(1_000)}},
    )

    line = encode(worst, LEAST_LIMIT)

    assert len(line) <= LEAST_LIMIT
    assert {"@timestamp", "message", "event_id", "truncated", "original_bytes"} <= read(line).keys()


def test_nul_is_written_out_because_receivers_end_a_string_there() -> None:
    line = encode(document(message="a\0b", fields={"na\0me": {"in\0side": ["x\0y"]}}), LIMIT)

    understood = read(line)
    assert b"\\u0000" not in line
    assert understood["message"] == "a\\x00b"
    assert understood["na\\x00me"] == {"in\\x00side": ["x\\x00y"]}


def test_other_control_characters_and_lone_surrogates_survive() -> None:
    understood = read(encode(document(message="\x1b[31m\r\n\x07", body="\ud800!"), LIMIT))

    assert understood["message"] == "\x1b[31m\r\n\x07"
    assert understood["body"] == "\\ud800!"


def test_what_is_not_json_in_a_document_is_shown_as_text() -> None:
    understood = read(encode({"message": "m", "odd": Decimal("1.5"), "huge": 10**30, "list": [object]}, LIMIT))

    assert (understood["odd"], understood["huge"]) == ("1.5", "1" + "0" * 30)
    assert understood["list"] == ["<class 'object'>"]


def test_what_is_shown_as_text_is_cut_like_text() -> None:
    odd: Document = {"message": bytes(30_000)}

    assert len(encode(odd, LEAST_LIMIT)) <= LEAST_LIMIT


# Surrogates are what st.text() leaves out; NUL and the rest of C0 are in it.
texts = st.text(max_size=50) | st.text(alphabet=st.characters(categories=["Cs", "Cc"]), max_size=50)
long_texts = st.builds(lambda text, times: text * times, texts, st.integers(0, 3_000))
scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(2**63 - 2, 2**64 + 2) | st.floats() | texts | st.binary()
    | st.decimals() | st.datetimes() | st.just(object()) | st.complex_numbers() | st.uuids()
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(texts | st.integers() | st.none() | st.booleans(), inner, max_size=5)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)
events = st.builds(
    Event,
    id=texts,
    time=st.floats(),
    message=long_texts,
    level=st.integers(),
    body=long_texts,
    topic=texts,
    key=st.none() | texts,
    fields=st.dictionaries(texts, values | long_texts, max_size=8),
    attachments=st.lists(st.builds(Attachment, texts, st.binary(max_size=5)), max_size=2).map(tuple),
    exception=st.none() | st.builds(ExceptionInfo, texts, texts, long_texts),
    tail=st.lists(texts, max_size=3).map(tuple),
    logger=texts,
)


@settings(max_examples=150, deadline=None)  # a minute's worth would find no more here; the machine may be busy
@given(said=events, kept=st.booleans(), limit=st.sampled_from([LIMIT, 20_000, LEAST_LIMIT]), as_ecs=st.booleans())
def test_whatever_an_event_holds_it_becomes_one_strict_line_that_fits(
    said: Event, kept: bool, limit: int, as_ecs: bool
) -> None:
    if kept:  # as the notifier makes them; the others are as a third party may
        said = Event(
            id=said.id, time=said.time, message=said.message, level=said.level, fields=keep_fields(said.fields)
        )

    line = encode((ecs if as_ecs else version_1)(said, SPEAKER), limit)

    assert len(line) <= limit
    assert "message" in read(line)
    assert b"\\u0000" not in line.replace(rb"\\", b"")


# ---- many documents together


def test_documents_encoded_together_are_what_each_is_alone_whatever_they_hold() -> None:
    # A list of documents, a text with what stands between two of them, and a line break, which JSON escapes.
    fields = {"list": [{"@timestamp": 1}, {"@timestamp": 2}], "text": "},\n,{", "empty": {}}
    plain = [document(message=f"message {number}", fields=fields) for number in range(3)]
    nul, surrogate, no_json = document(message="a\0b"), document(message="\udc80"), {"message": {1, 2}}
    long = document(message="x" * 70_000)

    for documents in (plain[:1], plain, [*plain, nul], [surrogate, *plain], [*plain, no_json], [long, *plain]):
        lines = encode_all([(document, NOTHING) for document in documents], LIMIT)
        assert lines == [encode(document, LIMIT) for document in documents]
    assert encode_all([], LIMIT) == []


@pytest.mark.parametrize(
    "shared",
    [{}, {"host": "h", "tags": ["a"]}, {"path": "a\0b"}, {"path": "\udc80"}, {"path": "x" * 60_000}],
    ids=["nothing", "ordinary", "NUL", "surrogate", "long"],
)
def test_what_documents_have_in_common_stands_in_each_line(shared: dict[str, object]) -> None:
    rest = Shared(shared)
    own: list[dict[str, object]] = [{"message": f"message {number}", "x": "}" * 6_000} for number in range(3)]

    lines = encode_all([(each, rest) for each in own], LIMIT)

    assert [read(line) for line in lines] == [read(encode({**shared, **each}, LIMIT)) for each in own]
    assert max(map(len, lines)) <= LIMIT
