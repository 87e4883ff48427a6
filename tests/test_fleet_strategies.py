"""The list of strategies: what is usable is used, and a line says what is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.fleet.strategies import Strategies, Strategy, parse_strategies

VEGA = {"id": "vega", "name": "Vega", "url": "https://vega.example.com"}


def parsed(*entries: object) -> Strategies:
    return parse_strategies(json.dumps(entries))


def test_an_entry_has_an_id_a_name_and_an_url_without_a_slash_at_its_end() -> None:
    found = parsed({**VEGA, "url": "https://vega.example.com/"})

    assert found == Strategies((Strategy(id="vega", name="Vega", url="https://vega.example.com"),))


def test_keys_that_the_front_end_reads_are_left_to_it() -> None:
    assert parsed({**VEGA, "microsite": True, "hiddenPositions": [1]}) == parsed(VEGA)


def test_an_entry_may_have_an_interval_of_its_own() -> None:
    found = parsed({**VEGA, "interval": 10})

    assert found.strategies[0].interval == 10.0


@pytest.mark.parametrize("text", ["", "[", "{", "vega", '["a"', "[" * 100_000])
def test_what_is_no_json_is_one_problem(text: str) -> None:
    found = parse_strategies(text)

    assert found.strategies == ()
    assert len(found.problems) == 1
    assert found.problems[0].startswith("not JSON")


def test_a_place_in_broken_json_is_named() -> None:
    assert parse_strategies('[{"id": }]').problems == ("not JSON (line 1, column 9)",)


@pytest.mark.parametrize("text", ["{}", "null", '"vega"', "1"])
def test_json_that_is_no_list_is_one_problem(text: str) -> None:
    assert parse_strategies(text).problems == ("not a JSON list of strategies, such as [{…}, {…}]",)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (None, "entry 2: not an object with id, name and url"),
        ("vega", "entry 2: not an object with id, name and url"),
        ({}, "entry 2: id is missing; name is missing; url is missing"),
        ({**VEGA, "id": 7}, "entry 2: id is not a text of 1 to 200 characters"),
        ({**VEGA, "id": " "}, "entry 2: id is not a text of 1 to 200 characters"),
        ({**VEGA, "id": " .. "}, "entry 2 ( .. ): id is .., which browsers take out of an address"),
        ({**VEGA, "name": "x" * 201}, "entry 2 (vega): name is not a text of 1 to 200 characters"),
        ({**VEGA, "url": "/vega"}, "entry 2 (vega): url is not a whole web address (http://… or https://…)"),
        (
            {**VEGA, "url": "ftp://vega.example.com"},
            "entry 2 (vega): url is not a whole web address (http://… or https://…)",
        ),
        (
            {**VEGA, "url": "https://vega example"},
            "entry 2 (vega): url is not a whole web address (http://… or https://…)",
        ),
        ({**VEGA, "url": "https://[::1"}, "entry 2 (vega): url is not a whole web address (http://… or https://…)"),
        ({**VEGA, "url": "https://a:99999"}, "entry 2 (vega): url is not a whole web address (http://… or https://…)"),
        ({**VEGA, "url": "https://"}, "entry 2 (vega): url is not a whole web address (http://… or https://…)"),
        (
            {**VEGA, "url": "https://a.example/?x=1"},
            "entry 2 (vega): url has a query or a fragment, and paths are appended to it",
        ),
        ({**VEGA, "interval": "10"}, "entry 2 (vega): interval is not a number of seconds from 1 to 86400"),
        ({**VEGA, "interval": 0.5}, "entry 2 (vega): interval is not a number of seconds from 1 to 86400"),
        ({**VEGA, "interval": True}, "entry 2 (vega): interval is not a number of seconds from 1 to 86400"),
    ],
)
def test_an_unusable_entry_is_named_and_the_others_stay(entry: object, problem: str) -> None:
    sirius = {"id": "sirius", "name": "Sirius", "url": "https://sirius.example.com"}

    found = parsed(sirius, entry)

    assert [strategy.id for strategy in found.strategies] == ["sirius"]
    assert found.problems == (problem,)


def test_of_two_entries_with_one_id_the_last_counts_as_in_the_front_end() -> None:
    found = parsed(VEGA, {**VEGA, "url": "https://new.example.com"})

    assert [strategy.url for strategy in found.strategies] == ["https://new.example.com"]
    assert found.problems == ("entry 2 (vega): this id is there twice, and the last entry counts",)


def test_a_problem_is_one_line_whatever_the_id_holds() -> None:
    found = parsed({**VEGA, "id": "x\n\x1b[31my", "url": None})

    assert found.problems == (r"entry 1 (x\n\x1b[31my): url is missing",)


def test_an_url_with_a_password_is_refused_and_not_shown() -> None:
    found = parsed({**VEGA, "url": "https://operator:c4nary@vega.example.com"})

    assert found.strategies == ()
    assert "holds a user or a password" in found.problems[0]
    assert "c4nary" not in found.problems[0]


entries = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "name", "url", "interval", "x"]), inner),
)


@given(entries)
def test_whatever_an_entry_is_nothing_is_raised_and_it_is_used_or_named(entry: object) -> None:
    found = parsed(entry)

    assert len(found.strategies) + len(found.problems) == 1


@pytest.mark.parametrize("upstream", ["127.0.0.1:19003", "vega:3456", "my_vega-2.local:80", "[::1]:19003"])
def test_an_entry_may_say_where_a_proxy_finds_its_program(upstream: str) -> None:
    assert parsed({**VEGA, "upstream": upstream}).strategies[0].upstream == upstream


@pytest.mark.parametrize(
    "upstream",
    [
        19003,
        "19003",
        ":19003",
        "vega",
        "vega:0",
        "vega:65536",
        "vega:1 b",
        "http://vega:1",
        "{$HOME}:1",
        "a:1\n",
        "é:1",
    ],
)
def test_an_upstream_that_is_none_is_named(upstream: object) -> None:
    assert parsed({**VEGA, "upstream": upstream}) == Strategies(
        (), ("entry 1 (vega): upstream is not host:port, such as 127.0.0.1:19003",)
    )
