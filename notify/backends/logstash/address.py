"""Where a Logstash input listens, as people write it in a setting."""

import socket
from typing import Literal, NamedTuple, TypeGuard

Transport = Literal["udp", "tcp", "tls"]

DEFAULT_PORT = 5959  # python-logstash's

_NOT_AN_ADDRESS = "not an address; use host, host:port, [::1]:5959 or these after udp://, tcp:// or tls://"
_NOT_IN_A_HOST = frozenset(" /\\@?#[]")


class Address(NamedTuple):
    """Transport, host name or IP address (IPv6 without brackets), and port."""

    transport: Transport
    host: str
    port: int


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> Address:
    """Return the address that *text* names. Without a scheme it is UDP; nothing is resolved.

    Args:
        text: `host`, `host:port`, `[::1]:5959` or `::1`, bare or after `udp://`, `tcp://` or `tls://`.
        default_port: used when *text* names none.

    Raises `ValueError`, without the text, when it is none of these.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    host, port = _split(rest)
    return checked_address(scheme.lower() if separator else "udp", host, port if port is not None else default_port)


def checked_address(transport: str, host: str, port: int) -> Address:
    """Return the three as an address.

    Raises `ValueError`, without the value, when one of them is unusable.
    """
    if not _is_transport(transport):
        raise ValueError("the transport must be udp, tcp or tls")
    if ":" in host and not _is_ipv6(host):
        raise ValueError(_NOT_AN_ADDRESS)
    if not host.strip(".") or host[0] == "." or not host.isprintable() or not _NOT_IN_A_HOST.isdisjoint(host):
        raise ValueError(_NOT_AN_ADDRESS)
    if not 1 <= port <= 65_535:
        raise ValueError("the port must be from 1 to 65535")
    return Address(transport, host, port)


def _split(text: str) -> tuple[str, int | None]:
    """Return host and port, None for a port that is not there."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise ValueError(_NOT_AN_ADDRESS)
        return host, _port(rest[1:]) if rest else None
    if text.count(":") != 1:  # a host alone, or an IPv6 address, which has two colons at least
        return text, None
    host, _, port = text.partition(":")
    return host, _port(port)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise ValueError("the port must be from 1 to 65535")
    return int(text)


def _is_transport(text: str) -> TypeGuard[Transport]:
    return text in {"udp", "tcp", "tls"}


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text.partition("%")[0])  # the scope of fe80::1%eth0 is not its business
    except (OSError, ValueError):
        return False
    return True
