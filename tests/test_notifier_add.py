"""One more backend for a notifier that runs: it gets what is said from then on, and what was left for it on disk."""

import fcntl
import logging
import os
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from lanes import LONG, until
from outboxes import an_event
from set_up import QUIET

import notify
from notify import errors
from notify.backends.memory import MemoryBackend
from notify.bootstrap import extend, front
from notify.delivery.outbox import Outbox, listing
from notify.delivery.outbox.file import NAME
from notify.delivery.outbox.row import rows_of
from notify.delivery.outbox.store import Store
from notify.errors import ConfigError, Gone
from notify.event import Phase
from notify.notifier import Notifier
from notify.rules.routing import Route, parse_topics
from notify.testing.fake_discord import FakeDiscord

DEAD = "7-00000000"  # the mark of a process that is long gone


class People(MemoryBackend):
    """A backend that folds."""

    folds = True


class Closing(MemoryBackend):
    """A backend that knows when it was closed."""

    closed = False

    def close(self):
        self.closed = True


def leave(state, message, destination):
    """Do what a process has done that has died with one event for *destination* in its outbox."""
    event = replace(an_event(), time=time.time(), message=message)
    with closing(Outbox(state)) as made:
        made.accept(event, ["memory"])  # makes the file
    with closing(Store(state / NAME)) as store:
        store.insert([row._replace(owner=DEAD) for row in rows_of(replace(event, id=f"{event.id}x"), [destination])])
    (state / "owners" / f"{DEAD}.lock").touch(mode=0o600)


def is_let_go(state):
    """Say whether no process has an outbox of its own there."""
    for lock in state.glob("owners/*.lock"):
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True


def test_it_gets_what_is_said_from_then_on(notifier, backend):
    late = MemoryBackend()
    notifier.notify("before")
    assert notifier.flush(LONG)

    notifier.add("late", late, Route())
    notifier.notify("after")

    assert notifier.flush(LONG)
    assert (backend.messages, late.messages) == (["before", "after"], ["after"])
    assert notifier.stats()["late"]["delivered"] == 1


def test_its_route_lowers_the_level_of_the_handler():
    with Notifier({}) as notifier:
        late = MemoryBackend()
        assert notifier.handler.level == logging.INFO

        notifier.add("late", late, Route(logging.DEBUG))

        assert notifier.handler.level == logging.DEBUG


def test_repeats_fold_for_it_too():
    people = People()
    with Notifier({}) as notifier:
        notifier.notify("Late", level=logging.WARNING)  # nobody is told
        assert notifier.flush(LONG)

        notifier.add("people", people, Route())
        for _ in range(3):
            notifier.notify("Low gas", level=logging.WARNING)

        assert notifier.flush(LONG)
        assert people.messages == ["Low gas"]
        assert notifier.stats()["people"]["folded"] == 2


def test_one_that_passes_matters_on_gets_each_repeat_with_its_matter_and_the_end():
    relay = MemoryBackend()
    relay.passes_matters = True
    with Notifier({}) as notifier:
        notifier.add("relay", relay, Route())
        for _ in range(2):
            notifier.notify("No RPC", level=logging.WARNING, key="rpc")
        notifier.resolve("rpc")

        assert notifier.flush(LONG)
    phases = [event.matter and event.matter.phase for event in relay.events]
    assert phases == [Phase.ANNOUNCED, Phase.ANNOUNCED, Phase.RESOLVED]


def test_an_outbox_that_comes_with_it_keeps_what_is_durable(state):
    with Notifier({}) as notifier:
        refused = MemoryBackend(fail_with=[OSError()] * 1000, durable=True)
        assert not notifier.trade("before").durable

        notifier.add("memory", refused, Route(), outbox=Outbox(state))

        assert notifier.has_outbox
        assert notifier.trade("after").durable
        notifier.close(0)

    backend = MemoryBackend(durable=True)
    with Notifier({"memory": backend}, outbox=Outbox(state)) as another:
        assert another.flush(LONG)
    assert backend.messages == ["after"]


def test_what_was_left_for_it_on_disk_comes_first(state):
    leave(state, "left", "late")
    early, late = MemoryBackend(durable=True), MemoryBackend(durable=True)
    with Notifier({"early": early}, outbox=Outbox(state)) as notifier:
        until(lambda: early.messages)  # it is told that `late` is missing; `late` need not hear it
        notifier.add("late", late, Route())
        notifier.trade("now")

        assert notifier.flush(LONG)
    assert late.messages == ["left", "now"]


