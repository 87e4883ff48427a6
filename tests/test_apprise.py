"""The Apprise backend, against services that take, refuse, break and stall."""

import base64
import json
import logging
import threading
import traceback
from contextlib import suppress
from textwrap import dedent

import pytest
from children import python
from lanes import pass_time
from raw_server import answering, breaking_off, dripping, raw, silent

from notify.backends.apprise import ServiceBackend, open_services
from notify.errors import Gone, Rejected, RetryLater
from notify.event import Attachment, Event, ExceptionInfo
from notify.levels import TRADE
from notify.notifier import Notifier
from notify.testing import check_backend

PASSWORD = "c4nary-of-the-service"
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
PATIENCE = 10  # seconds for what takes less than two


def said(status):
    return answering(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def url(server, query=""):
    return f"json://user:{PASSWORD}@{server.authority}/{PASSWORD}{query}"


def opened(server, query="", **how):
    """Return the backend of a service."""
    (backend,) = open_services(url(server, query), "us")
    return ServiceBackend(backend._notifier, **how) if how else backend


def payloads(server):
    """Return the JSON of all requests."""
    bodies = [part.partition(b"\r\n\r\n")[2] for part in server.read.split(b"POST ")[1:]]
    return [json.loads(body) for body in bodies]


def event(message="Crashed", *, number=1, level=logging.ERROR, **parts):
    return Event(id=f"id-{number}", time=1_767_225_600.0, message=message, level=level, **parts)


class Service:
    """What Apprise makes of a URL, answering from a list: yes, no, or what it logs before it says no."""

    service_name = "Stub"
    attachment_support = False
    title_maxlen = 250
    body_maxlen = 32768

    def __init__(self, *answers, **attributes):
        self.answers = list(answers)
        self.got = []
        vars(self).update(attributes)

    def __getitem__(self, index):
        return self

    def notify(self, **message):
        self.got.append(message)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, str):
            logging.getLogger("apprise").warning(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer is True


def stub(*answers, **attributes):
    open_services("json://localhost", "us")  # has Apprise's log heard by who calls
    service = Service(*answers, **attributes)
    return ServiceBackend(service), service


# ---- delivered


def test_an_event_is_a_notification():
    with raw(answering(TAKEN)) as server:
        backend = opened(server)

        assert backend.send([event("Crashed\nin cycle 7", body="why", fields={"cycle": 7})]) == 1

    (payload,) = payloads(server)
    assert (payload["title"], payload["message"], payload["type"]) == (
        "Crashed",
        "in cycle 7\n\nwhy\n\ncycle: 7",
        "failure",
    )
    assert payload["attachments"] == []
    assert repr(backend) == "ServiceBackend()"


@pytest.mark.parametrize(
    ("level", "kind"),
    [(logging.DEBUG, "info"), (TRADE, "info"), (logging.WARNING, "warning"), (logging.CRITICAL, "failure")],
)
def test_its_kind_is_that_of_the_level(level, kind):
    backend, service = stub()

    backend.send([event(level=level)])

    assert service.got[0]["notify_type"].value == kind


@pytest.mark.parametrize(
    ("parts", "title", "body"),
    [
        ({"message": "a line"}, "", "a line"),
        ({"message": "a line", "body": "more"}, "a line", "more"),
        ({"message": ""}, "", "(no text)"),
        ({"message": "", "body": "more"}, "", "more"),
        ({"message": "x" * 121 + "\nrest"}, "", "x" * 121 + "\n\nrest"),
        ({"message": "<b>\x1b", "body": "\x00"}, "<b>␛", "␀"),
        ({"message": "a", "exception": ExceptionInfo("E", "m", "Traceback")}, "a", "E: m\n\nTraceback"),
        ({"message": "a", "tail": ("one", "two")}, "a", "Last log lines:\none\ntwo"),
    ],
)
def test_the_first_line_is_the_title_where_there_is_more_to_say(parts, title, body):
    backend, service = stub()

    backend.send([event(**parts)])

    assert (service.got[0]["title"], service.got[0]["body"]) == (title, body)


def test_a_body_is_as_long_as_the_service_takes_and_says_what_is_missing():
    backend, service = stub(body_maxlen=500, title_maxlen=0)

    backend.send([event("Title", body="word " * 1000)])

    body = service.got[0]["body"]
    assert len(body) <= 500 - len("Title") - 2  # Apprise puts the title above it
    assert "characters cut]" in body


# ---- files


def test_files_go_with_it():
    with raw(answering(TAKEN)) as server:
        backend = opened(server)

        backend.send(
            [
                event(attachments=(Attachment("a.png", b"\x89PNG", "image/png"), Attachment("b", b""))),
            ]
        )

    (payload,) = payloads(server)
    (file,) = payload["attachments"]
    assert (file["filename"], base64.b64decode(file["base64"]), file["mimetype"]) == ("a.png", b"\x89PNG", "image/png")
    assert payload["message"].endswith("✂️ Left out: b.")


def test_a_service_that_takes_no_files_is_told_of_them():
    backend, service = stub()

    backend.send([event(attachments=(Attachment("a.png", b"1"), Attachment("b.png", b"2")))])

    assert service.got[0]["attach"] is None
    assert service.got[0]["body"] == "Crashed\n\n✂️ Left out: a.png, b.png."


@pytest.mark.parametrize("no", ["Failed to send it: error=413.", "Failed to send it."])
def test_an_event_whose_files_are_not_taken_is_sent_without_them(no):
    backend, service = stub(no, attachment_support=True)

    assert backend.send([event(attachments=(Attachment("a.png", b"1"),))]) == 1

    assert [len(message["attach"] or ()) for message in service.got] == [1, 0]
    assert service.got[1]["body"] == "Crashed\n\n✂️ Left out: a.png."


@pytest.mark.parametrize("no", ["A Connection error occurred.", "Failed to send it: error=500.", False])
def test_a_service_in_trouble_is_not_asked_again_without_files(no):
    backend, service = stub(no, attachment_support=True)

    with pytest.raises(RetryLater):
        backend.send([event(attachments=(Attachment("a.png", b"1"),))])

    assert len(service.got) == 1


# ---- no


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, RetryLater),
        (502, RetryLater),
        (429, RetryLater),
        (400, Rejected),
        (413, Rejected),
        (401, Gone),
        (404, Gone),
    ],
)
def test_a_status_that_apprise_logs_says_what_its_no_means(status, answer):
    with raw(said(status)) as server, pytest.raises(answer) as raised:
        opened(server).send([event()])

    assert str(raised.value) == f"the service answered {status}"


