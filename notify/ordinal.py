"""A place in a row, as people read it."""


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `4th` … `11th` … `21st` for a whole number above 0."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
