"""A Caddyfile from the list of strategies: what the list says, and nothing that somebody put into it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import missing

from notify.fleet.caddyfile import Caddyfile, Domain, make_caddyfile, parse_domain
from notify.fleet.strategies import Strategy

UPSTREAM = "127.0.0.1:19003"


def strategy(id: str = "vega", **changed: Any) -> Strategy:  # noqa: A002 - as the list calls it
    return Strategy(
        **{"id": id, "name": id.title(), "url": f"https://{id}.example.com", "upstream": UPSTREAM, **changed}
    )


def made(*strategies: Strategy, domain: str | None = None) -> Caddyfile:
    return make_caddyfile(strategies, None if domain is None else parse_domain(domain))


def addresses(text: str) -> list[str]:
    return [line.removesuffix(" {") for line in text.splitlines() if line.startswith("http")]


def upstreams(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.startswith("\treverse_proxy ")]


# ---- sites


def test_each_strategy_is_a_site_in_the_order_of_the_list() -> None:
    found = made(strategy("vega"), strategy("sirius", upstream="sirius:3456"), strategy("altair", upstream="[::1]:80"))

    assert addresses(found.text) == [
        "https://vega.example.com",
        "https://sirius.example.com",
        "https://altair.example.com",
    ]
    assert upstreams(found.text) == [UPSTREAM, "sirius:3456", "[::1]:80"]
    assert found.problems == ()


def test_a_comment_says_whose_site_it_is() -> None:
    assert "\n# vega: Vega\nhttps://vega.example.com {\n" in made(strategy()).text


def test_a_site_without_tls_says_so() -> None:
    text = made(strategy(url="http://vega.example.com")).text

    assert "# vega: Vega. Plain http: TLS ends before this proxy, or nowhere.\nhttp://vega.example.com {\n" in text


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://VEGA.Example.com", "https://vega.example.com"),
        ("https://vega.example.com:443", "https://vega.example.com"),
        ("http://vega.example.com:80", "http://vega.example.com"),
        ("https://vega.example.com:8443", "https://vega.example.com:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_an_address_has_one_spelling(url: str, address: str) -> None:
    assert addresses(made(strategy(url=url)).text) == [address]


def test_below_a_domain_the_ids_are_the_sites() -> None:
    found = made(strategy("vega", url="https://elsewhere.example/path"), strategy("Sirius"), domain="fund.example")

    assert addresses(found.text) == ["https://vega.fund.example", "https://sirius.fund.example"]


def test_below_a_domain_whose_tls_ends_before_the_proxy_the_sites_are_plain_http() -> None:
    assert addresses(made(strategy(), domain="http://fund.example").text) == ["http://vega.fund.example"]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("fund.example", Domain("https", "fund.example")),
        ("HTTPS://Fund.Example/", Domain("https", "fund.example")),
        ("http://fund.example:8080", Domain("http", "fund.example:8080")),
    ],
)
def test_a_domain_is_read_with_its_scheme_and_port(text: str, domain: Domain) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    ["", "fund example", "{id}.example", "ftp://fund.example", "http://u:pw@fund.example", "fund.example/x", "a:99999"],
)
def test_what_is_no_domain_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a domain, such as example\.com, or http://example\.com where TLS"):
        parse_domain(text)


# ---- what cannot be a site


def test_without_an_upstream_the_site_answers_503_and_a_problem_says_what_is_missing() -> None:
    found = made(strategy(upstream=None))

    assert addresses(found.text) == ["https://vega.example.com"]
    assert upstreams(found.text) == []
    assert '\trespond "The proxy was not told where this program listens." 503\n' in found.text
    assert found.problems == ('vega: no upstream in its entry, such as "127.0.0.1:19003", so its site answers 503',)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/vega",
        "https://*.example.com",
        "https://{$HOST}",
        "https://{args.0}.example.com",
        "https://-vega.example.com",
        "https://vega..example.com",
        "https://vega.example.com,evil.example",
        'https://"vega"',
        "https://vega`",
        "https://[::1]:80",
        f"https://{'a' * 64}.example",
        "https://" + "a." * 130 + "example",
    ],
)
def test_an_url_that_is_not_of_a_site_of_its_own_is_left_out_and_named(url: str) -> None:
    found = made(strategy("sirius"), strategy(url=url))

    assert addresses(found.text) == ["https://sirius.example.com"]
    assert found.problems == (
        "vega: its url is not that of a site of its own: https:// or http://, a host name, and no path",
    )


@pytest.mark.parametrize("id", ["a b", "a.b", "{id}", "-a", "a_b", "a\nb", "é", "a" * 64])
def test_an_id_that_cannot_be_a_subdomain_is_left_out_below_a_domain(id: str) -> None:  # noqa: A002 - as the list calls it
    found = made(strategy(id), domain="fund.example")

    assert found.text == ""
    assert found.problems[0].endswith(": its id cannot be a subdomain: up to 63 letters, digits and hyphens")


def test_the_first_of_two_with_one_site_has_it() -> None:
    found = made(strategy("vega"), strategy("sirius", url="https://VEGA.example.com:443", upstream="127.0.0.1:19004"))

    assert upstreams(found.text) == [UPSTREAM]
    assert found.problems == ("sirius: its site is the one of vega, which comes first",)


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("http://127.0.0.1:19003", "127.0.0.1:19003"),
        ("http://vega.example.com:19003", "127.0.0.1:19003"),
        ("http://vega.example.com", "Vega.example.com:80"),
        ("https://vega.example.com", "[::1]:443"),
    ],
)
def test_a_proxy_that_would_ask_itself_is_left_out(url: str, upstream: str) -> None:
    found = made(strategy(url=url, upstream=upstream))

    assert found == Caddyfile("", ("vega: its upstream is the site itself: the program has to listen on another port",))


def test_no_site_is_no_file() -> None:
    assert made() == Caddyfile("", ())


# ---- hostile lists

HOSTILE = [
    "}\nhttp://evil.example {\n\trespond pwned\n}",
    "{$HOME} {env.HOME} {args.0} {file./etc/passwd}",
    '"` \\',
    "\\",
    "<<EOF",
    "# import /etc/passwd",
    "a\rb\x0bc\x0cd\x1ce\x85f\u2028g\u2029h\0i\x1b[2Jj\u202ek",
    "𝓥ega 🚀 Веґа",
]


# What the list takes for host:port, and what might mean something else to Caddy.
STRANGE = ["[::::]:80", "a..b:1", "http:80", "https:443", "unix:1", "srv:1", "tcp:80", "_x-:65535", "localhost:080"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_an_id_and_a_name_hold_they_stay_in_their_comment(id: str, name: str) -> None:  # noqa: A002
    text = made(strategy(id, name=name, url="https://vega.example.com")).text

    plain = made(strategy("x", name="x", url="https://vega.example.com")).text
    comments = [(one, other) for one, other in zip(text.split("\n"), plain.split("\n"), strict=True) if one != other]
    assert [other for _, other in comments] in ([], ["# x: x"])
    for one, _ in comments:
        assert one.startswith("# ")
        assert one.isprintable()
        assert not set(one) & set('{}\\"`')


def caddy(*arguments: object, stdin: str = "", directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run Caddy to its end; all that it keeps is in *directory*."""
    if shutil.which("caddy") is None:
        missing("caddy is not installed")
    return subprocess.run(
        ["caddy", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)},
    )


