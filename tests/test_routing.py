import logging

import pytest

from notify.event import Event
from notify.rules.routing import Route, Topics, is_urgent, least_level, parse_topics


def event(level: int = logging.INFO, topic: str = "log") -> Event:
    return Event(id="1", time=0.0, message="", level=level, topic=topic)


@pytest.mark.parametrize(
    ("text", "in_it", "not_in_it"),
    [
        ("trade,gas", {"trade", "gas"}, {"log", "trades", ""}),
        ("!log", {"trade", "crash"}, {"log"}),
        ("trade,gas,!gas", {"trade"}, {"gas", "log"}),
        (" Trade , ! LOG ", {"trade"}, {"log", "crash"}),
    ],
)
def test_a_list_of_topics_chooses(text: str, in_it: set[str], not_in_it: set[str]) -> None:
    topics = parse_topics(text)

    assert all(name in topics for name in in_it)
    assert not any(name in topics for name in not_in_it)


def test_topics_are_the_same_in_capitals_in_the_settings_and_in_the_program() -> None:
    topics = parse_topics("Trade,!Log")

    assert "TRADE" in topics
    assert "LOG" not in topics


def test_no_choice_is_all_topics() -> None:
    assert "anything" in Topics()


@pytest.mark.parametrize("text", ["", " ", "a,,b", "a b", "!", "!!a", "a!b", "a,"])
def test_a_malformed_list_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a comma list of topics, such as trade,crash or !log$"):
        parse_topics(text)


@pytest.mark.parametrize("text", ["gas,trade", "!log", "trade,!gas", "all"])
def test_a_choice_is_shown_as_it_is_written(text: str) -> None:
    topics = Topics() if text == "all" else parse_topics(text)

    assert str(topics) == text


@pytest.mark.parametrize(
    ("level", "topic", "wanted"),
    [
        (logging.WARNING, "gas", True),
        (logging.ERROR, "gas", True),
        (logging.WARNING - 1, "gas", False),
        (logging.ERROR, "trade", False),
    ],
)
def test_a_route_wants_its_level_and_above_of_its_topics(level: int, topic: str, wanted: bool) -> None:
    route = Route(logging.WARNING, parse_topics("gas"))

    assert route.wants(event(level, topic)) is wanted


def test_a_decision_is_not_taken_for_an_emergency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(logging._levelToName, 51, "TRADE_HIGH")  # as some programs have it

    assert not is_urgent(event(51))
    assert not Route(logging.WARNING).wants(event(51))
    assert Route(21).wants(event(51))


@pytest.mark.parametrize(
    ("level", "urgent"), [(logging.WARNING, False), (logging.ERROR, True), (logging.CRITICAL, True), (60, True)]
)
def test_errors_are_urgent(level: int, urgent: bool) -> None:
    assert is_urgent(event(level)) is urgent


def test_the_least_level_of_routes_is_the_lowest_of_them() -> None:
    assert least_level([Route(logging.ERROR), Route(21), Route(logging.WARNING)]) == 21


def test_without_a_route_no_level_is_wanted() -> None:
    assert least_level([]) == logging.CRITICAL + 1


def test_a_threshold_is_graded_like_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = 51  # trade-executor's TRADE_HIGH, above CRITICAL
    monkeypatch.setattr(logging, "getLevelName", lambda level: "TRADE_HIGH" if level == executor else str(level))

    assert Route(level=executor).wants(event(level=executor))
    assert not Route(level=executor).wants(event(level=logging.INFO))
    assert least_level([Route(level=executor)]) < logging.ERROR
