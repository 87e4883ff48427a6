"""What is got from a strategy's server, and why nothing usable came, in words."""

import base64
import gzip
import json

import pytest
from raw_server import answering, breaking_off, dripping, raw, silent

from notify.backends.http import HttpClient
from notify.fleet.fetch import Credentials, FetchError, Misconfigured, fetch_json

DEADLINE = 0.4  # seconds: long enough for a loopback server on a busy machine, short enough to wait for
SLOW = 5.0  # seconds, where nothing is waited for


def answer(body, status="200 OK", kind="application/json", *more):
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return answering("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def fetched(behaviour, **options):
    client = HttpClient()
    try:
        with raw(behaviour) as server:
            result = fetch_json(client, server.url, **{"deadline_seconds": SLOW, **options})
            return result, server.read
    finally:
        client.close()


def refused(behaviour, **options):
    with pytest.raises(FetchError) as caught:
        fetched(behaviour, **options)
    assert caught.value.__cause__ is None, "what is below may hold the URL"
    return str(caught.value)


def test_json_is_returned_as_it_is():
    result, request = fetched(answer(b'{"ping": "pong"}'))

    assert result == {"ping": "pong"}
    assert b"Connection: close" in request
    assert b"Authorization" not in request


def test_credentials_are_sent_as_basic_auth_and_are_not_shown():
    _, request = fetched(answer(b"{}"), credentials=Credentials("operator", "pässword"))

    sent = base64.b64encode("operator:pässword".encode())
    assert b"Authorization: Basic " + sent in request
    assert "pässword" not in repr(Credentials("operator", "pässword"))


def test_a_password_that_is_no_utf_8_is_sent_as_the_environment_has_it():
    # "\udcff" is how Python reads the byte ff. The status server admits these bytes, and nobody else would be watched.
    _, request = fetched(answer(b"{}"), credentials=Credentials("operator", "p\udcffssword"))

    assert b"Authorization: Basic " + base64.b64encode(b"operator:p\xffssword") in request


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (answer(b"", "401 Unauthorized"), "it asks for a password (HTTP 401)"),
        (answer(b"", "403 Forbidden"), "it asks for a password (HTTP 403)"),
        (answer(b"", "404 Not Found"), "there is no status server behind this address (HTTP 404)"),
        (answer(b"", "502 Bad Gateway"), "the proxy does not reach the program (HTTP 502)"),
        (answer(b"{}", "418 I'm a teapot"), "it answers with HTTP 418"),
        (answer(b"<!doctype html><p>hello", "200 OK", "text/html"), "the answer is a web page, not JSON"),
        (answer(b"<html>", "200 OK", "application/json"), "the answer is a web page, not JSON"),
        (answer(b"pong", "200 OK", "text/plain"), "the answer is something else, not JSON"),
        (answer(b"\xff\xfe\x00{"), "the answer is something else, not JSON"),
        (answer(b"[" * 100_000), "the answer is something else, not JSON"),
        (answer(b'{"current_value": NaN}'), "the answer holds NaN, which JSON does not have"),
        (answer(b'{"gas": -Infinity}'), "the answer holds -Infinity, which JSON does not have"),
        (answer(b""), "the answer is empty or not complete"),
        (breaking_off(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), "the answer is empty or not complete"),
    ],
)
def test_why_an_answer_is_of_no_use_is_said(behaviour, reason):
    assert refused(behaviour) == reason


@pytest.mark.parametrize(
    ("behaviour", "misconfigured"),
    [
        (answer(b"", "401 Unauthorized"), True),
        (answer(b"", "301 Moved Permanently"), True),
        (answer(b"", "404 Not Found"), True),
        (answer(b"", "410 Gone"), True),
        (answer(b"<html>"), True),
        (answer(b"", "429 Too Many Requests"), False),
        (answer(b"", "503 Service Unavailable"), False),
        (answer(b"NaN"), False),
        (answer(b""), False),
    ],
)
def test_a_wrong_address_or_password_is_told_from_a_server_that_is_unwell(behaviour, misconfigured):
    with pytest.raises(FetchError) as caught:
        fetched(behaviour)

    assert isinstance(caught.value, Misconfigured) is misconfigured


def test_a_redirect_to_itself_is_not_followed():
    with raw(answer(b"", "302 Found", "text/html", "Location: /")) as server:
        client = HttpClient()
        with pytest.raises(FetchError, match=r"redirect \(HTTP 302\), which is not followed"):
            fetch_json(client, server.url)
        client.close()

        assert server.connections == 1


def test_ten_megabytes_are_read_no_further_than_the_limit():
    body = b'"' + b"x" * (10 * 2**20) + b'"'

    assert refused(answer(body)) == "the answer is larger than 1024 kB"


def test_a_small_answer_that_unpacks_to_ten_megabytes_is_read_no_further_than_the_limit():
    packed = gzip.compress(json.dumps("x" * (10 * 2**20)).encode())

    behaviour = answer(packed, "200 OK", "application/json", "Content-Encoding: gzip")

    assert refused(behaviour) == "the answer is larger than 1024 kB"


def test_an_answer_of_the_size_that_is_allowed_is_taken():
    result, _ = fetched(answer(b"[" + b" " * 98 + b"]"), max_bytes=100)

    assert result == []


@pytest.mark.parametrize("behaviour", [silent, dripping(b"HTTP/1.1 200 OK\r\nX: ")], ids=["says nothing", "drips"])
def test_who_does_not_answer_in_time_is_left(behaviour):
    assert refused(behaviour, deadline_seconds=DEADLINE) == f"no answer within {DEADLINE:g} s"


def test_a_body_that_does_not_end_in_time_is_no_answer():
    drip = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")

    # Seconds, in which it begins to answer for certain.
    assert refused(drip, deadline_seconds=2.0) == "the answer is empty or not complete"


def test_nobody_there_is_said_as_that():
    client = HttpClient()
    with raw(silent, accepting=False) as server:
        url = server.url
    with pytest.raises(FetchError) as caught:
        fetch_json(client, url)
    client.close()

    assert str(caught.value) == "connection refused"
