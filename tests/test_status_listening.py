"""The socket to listen on, and the sentences for those who cannot have it."""

import socket
from pathlib import Path

import pytest
from children import python
from machine import missing

from notify.errors import ConfigError
from notify.status.listening import bind, listen, url


def test_a_port_that_is_free_is_listened_on_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

        assert url(listener) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()
        assert not listener.get_inheritable()  # a program that is executed does not hold it


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError) as raised:
            listen("127.0.0.1", port)

    assert str(raised.value) == f"HTTP_PORT: port {port} of 127.0.0.1 is taken by another program"


def test_who_only_tries_a_port_keeps_nobody_from_it() -> None:
    with bind("127.0.0.1", 0) as tried:
        port = tried.getsockname()[1]

        listen("127.0.0.1", port).close()  # as a program that begins at that moment


def test_a_port_that_is_taken_between_the_two_steps_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with bind("127.0.0.1", 0) as late:
        port = late.getsockname()[1]
        with listen("127.0.0.1", port):
            monkeypatch.setattr("notify.status.listening.bind", lambda *_: late)

            with pytest.raises(ConfigError, match=f"HTTP_PORT: port {port} of 127.0.0.1 is taken by another program"):
                listen("127.0.0.1", port)


def test_a_port_is_free_again_at_once_even_if_connections_were_open() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = listener.accept()
        served.close()  # first, so that its half of the connection waits for a minute
        client.close()

    listen("127.0.0.1", port).close()


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("no-such-host.invalid", 0, "HTTP_HOST: there is no address of that name"),
        ("a" * 300, 0, "HTTP_HOST: there is no address of that name"),
        ("\x00", 0, "HTTP_HOST: there is no address of that name"),
        ("127.0.0.1:80", 0, "HTTP_HOST: there is no address of that name"),
        ("192.0.2.1", 0, "HTTP_HOST: 192.0.2.1 is no address of this machine"),  # for documentation only, RFC 5737
        ("127.0.0.1", 70_000, "HTTP_PORT: a port is a number from 0 to 65535"),
        ("127.0.0.1", -1, "HTTP_PORT: a port is a number from 0 to 65535"),
    ],
)
def test_what_cannot_be_listened_on_is_named(host: str, port: int, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        listen(host, port)

    assert str(raised.value) == text


@pytest.mark.process
def test_a_port_that_the_user_may_not_have_is_named() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first <= 1:
        missing("this machine gives every port to everybody")

    run = python(
        "-c",
        "import encodings.idna, os; from notify.status.listening import listen; from notify.errors import ConfigError\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"  # nobody
        "try: listen('127.0.0.1', 1)\n"
        "except ConfigError as error: print(error)",
    )

    text = "HTTP_PORT: this user may not listen on port 1; those below 1024 are for root\n"
    assert (run.stdout, run.stderr) == (text, "")


def test_addresses_of_version_6_are_served_too() -> None:
    if not socket.has_ipv6:
        missing("this machine has no IPv6")
    try:
        listener = listen("::1", 0)
    except ConfigError:
        missing("this machine has no IPv6 on loopback")
    with listener:
        port = listener.getsockname()[1]

        assert url(listener) == f"http://[::1]:{port}"
        socket.create_connection(("::1", port)).close()


def test_the_address_of_a_server_for_everybody_is_one_that_can_be_asked() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