def test_nobody_is_told_at_once_of_what_is_left_for_a_backend_that_may_be_about_to_come(state, monkeypatch):
    leave(state, "left", "late")
    people, outbox, looked, asked = People(durable=True), Outbox(state), threading.Event(), []
    maintain, left_behind = outbox.maintain, outbox.left_behind
    monkeypatch.setattr(outbox, "maintain", lambda: (looked.set(), maintain())[1])
    monkeypatch.setattr(outbox, "left_behind", lambda names: asked.append(names) or left_behind(names))
    with Notifier({}) as notifier:
        notifier.add("people", people, Route(), outbox=outbox)
        outbox.wake()  # somebody looks after everything

        assert looked.wait(LONG)
    assert (asked, people.messages) == ([], [])


def test_a_forked_child_has_it_too():
    late = MemoryBackend()
    with Notifier({}) as notifier:
        notifier.add("late", late, Route())
        child = os.fork()
        if child == 0:
            notifier.notify("in the child")
            os._exit(0 if notifier.flush(LONG) and late.messages == ["in the child"] else 1)

        assert os.waitpid(child, 0)[1] == 0


class Interrupting(dict):
    """Does something when it is copied for the second time, which is in the middle of adding."""

    def __init__(self, known, act):
        super().__init__(known)
        self._acts = [lambda: None, act]

    def __iter__(self):
        return super().__iter__()  # so that it is not copied behind our back

    def keys(self):
        if self._acts:
            self._acts.pop(0)()
        return super().keys()


def test_a_child_that_is_forked_in_the_middle_of_it_is_heard():
    heard = []

    def fork():
        pid = os.fork()
        if pid == 0:
            os._exit(0 if notifier.notify("of the child").wait(LONG).get("memory") == "delivered" else 1)
        heard.append(os.waitpid(pid, 0)[1])

    with Notifier({"memory": MemoryBackend()}) as notifier:
        notifier._pipeline._routes = Interrupting(notifier._pipeline._routes, fork)
        notifier.add("late", MemoryBackend(), Route())

    assert heard == [0]


def test_who_closes_in_the_middle_of_it_ends_all_of_it(state):
    before = set(threading.enumerate())
    notifier = Notifier({"memory": MemoryBackend()})
    notifier._pipeline._routes = Interrupting(notifier._pipeline._routes, lambda: notifier.close(0))

    notifier.add(
        "late", (late := Closing(durable=True)), Route(), outbox=Outbox(state)
    )  # closed by a signal handler, for one

    for thread in set(threading.enumerate()) - before:
        thread.join(LONG)
        assert not thread.is_alive(), thread.name
    assert late.closed
    assert notifier.notify("too late").wait(LONG) == {"memory": "dropped: closed", "late": "dropped: closed"}
    with closing(Outbox(state)) as next_one:
        assert next_one.broken is None


def test_a_backend_that_would_stand_in_for_itself_is_refused_before_anything_is_done(notifier, backend):
    with pytest.raises(ConfigError, match="cannot stand in for itself"):
        notifier.add("late", MemoryBackend(), Route(fallback="late"))
    notifier.add("late", MemoryBackend(), Route(fallback="memory"))

    notifier.notify("said")

    assert notifier.flush(LONG)
    assert backend.messages == ["said"]


def test_a_fallback_that_was_there_before_keeps_on_disk_what_it_gets_in_its_place(state):
    gone = MemoryBackend(fail_with=[errors.Gone("no such webhook")] * 1000, durable=True)
    with Notifier({"memory": (backend := MemoryBackend())}) as notifier:
        route = Route(logging.INFO, parse_topics("log"), fallback="memory")
        notifier.add("late", gone, route, outbox=Outbox(state))

        outcome = notifier.notify("said", level=logging.ERROR).wait(LONG)
        handed = notifier.notify("said again", level=logging.ERROR)

        assert handed.durable
        assert notifier.flush(LONG)
        assert outcome["memory"] == "delivered"
    assert [row.destination for row in listing.waiting(state, 100)] == []  # or the next start says it once more
    assert "said again" in backend.messages


def test_a_name_that_is_taken_and_a_notifier_that_is_closed_are_refused(notifier):
    with pytest.raises(ConfigError, match="memory: there is one already"):
        notifier.add("memory", MemoryBackend(), Route())
    notifier.close()
    with pytest.raises(ConfigError, match="late: the notifier is closed"):
        notifier.add("late", MemoryBackend(), Route())


# ---- and fallbacks


@pytest.mark.parametrize("order", [["first", "late"], ["late", "first"]])
def test_it_stands_in_for_one_that_was_there_and_one_that_was_there_for_it(state, order):
    gone, late = MemoryBackend(fail_with=[Gone("deleted")] * 9, durable=True), MemoryBackend()
    backends = {"first": (gone, Route(fallback="late")), "late": (late, Route(logging.CRITICAL))}
    with Notifier({}) as notifier:
        for name in order:
            notifier.add(name, *backends[name], outbox=None if notifier.has_outbox else Outbox(state))

        ticket = notifier.trade("Bought ETH")

        assert ticket.durable
        assert notifier.flush(LONG)
        assert ticket.wait(LONG)["late"] == "delivered"
    assert late.messages[-1] == "Bought ETH"
    with closing(Outbox(state)) as outbox:  # nothing is left that the next run would deliver once more
        assert outbox.adopt(["first", "late"], 10) == []


