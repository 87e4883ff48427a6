"""What the outbox makes of forks and of signal handlers that use it."""

from pathlib import Path

import pytest
from machine import missing
from outboxes import GRACE, everything_in, output, running

pytestmark = pytest.mark.interpreter

# ---- forks

FORKS = """
outbox = Outbox(directory)
outbox.accept(event("parent, before"), ["discord"])
child = os.fork()
if child == 0:
    adopted = outbox.adopt(ALL)
    accepted = outbox.accept(event("child"), ["discord"])
    say("child adopted", len(adopted), "accepted", accepted, "broken", outbox.broken)
    sys.exit()  # the interpreter ends in the ordinary way, and finalises what it has
os.waitpid(child, 0)
accepted = outbox.accept(event("parent, after"), ["discord"])
say("parent accepted", accepted, "broken", outbox.broken)
say("parent adopted", *[each.event.message for each in outbox.adopt(ALL)])
os._exit(0)
"""


@pytest.mark.process
def test_a_forked_child_keeps_events_of_its_own_and_never_its_parents(state):
    said = [" ".join(words) for words in output(FORKS, state)]

    assert said == [
        "child adopted 0 accepted True broken None",
        "parent accepted True broken None",
        "parent adopted child",
    ]
    assert [event.message for event in everything_in(state)] == ["parent, before", "child", "parent, after"]


FORKS_AND_LOOKS = """
def ours():
    found = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sorted({Path(os.readlink(link)).name for link in found if os.path.exists(link)
                   and str(directory) in os.readlink(link)})

outbox = Outbox(directory)
outbox.delivered("discord", ["nothing"])  # both connections are open
say(len(ours()))
child = os.fork()
if child == 0:
    say("child", *ours())
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""


@pytest.mark.process
def test_a_forked_child_inherits_no_connection_and_no_lock(state):
    if not Path("/proc/self/fd").exists():
        missing("the system does not list the descriptors of a process")
    # The database, its log and its shared memory, and the owner's lock.
    assert output(FORKS_AND_LOOKS, state) == [["4"], ["child"]]


OUTLIVED_BY_ITS_CHILD = """
outbox = Outbox(directory)
outbox.accept(event("parent"), ["discord"])
if os.fork():
    os._exit(0)
while not (adopted := outbox.adopt(ALL)):  # the parent is dying; its lock goes with it
    time.sleep(0.01)
say(*[each.event.message for each in adopted])
"""


@pytest.mark.process
def test_a_parent_that_dies_is_noticed_although_its_child_lives(state):
    with running(OUTLIVED_BY_ITS_CHILD, state) as process:
        assert process.communicate(timeout=GRACE)[0] == "parent\n"


FORKS_WHILE_OTHERS_WRITE = """
outbox = Outbox(directory)
go_on = True

def write():
    while go_on:
        made = event()
        if outbox.accept(made, ["discord"]):
            say(made.id)
        outbox.delivered("discord", ["nothing"])