@pytest.mark.process
def test_a_real_caddy_takes_a_file_of_a_hostile_list_and_would_have_written_it_so(tmp_path: Path) -> None:
    hostile = [
        strategy(f"s{number}", name=text, upstream=f"127.0.0.1:{19003 + number}") for number, text in enumerate(HOSTILE)
    ]
    ids = [strategy(text, url=f"https://i{number}.example.com") for number, text in enumerate(HOSTILE)]
    strange = [strategy(f"u{number}", upstream=upstream) for number, upstream in enumerate(STRANGE)]
    unknown = strategy("unknown", name=HOSTILE[0], upstream=None)
    file = tmp_path / "Caddyfile"
    file.write_text(
        made(*hostile, *ids, *strange, unknown, strategy("plain", url="http://plain.example.com:8080")).text
    )

    validated = caddy("validate", "--adapter", "caddyfile", "--config", file, directory=tmp_path)
    formatted = caddy("fmt", "-", stdin=file.read_text(), directory=tmp_path)
    adapted = caddy("adapt", "--config", file, directory=tmp_path)

    assert validated.returncode == 0, validated.stderr
    assert formatted.stdout == file.read_text()
    routes = [
        route for server in json.loads(adapted.stdout)["apps"]["http"]["servers"].values() for route in server["routes"]
    ]
    answers = {route["match"][0]["host"][0]: handler_of(route) for route in routes}
    expected = {f"s{number}.example.com": f"127.0.0.1:{19003 + number}" for number in range(len(HOSTILE))}
    expected |= {f"i{number}.example.com": UPSTREAM for number in range(len(HOSTILE))}
    expected |= {f"u{number}.example.com": upstream for number, upstream in enumerate(STRANGE)}
    expected |= {"plain.example.com": UPSTREAM, "unknown.example.com": "503"}
    assert answers == expected
    assert len(routes) == len(expected)


def handler_of(route: dict[str, Any]) -> str:
    """Return where the last handler of a site leads: an upstream, or the status that it answers."""
    last = route["handle"][0]["routes"][-1]["handle"][-1]
    return str(last["upstreams"][0]["dial"] if last["handler"] == "reverse_proxy" else last["status_code"])
