"""The words for one thing and for several."""

import pytest

from notify.plural import plural


@pytest.mark.parametrize(("count", "said"), [(0, "events"), (1, "event"), (2, "events"), (1000, "events")])
def test_all_but_one_are_several(count: int, said: str) -> None:
    assert plural(count, "event") == said


def test_what_takes_no_s_has_a_word_of_its_own() -> None:
    assert [plural(count, "strategy", "strategies") for count in (1, 2)] == ["strategy", "strategies"]
