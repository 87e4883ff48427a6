"""Exceptions that Python has nobody to give to: reported, and not by the thousand."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crashes import run, run_both

from notify.backends.memory import MemoryBackend
from notify.crash import seen, unraisable
from notify.notifier import Notifier
from notify.testing import FakeClock

pytestmark = pytest.mark.interpreter

LEAKY = """
class Leaky:
    def __del__(self):
        raise ValueError("no price")
"""


class Hooked:
    """A notifier that hears of them, and what it told and passed on."""

    def __init__(self) -> None:
        self.clock = FakeClock(1_800_000_000.0)
        self.memory = MemoryBackend()
        self.passed_on: list[object] = []
        self.notifier = Notifier({"memory": self.memory}, clock=self.clock)

    def fail(self, kind: type[BaseException] = ValueError, where: str = "Leaky.__del__") -> None:
        """Have an exception come by this place."""
        try:
            raise kind("no price")
        except BaseException as error:
            self.give(exc_value=error, err_msg=f"Exception ignored in {where}")

    def give(self, **given: Any) -> None:
        """Call the hook as Python does."""
        empty = {"exc_type": None, "exc_value": None, "exc_traceback": None, "err_msg": None, "object": None}
        sys.unraisablehook(SimpleNamespace(**{**empty, **given}))

    @property
    def told(self) -> list[str]:
        self.notifier.flush()
        return self.memory.messages


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hooked]:
    one = Hooked()
    monkeypatch.setattr(sys, "unraisablehook", one.passed_on.append)
    with one.notifier:
        one.notifier.at_close(unraisable.install(one.notifier))
        yield one


@pytest.mark.process
def test_fault_15_what_a_finaliser_raises_is_told_and_printed_as_ever(tmp_path: Path) -> None:
    ran = run_both(tmp_path, LEAKY + "Leaky()\nprint('goes on')")

    (crash,) = ran.crashes
    assert crash["message"] == "Crashed in Leaky.__del__: ValueError: no price"
    assert "in __del__" in crash["body"]
    assert "Exception ignored in: <function Leaky.__del__" in ran.stderr
    assert (ran.code, ran.stdout) == (0, "goes on\n")


@pytest.mark.process
def test_fault_15_ten_thousand_of_them_are_one_report_and_a_count(tmp_path: Path) -> None:
    ran = run(tmp_path, "sys.unraisablehook = sys.unraisablehook\n" + LEAKY + "for _ in range(10_000):\n    Leaky()")

    assert ran.messages == [
        "Crashed in Leaky.__del__: ValueError: no price",
        "More crashes like those that were reported",
    ]
    assert ran.crashes[1]["body"] == "9999 in Leaky.__del__: ValueError"


def test_one_place_is_told_once_in_ten_minutes_with_what_was_held_back(hooked: Hooked) -> None:
    for _ in range(5):
        hooked.fail()
    hooked.clock.advance(599)
    hooked.fail()
    assert len(hooked.told) == 1

    hooked.clock.advance(1)
    hooked.fail()

    assert hooked.told[1] == "Crashed in Leaky.__del__ (and 5 like it): ValueError: no price"
    assert len(hooked.passed_on) == 7


def test_other_places_and_other_exceptions_are_told_by_themselves(hooked: Hooked) -> None:
    hooked.fail()
    hooked.fail(KeyError)
    hooked.fail(where="Other.__del__")

    assert len(hooked.told) == 3


def test_places_without_end_take_no_memory_without_end(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_PLACES", 2)
    for place in ("one", "two", "three", "one"):
        hooked.fail(where=place)

    assert len(hooked.told) == 4  # the first place was forgotten for the third


def test_what_was_held_back_is_told_at_the_end(hooked: Hooked) -> None:
    for _ in range(3):
        hooked.fail()
    hooked.notifier.close()

    assert hooked.memory.messages[1:] == ["More crashes like those that were reported"]
    assert hooked.memory.events[1].body == "2 in Leaky.__del__: ValueError"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"object": Hooked.fail}, "Hooked.fail"),
        ({"err_msg": "Exception ignored in atexit callback"}, "atexit callback"),
        ({"err_msg": "Exception ignored in"}, "a finaliser"),
        ({"object": Path()}, "a PosixPath"),
        ({}, "a finaliser"),
    ],
)
def test_it_is_named_by_what_has_failed(hooked: Hooked, given: dict[str, object], where: str) -> None:
    hooked.give(exc_value=ValueError("no"), **given)

    assert hooked.told == [f"Crashed in {where}: ValueError: no"]


def test_an_object_that_is_about_to_end_is_not_called(hooked: Hooked) -> None:
    class Ending:
        def __repr__(self) -> str:
            raise SystemExit

        def __getattribute__(self, name: str) -> object:
            raise SystemExit

    hooked.give(exc_value=ValueError("no"), object=Ending())

    assert hooked.told == ["Crashed in a Ending: ValueError: no"]


@pytest.mark.parametrize("wanted", [KeyboardInterrupt(), SystemExit(1), None])
def test_an_end_that_somebody_wanted_is_no_crash(hooked: Hooked, wanted: BaseException | None) -> None:
    hooked.give(exc_value=wanted)

    assert hooked.told == []
    assert len(hooked.passed_on) == 1


def test_the_hook_before_it_runs_also_when_it_fails(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch, internal_errors: list[str]
) -> None:
    monkeypatch.setattr("notify.crash.report._made", None)
    hooked.fail()

    assert len(hooked.passed_on) == 1
    assert internal_errors == ["crash hook"]


def test_a_hook_that_somebody_chained_to_it_stays_and_it_falls_silent(hooked: Hooked) -> None:
    ours = sys.unraisablehook

    def theirs(given: Any) -> None:
        ours(given)

    sys.unraisablehook = theirs
    hooked.notifier.close()
    hooked.fail()

    assert sys.unraisablehook is theirs
    assert hooked.memory.events == []
    assert len(hooked.passed_on) == 1