def test_one_that_comes_later_gets_what_was_said_before_even_if_it_would_have_had_it_anyway():
    late = MemoryBackend()
    with Notifier({}) as notifier:
        notifier.add("first", MemoryBackend(fail_with=[Gone("deleted")] * 9), Route(fallback="late"))
        ticket = notifier.trade("Bought ETH")
        until(lambda: notifier.stats()["first"]["retried"])

        notifier.add("late", late, Route())

        assert ticket.wait(LONG)["first"] == "handed over to late"
        assert notifier.flush(LONG)
    assert late.messages == ["Bought ETH"]


def test_fallbacks_that_go_round_in_a_circle_are_refused():
    with Notifier({}) as notifier:
        notifier.add("first", MemoryBackend(), Route(fallback="late"))

        with pytest.raises(ConfigError, match="late: fallback: goes round in a circle: late → first → late"):
            notifier.add("late", MemoryBackend(), Route(fallback="first"))

        assert "late" not in notifier


# ---- from settings


def test_extending_makes_what_the_environment_asks_for_and_marks_the_run(state):
    with FakeDiscord() as discord:
        env = {**QUIET, "NOTIFY_STATE_DIR": str(state)}
        with notify.setup(env=env) as notifier:
            assert not list(state.glob("runs/*"))

            extended = extend({**env, "DISCORD_WEBHOOK_URL": discord.url})
            assert list(state.glob("runs/*"))  # found by the next start if this one is killed
            notifier.trade("Bought ETH")
            assert notifier.flush(LONG)

        assert extended is notifier
        assert [embed["title"] for embed in discord.embeds] == ["Bought ETH"]
        assert not list(state.glob("runs/*.json"))


def test_a_backend_that_is_there_stays_as_it_is(state, capfd):
    env = {**QUIET, "NOTIFY_STATE_DIR": str(state), "LOGSTASH_SERVER": "127.0.0.1:9"}
    with notify.setup(env=env) as notifier:
        extend({**env, "LOGSTASH_SERVER": "127.0.0.1:10"})

        assert list(notifier.stats()) == ["logstash"]
    assert "there is a backend logstash already, which stays as it is" in capfd.readouterr().err


def test_what_cannot_be_added_leaves_nothing_behind(state, monkeypatch):
    closed = []
    monkeypatch.setattr("notify.backends.discord.DiscordBackend.close", lambda self: closed.append(self))
    env = {**QUIET, "NOTIFY_STATE_DIR": str(state)}
    with notify.setup(env=env) as notifier:
        notifier.add("mine", MemoryBackend(), Route(fallback="discord"))
        circle = {"DISCORD_FALLBACK": "mine"}

        with pytest.raises(ConfigError, match="goes round in a circle"):
            extend({**env, "DISCORD_WEBHOOK_URL": f"http://127.0.0.1:9/api/webhooks/1/{'a' * 68}", **circle})

        assert len(closed) == 1
        assert not notifier.has_outbox
        assert list(notifier.stats()) == ["mine"]
        assert is_let_go(state)  # the outbox was opened, and nobody has it


def test_there_must_be_something_to_extend():
    with pytest.raises(ConfigError, match=r"call notify\.setup\(\) first"):
        extend(QUIET)


def test_secrets_of_what_is_added_are_secrets_from_then_on(state, monkeypatch):
    env = {**QUIET, "NOTIFY_STATE_DIR": str(state)}
    monkeypatch.setenv("BROKER_PASSWORD", "c4nary-of-the-process")
    with FakeDiscord(speed=60) as discord, notify.setup(env) as notifier:
        extend({**env, "DISCORD_WEBHOOK_URL": discord.url, "RPC_PASSWORD": "c4nary-of-what-came"})

        notifier.notify("c4nary-of-the-process and c4nary-of-what-came", level=logging.ERROR)

        assert notifier.flush(LONG)
        assert [embed["title"] for embed in discord.embeds] == ["❌ [redacted] and [redacted]"]


def test_a_child_may_set_up_whatever_its_parent_was_setting_up_when_it_was_forked(state):
    held, let_go = threading.Event(), threading.Event()

    def set_up():
        with front._setting_up:
            held.set()
            let_go.wait()

    thread = threading.Thread(target=set_up)
    thread.start()
    held.wait()
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)  # seconds: it would wait for ever
        notify.setup({**QUIET, "NOTIFY_STATE_DIR": str(state)}, signals=False).close(0)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    let_go.set()
    thread.join()

    assert status == 0
