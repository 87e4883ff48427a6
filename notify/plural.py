"""The words for one thing and for several, as people read them."""


def plural(count: int, one: str, several: str = "") -> str:
    """Return *one* when *count* is 1, else *several*: the same with an s at its end unless another is given."""
    return one if count == 1 else several or f"{one}s"
