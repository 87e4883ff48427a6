"""A bundle of certificates is read once, and what is verified with it stays the same."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_server import OK, answering, over_tls, raw

from notify.backends.http import HttpClient, trust
from notify.errors import RetryLater

PEM = Path(__file__).parent / "data" / "self_signed.pem"  # of 127.0.0.1 and localhost
LONG = 10.0  # seconds of deadline, which is not to pass


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "bundle.pem"
    shutil.copy(PEM, path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    trust._trusting.cache_clear()
    yield path
    trust._trusting.cache_clear()


def served(host: str = "127.0.0.1", *, times: int = 1) -> int:
    """Get something from a server with that certificate, over *times* connections, and return the status."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    with raw(over_tls(context, answering(OK))) as server:
        url = f"https://{server.authority}/".replace("127.0.0.1", host)
        for _ in range(times):
            client = HttpClient()
            try:
                status = client.get(url, deadline_seconds=LONG).status
            finally:
                client.close()  # before the server, which cannot end a connection that TLS took over
        assert server.connections == times
        return status


def test_a_bundle_is_read_once_for_any_number_of_connections_and_clients(bundle: Path) -> None:
    assert served(times=3) == 200
    assert served() == 200

    assert trust._trusting.cache_info().misses == 1


def test_a_bundle_that_has_changed_is_read_anew(bundle: Path) -> None:
    assert served() == 200
    bundle.write_text(PEM.read_text().partition("-----BEGIN CERTIFICATE-----")[0] + another_authority())

    with pytest.raises(RetryLater, match="the TLS certificate is not trusted"):
        served()


def another_authority() -> str:
    """Return the first certificate of the bundle that is used by default."""
    import certifi

    text = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    return text[text.index("-----BEGIN CERTIFICATE-----") : text.index(end) + len(end)]


def test_a_trusted_certificate_of_another_host_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served() == 200
    lookup = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: lookup("127.0.0.1", *more, **options))

    with pytest.raises(RetryLater, match="the TLS certificate is not trusted"):
        served("other.example")


def test_a_bundle_that_is_not_there_is_a_failure_that_names_no_url(bundle: Path) -> None:
    bundle.unlink()

    with pytest.raises(RetryLater) as caught:
        served()

    assert "127.0.0.1" not in str(caught.value)
