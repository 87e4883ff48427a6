"""A length of time, as people read it."""

import pytest

from notify.duration import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.0, "0 s"),
        (0.0171, "0.017 s"),
        (2.34, "2.3 s"),
        (9.96, "10 s"),
        (42, "42 s"),
        (59.6, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (86_460, "1 d"),
        (3 * 86_400 + 4 * 3600, "3 d 4 h"),
        (400 * 86_400, "400 d"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
