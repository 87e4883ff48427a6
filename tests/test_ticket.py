import threading

from notify.delivery.ticket import DELIVERED, PENDING, Ticket


def make() -> Ticket:
    return Ticket("1", durable=False, changed=threading.Condition())


def test_an_event_that_is_not_routed_yet_has_no_outcome() -> None:
    assert make().wait(0) == {}


def test_a_ticket_waits_for_every_backend_and_no_longer() -> None:
    ticket = make()
    ticket.routed(["discord", "logstash"])
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(ticket.wait(60)))
    waiting.start()

    ticket.settle("discord", DELIVERED)
    assert answers == []
    ticket.settle("logstash", "rejected: too long")
    waiting.join()

    assert answers == [{"discord": DELIVERED, "logstash": "rejected: too long"}]


def test_the_deadline_of_a_wait_leaves_the_rest_pending() -> None:
    ticket = make()
    ticket.routed(["discord", "logstash"])
    ticket.settle("discord", DELIVERED)

    assert ticket.wait(0.01) == {"discord": DELIVERED, "logstash": PENDING}


def test_an_event_that_nobody_wants_is_settled_at_once() -> None:
    ticket = make()
    ticket.routed([])

    assert ticket.wait(60) == {}


def test_a_wait_may_be_as_long_as_one_likes() -> None:
    ticket = make()
    ticket.routed([])

    assert ticket.wait(float("inf")) == {}
    threading.Timer(0.01, ticket.settle, ("late", DELIVERED)).start()
    other = Ticket("2", durable=False, changed=ticket._changed)
    other.routed(["late"])
    threading.Timer(0.01, other.settle, ("late", DELIVERED)).start()
    assert other.wait(float("inf")) == {"late": DELIVERED}


def test_what_was_returned_does_not_change_afterwards() -> None:
    ticket = make()
    ticket.routed(["discord"])
    first = ticket.wait(0)

    ticket.settle("discord", DELIVERED)

    assert first == {"discord": PENDING}


def test_a_ticket_shows_its_id_and_whether_it_is_on_disk() -> None:
    assert repr(make()) == "Ticket(id='1', durable=False)"
