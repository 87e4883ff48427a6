"""Makes a Caddyfile of the list of strategies: pure text, whatever the list says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from notify.clip import clip
from notify.fleet.strategies import Strategy

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MOST_HOST = 253  # characters of a host name, RFC 1035
_PORTS = {"http": 80, "https": 443}
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "[::1]"})
_TOLD = 40  # code points of an id in a line for people

_WRONG_URL = "its url is not that of a site of its own: https:// or http://, a host name, and no path"
_WRONG_ID = "its id cannot be a subdomain: up to 63 letters, digits and hyphens"

# The limits are those of the status server (8 kB and 5 s for a header), which a proxy would otherwise hide.
# Caddy sets X-Forwarded-For, -Host and -Proto itself. What else says whom a request is for would pass through it
# untouched, as the client wrote it.
_HEAD = """\
# Made by `notify caddyfile` from TS_PUBLIC_STRATEGIES: change the list, not this file.

# For all sites. A Caddyfile has one such block, at its top. Restart Caddy after a change: nothing reloads it.
{
	admin off
	servers {
		max_header_size 8KB
		timeouts {
			read_header 5s
			read_body 10s
			write 60s
			idle 2m
		}
	}
}

# What every site below imports: an access log without credentials, requests with hardly a body,
# and no client that says for whom it asks.
(strategy) {
	log {
		format filter {
			wrap json
			fields {
				request>headers>Authorization delete
				request>headers>Cookie delete
			}
		}
	}
	request_body {
		max_size 8KB
	}
	request_header -X-Forwarded-*
	request_header -Forwarded
	request_header -X-Real-IP
	request_header -True-Client-IP
	request_header -CF-Connecting-IP
}
"""

_SITE = """
# {comment}
{address} {{
	import strategy
	reverse_proxy {upstream} {{
		transport http {{
			dial_timeout 3s
			response_header_timeout 20s
		}}
	}}
}}
"""

_SITE_WITHOUT_UPSTREAM = """
# {comment}
# Where its program listens is not known. Its entry says so: "upstream": "127.0.0.1:19003"
{address} {{
	import strategy
	respond "The proxy was not told where this program listens." 503
}}
"""


@dataclass(frozen=True, slots=True)
class Caddyfile:
    """A Caddyfile, and what could not be put into it.

    Args:
        text: of the file; empty when there is no site.
        problems: a line for each strategy that has no site, or one that leads nowhere.
    """

    text: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """Below what the sites are, when it is not their `url` that says so.

    Args:
        scheme: `https`, or `http` when TLS ends before the proxy.
        name: of the domain, with a port when it is not the scheme's own.
    """

    scheme: str
    name: str


def parse_domain(text: str) -> Domain:
    """Read `example.com`, `https://example.com` or `http://example.com`, with a port or without.

    Raises `ValueError` with a text that says what is expected.
    """
    address = _address(text if "://" in text else f"https://{text}")
    if address is None:
        raise ValueError("not a domain, such as example.com, or http://example.com where TLS ends before the proxy")
    scheme, _, name = address.partition("://")
    return Domain(scheme, name)


def make_caddyfile(strategies: Sequence[Strategy], domain: Domain | None = None) -> Caddyfile:
    """Return a Caddyfile with a site for each of *strategies*, in their order.

    Args:
        strategies: whose `upstream` says where the program listens. Without one the site answers 503, and a problem
            says so: a host that Caddy does not know gets 200 from it.
        domain: the sites are `{id}.{domain}`; None: what each `url` says.
    """
    sites: dict[str, str] = {}  # address to the id of who has it
    blocks, problems = [], []
    for strategy in strategies:
        shown = _printable(clip(strategy.id, _TOLD))
        address = _address(strategy.url) if domain is None else _subdomain(strategy.id, domain)
        if address is None:
            problems.append(f"{shown}: {_WRONG_URL if domain is None else _WRONG_ID}")
        elif address in sites:
            problems.append(f"{shown}: its site is the one of {sites[address]}, which comes first")
        elif strategy.upstream is not None and _is_itself(address, strategy.upstream):
            problems.append(f"{shown}: its upstream is the site itself: the program has to listen on another port")
        else:
            sites[address] = shown
            blocks.append(_block(strategy, address))
            if strategy.upstream is None:
                problems.append(
                    f'{shown}: no upstream in its entry, such as "127.0.0.1:19003", so its site answers 503'
                )
    return Caddyfile("".join((_HEAD, *blocks)) if blocks else "", tuple(problems))


def _block(strategy: Strategy, address: str) -> str:
    comment = f"{_printable(strategy.id)}: {_printable(strategy.name)}"
    if address.startswith("http://"):
        comment += ". Plain http: TLS ends before this proxy, or nowhere."
    if strategy.upstream is None:
        return _SITE_WITHOUT_UPSTREAM.format(comment=comment, address=address)
    return _SITE.format(comment=comment, address=address, upstream=strategy.upstream)


def _address(url: str) -> str | None:
    """Return the address of the site at *url* in its one spelling, None when it cannot be a site of its own."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, (parts.hostname or "").lower(), parts.port
    except ValueError:  # a port that is no number, a bracket without its other
        return None
    more = "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment
    if more or scheme not in _PORTS or port == 0 or len(host) > _MOST_HOST or not _HOST.fullmatch(host):
        return None
    return f"{scheme}://{host}" if port in (None, _PORTS[scheme]) else f"{scheme}://{host}:{port}"


def _subdomain(name: str, domain: Domain) -> str | None:
    return _address(f"{domain.scheme}://{name}.{domain.name}") if re.fullmatch(_LABEL, name.lower()) else None


def _is_itself(address: str, upstream: str) -> bool:
    """Say whether a proxy at *address*, which listens on every address of its machine, would ask itself."""
    parts = urlsplit(address)
    host, _, port = upstream.lower().rpartition(":")
    return int(port) == (parts.port or _PORTS[parts.scheme]) and (host == parts.hostname or host in _THIS_MACHINE)


def _printable(text: str) -> str:
    """Return *text* as it may stand in a comment: Caddy replaces `{$…}` even there, and a line break ends it."""
    return "".join(char if char.isprintable() and char not in '{}\\"`' else "?" for char in text)
