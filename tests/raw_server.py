"""A server on bare sockets, for what no HTTP library would do: answers that drip, break off or never come."""

import socket
import struct
import threading
from contextlib import contextmanager, suppress

SECRET_PATH = "/hooks/canary-4711"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Raw:
    """A server that does to each connection what it is told, and remembers what it read."""

    def __init__(self, *behaviours, port=0):
        self.behaviours = list(behaviours)
        self.open = []
        self.read = b""
        self.stop = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.threads = []

    @property
    def authority(self):
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def url(self):
        return f"http://{self.authority}{SECRET_PATH}"

    @property
    def connections(self):
        return len(self.open)

    def begin(self):
        """Accept connections from now on."""
        self.start(self.accept)

    def start(self, target, *arguments):
        self.threads.append(threading.Thread(target=target, args=arguments))
        self.threads[-1].start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.open.append(connection)
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            self.start(self.serve, connection, behaviour)

    def serve(self, connection, behaviour):
        with connection:
            connection.settimeout(5)
            with suppress(OSError):
                behaviour(self, connection)

    def request(self, connection):
        """Read one request with its body."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536) or self.gone()
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65536) or self.gone()
        self.read += head + b"\r\n\r\n" + body
        return head

    def gone(self):
        raise ConnectionError


@contextmanager
def raw(*behaviours, accepting=True, port=0):
    """Serve each connection with the next of *behaviours*, and the last of them all that follow."""
    server = Raw(*behaviours, port=port)
    if accepting:
        server.begin()
    try:
        yield server
    finally:
        server.stop.set()
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        for connection in server.open:
            with suppress(OSError):  # it may have ended already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in server.threads:
            thread.join(5)


def answering(answer):
    """Answer every request of a connection."""

    def behaviour(server, connection):
        while not server.stop.is_set():
            server.request(connection)
            connection.sendall(answer)

    return behaviour


def dripping(head, every=0.01):
    """Send *head*, and then a byte *every* so many seconds, until the client goes away."""

    def behaviour(server, connection):
        server.request(connection)
        connection.sendall(head)
        while not server.stop.wait(every):
            connection.sendall(b"x")

    return behaviour


def breaking_off(said):
    """Say the beginning of an answer, and reset the connection."""

    def behaviour(server, connection):
        server.request(connection)
        connection.sendall(said)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behaviour


def over_tls(context, behaviour):
    """Do the same behind TLS."""

    def secured(server, connection):
        with context.wrap_socket(connection, server_side=True) as wrapped:
            behaviour(server, wrapped)

    return secured


def silent(server, connection):
    while not server.stop.is_set() and connection.recv(65536):
        pass