@pytest.mark.parametrize("fault", [breaking_off(b""), breaking_off(b"\x00 rubbish\r\n\r\n"), silent])
def test_a_service_that_is_not_reached_is_tried_for_ever(fault):
    with raw(fault) as server:
        backend = opened(server, "?rto=0.1&cto=0.1")  # seconds
        for _ in range(11):  # one more than the tries of what is refused without a reason
            with pytest.raises(RetryLater, match=r"^the service was not reached$"):
                backend.send([event()])


def test_what_is_refused_without_a_reason_ten_times_is_rejected_and_the_next_is_tried():
    backend, _ = stub(*["Failed to send it."] * 10)
    for _ in range(9):
        with pytest.raises(RetryLater, match="no reason is known"):
            backend.send([event()])

    with pytest.raises(Rejected, match="did not take it 10 times"):
        backend.send([event()])
    assert backend.send([event(number=2)]) == 1


def test_a_no_of_which_nothing_is_heard_is_never_the_last_word():
    backend, _ = stub(*[False] * 20)

    for _ in range(20):
        with pytest.raises(RetryLater):
            backend.send([event()])


def test_a_plugin_that_raises_is_a_no():
    backend, _ = stub(*[RuntimeError(PASSWORD)] * 2)

    with pytest.raises(RetryLater, match="no reason is known") as raised:
        backend.send([event()])

    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


# ---- a service that takes its time


class Gate:
    """Answers when it is let."""

    def __init__(self, answer=TAKEN):
        self.let = threading.Event()
        self.answer = answer

    def __call__(self, server, connection):
        server.request(connection)
        self.let.wait(5)
        connection.sendall(self.answer)


def test_the_lane_waits_no_longer_than_the_deadline_and_no_second_call_is_made():
    gate = Gate()
    with raw(gate) as server:
        backend = opened(server, deadline_seconds=0.1)
        with pytest.raises(RetryLater, match=r"^no answer within 0.1 s$"):
            backend.send([event()])
        with pytest.raises(RetryLater, match=r"^an earlier call has not ended yet$"):
            backend.send([event()])
        gate.let.set()

        backend._deadline = PATIENCE
        assert backend.send([event()]) == 1
        assert backend.send([event("next", number=2)]) == 1

    assert [payload["message"] for payload in payloads(server)] == ["Crashed", "next"]


def test_what_was_delivered_late_is_not_sent_again_after_another_event_either():
    gate = Gate()
    with raw(gate, answering(TAKEN)) as server:
        backend = opened(server, deadline_seconds=0.1)
        with pytest.raises(RetryLater):
            backend.send([event()])
        gate.let.set()
        backend._deadline = PATIENCE

        assert backend.send([event("urgent", number=2)]) == 1
        assert backend.send([event()]) == 1

    assert [payload["message"] for payload in payloads(server)] == ["Crashed", "urgent"]


