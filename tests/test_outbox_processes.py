"""What the outbox makes of kills, and of several processes in one directory."""

import os
import random

import pytest
from outboxes import ALL, GRACE, an_event, everything_in, opened, running

KILLS = int(os.environ.get("NOTIFY_TEST_KILLS", "20"))


ACCEPTS_UNTIL_KILLED = """
from collections import deque
outbox = Outbox(directory)
accepted = deque()

def lane():
    while True:
        outbox.maintain()
        ids = [accepted.popleft() for _ in range(min(len(accepted), 20))]
        for each in ids:
            say("delivered", each)
        outbox.delivered("discord", ids)

threading.Thread(target=lane, daemon=True).start()
while True:
    made = event("x" * 500)
    if outbox.accept(made, ["discord"]):
        say("accepted", made.id)
        if hash(made.id) % 2:
            accepted.append(made.id)
"""


@pytest.mark.process
def test_whatever_was_accepted_before_a_kill_is_found_after_it(state):
    lines_before_the_kill = random.Random()  # a new choice each time; the message of a failure shows it
    for _ in range(KILLS):
        lines = lines_before_the_kill.randrange(1, 3000)
        with running(ACCEPTS_UNTIL_KILLED, state) as process:
            said = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            said += process.stdout.read().splitlines()
        accepted = [line.split()[1] for line in said if line.startswith("accepted")]
        delivered = {line.split()[1] for line in said if line.startswith("delivered")}

        found = [event.id for event in everything_in(state)]

        with opened(state) as outbox:  # the next round begins with an empty one
            outbox.adopt(ALL, limit=100_000)
            outbox.delivered("discord", found)
        lost = set(accepted) - delivered - set(found)
        assert not lost, f"{len(lost)} lost after {lines} lines"
        assert found == sorted(set(found))
        unknown = set(found) - set(accepted)
        assert len(unknown) <= 1  # written, and killed before it was said


ACCEPTS_SOME = """
outbox = Outbox(directory)
say("ready")
wait_for_line()
for number in range(int(sys.argv[2])):
    made = event()
    if outbox.accept(made, ["discord"]):
        say(made.id)
    if number % 100 == 0:
        outbox.maintain()
os._exit(0)
"""


@pytest.mark.process
def test_two_processes_write_into_one_directory_at_the_same_time(state):
    each = 1000
    with running(ACCEPTS_SOME, state, str(each)) as one, running(ACCEPTS_SOME, state, str(each)) as other:
        for process in (one, other):
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=GRACE)[0].split() for process in (one, other)]

    found = {event.id for event in everything_in(state)}

    assert found == {*said[0], *said[1]}
    # A few may have gone to memory while the other held the file; most must not.
    assert all(len(ids) > each * 0.9 for ids in said)


ADOPTS = """
outbox = Outbox(directory)
say("ready")
wait_for_line()
while part := outbox.adopt(ALL, limit=50):
    for each in part:
        say(each.event.id)
say("done")
wait_for_line()  # what it has would go to the others if it ended
"""


@pytest.mark.process
def test_of_four_adopters_each_event_goes_to_one(state):
    events = [an_event() for _ in range(400)]
    for several in range(8):  # processes that died
        with opened(state) as dead:
            for event in events[several * 50 : several * 50 + 50]:
                assert dead.accept(event, ["discord"])
    adopted: list[str] = []

    with (
        running(ADOPTS, state) as a,
        running(ADOPTS, state) as b,
        running(ADOPTS, state) as c,
        running(ADOPTS, state) as d,
    ):
        for process in (a, b, c, d):
            assert process.stdout.readline() == "ready\n"
        for process in (a, b, c, d):
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in (a, b, c, d):
            while (line := process.stdout.readline()) != "done\n":
                assert line
                adopted.append(line.strip())
        # Whoever met another at an estate has left it to him; what is there now is nobody's.
        for process in (a, b, c, d):
            process.stdin.close()

    assert sorted(adopted) == [event.id for event in events]


@pytest.mark.process
def test_an_event_of_a_killed_process_is_found_by_one_that_runs(state):
    with running(
        "outbox = Outbox(directory); outbox.accept(event(), ['discord']); say('on disk'); wait_for_line()", state
    ) as it:
        it.stdout.readline()
        with opened(state) as outbox:
            assert outbox.adopt(ALL) == []
            it.kill()
            it.wait()

            assert len(outbox.adopt(ALL)) == 1
