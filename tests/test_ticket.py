import threading

import pytest

from notify.delivery.ticket import DELIVERED, PENDING, Ticket


def make() -> Ticket:
    return Ticket("1", changed=threading.Condition())


def test_an_event_that_is_not_routed_yet_has_no_outcome() -> None:
    assert make().wait(0) == {}


def test_a_ticket_waits_for_every_backend_and_no_longer() -> None:
    ticket = make()
    ticket.routed({"discord": PENDING, "logstash": PENDING})
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(ticket.wait(60)))
    waiting.start()

    ticket.settle("discord", DELIVERED)
    assert answers == []
    ticket.settle("logstash", "rejected: too long")
    waiting.join()

    assert answers == [{"discord": DELIVERED, "logstash": "rejected: too long"}]


def test_who_waits_for_one_backend_waits_for_no_other() -> None:
    ticket = make()
    ticket.routed({"stdout": PENDING, "discord": PENDING})
    waiting = threading.Thread(target=ticket.wait_for, args=("stdout", 60))
    waiting.start()
    ticket.settle("stdout", DELIVERED)
    waiting.join(30)
    assert not waiting.is_alive()

    ticket.wait_for("logstash", 60)  # which does not get it
    assert ticket.wait(0)["discord"] == PENDING


def test_the_deadline_of_a_wait_leaves_the_rest_pending() -> None:
    ticket = make()
    ticket.routed({"discord": PENDING, "logstash": PENDING})
    ticket.settle("discord", DELIVERED)

    assert ticket.wait(0.01) == {"discord": DELIVERED, "logstash": PENDING}


def test_an_event_that_nobody_wants_is_settled_at_once() -> None:
    ticket = make()
    ticket.routed({})

    assert ticket.wait(60) == {}


def test_a_wait_may_be_as_long_as_one_likes() -> None:
    ticket = make()
    ticket.routed({})

    assert ticket.wait(float("inf")) == {}
    threading.Timer(0.01, ticket.settle, ("late", DELIVERED)).start()
    other = Ticket("2", changed=ticket._changed)
    other.routed({"late": PENDING})
    threading.Timer(0.01, other.settle, ("late", DELIVERED)).start()
    assert other.wait(float("inf")) == {"late": DELIVERED}


def test_what_was_returned_does_not_change_afterwards() -> None:
    ticket = make()
    ticket.routed({"discord": PENDING})
    first = ticket.wait(0)

    ticket.settle("discord", DELIVERED)

    assert first == {"discord": PENDING}


def test_a_ticket_shows_its_id_and_whether_it_is_on_disk() -> None:
    assert repr(make()) == "Ticket(id='1', durable=False)"


def test_who_gives_no_timeout_waits_however_long_it_takes() -> None:
    ticket = make()
    ticket.routed({"discord": PENDING})
    threading.Timer(0.01, ticket.settle, ("discord", DELIVERED)).start()

    assert ticket.wait(None) == {"discord": DELIVERED}


@pytest.mark.parametrize("timeout", ["soon", object(), float("nan"), -1])
def test_a_timeout_that_makes_no_sense_is_none(timeout: float) -> None:
    ticket = make()
    ticket.routed({"discord": PENDING})

    assert ticket.wait(timeout) == {"discord": PENDING}


def test_what_a_lane_has_said_before_the_event_was_routed_stands_and_is_not_all() -> None:
    ticket = make()
    ticket.settle("discord", DELIVERED)
    assert ticket.wait(0) == {"discord": DELIVERED}

    ticket.routed({"discord": PENDING, "logstash": PENDING})

    assert ticket.wait(0) == {"discord": DELIVERED, "logstash": PENDING}


def test_nobody_sees_an_event_as_wanted_by_nobody_that_is_routed_and_dropped_in_one_step() -> None:
    ticket = make()
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(ticket.wait(60)))
    waiting.start()

    ticket.routed({"discord": "dropped: intake full"})
    waiting.join()

    assert answers == [{"discord": "dropped: intake full"}]