def test_a_late_no_is_followed_by_another_try():
    gate = Gate(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with raw(gate, answering(TAKEN)) as server:
        backend = opened(server, deadline_seconds=0.1)
        with pytest.raises(RetryLater):
            backend.send([event()])
        gate.let.set()
        backend._deadline = PATIENCE

        assert backend.send([event()]) == 1

    assert len(payloads(server)) == 2


def test_a_service_that_drips_is_left_at_the_deadline_and_keeps_nothing_from_ending():
    with raw(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")) as server:
        backend = opened(server, deadline_seconds=0.2)
        with pytest.raises(RetryLater, match="no answer within"):
            backend.send([event()])
        (waiting,) = [thread for thread in threading.enumerate() if thread.name == "notify-apprise"]
        assert waiting.daemon
        backend.close()


PROGRAM = """
    import sys, notify
    notifier = notify.setup(env={"APPRISE_URLS": sys.argv[1], "NOTIFY_STDOUT": "off", "NOTIFY_DURABLE_LEVEL": "off"})
    notifier.notify("Crashed", level=40)
    notifier.flush(1.0)  # the call has begun
    notifier.close(0.1)
"""


@pytest.mark.process
def test_a_program_ends_while_a_call_goes_on():
    with raw(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")) as server:
        ended = python("-c", dedent(PROGRAM), url(server))

    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == ("notify: apprise: nobody knows what became of 1 of its events: send() has not returned\n")
    assert server.read.startswith(b"POST /")


def test_where_no_thread_can_be_started_the_call_is_made_all_the_same(monkeypatch):
    def refuse(name, target):
        raise RuntimeError("can't start new thread")

    backend, service = stub()
    monkeypatch.setattr("notify.threads.start", refuse)

    assert backend.send([event()]) == 1
    assert len(service.got) == 1


# ---- a lane for each URL


def test_what_one_service_has_taken_is_not_sent_to_it_again_when_another_fails(clock):
    with raw(answering(TAKEN)) as well, raw(said(500), said(500), answering(TAKEN)) as ill:
        first, second = open_services(f"{url(well)}, {url(ill)}", "us")
        with Notifier({"apprise": first, "apprise_2": second}, clock=clock) as notifier:
            ticket = notifier.notify("Crashed", level=logging.ERROR)
            pass_time(notifier, clock)
            assert ticket.wait(PATIENCE) == {"apprise": "delivered", "apprise_2": "delivered"}

    assert (len(payloads(well)), len(payloads(ill))) == (1, 3)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("json://localhost", 1),
        ("json://localhost,json://localhost", 2),
        (" json://localhost , json://localhost\njson://localhost, ", 3),
        ("mailto://user:pw@example.com?to=a@example.com,b@example.com", 1),
    ],
)
def test_urls_have_a_comma_or_space_between_them_and_may_have_commas(text, count):
    assert len(open_services(text, "us")) == count


@pytest.mark.parametrize(
    ("text", "place"), [("c4nary", 1), ("json://localhost c4nary://x", 2), ("tgram://c4nary/", 1), ("json://", 1)]
)
def test_a_url_that_apprise_does_not_understand_is_named_by_its_place(text, place, caplog, capfd):
    caplog.set_level(1)

    with pytest.raises(ValueError, match=f"^number {place} is not a URL that Apprise understands$"):
        open_services(text, "us")

    assert "c4nary" not in caplog.text + "".join(capfd.readouterr())


# ---- its own words


@pytest.mark.parametrize(
    "behaviour", [answering(TAKEN), said(500), breaking_off(b""), silent], ids=["well", "500", "resets", "hangs"]
)
def test_nothing_that_apprise_or_its_http_client_logs_comes_out(behaviour, caplog, capfd):
    caplog.set_level(1)
    with raw(behaviour) as server:
        backend = opened(server, "?rto=0.1")
        with suppress(RetryLater):
            backend.send([event("hello")])

    assert len(server.open) == 1
    assert caplog.records == []
    assert PASSWORD not in "".join(capfd.readouterr())
    assert PASSWORD not in backend.check() + repr(backend)


def test_what_the_program_itself_logs_through_apprise_is_heard(caplog):
    open_services("json://localhost", "us")

    logging.getLogger("apprise").warning("the program's own")

    assert caplog.messages == ["the program's own"]


def test_a_check_says_that_only_a_message_can_tell():
    backend, _ = stub()

    assert backend.check() == "Stub: its URL is understood; whether it works, only a message can tell"


def test_the_backend_keeps_the_contract_of_backends():
    with raw(answering(TAKEN)) as server:
        check_backend(lambda: opened(server), secrets=[PASSWORD])
