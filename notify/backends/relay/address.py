"""Where the relay's Redis is, as people write it in a setting."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 6379  # Redis' own

_NOT_AN_ADDRESS = (
    "not an address of Redis; use redis://host:port/0, redis://name:password@host, or rediss:// for TLS. "
    "In a password @ is written as %40, / as %2F, # as %23, ? as %3F and % as %25"
)
_CA_FILE = "ssl_ca_certs"
_HIGHEST = 65_535  # as a port and, generously, as the number of a database: servers have 16 unless told otherwise


@dataclass(frozen=True, slots=True)
class Address:
    """One database of one server.

    Args:
        host: name or address, IPv6 without brackets.
        port: from 1 to 65535.
        database: its number.
        username: None for the server's default user.
        password: None where none is asked for.
        tls: whether the connection is encrypted and the server's certificate verified.
        ca_file: of an authority to trust beside the system's.
    """

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None


def parse_address(text: str) -> Address:
    """Return the address that the URL *text* names. Nothing is resolved or opened.

    Args:
        text: `redis://host`, `redis://name:password@host:port/0`, `redis://:password@host`, or these with `rediss` for
            TLS, which may end with `?ssl_ca_certs=/path/of/authority.pem`.

    Raises `ValueError`, without any of the text, when it is none of these, or the file cannot be read.
    """
    try:
        url = urlsplit(text.strip())
        host, port = url.hostname, url.port
        username, password = unquote(url.username or "", errors="strict"), unquote(url.password or "", errors="strict")
    except ValueError:
        raise ValueError(_NOT_AN_ADDRESS) from None
    database = url.path.removeprefix("/") or "0"
    right = (
        url.scheme in ("redis", "rediss"),
        host and host.isprintable() and not set(host) & set(" /\\@?#"),
        port is None or port > 0,
        not url.fragment,
        database.isascii() and database.isdigit() and len(database) <= 5 and int(database) <= _HIGHEST,
        password or not username,
    )
    if host is None or not all(right):
        raise ValueError(_NOT_AN_ADDRESS)
    tls = url.scheme == "rediss"
    return Address(
        host=host,
        port=DEFAULT_PORT if port is None else port,
        database=int(database),
        username=username or None,
        password=password or None,
        tls=tls,
        ca_file=_ca_file(url.query, tls=tls),
    )


def _ca_file(query: str, *, tls: bool) -> str | None:
    if not query:
        return None
    match parse_qsl(query, keep_blank_values=True):
        case [(name, path)] if name == _CA_FILE and tls:
            try:
                with Path(path).open("rb"):
                    return path
            except (OSError, ValueError):
                raise ValueError(f"the file that {_CA_FILE} names cannot be read") from None
    raise ValueError(f"after ? only {_CA_FILE} may stand, and only with rediss://; in a password ? is written as %3F")
