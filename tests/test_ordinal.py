"""Places in a row, as people read them."""

from notify.ordinal import ordinal


def test_the_ending_follows_the_last_digit_but_for_eleven_to_thirteen_of_each_hundred() -> None:
    numbers = [1, 2, 3, 4, 10, 11, 12, 13, 21, 22, 100, 101, 111, 112]

    assert [ordinal(number) for number in numbers] == (
        ["1st", "2nd", "3rd", "4th", "10th", "11th", "12th", "13th", "21st", "22nd", "100th", "101st", "111th", "112th"]
    )
