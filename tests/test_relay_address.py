"""Where the relay's Redis is, as people write it."""

from pathlib import Path

import pytest

from notify.backends.relay.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://queue", Address("queue")),
        (" redis://127.0.0.1:6390/ ", Address("127.0.0.1", 6390)),
        ("redis://[::1]:6390/15", Address("::1", 6390, 15)),
        ("redis://:p%40ss%2Fw%23rd@queue/2", Address("queue", 6379, 2, None, "p@ss/w#rd")),
        ("rediss://publisher:secret@queue", Address("queue", 6379, 0, "publisher", "secret", tls=True)),
    ],
)
def test_a_url_names_server_database_and_credentials(text: str, address: Address) -> None:
    assert parse_address(text) == address


def test_tls_may_trust_an_authority_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    file.write_text("a certificate")

    assert parse_address(f"rediss://queue?ssl_ca_certs={file}").ca_file == str(file)


@pytest.mark.parametrize(
    "text",
    [
        "c4nary",
        "http://c4nary@queue",
        "redis://",
        "redis:///0",
        "redis://:c4nary@",
        "redis://:c4/nary@queue",
        "redis://:c4#nary@queue",
        "redis://c4nary@queue",  # a name and no password
        "redis://:c4nary@queue:0",
        "redis://:c4nary@queue:65536",
        "redis://:c4nary@queue/first",
        "redis://:c4nary@queue/0/1",
        "redis://:c4nary@[queue",
        "redis://:%ffc4nary@queue",
        "unix://c4nary/socket",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="not an address of Redis; use redis://") as caught:
        parse_address(text)

    assert "c4nary" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "query", ["db=c4nary", "ssl_cert_reqs=none", "ssl_ca_certs=a&ssl_ca_certs=c4nary", "c4nary@queue"]
)
def test_no_other_parameter_is_taken(query: str) -> None:
    with pytest.raises(ValueError, match="only ssl_ca_certs may stand") as caught:
        parse_address(f"rediss://queue?{query}")

    assert "c4nary" not in str(caught.value)


def test_a_certificate_without_tls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only with rediss://"):
        parse_address(f"redis://queue?ssl_ca_certs={tmp_path}")


def test_a_certificate_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the file that ssl_ca_certs names cannot be read"):
        parse_address(f"rediss://queue?ssl_ca_certs={tmp_path / 'none.pem'}")


def test_no_credentials_are_in_what_is_printed_of_an_address() -> None:
    assert "c4nary" not in repr(parse_address("redis://c4nary:c4nary@queue"))
