"""What a worker itself has to tell people."""

from collections import Counter
from typing import Any

from notify.relay.stream import Away
from notify.relay.telling import Telling


class Said:
    """An announcer that keeps what it is to say."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.stand_ins: list[str | None] = []

    def say(self, text: str, *, level: int = 30, but_not_to: str = "", also_to: str | None = None) -> None:
        self.texts.append((text, but_not_to))
        self.stand_ins.append(also_to)


class Others:
    """A stream on which another worker has said some texts."""

    def __init__(self, *said: str, away: bool = False) -> None:
        self._said = said
        self._away = away

    def is_first_to_say(self, text: str) -> bool:
        if self._away:
            raise Away("connection lost")
        return text not in self._said


class Dropping:
    """A lane that has given something up."""

    def __init__(self, **dropped: int) -> None:
        self.name = "discord"
        self.counts = Counter(dropped)

    def dropped(self) -> Counter[str]:
        return self.counts.copy()


def telling(others: Others) -> tuple[Telling, Said]:
    said: Any = Said()
    stream: Any = others
    return Telling(stream, said), said


def test_what_concerns_all_workers_is_said_by_one() -> None:
    one, said = telling(Others("telegram is gone"))

    one.gone("telegram", "telegram is gone", None)
    one.gone("discord", "discord is gone", "telegram")

    assert said.texts == [("discord is gone", "discord")]
    assert said.stand_ins == ["telegram"]  # who gets what goes there is to hear why


def test_each_says_it_when_nobody_knows_what_others_have_said() -> None:
    one, said = telling(Others("discord is gone", away=True))

    one.gone("discord", "discord is gone", None)

    assert said.texts == [("discord is gone", "discord")]


def test_what_was_given_up_is_told_once_and_where_it_is_kept() -> None:
    one, said = telling(Others())
    lane: Any = Dropping(rejected=1)

    one.dropped([lane])
    one.dropped([lane])
    lane.counts["rejected"] += 2000
    one.dropped([lane])

    assert said.texts == [
        ("Not delivered to discord: 1 event (rejected), kept in notify:dead.", "discord"),
        ("Not delivered to discord: 2,000 events (rejected), kept in notify:dead.", "discord"),
    ]
