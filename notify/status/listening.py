"""The socket that a server listens on, or a sentence that says why there is none."""

import errno
import socket

from notify.errors import ConfigError

_LAST_PORT = 65_535
_BACKLOG = 1024  # connections that the kernel keeps until they are accepted; it may keep fewer
_KEPT = 65_536  # bytes that the kernel keeps for each connection and direction; Linux takes twice as many


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    No forked child's exec gets it, and a process that is started again at once gets its port again.

    Args:
        host: an address of this machine, or a name for one.
        port: 0 for any that is free.

    Raises `ConfigError`, naming the variable, when that cannot be.
    """
    listener = bind(host, port)
    try:
        listener.listen(_BACKLOG)
    except OSError as error:  # another program was faster
        address = str(listener.getsockname()[0])
        listener.close()
        raise ConfigError(_why(error, port, address)) from None
    return listener


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that could listen there, and keeps nobody else from it meanwhile.

    Args and raises are those of `listen`.
    """
    if not 0 <= port <= _LAST_PORT:  # of any other number, the C library takes the last 16 bits
        raise ConfigError(f"HTTP_PORT: a port is a number from 0 to {_LAST_PORT}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError):  # UnicodeError is one, for what can be no name
        raise ConfigError("HTTP_HOST: there is no address of that name") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setblocking(False)
        # Or else connections that have just ended would keep the port for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Every connection inherits these. By itself the kernel keeps four megabytes for a client that does not read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KEPT)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KEPT)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ConfigError(_why(error, port, str(address[0]))) from None
    return listener


def url(listener: socket.socket) -> str:
    """Return where *listener* can be reached from this machine."""
    host, port = listener.getsockname()[:2]
    return url_of(host, port)


def url_of(host: str, port: int) -> str:
    """Return where what listens on a *port* of *host* can be reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound to it here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why(error: OSError, port: int, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP_PORT: port {port} of {address} is taken by another program"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HTTP_HOST: {address} is no address of this machine"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"HTTP_PORT: this user may not listen on port {port}; those below 1024 are for root"
    return f"HTTP_PORT: nothing can listen on port {port} of {address}: {error.strerror}"
