import pytest

from notify.backends.logstash import parse_address

PORT = 5959  # what the callers of these tests give as the default


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("logs.example.com", ("udp", "logs.example.com", PORT)),
        ("logs.example.com:5000", ("udp", "logs.example.com", 5000)),
        ("10.0.0.7", ("udp", "10.0.0.7", PORT)),
        ("[::1]:5000", ("udp", "::1", 5000)),
        ("[::1]", ("udp", "::1", PORT)),
        ("::1", ("udp", "::1", PORT)),
        ("fe80::1%eth0", ("udp", "fe80::1%eth0", PORT)),
        ("udp://logs", ("udp", "logs", PORT)),
        ("tcp://logs:5000", ("tcp", "logs", 5000)),
        ("TLS://logs:65535", ("tls", "logs", 65535)),
        ("tls://[2001:db8::2]:1", ("tls", "2001:db8::2", 1)),
        ("tcp://::1", ("tcp", "::1", PORT)),
        ("  logs:5000\n", ("udp", "logs", 5000)),
    ],
)
def test_an_address_is_read_in_every_documented_form(text: str, address: tuple[str, str, int]) -> None:
    assert parse_address(text, PORT) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "udp://",
        ":5000",
        "http://secret-host",
        "secret-host:",
        "secret-host:0",
        "secret-host:65536",
        "secret-host:5959x",
        "secret-host:٥٩٥٩",  # digits, but not ASCII's
        "secret-host:5000/path",
        "secret-host/path",
        "user:secret@host:5000",
        "secret host",
        "secret\x00host",
        ".secret-host",
        "[secret-host]:5000",
        "[::1:5000",
        "[::1]5000",
        "secret:host:5000",
        "tcp://udp://secret-host",
    ],
)
def test_anything_else_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an address|the port must be|the transport must be") as refused:
        parse_address(text, PORT)

    assert "secret" not in str(refused.value)


def test_a_default_port_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="the port must be from 1 to 65535"):
        parse_address("logs", 70_000)
