"""What networks and servers do to us, each from the outside and through a whole notifier, numbered as faults are."""

import http.client
import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import traceback
from contextlib import contextmanager, suppress

import pytest
import requests
from machine import missing
from raw_server import OK, answering, breaking_off, dripping, over_tls, raw, silent

from notify import diagnostics
from notify.backends.discord import DiscordBackend
from notify.backends.discord.limiter import ProcessLimiter
from notify.event import Attachment
from notify.notifier import Notifier
from notify.testing import MemoryBackend
from notify.testing.fake_discord import (
    BAD_GATEWAY,
    BAN,
    BLOCKED,
    DRIP,
    HANG,
    RESET,
    RESET_EARLY,
    RESET_LATE,
    TOKEN,
    FakeDiscord,
    Reply,
    rate_limited,
)

SHORT = 2.0  # seconds of deadline for one request, where it is to pass
PATIENCE = 20.0  # seconds for what takes less than three
MANY = 20  # events, more than fit one message
NAMES = [f"event {number}" for number in range(MANY)]
FAST = 1000  # times as fast as Discord's own limits, which are not what these tests are about


@pytest.fixture
def discord():
    with FakeDiscord(speed=FAST) as server:
        yield server


@pytest.fixture
def memory():
    return MemoryBackend(max_batch=100)


@pytest.fixture
def notifier_to(clock, memory):
    """Make a notifier for a webhook and for a backend that is well. Its lanes retry when the clock is moved on."""
    made = []

    def make(url, *, deadline_seconds=PATIENCE):
        backend = DiscordBackend(url, limiter=ProcessLimiter(clock), deadline_seconds=deadline_seconds)
        made.append(Notifier({"discord": backend, "memory": memory}, clock=clock))
        return made[-1]

    yield make
    for notifier in made:
        notifier.close(0)


def webhook_of(server, scheme="http"):
    """Return a webhook's URL at a server of bare sockets."""
    return f"{scheme}://{server.authority}/api/webhooks/1/{TOKEN}"


def say_all(notifier, memory):
    """Say everything, see it arrive at the backend that is well, and return the tickets."""
    tickets = [notifier.notify(name) for name in NAMES]
    arrived = memory.wait_for(MANY, PATIENCE)
    if any(event.message not in NAMES for event in arrived):  # that the other is gone may be said among them
        arrived = memory.wait_for(MANY + 1, PATIENCE)
    assert [event.message for event in arrived if event.message in NAMES] == NAMES
    return tickets


def assert_waiting(tickets):
    """Nothing is delivered: the clock stands, and with it the lane, whose only attempt met the fault."""
    assert {ticket.wait(0)["discord"] for ticket in tickets} == {"pending"}


def deliver_all(notifier, clock):
    """Move the clock on, from one attempt to the next, until everything is delivered."""
    while not notifier.flush(0.1):
        with suppress(TimeoutError):  # an attempt is under way, and may be the last
            clock.advance(clock.next_wait(0.1))


def last_error(notifier):
    return notifier.stats()["discord"]["last_error"]


def titles(discord):
    return [embed["title"] for embed in discord.embeds]


def test_fault_25_a_server_that_hangs_holds_up_only_its_own_lane(discord, memory, clock, notifier_to):
    discord.answer_with(HANG)
    notifier = notifier_to(discord.url, deadline_seconds=SHORT)

    tickets = say_all(notifier, memory)

    assert_waiting(tickets)
    assert clock.next_wait(PATIENCE) <= 1
    assert last_error(notifier) == "no answer within 2 s"
    assert (discord.requests, titles(discord)) == (1, [])
    deliver_all(notifier, clock)
    assert titles(discord) == NAMES


EVERY = 0.2  # seconds between two bytes: each comes in time, and the answer never ends


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Endless: ", EVERY), id="headers"),
        pytest.param(dripping(b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\n", EVERY), id="body of a failure"),
    ],
)
def test_fault_26_a_server_that_drips_is_left_at_the_deadline_and_asked_again(behaviour, memory, clock, notifier_to):
    with raw(behaviour, answering(OK)) as server:
        notifier = notifier_to(webhook_of(server), deadline_seconds=SHORT)

        tickets = say_all(notifier, memory)

        assert_waiting(tickets)
        assert clock.next_wait(PATIENCE) <= 1
        assert last_error(notifier) == "no answer within 2 s"
        deliver_all(notifier, clock)
        notifier.close(1)


