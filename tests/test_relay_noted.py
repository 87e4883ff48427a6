"""What stands beside an entry of what was decided of it."""

import json
from dataclasses import replace

import pytest

from notify.event import Event, Matter, Origin, Phase
from notify.relay import noted
from notify.relay.judging import Judged

EVENT = Event(
    id="1", time=1.0, message="no RPC", level=40, fields={"block": 7}, tail=("x" * 1000,), origin=Origin("eth", "ETH"),
    matter=Matter("rpc", Phase.ANNOUNCED),
)  # fmt: skip
ANNOUNCED = replace(EVENT, matter=Matter("f1ee7", Phase.ANNOUNCED, 12, 1.5, 2.5, 3))
ENDED = replace(EVENT, message="Resolved", body="It …", topic="data", logger="bot", matter=Matter("x", Phase.RESOLVED))


@pytest.mark.parametrize(
    "judged",
    [
        Judged(((replace(EVENT, matter=None), frozenset({"machine"})),), frozenset({"chat", "pager"})),
        Judged(((ANNOUNCED, frozenset({"chat"})), (replace(EVENT, matter=None), frozenset({"machine", "log"})))),
        Judged(((ENDED, frozenset({"chat"})),)),
        Judged((), frozenset({"chat"})),
    ],
    ids=["folded", "announced", "ended", "nobody"],
)
def test_what_was_decided_comes_back_and_takes_little_room(judged):
    text = noted.encode(EVENT, judged)

    assert noted.decode(EVENT, text.encode()) == judged
    assert len(text) < 300  # characters: the event stands in its entry


@pytest.mark.parametrize(
    "odd",
    [
        b"{}",
        b"7",
        b"[1]",
        b"nonsense",
        json.dumps([[[{"matter": []}, []]], []]).encode(),
        b"[[[[], []]], []]",
        b'[[[{"message": 5}, ["chat"]]], []]',
        b'[[[{}, "chat"]], []]',
        b'[[[{"matter": ["x", "announced", "1", 1, 1, 1]}, ["chat"]]], []]',
        b"[[[{}, [[]]]], []]",
    ],
)
def test_what_it_has_not_made_is_a_value_or_a_type_error(odd):
    with pytest.raises((TypeError, ValueError)):
        noted.decode(EVENT, odd)
