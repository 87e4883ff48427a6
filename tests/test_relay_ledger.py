"""What workers write down together: one at a time, all of it or nothing."""

import threading

import pytest
from relay_matters import happened, publish
from relays import client, server  # noqa: F401 - fixtures

from notify.backends.relay.wire import EVENTS, GROUP, Entry
from notify.relay.ledger import Asked, Ledger, Plan
from notify.relay.stream import Stream


def worker(client, name):  # noqa: F811
    """The ledger of a worker, and the stream as it sees it."""
    stream = Stream(client, name)
    stream.join()
    return Ledger(client, name, kept_seconds=100), stream


def test_who_begins_while_another_has_not_finished_waits_and_then_knows_what_that_wrote(client, server):  # noqa: F811
    (one, _), (other, _) = worker(client, "one"), worker(server.client(), "other")
    other.begin(Asked())
    other.commit(Plan())
    one.begin(Asked())
    known = []
    thread = threading.Thread(target=lambda: known.append(other.begin(Asked())))
    thread.start()

    thread.join(0.05)
    assert known == []
    assert one.commit(Plan(changes={"all/a": '{"x": 1}'}))
    thread.join()

    assert known[0].changes == {"all/a": b'{"x": 1}'}


def test_only_what_others_have_changed_is_told_and_everything_after_forgetting(client, server):  # noqa: F811
    (one, _), (other, _) = worker(client, "one"), worker(server.client(), "other")
    for name in ("a", "b"):
        one.begin(Asked())
        one.commit(Plan(changes={f"all/{name}": "1"}))
    assert other.begin(Asked()).changes == {"all/a": b"1", "all/b": b"1"}
    other.commit(Plan(changes={"all/a": "", "all/c": "3"}))

    known = one.begin(Asked())
    assert (known.is_all, known.changes) == (False, {"all/a": None, "all/c": b"3"})
    one.commit(Plan())
    one.forget()
    known = one.begin(Asked())

    assert (known.is_all, known.changes) == (True, {"all/b": b"1", "all/c": b"3"})


@pytest.mark.parametrize("later", [False, True], ids=["nobody has it", "another has it"])
def test_who_has_lost_the_lock_notes_nothing(client, server, later):  # noqa: F811
    (one, stream), (other, _) = worker(client, "one"), worker(server.client(), "other")
    publish(client, happened("alpha", "x"))
    (found,) = stream.take("0-0", 10).found
    one.begin(Asked())
    client.delete("notify:lock:matters")  # as after five seconds
    if later:
        other.begin(Asked())
    plan = Plan(
        changes={"all/a": "1"},
        heard={"all/a": (True, {"alpha"})},
        announced={"all/a": found.entry},
        sayings=[("all/a", Entry(happened("alpha", "x"), frozenset({"chat"})))],
        judged={found.entry: "[]"},
        acknowledged=[(found.entry, b"alpha")],
    )

    assert not one.commit(plan)

    assert not client.exists(
        "notify:matters", "notify:matters:said", "notify:matter:all/a", f"notify:entry:{found.entry}"
    )
    assert client.xlen(EVENTS) == client.xpending(EVENTS, GROUP)["pending"] == 1
    assert client.exists("notify:lock:matters") == later  # the other's is not taken away


def test_what_changes_nothing_is_not_told_to_others(client):  # noqa: F811
    one, _ = worker(client, "one")
    one.begin(Asked())

    assert one.commit(Plan())

    assert client.exists("notify:matters:changes", "notify:lock:matters") == 0


def test_of_entries_it_is_told_what_was_noted_and_which_are_pending_no_more(client):  # noqa: F811
    one, stream = worker(client, "one")
    publish(client, *[happened("alpha", str(number)) for number in range(3)])
    first, second, third = (each.entry for each in stream.take("0-0", 10).found)
    one.begin(Asked())
    one.commit(Plan(judged={first: "[[], []]"}, acknowledged=[(second, b"alpha")]))

    assert one.begin(Asked(entries=[first, second, third])).judged == {first: b"[[], []]", third: b""}


def test_names_of_executors_may_be_anything_that_is_text(client):  # noqa: F811
    one, _ = worker(client, "one")
    names = ['say "hi"', "ünï 🚀", "line\nline", "\x00", "a b"]
    one.begin(Asked())
    one.commit(Plan(changes={"all/a": "1"}, heard={"all/a": (True, set(names))}))

    known = one.begin(Asked(heard=[("all/a", name) for name in [*names, "another"]]))

    assert known.heard == {("all/a", name) for name in names}


@pytest.mark.parametrize("left", [None, 3_600_000], ids=["for good", "an hour"])
def test_a_lock_that_another_program_or_a_clock_set_back_keeps_is_over_in_five_seconds(client, left):  # noqa: F811
    one, _ = worker(client, "one")
    client.set("notify:lock:matters", "of nobody", px=left)
    known = []
    thread = threading.Thread(target=lambda: known.append(one.begin(Asked())))
    thread.start()

    while not 0 < client.pttl("notify:lock:matters") <= 5000:  # milliseconds, as of a worker that was killed
        thread.join(0.01)
    client.pexpire("notify:lock:matters", 1)  # so that the test need not wait for them
    thread.join()

    assert len(known) == 1


def test_what_another_program_has_put_among_matters_hides_nothing_of_ours(client):  # noqa: F811
    one, _ = worker(client, "one")
    one.begin(Asked())
    one.commit(Plan(changes={"all/a": "1"}))
    client.hset("notify:matters", b"\xff", b"\xfe")
    client.hset("notify:matters:said", mapping={"all/a": "nonsense", b"\xff": ""})
    client.xadd("notify:matters:changes", {"a": "b"})

    followed, told_all = one.begin(Asked(matters=["all/a"])), None
    one.commit(Plan())
    one.forget()
    told_all = one.begin(Asked(matters=None))

    assert (followed.changes, followed.waiting) == ({}, frozenset())
    assert told_all.changes["all/a"] == b"1"
    assert told_all.waiting == frozenset()
