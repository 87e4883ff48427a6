"""HTTP Basic authentication (RFC 7617), in constant time."""

import base64
import binascii
import hashlib
import hmac

CHALLENGE = 'Basic realm="notify", charset="UTF-8"'


class Readers:
    """Who may read what is served: whoever knows this name and this password.

    Args:
        username: without a colon, which HTTP does not allow.
        password: of any text.

    Raises `ValueError`, naming the variable, when one of them is empty, or the name has a colon.
    """

    def __init__(self, username: str, password: str) -> None:
        if not username:
            raise ValueError("HTTP_USERNAME: not set, while HTTP_PASSWORD is; set both, or neither")
        if not password:
            raise ValueError("HTTP_PASSWORD: not set, while HTTP_USERNAME is; set both, or neither")
        if ":" in username:
            raise ValueError("HTTP_USERNAME: HTTP allows no colon in it")
        pair = f"{username}:{password}"
        whole = pair.encode("utf-8", "surrogateescape")  # the environment may hold bytes that are no UTF-8
        # Clients that know nothing of `charset` send ISO 8859-1 where they can.
        encoded = {whole, pair.encode("latin-1", "ignore")}
        self._digests = [_digest(form) for form in encoded if form == whole or form.decode("latin-1") == pair]

    def admit(self, header: str) -> bool:
        """Say whether *header*, the `Authorization` of a request, has the right name and password.

        How long that takes tells nothing about either, nor how long they are: digests are compared.
        """
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = _digest(base64.b64decode(encoded.strip().encode("ascii"), validate=True))
        except (binascii.Error, ValueError):
            return False
        equal = [hmac.compare_digest(given, digest) for digest in self._digests]
        return True in equal


def readers(username: str | None, password: str | None) -> Readers | None:
    """Return who may read what is served; None, when there are neither a name nor a password: everybody.

    Raises `ValueError`, naming the variable, when there is only one of them.
    """
    return Readers(username or "", password or "") if username or password else None


def _digest(pair: bytes) -> bytes:
    return hashlib.sha256(pair).digest()
