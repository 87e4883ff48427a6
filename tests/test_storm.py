"""Different matters that come at once: how many are announced, and what the digest of the rest says."""

import json
import logging
import math

from notify.rules.storm import Storm

PEOPLE = frozenset({"discord"})


def test_so_many_are_announced_a_minute_and_more_when_that_is_over():
    storm = Storm(2)
    storm.count(0.0)
    assert not storm.is_full(1.0)
    storm.count(1.0)

    assert storm.is_full(59.9)
    assert not storm.is_full(60.0)  # the first is a minute ago


def test_what_is_held_back_is_counted_for_each_backend_by_events_and_matters():
    storm = Storm(1)
    for number in range(10):
        storm.hold({"discord", "telegram"}, f"matter {number % 3}", logging.WARNING, 5.0)
    storm.hold({"discord"}, "worse", logging.ERROR, 6.0)

    assert storm.digest_at == 65.0  # a minute after the first
    held = storm.take()

    assert (held["discord"].events, len(held["discord"].matters), held["discord"].severity) == (11, 4, logging.ERROR)
    assert (held["telegram"].events, len(held["telegram"].matters)) == (10, 3)
    assert (storm.take(), storm.digest_at) == ({}, math.inf)


def test_a_few_first_lines_are_kept_as_samples():
    storm = Storm(1)
    storm.hold(PEOPLE, "a", logging.ERROR, 0.0)
    for number in range(9):
        storm.sample(PEOPLE, f"line {number}\nmore")
        storm.sample(PEOPLE, f"line {number}")
    storm.sample({"nobody"}, "unheard")

    assert storm.held["discord"].samples == [f"line {number}" for number in range(5)]


def test_matters_without_number_take_no_memory_without_bound():
    storm = Storm(1)
    for number in range(5000):
        storm.hold(PEOPLE, str(number), logging.ERROR, 0.0)

    held = storm.held["discord"]
    assert (held.events, len(held.matters), held.more) == (5000, 1000, True)


def test_what_is_held_back_comes_through_json_and_what_is_nonsense_is_left_out():
    storm = Storm(1)
    storm.hold(PEOPLE, "a", logging.ERROR, 0.0, events=7)
    storm.sample(PEOPLE, "line")
    plain = json.loads(json.dumps(storm.as_plain()))

    again = Storm(1)
    again.restore({**plain, "odd": 7, "odder": [0, [], False, 1, []], "none": None}, 100.0)

    assert again.held == storm.held
    assert again.digest_at == 100.0  # at once: who held it back is gone


def test_others_can_go_on_with_all_there_is():
    storm = Storm(2)
    storm.count(10.0)
    storm.count(20.0)
    storm.hold(PEOPLE, "a", logging.ERROR, 21.0)

    other = Storm(2)
    other.count(1.0)
    other.become(json.loads(json.dumps(storm.as_it_is())))

    assert other.as_it_is() == storm.as_it_is()
    assert other.is_full(69.0)
    assert not other.is_full(70.0)  # the first is a minute ago
    assert other.digest_at == 81.0  # a minute after the first that was held back


def test_what_is_no_storm_at_all_is_a_calm():
    other = Storm(1)
    other.count(1.0)
    other.become({"announced": "x"})

    assert not other.is_full(1.0)
    assert other.digest_at == math.inf