def test_fault_26_what_a_server_took_is_not_sent_again_because_its_answer_drips(memory, notifier_to):
    body = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", EVERY)
    with raw(body, answering(OK)) as server:
        notifier = notifier_to(webhook_of(server), deadline_seconds=SHORT)

        say_all(notifier, memory)

        assert notifier.flush(PATIENCE)
        assert server.read.count(b'"title": "event 0"') == 1
        notifier.close(1)


@pytest.mark.parametrize(
    ("said", "copies"),
    [
        pytest.param(b"", 2, id="nothing said"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", 2, id="in the headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", 1, id="after the headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", 1, id="in the body"),
    ],
)
def test_fault_27_a_connection_that_is_reset_costs_a_duplicate_at_most(said, copies, memory, clock, notifier_to):
    with raw(breaking_off(said), answering(OK)) as server:
        notifier = notifier_to(webhook_of(server))

        say_all(notifier, memory)
        deliver_all(notifier, clock)

        assert [server.read.count(f'"title": "{name}"'.encode()) >= 1 for name in NAMES] == [True] * MANY
        assert server.read.count(b'"title": "event 0"') == copies
        notifier.close(1)


def test_fault_28_an_address_that_swallows_every_packet_holds_up_only_its_own_lane(memory, clock, notifier_to):
    with raw(answering(OK), accepting=False) as server:
        server.listener.listen(0)
        fillers = fill(server.listener.getsockname())
        notifier = notifier_to(webhook_of(server), deadline_seconds=SHORT)

        tickets = say_all(notifier, memory)

        assert_waiting(tickets)
        assert clock.next_wait(PATIENCE) <= 1
        assert last_error(notifier) == "connection timed out"
        for filler in fillers:
            filler.close()
        server.begin()
        deliver_all(notifier, clock)
        notifier.close(1)


def fill(address):
    """Connect until the kernel answers no more: one more than the queue holds."""
    fillers = []
    while len(fillers) < 10:
        filler = socket.socket()
        filler.settimeout(0.3)  # seconds; the kernel answers at once, or not at all
        try:
            filler.connect(address)
        except TimeoutError:
            filler.close()
            return fillers
        fillers.append(filler)
    raise AssertionError("the queue has no end")


# ---- networks of our own


def in_a_network_of_its_own(script, *, mounts=False):
    """Run Python in a network that has a loopback interface and nothing else, and return what it prints, as JSON."""
    unshare = ["unshare", "--net", *(["--mount"] if mounts else [])]
    if not (shutil.which("ip") and shutil.which("unshare")) or subprocess.run([*unshare, "true"]).returncode:
        missing("only root can make a network, with unshare and ip")
    done = subprocess.run(
        [*unshare, sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


BEGIN = """
    import contextlib, json, subprocess, sys, threading
    import discord_webhook, requests  # which takes as long as the deadlines below
    from notify.backends.discord import DiscordBackend
    from notify.backends.discord.limiter import ProcessLimiter
    from notify.notifier import Notifier
    from notify.testing import FakeClock, MemoryBackend

    def loopback(state):
        subprocess.run(["ip", "link", "set", "lo", state], check=True)

    def last_error():
        return notifier.stats()["discord"]["last_error"]

    loopback("up")
    clock, memory = FakeClock(), MemoryBackend()
"""


@pytest.mark.process
def test_fault_29_what_is_said_while_the_network_is_gone_is_delivered_in_order_when_it_is_back():
    script = """
        from notify.testing.fake_discord import FakeDiscord

        with FakeDiscord(speed=1000) as discord:
            backend = DiscordBackend(discord.url, limiter=ProcessLimiter(clock), deadline_seconds=0.5)
            with Notifier({"discord": backend, "memory": memory}, clock=clock) as notifier:
                before = notifier.notify("before").wait(20)
                loopback("down")
                for number in range(20):
                    notifier.notify(f"event {number}")
                elsewhere = len(memory.wait_for(21, 20))
                errors = []
                clock.next_wait(20)
                loopback("up")
                threading.Event().wait(1.5)  # seconds in which the kernel would send again what it had not got rid of
                sent_late = discord.requests - 1
                loopback("down")
                for _ in range(4):
                    wait = clock.next_wait(20)
                    errors.append(last_error())
                    clock.advance(wait)
                clock.next_wait(20)
                loopback("up")
                while not notifier.flush(0.1):
                    with contextlib.suppress(TimeoutError):
                        clock.advance(clock.next_wait(0.1))
            titles = [embed["title"] for embed in discord.embeds]
        print(json.dumps([before["discord"], elsewhere, sent_late, errors, titles]))
    """
    before, elsewhere, sent_late, errors, delivered = in_a_network_of_its_own(script)

    assert (before, elsewhere, sent_late) == ("delivered", MANY + 1, 0)
    # The first attempt has a connection yet, whose packets go nowhere.
    assert errors == ["no answer within 0.5 s"] + ["connection timed out"] * 3
    assert delivered == ["before", *NAMES]


@pytest.mark.process
def test_fault_30_a_resolver_that_says_nothing_or_no_holds_up_only_its_own_lane(tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script = f"""
        import socket

        subprocess.run(["mount", "--bind", "{tmp_path}/resolv.conf", "/etc/resolv.conf"], check=True)
        resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        resolver.bind(("127.0.0.1", 53))
        limiter = ProcessLimiter(clock)
        backend = DiscordBackend("https://discord.com/api/webhooks/1/x", limiter=limiter, deadline_seconds=0.5)
        notifier = Notifier({{"discord": backend, "memory": memory}}, clock=clock)
        for number in range(20):
            notifier.notify(f"event {{number}}")
        elsewhere = len(memory.wait_for(20, 20))
        silent = []
        for _ in range(2):
            wait = clock.next_wait(20)
            silent.append(last_error())
            clock.advance(wait)

        def answer_no():
            while True:
                question, whom = resolver.recvfrom(512)
                # The same id, "an answer: there is no such name", one question and no records.
                resolver.sendto(question[:2] + b"\\x81\\x83" + question[4:6] + bytes(6) + question[12:], whom)

        threading.Thread(target=answer_no, daemon=True).start()
        while last_error() == silent[0]:
            clock.next_wait(20)
            clock.advance(clock.next_wait(20))
        notifier.close(0)
        print(json.dumps([elsewhere, silent, last_error()]))
    """
    elsewhere, silent, refused = in_a_network_of_its_own(script, mounts=True)

    assert elsewhere == MANY
    assert silent == ["no answer within 0.5 s"] * 2
    assert refused == "the host name was not found"


# ---- certificates


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Server contexts by the kind of their certificate, and the file of the authority that made most of them."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")

    def openssl(command):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=directory)

    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    # Python 3.13 asks for what RFC 5280 asks for: what a key may do, and whose key has signed.
    may_sign = "-addext keyUsage=critical,keyCertSign"
    openssl(f"req -x509 {key} {may_sign} -days 1 -subj /CN=authority -keyout authority.key -out authority.crt")
    openssl(f"req -x509 {key} -days 1 -subj /CN=127.0.0.1 -keyout self-signed.key -out self-signed.crt")
    kinds = {"good": ("IP:127.0.0.1", 1), "expired": ("IP:127.0.0.1", -1), "wrong host": ("DNS:elsewhere.example", 1)}
    for kind, (name, days) in kinds.items():
        file = kind.replace(" ", "-")
        (directory / f"{file}.ext").write_text(f"subjectAltName={name}\nauthorityKeyIdentifier=keyid\n")
        openssl(f"req {key} -subj /CN=us -keyout {file}.key -out {file}.csr")
        signed = f"-CA authority.crt -CAkey authority.key -CAcreateserial -extfile {file}.ext"
        openssl(f"x509 -req -in {file}.csr {signed} -days {days} -out {file}.crt")
    made = {}
    for kind in (*kinds, "self-signed"):
        made[kind] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = directory / kind.replace(" ", "-")
        made[kind].load_cert_chain(f"{file}.crt", f"{file}.key")
    return made, directory / "authority.crt"


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong host"])
def test_fault_31_a_server_with_a_bad_certificate_is_told_nothing_and_asked_ever_more_rarely(
    kind, contexts, memory, clock, notifier_to, monkeypatch
):
    made, authority = contexts
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    bad, good = (over_tls(made[name], answering(OK)) for name in (kind, "good"))
    with raw(bad, bad, bad, good) as server:
        notifier = notifier_to(webhook_of(server, "https"))

        tickets = say_all(notifier, memory)

        for longest in (1, 2, 4):  # seconds of the growing waits, shortened by up to a half at random
            wait = clock.next_wait()
            assert longest / 2 <= wait <= longest
            assert last_error(notifier) == "the TLS certificate is not trusted"
            assert server.read == b""
            assert_waiting(tickets)
            clock.advance(wait)
        deliver_all(notifier, clock)  # at last it shows a good one
        notifier.close(1)


# ---- answers


def test_fault_32_in_a_storm_of_429_there_is_one_request_for_each_wait_and_nothing_is_lost(
    discord, memory, clock, notifier_to
):
    discord.answer_with(*[rate_limited(5.0)] * 12)  # a minute
    notifier = notifier_to(discord.url)

    say_all(notifier, memory)

    for asked in range(1, 13):
        assert clock.next_wait() >= 5 - 1e-6  # rounding of the clock's sums
        clock.advance(4.9)
        assert not notifier.flush(0.02)  # seconds in which a request too early would come
        assert discord.requests == asked
        clock.advance(clock.next_wait())
    deliver_all(notifier, clock)
    assert titles(discord) == NAMES


@pytest.mark.parametrize("status", [404, 401, 403])
def test_fault_33_a_revoked_webhook_is_asked_twice_in_ten_minutes_at_most(status, discord, memory, clock, notifier_to):
    discord.answer_with(status, status)
    notifier = notifier_to(discord.url)

    tickets = say_all(notifier, memory)

    assert clock.next_wait() == pytest.approx(600)
    assert last_error(notifier).startswith(f"Discord answered {status}")
    notifier.notify("urgent", level=logging.CRITICAL)
    clock.advance(599)
    assert not notifier.flush(0.02)  # seconds in which a request too early would come
    assert discord.requests == 1
    assert_waiting(tickets)
    clock.advance(1)
    assert clock.next_wait() == pytest.approx(600)
    assert discord.requests == 2
    deliver_all(notifier, clock)  # it is there again
    assert set(NAMES) < set(titles(discord))


def test_fault_34_an_event_that_is_refused_is_tried_as_plain_text_and_then_makes_room(discord, notifier_to):
    discord.answer_with(400, 400)
    notifier = notifier_to(discord.url)

    assert notifier.notify("poison").wait(PATIENCE)["discord"].startswith("rejected: Discord answered 400")
    assert notifier.notify("next").wait(PATIENCE)["discord"] == "delivered"

    assert discord.requests == 3
    assert titles(discord) == ["next"]


# Around Discord's limits (2000 characters of content, 4096 of a description, 6000 of a message), and far beyond.
@pytest.mark.parametrize("size", [1, 2000, 2001, 4096, 4097, 6001, 100_000, 1_000_000, 10_000_000])
def test_fault_35_a_message_of_any_size_arrives_whole(size, discord, notifier_to):
    body = ("up " * (size // 3 + 1))[: size - 1] + "!"
    notifier = notifier_to(discord.url, deadline_seconds=PATIENCE)

    assert notifier.notify("report", body=body).wait(PATIENCE)["discord"] == "delivered"

    (message,) = discord.messages
    assert discord.refusals == []
    shown = "\n".join(embed.get("description", "") for embed in message.embeds)
    assert any(body in text for text in (shown, *(data.decode() for data in message.files.values())))


def test_fault_35_of_what_is_too_large_for_discord_the_text_arrives_and_says_what_is_missing(discord, notifier_to):
    discord.answer_with(413)
    notifier = notifier_to(discord.url)

    ticket = notifier.notify("report", body="up", attachments=[Attachment("chart.bin", b"1")])

    assert ticket.wait(PATIENCE)["discord"] == "delivered"
    (embed,) = discord.embeds
    assert embed["title"] == "report"
    assert embed["description"].startswith("up")
    assert "chart.bin" in embed["description"]


@pytest.mark.parametrize("status", [500, 502, 503, 520])  # 520 is Cloudflare's own
@pytest.mark.parametrize("page", [BAD_GATEWAY.body, b"", b"{", b"\xff\xfe"], ids=["html", "empty", "json?", "binary"])
def test_fault_36_a_page_of_cloudflare_is_no_answer_of_discords(status, page, discord, memory, clock, notifier_to):
    discord.answer_with(Reply(status, page, {}))
    notifier = notifier_to(discord.url)

    tickets = say_all(notifier, memory)

    assert clock.next_wait() <= 1
    assert_waiting(tickets)
    assert last_error(notifier) == f"Discord answered {status}"
    deliver_all(notifier, clock)
    assert titles(discord) == NAMES


# ---- the token


@contextmanager
def nothing():
    yield None


def test_no_fault_brings_the_token_into_a_log_onto_stderr_or_into_the_stats(
    discord, contexts, caplog, capfd, monkeypatch, clock
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)  # prints every request to stdout
    said = []
    replies = [RESET, RESET_EARLY, RESET_LATE, HANG, DRIP, 500, BAD_GATEWAY, BAN, BLOCKED, rate_limited(5)]
    replies += [status for status in (400, 401, 403, 404, 413) for _ in range(2)]
    echo = {"message": f"what of /api/webhooks/1/{TOKEN}?", "code": 1}
    for reply in [*replies, Reply(404, echo), Reply(502, echo), Reply(302, b"", {"Location": discord.url})]:
        discord.answer_with(reply)
        said.append(meet(discord.url, clock))
    tls = over_tls(contexts[0]["self-signed"], answering(OK))
    for behaviour, scheme in [
        (silent, "http"),
        (silent, "https"),
        (dripping(b"HTTP/1.1 "), "http"),
        (breaking_off(b"nonsense"), "http"),
        (breaking_off(b"nonsense"), "https"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx"), "http"),
        (tls, "https"),
    ]:
        with raw(behaviour) as server:
            said.append(meet(webhook_of(server, scheme), clock))
    refused = f"http://127.0.0.1:{unused_port()}/api/webhooks/1/{TOKEN}"
    said.append(meet(refused, clock))
    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    said.append(meet(f"https://discord.com/api/webhooks/1/{TOKEN}", clock))
    monkeypatch.undo()

    assert len({line.partition("'last_error': ")[2] for line in said}) > 15  # so many faults were met, not one of ours
    caplog.set_level(logging.DEBUG)
    everything = "".join([*said, caplog.text, *capfd.readouterr()])
    assert "next attempt in" in everything  # what we say about it ourselves was looked at
    assert TOKEN not in everything

    # That it would be seen: the same two failures in a program of its own.
    requests.post(discord.url, json={"content": "a"}, timeout=PATIENCE).close()
    assert TOKEN in caplog.text
    caplog.clear()
    with pytest.raises(requests.ConnectionError) as raised:
        requests.post(refused, timeout=PATIENCE)
    logging.getLogger("program").error("not posted", exc_info=raised.value)
    assert TOKEN in caplog.text


def meet(url, clock):
    """Send an event that meets a fault, and return all that can be known of it, as text."""
    diagnostics.forget()
    backend = DiscordBackend(url, limiter=ProcessLimiter(clock), deadline_seconds=0.1)
    with Notifier({"discord": backend}, clock=clock) as notifier:
        ticket = notifier.notify("event")
        while notifier.stats()["discord"]["last_error"] is None and not notifier.flush(0.01):
            pass
        try:
            found = backend.check()
        except Exception as error:
            found = "".join(traceback.format_exception(error))
        text = repr([found, backend, notifier, ticket, ticket.wait(0), notifier.stats()])
        notifier.close(0)
    return text


def no_name(*args, **kwargs):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