threads = [threading.Thread(target=write) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        made = event()
        for _ in range(20):  # on a busy machine 50 ms may be over before it was its turn
            if outbox.accept(made, ["discord"]):
                say(made.id)
                os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if status:
        say("failed", status)
go_on = False
for thread in threads:
    thread.join()
os._exit(0)
"""


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forks_in_the_middle_of_writes_lose_nothing_and_hang_nobody(state):
    forks = 40

    said = [words[0] for words in output(FORKS_WHILE_OTHERS_WRITE, state, str(forks))]

    found = [event.id for event in everything_in(state)]
    assert "failed" not in said
    assert len(said) > forks
    assert sorted(found) == sorted(said)


FORKS_INSIDE_SQLITE = """
outbox = Outbox(directory)
held = threading.Event()

def compute():
    with outbox.locks.lanes:
        held.set()
        # No lane asks this. It stands for a disk that does not answer: the thread is inside SQLite, with its locks.
        outbox._store()._execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")

def next_descriptor():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor

threading.Thread(target=compute, daemon=True).start()
held.wait()
child = os.fork()  # waits for the lane, but not for good
if child == 0:
    before = next_descriptor()
    say("child", outbox.accept(event(), ["discord"]), outbox.adopt(ALL), outbox.broken)
    say("opened", next_descriptor() - before)
    say("told", *outbox.maintain().alerts)
    outbox.close()
    sys.exit()
_, status = os.waitpid(child, 0)
say("parent", status, outbox.accept(event(), ["discord"]), outbox.broken)
os._exit(0)
"""


@pytest.mark.process
def test_a_child_forked_while_the_disk_hangs_does_without_it_and_ends(state):
    said = [" ".join(words) for words in output(FORKS_INSIDE_SQLITE, state)]

    assert said == [
        "child False [] the process was forked in the middle of a write",
        "opened 0",
        "told The outbox cannot be used: the process was forked in the middle of a write. "
        "Events wait in memory, and are lost if the process dies.",
        "parent 0 True None",
    ]


FORKS_BEHIND_A_WRITE = """
from notify.delivery.outbox.writer import Writer

def fork(number, frame):
    if os.fork() == 0:
        os._exit(0)
    os.wait()

def write_and_be_interrupted(writer, rows, *, write=Writer._in_turn, **how):
    store = write(writer, rows, **how)
    signal.raise_signal(signal.SIGUSR1)  # which closes all connections, and the last one removes SQLite's log
    return store

signal.signal(signal.SIGUSR1, fork)
Writer._in_turn = write_and_be_interrupted
outbox = Outbox(directory)
outbox.let_go()  # of the lanes' connection: the caller's is the last one
for level in 21, 50:  # the second is flushed
    say(outbox.accept(event(str(level), level), ["discord"]), outbox.broken)
"""


@pytest.mark.process
def test_what_was_written_when_a_signal_handler_forks_is_on_disk_and_nothing_is_missed(state):
    assert output(FORKS_BEHIND_A_WRITE, state) == [["True", "None"], ["True", "None"]]
    assert [event.message for event in everything_in(state)] == ["21", "50"]


INTERRUPTED_FORKS = """
outbox = Outbox(directory)
sys.unraisablehook = lambda about: None  # Python forks whatever is raised in what is done for it before and after

class NoTimeLeft(Exception):
    pass

def handler(number, frame):
    raise NoTimeLeft

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0 if outbox.accept(event(), ALL) else 1)
    children.append(os.waitpid(child, 0)[1])

from random import uniform
children = []
signal.signal(signal.SIGALRM, handler)
for _ in range(int(sys.argv[2])):
    outbox.adopt(ALL)
    outbox.accept(event(), ALL)  # so that both connections are open
    try:
        signal.setitimer(signal.ITIMER_REAL, uniform(0.00002, 0.0006))
        fork()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except NoTimeLeft:
        pass
signal.signal(signal.SIGALRM, signal.SIG_IGN)

def take():
    for lock in outbox.locks.lanes, outbox.locks.callers:
        had = lock.acquire(timeout=0.1)
        say(had)
        if had:
            lock.release()

taker = threading.Thread(target=take)
taker.start()
taker.join()
say(outbox.accept(event(), ALL), outbox.broken)
say("children without a disk", sum(map(bool, children)))
os._exit(0)
"""


@pytest.mark.process
def test_a_fork_that_a_signal_interrupts_keeps_no_lock(state):
    assert output(INTERRUPTED_FORKS, state, "200") == [
        ["True"],
        ["True"],
        ["True", "None"],
        ["children", "without", "a", "disk", "0"],
    ]


# ---- signals

SIGNALS = """
outbox = Outbox(directory)
handled = []

def handler(number, frame):
    made = event("from the handler")
    handled.append((made.id, outbox.accept(made, ["discord"])))

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
accepted = []
while len(handled) < int(sys.argv[2]):
    made = event("interrupted")
    accepted.append((made.id, outbox.accept(made, ["discord"])))
    if len(accepted) % 500 == 0:
        outbox.maintain()
signal.setitimer(signal.ITIMER_REAL, 0)
say("broken", outbox.broken)
for made, on_disk in accepted + handled:
    if on_disk:
        say(made)
say("refused", sum(not on_disk for _, on_disk in accepted + handled))
os._exit(0)
"""


@pytest.mark.process
def test_a_signal_handler_may_interrupt_a_write_and_write_itself(state):
    signals = 10_000

    (broken, *said, refused) = output(SIGNALS, state, str(signals))

    assert broken == ["broken", "None"]
    assert refused == ["refused", "0"]
    assert len(said) > signals
    assert sorted(event.id for event in everything_in(state)) == sorted(words[0] for words in said)
