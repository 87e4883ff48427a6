"""Whom TLS trusts: a bundle of certificates that is read once, rather than for every connection.

That takes 25 ms of a processor each time: half of it all day, for who looks at 500 servers twice a minute.
"""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from urllib3.connection import HTTPSConnection


def share_trust(connection: "HTTPSConnection") -> None:
    """Give *connection*, which is to be made, a context that others with the same bundle have, too.

    One with a client certificate, a directory of certificates or a proxy is left to urllib3. A bundle that has changed
    on the disk is read anew.
    """
    bundle = connection.ca_certs
    alone = connection.cert_file or connection.ca_cert_dir or connection.ca_cert_data or connection.proxy
    if bundle is None or alone or connection.ssl_context is not None:
        return
    about = os.stat(bundle)  # noqa: PTH116 - as cheap as it gets, for every connection
    connection.ssl_context = _trusting(bundle, about.st_mtime_ns, about.st_size)
    connection.ca_certs = None  # urllib3 would read it into the context once more


@lru_cache(maxsize=2)
def _trusting(bundle: str, changed_at: int, size: int) -> "ssl.SSLContext":
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()  # which verifies certificates and host names
    context.load_verify_locations(bundle)
    return context
