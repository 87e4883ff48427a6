"""`notify run` around real programs: who is told of which death, how often, and what becomes of the process."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import missing
from served import free_port
from supervised import Terminal
from supervision import MARKED, PATIENCE, Supervision, fields, memory_cgroup, python, shell

from notify.testing.fake_discord import HANG, FakeDiscord

pytestmark = pytest.mark.process

FLUSH = 5.0  # seconds in which a supervisor that is told to stop ends after its child: guarantee 7
BUSY = 4.0  # seconds that a busy machine may add to that
_SPAN = re.compile(r" after [\d.]+ s(?=;)")  # how long a program ran that ended at once
WELL = {"HTTP_WAIT_GOOD_STARTUP_SECONDS": "0"}  # every run counts as one that started well

NO_CORE = "import ctypes, os, resource, signal, sys, time\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"


@pytest.fixture
def supervision(tmp_path: Path) -> Iterator[Supervision]:
    with FakeDiscord(speed=60) as discord:
        yield Supervision(discord, tmp_path / "state")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    with memory_cgroup() as made:
        yield made


# ---- every death, once


DEATHS = {
    "exit code": (shell("echo to out; echo to err >&2; exit 3"), 3, "ended with exit code 3", "to err"),
    "sys.exit with a text": (python("import sys; sys.exit('no price')"), 1, "ended with exit code 1", "no price"),
    "exception": (python("raise ValueError('no price')"), 1, "ended with exit code 1", "ValueError: no price"),
    "MemoryError": (
        python("import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); bytearray(2**31)"),
        1, "ended with exit code 1", "MemoryError",
    ),
    "SIGKILL": (shell("echo last words >&2; kill -KILL $$"), 137, "was killed by SIGKILL", "last words"),
    "os._exit": (python("import os; os._exit(7)"), 7, "ended with exit code 7", ""),
    "abort": (python(f"{NO_CORE}os.abort()"), 134, "crashed", "aborted"),
    "segfault": (
        ["--", sys.executable, "-X", "faulthandler", "-c", f"{NO_CORE}ctypes.string_at(0)"],
        139, "crashed", "string_at",
    ),
    "SIGTERM to the program alone": (shell("kill -TERM $$"), 143, "was killed by SIGTERM", ""),
}  # fmt: skip


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_told_once_with_its_reason_and_passes_through(supervision, death):
    arguments, code, said, shown = DEATHS[death]
    alone = subprocess.run(arguments[1:], capture_output=True, text=True, timeout=PATIENCE, check=False)

    run = supervision.run(*arguments)

    assert run.returncode == code
    (embed,) = supervision.embeds
    (title,) = supervision.titles
    assert re.match(rf"my-strategy {re.escape(said)} after [\d.]+ s", title)
    assert shown in str(embed)
    assert re.match(r"[\d.]+ s", fields(embed)["run_time"])
    assert {"cpu_time", "memory_peak", "host", "process"} <= fields(embed).keys()
    assert embed["footer"]["text"].startswith("crash · ")
    addresses = re.compile("0x[0-9a-f]+")  # of a thread, which are others each time
    assert run.stdout == alone.stdout
    assert addresses.sub("", run.stderr) == addresses.sub("", alone.stderr)


def test_the_peak_of_memory_is_the_programs_own_or_says_at_most(supervision):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB: what is started by us has no less
    large = f"import os; data = b'x' * {(peak + 102_400) * 1024}; os._exit(4)"  # bytes: 100 MiB more

    supervision.run(*shell("exit 3"))
    supervision.run(*python(large))

    small, grown = map(fields, supervision.embeds)
    assert re.fullmatch(r"at most [\d.]+ MiB", small["memory_peak"])
    assert float(grown["memory_peak"].removesuffix(" MiB")) > (peak + 102_400) / 1024


@pytest.mark.parametrize(("joined", "is_told"), [("2>&1", True), ("", False)])
def test_the_last_lines_of_stdout_are_told_where_it_is_one_stream_with_stderr(supervision, joined, is_told):
    options = supervision.command(*shell("echo bought; kill -9 $$"))
    options["args"] = ["sh", "-c", f'exec "$0" "$@" {joined}', *options["args"]]  # as in the image of the docs

    run = subprocess.run(**options, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert run.stdout == "bought\n"
    (told,) = supervision.embeds
    assert ("bought" in str(told)) is is_told


def test_the_oom_killer_is_recognised_by_a_real_memory_limit(supervision, cgroup):
    # The shell moves itself; so the supervisor and the program are in there, as in a container.
    options = supervision.command(*python("print('filling', flush=True); bytearray(2**29)"))
    options["args"] = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(cgroup), *options["args"]]

    run = subprocess.run(**options, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (run.returncode, run.stdout, run.stderr) == (137, "filling\n", "")
    (title,) = supervision.titles
    assert title.startswith("my-strategy was killed by the OOM killer after ")


def test_an_oom_kill_behind_a_shell_is_recognised_too(supervision, cgroup):
    fill = f"{sys.executable} -c 'bytearray(2**29)'"
    options = supervision.command(*shell(f"echo $$ > {cgroup}/cgroup.procs; {fill}; exit $?"))
    options["args"] = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(cgroup), *options["args"]]

    run = subprocess.run(**options, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert run.returncode == 137
    assert [title[:41] for title in supervision.titles] == ["my-strategy was killed by the OOM killer "]


@pytest.mark.parametrize(
    "arguments",
    [shell("echo out; echo err >&2"), python("import threading; threading.Thread(target=int, args=('x',)).start()")],
    ids=["quiet", "a thread raised"],
)
def test_exit_code_zero_is_no_crash(supervision, arguments):
    run = supervision.run(*arguments)

    assert run.returncode == 0
    assert supervision.embeds == []


def test_the_programs_environment_is_its_own_but_for_what_the_supervisor_says_of_itself(supervision):
    supervision.env = {"LANG": "C", "ODD": "\udcff = x", "NOTIFY_STDOUT": "json"}
    ours = (b"NOTIFY_SUPERVISOR", b"NOTIFY_AFTER_CRASH")
    show = f"import os; OURS = {ours}; print(sorted((n, v) for n, v in os.environb.items() if n not in OURS))"
    options = supervision.command()
    alone = subprocess.run(
        [sys.executable, "-c", show], env=options["env"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )

    run = supervision.run(*python(show))

    assert run.stdout == alone.stdout


# ---- programs that use this package


def test_a_crash_that_the_program_has_reported_is_not_reported_again(supervision):
    run = supervision.run(*python(f"{MARKED}\nmarker.crash_reported(); marker.end(); sys.exit(1)"))

    assert run.returncode == 1
    assert supervision.embeds == []
    assert list((supervision.state / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("marker.end(); sys.exit(4)", 4, "ended with exit code 4"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "was killed by SIGKILL"),
        ("os._exit(5)", 5, "ended with exit code 5"),
        # It was told itself that it is to stop, but nobody has said so.
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "was killed by SIGTERM"),
    ],
)
def test_what_the_program_could_not_report_is_reported_once_and_not_by_the_next_start(supervision, end, code, said):
    run = supervision.run(*python(f"{MARKED}\n{end}"))

    assert run.returncode == code
    assert [title.split(" after ")[0] for title in supervision.titles] == [f"my-strategy {said}"]
    assert list((supervision.state / "runs").iterdir()) == []


def test_the_c_traceback_that_the_program_did_not_print_is_told(supervision):
    run = supervision.run(*python(f"{NO_CORE}{MARKED}\nctypes.string_at(0)"))

    assert (run.returncode, run.stderr) == (139, "")
    (embed,) = supervision.embeds
    assert "my-strategy crashed after " in embed["title"]
    assert "Fatal Python error: Segmentation fault" in embed["description"]
    assert "in string_at" in embed["description"].replace("\\", "")


def test_a_program_that_died_of_a_signal_that_it_has_announced_itself_is_not_told_again(supervision):
    announced = "signal.signal(signal.SIGTERM, lambda *_: (marker.end(), os._exit(0)))"
    dies = "marker.end(); os.kill(os.getpid(), signal.SIGTERM)"

    assert supervision.run(*python(f"{MARKED}\n{announced}\n{dies}")).returncode == 0
    assert supervision.run(*python(f"{MARKED}\n{dies}")).returncode == 143
    assert supervision.embeds == []


def test_what_the_program_left_in_its_outbox_is_sent_before_the_end(supervision):
    leaves = """if True:
        import notify, os
        from notify.errors import RetryLater
        class Busy:
            durable = True
            def send(self, events): raise RetryLater(60)
            def close(self): pass
        notifier = notify.setup(backends={"discord": Busy()})
        assert notifier.trade("Bought 1 ETH").durable
        os._exit(9)
    """
    supervision.env = {"NOTIFY_STDOUT": "off"}

    run = supervision.run(*python(leaves))

    assert (run.returncode, run.stderr) == (9, "")
    assert sorted(title.split(" after ")[0] for title in supervision.titles) == [
        "Bought 1 ETH",
        "my-strategy ended with exit code 9",
    ]


# ---- told to stop


WAITS = "echo ready; while :; do sleep 0.02; done"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_program_that_was_told_to_stop_has_not_crashed_and_its_stop_is_told(supervision, signum, code):
    with supervision.running(*shell(WAITS)) as process:
        assert process.stdout.readline() == "ready\n"
        told = time.monotonic()
        process.send_signal(signum)

        assert process.wait(PATIENCE) == code
    assert time.monotonic() - told < FLUSH
    (title,) = supervision.titles
    assert title.startswith(f"my-strategy stopped on {signum.name} after ")
    assert supervision.embeds[0]["footer"]["text"].startswith("shutdown · ")


IDLES = "while True: time.sleep(0.01)"  # a signal that comes just before a sleep is handled after it
ENDS_ITSELF = """
def end(*_):
    marker.end()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, end)
"""


def test_a_program_that_announces_its_end_itself_is_not_announced(supervision):
    script = f"{MARKED}\n{ENDS_ITSELF}\nprint('ready', flush=True)\n{IDLES}"
    with supervision.running(*python(script)) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    assert supervision.embeds == []
    assert list((supervision.state / "runs").iterdir()) == []


def test_a_program_that_fails_on_its_way_out_has_not_crashed(supervision):
    with supervision.running(*shell(f"trap 'exit 1' TERM; {WAITS}")) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 1
    assert [title.split(" after ")[0] for title in supervision.titles] == [
        "my-strategy stopped on SIGTERM with exit code 1"
    ]


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [("os._exit(5)", 5, "exit code 5"), ("os.kill(os.getpid(), signal.SIGKILL)", 137, "SIGKILL")],
)
def test_a_program_that_was_told_to_stop_and_did_not_come_to_announce_it_is_announced(supervision, end, code, said):
    script = f"{MARKED}\nsignal.signal(signal.SIGTERM, lambda *_: {end})\nprint('ready', flush=True)\n{IDLES}"
    with supervision.running(*python(script)) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == code
    assert [title.split(" after ")[0] for title in supervision.titles] == [
        f"my-strategy stopped on SIGTERM with {said}"
    ]


@pytest.mark.parametrize(("marked", "asked"), [("", signal.SIGTERM), (MARKED, signal.SIGINT)])
def test_a_program_that_was_told_to_stop_and_crashes_in_c_has_crashed_and_is_not_started_again(
    supervision, marked, asked
):
    supervision.env = WELL
    script = f"{NO_CORE}{marked}\nsignal.signal({int(asked)}, lambda *_: ctypes.string_at(0))\n"
    script += f"print('ready', flush=True)\n{IDLES}"
    with supervision.running("--after-crash", "restart", *python(script)) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(asked)

        assert process.wait(PATIENCE) == 139
    (title,) = supervision.titles
    assert title.startswith("my-strategy crashed after ")


def test_a_stop_that_reaches_program_and_supervisor_at_once_is_no_crash(supervision):
    # As systemd does it: one after the other, the program first if it so happens.
    with supervision.running(*shell(f"echo $$; {WAITS}")) as process:
        pid = int(process.stdout.readline())
        os.kill(pid, signal.SIGTERM)
        while children_of(process.pid):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    assert [title[:19] for title in supervision.titles] == ["my-strategy stopped"]


def test_a_destination_that_hangs_does_not_keep_the_supervisor_longer_than_five_seconds(supervision):
    supervision.discord.answer_with(HANG)
    with supervision.running(*shell(WAITS)) as process:
        assert process.stdout.readline() == "ready\n"
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    assert time.monotonic() - told < FLUSH + BUSY
    assert supervision.embeds == []


def test_the_time_that_the_program_took_to_end_is_not_added_to_that_of_the_delivery(supervision):
    supervision.discord.answer_with(HANG)
    with supervision.running(*shell(f"trap 'sleep 3; exit 0' TERM; {WAITS}")) as process:
        assert process.stdout.readline() == "ready\n"
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 0
    assert time.monotonic() - told < 6.8  # 5 are promised; 3 and the delivery's 4 are more


def test_a_second_signal_ends_the_supervisor_at_once(supervision):
    supervision.discord.answer_with(HANG)
    with supervision.running(*shell(WAITS)) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        while children_of(process.pid):
            time.sleep(0.01)
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    assert time.monotonic() - told < 3.5  # the delivery would be waited for for four seconds


def children_of(pid: int) -> str:
    """Return the numbers of its children, empty when there are none."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()


def test_what_nobody_took_in_time_is_sent_by_the_next_start(supervision):
    supervision.discord.answer_with(HANG)
    with supervision.running(*shell(WAITS)) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143
    assert supervision.embeds == []

    assert supervision.run(*shell("exit 0")).returncode == 0
    assert [title[:19] for title in supervision.titles] == ["my-strategy stopped"]


# ---- after a crash


def test_a_crash_before_a_good_start_ends_the_supervisor_in_any_case(supervision, tmp_path):
    supervision.env = {"HTTP_ENABLED": "true"}  # and 60 s of HTTP_WAIT_GOOD_STARTUP_SECONDS
    again = shell(f"echo x >> {tmp_path}/starts; exit 3")

    restart = supervision.run("--after-crash", "restart", *again)
    serve = supervision.run("--after-crash", "serve", *again)
    end = supervision.run("--after-crash", "exit", *again)

    assert (restart.returncode, serve.returncode, end.returncode) == (3, 3, 3)
    assert (tmp_path / "starts").read_text() == "x\nx\nx\n"
    early = "notify: the program has crashed in its first 60 s (HTTP_WAIT_GOOD_STARTUP_SECONDS), so "
    assert restart.stderr == f"{early}it is not started again\n"
    assert serve.stderr == f"{early}its status is not served\n"
    assert end.stderr == ""  # that it ends is what was asked for
    assert ["status" in fields(embed) for embed in supervision.embeds] == [
        False,
        False,
    ]  # a link to nobody; of 3, 2 tell


def test_a_program_that_says_itself_why_its_early_crash_is_not_served_has_the_last_word(supervision):
    supervision.env = {"HTTP_ENABLED": "true", "HTTP_PORT": str(free_port()), "NOTIFY_STDOUT": "off"}

    run = supervision.run(*python("import notify; notify.setup(); raise ValueError('no price')"))

    assert run.returncode == 1
    assert run.stderr.count("HTTP_WAIT_GOOD_STARTUP_SECONDS") == 1
    assert run.stderr.endswith("so it ends, and its status is served no longer\n")


def test_serving_holds_the_process_until_it_is_told_to_stop_and_keeps_the_exit_code(supervision):
    port = free_port()
    supervision.env = {"HTTP_ENABLED": "true", "HTTP_PORT": str(port), **WELL}
    with supervision.running(*shell("exit 3")) as process:
        supervision.wait_for("my-strategy ended with exit code 3")
        assert fields(supervision.embeds[0])["status"] == f"http://127.0.0.1:{port}/status"
        assert _SPAN.sub("", process.stderr.readline()) == (
            f"notify: my-strategy ended with exit code 3; this process stays and serves "
            f"http://127.0.0.1:{port}/status until Ctrl-C, or kill {process.pid}\n"
        )
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 3
    assert len(supervision.embeds) == 1


@pytest.mark.parametrize("after", ["serve", "exit"])
def test_without_anything_to_serve_a_crash_ends_the_supervisor(supervision, after):
    supervision.env = {"HTTP_ENABLED": str(after == "exit"), **WELL}

    assert supervision.run("--after-crash", after, *shell("exit 3")).returncode == 3


def test_a_restart_goes_on_until_the_program_ends_well_and_restarts_count(supervision, tmp_path):
    supervision.env = WELL
    third = f"echo x >> {tmp_path}/starts; test $(wc -l < {tmp_path}/starts) -ge 3 || exit 3"

    run = supervision.run("--after-crash", "restart", *shell(third))

    assert run.returncode == 0
    first, second = supervision.titles
    assert re.match(r"my-strategy ended with exit code 3 after [\d.]+ s", first)
    assert second == "my-strategy ended with exit code 3 (2nd start in 10 minutes)"
    assert run.stderr.startswith("notify: the program has crashed, and is started again in ")


def test_the_wait_before_a_restart_grows_though_each_run_has_lasted_as_long_as_a_good_one(supervision, tmp_path):
    supervision.env = WELL
    third = f"date +%s.%N >> {tmp_path}/starts; test $(wc -l < {tmp_path}/starts) -ge 3 || exit 3"

    # The longest waits that chance allows.
    change = "import random; random.uniform = lambda low, high: high"
    run = changed(supervision, change, "--after-crash", "restart", *shell(third))

    assert run.returncode == 0
    _, second, last = map(float, (tmp_path / "starts").read_text().split())
    assert last - second >= 2.0  # seconds, twice the first wait


def test_a_supervisor_that_waits_to_restart_ends_when_it_is_told_to(supervision):
    supervision.env = WELL
    options = supervision.command("--after-crash", "restart", *shell("exit 3"))
    # It waits for a minute, in place of a second at most.
    change = "import random; random.uniform = lambda low, high: 60.0"
    options["args"] = [sys.executable, "-c", CHANGED.format(change=change), *options["args"][4:]]
    with subprocess.Popen(**options, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "is started again in" in process.stderr.readline()
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)

            assert process.wait(PATIENCE) == 3
        finally:
            process.kill()
    assert time.monotonic() - told < 30  # seconds, half of the wait
    assert len(supervision.embeds) == 1


def test_a_program_that_is_gone_when_it_should_be_started_again_is_told(supervision, tmp_path):
    program = tmp_path / "strategy"
    program.write_text('#!/bin/sh\nrm "$0"; exit 3\n')
    program.chmod(0o755)
    supervision.env = WELL

    run = supervision.run("--after-crash", "restart", "--", str(program))

    assert run.returncode == 127
    assert run.stderr.splitlines()[-1].startswith(f"notify: {program}: no such program")
    assert supervision.titles[1:] == ["my-strategy cannot be started again"]


def test_rows_of_ends_of_other_kinds_and_of_other_programs_hide_nothing(supervision):
    for code in (3, 3, 0, 3, 4):
        supervision.run(*shell(f"exit {code}"))
    supervision.env = {"NAME": "another"}
    supervision.run(*shell("exit 3"))

    assert [title.split(" after ")[0] for title in supervision.titles] == [
        "my-strategy ended with exit code 3",
        "my-strategy ended with exit code 3 (2nd start in 10 minutes)",
        "my-strategy ended with exit code 4 (5th start in 10 minutes)",
        "another ended with exit code 3",
    ]
    held_back = ["Not each end like this is told" in embed.get("description", "") for embed in supervision.embeds]
    assert held_back == [False, True, False, False]


# ---- what it passes on and nobody takes


def test_a_reader_that_pauses_at_the_end_gets_all_that_the_program_wrote(supervision):
    size = 2**17  # bytes: what a pipe and we can hold, so that the program ends before its reader has any
    options = supervision.command(*python(f"import os; os.write(2, b'x' * {size}); os._exit(3)"))
    # In place of a second, and of five.
    change = "notify.supervisor.leave._LOOK = notify.supervisor.leave._DELIVERY = 0.1"
    options["args"] = [sys.executable, "-c", CHANGED.format(change=change), *options["args"][4:]]
    with subprocess.Popen(**options, stderr=subprocess.PIPE) as process:
        try:
            supervision.wait_for("my-strategy ended with exit code 3")
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1.0)  # ten looks at a reader that takes nothing
            assert len(process.stderr.read()) == size
            assert process.wait(PATIENCE) == 3
        finally:
            process.kill()


def test_output_that_nobody_takes_when_it_is_told_to_stop_is_lost_and_people_are_told_how_much(supervision):
    # More than a pipe holds, and no more than that and what we hold: the program gets rid of it.
    script = f"import os, time; os.write(2, b'x' * {2**17}); print('ready', flush=True); time.sleep(60)"
    with supervision.running(*python(script)) as process:
        assert process.stdout.readline() == "ready\n"
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    assert time.monotonic() - told < FLUSH + BUSY
    assert any(
        re.match("[0-9]+ bytes of the last output of my-strategy were lost", each) for each in supervision.titles
    )


def test_a_death_that_could_not_be_told_yet_is_said_on_stderr(supervision):
    supervision.discord.answer_with(HANG)

    run = changed(supervision, "notify.supervisor.leave._DELIVERY = 0.3", *shell("exit 3"))

    assert run.stderr.splitlines()[-1] == (
        "notify: my-strategy ended with exit code 3; nobody was told yet: 1 event waits in the outbox"
    )


def test_a_private_key_longer_than_what_is_shown_of_stderr_is_taken_out_as_a_whole(supervision):
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    key = ["-----BEGIN PRIVATE KEY-----", *[line] * 40, "-----END PRIVATE KEY-----"]

    supervision.run(*python(f"import sys; sys.exit(chr(10).join({key!r}))"))

    assert len(supervision.embeds) == 1
    assert line not in str(supervision.embeds)


# ---- trouble of its own


def test_a_state_directory_that_fails_does_not_keep_it_from_telling(supervision):
    supervision.state = Path("/proc/nowhere")

    run = supervision.run(*shell("exit 3"))

    assert run.returncode == 3
    crashes = [embed["title"] for embed in supervision.embeds if embed["footer"]["text"].startswith("crash")]
    assert [title.split(" after ")[0] for title in crashes] == ["🆘 my-strategy ended with exit code 3"]


CHANGED = """
import sys, threading
import notify.supervisor.leave
import notify.supervisor.run
def refuse(*args, **kwargs):
    raise error
{change}
from notify.cli import main
sys.argv = ["notify", "run", *sys.argv[1:]]
main()
"""


def changed(supervision: Supervision, change: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a supervisor in which something is not as usual."""
    options = supervision.command(*arguments)
    options["args"] = [sys.executable, "-c", CHANGED.format(change=change), *options["args"][4:]]
    return subprocess.run(**options, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_supervisor_that_may_have_no_threads_still_supervises_and_keeps_the_death_for_the_next(supervision):
    change = "threading.Thread.start, error = refuse, RuntimeError('not one more thread')"
    run = changed(supervision, change, *shell("echo out; exit 3"))

    assert (run.returncode, run.stdout) == (3, "out\n")
    assert "could not be started" in run.stderr
    assert supervision.embeds == []

    assert supervision.run(*shell("exit 0")).returncode == 0
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy ended with exit code 3"]


def test_a_supervisor_without_memory_to_tell_of_a_death_still_passes_on_the_exit_code(supervision):
    change = "notify.supervisor.run.event_of, error = refuse, MemoryError"
    run = changed(supervision, change, *shell("echo out; exit 3"))

    assert (run.returncode, run.stdout) == (3, "out\n")
    assert run.stderr == "notify: what became of the program could not be told: MemoryError\n"


# ---- hangs


HANGS = f"""{MARKED}
def stuck_in_here():
    time.sleep(3.5)
def go_on():
    marker.progress()
go_on(); time.sleep(1.1); go_on()
stuck_in_here()
go_on(); time.sleep(1.5)  # less than a hang, and long enough for the supervisor to see it
"""


def test_a_hang_is_told_once_with_the_stacks_and_so_is_its_end(supervision):
    run = supervision.run("--hang-after", "2", *python(f"{HANGS}marker.end()"))

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    hang, end = supervision.embeds
    assert re.search(r"my-strategy hangs: no progress for [23][. ]", hang["title"])  # it hangs for 3.5 s
    assert "in stuck_in_here" in hang["description"].replace("\\", "")
    assert hang["footer"]["text"].startswith("watchdog · ")
    assert re.match(r"✅ my-strategy goes on: it made no progress for \d", end["title"])


def test_a_program_that_is_stopped_gets_no_signal_and_its_late_stacks_are_no_crash(supervision):
    script = f"{MARKED}\nmarker.progress(); time.sleep(1.1); marker.progress(); print(os.getpid(), flush=True)\n"
    with supervision.running("--hang-after", "2", *python(f"{script}time.sleep(60)")) as process:
        pid = int(process.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        supervision.wait_for("my-strategy hangs: ")
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)

        assert process.wait(PATIENCE) == 137
    hang, death = supervision.embeds
    assert hang["description"] == "The program is stopped, by a signal or a debugger."
    assert "description" not in death


def test_a_program_killed_after_a_hang_has_not_crashed_in_c(supervision):
    run = supervision.run("--hang-after", "2", *python(f"{HANGS}os.kill(os.getpid(), signal.SIGKILL)"))

    assert run.returncode == 137
    assert supervision.titles[2].startswith("my-strategy was killed by SIGKILL after ")
    assert "stuck_in_here" not in str(supervision.embeds[2])


def test_a_program_that_hangs_is_ended_only_when_that_was_asked_for(supervision):
    forever = f"{NO_CORE}{MARKED}\nmarker.progress(); time.sleep(1.1); marker.progress(); threading.Event().wait()"

    run = supervision.run("--hang-after", "2", "--kill-hung", *python(forever))

    assert run.returncode == 134
    assert supervision.titles[0].startswith("my-strategy hangs: ")
    assert supervision.titles[1].startswith("my-strategy hung and was ended after ")
    assert "Fatal Python error: Aborted" in supervision.embeds[1]["description"]
    assert len(supervision.embeds) == 2


def test_a_program_that_hangs_so_that_it_does_not_even_abort_is_killed(supervision):
    deaf = f"{MARKED}\nsignal.signal(signal.SIGABRT, signal.SIG_IGN)\nmarker.progress(); time.sleep(1.1)\n"
    deaf += "marker.progress(); threading.Event().wait()"

    # In place of ten seconds.
    run = changed(
        supervision, "notify.supervisor.run._ABORTING = 0.2", "--hang-after", "2", "--kill-hung", *python(deaf)
    )

    assert run.returncode == 137
    assert supervision.titles[1].startswith("my-strategy hung and was ended after ")


def test_a_program_that_notes_no_progress_is_not_said_to_hang_and_stderr_is_told_once(supervision):
    run = supervision.run("--hang-after", "2", "--kill-hung", *shell("sleep 4.5"))

    assert run.returncode == 0
    assert run.stderr == "notify: --hang-after: the program notes no progress, so nobody can tell if it hangs\n"
    assert supervision.embeds == []


# ---- what a status server is for


def test_the_crash_is_handed_to_whoever_tells_and_serves_it_and_who_fails_at_it_does_not_end_the_process(supervision):
    script = """if True:
        import os, sys
        from pathlib import Path
        from notify.notifier import Notifier
        from notify.supervisor.after_crash import CrashPolicy
        from notify.supervisor.death import title
        from notify.supervisor.run import Program
        from notify.supervisor.signals import Signals
        from notify.supervisor.streams import Streams
        from notify.supervisor.supervise import supervise
        signals, streams = Signals(), Streams()
        program = Program(name="p", command=["sh", "-c", "exit 3"], env=os.environ, state_dir=Path(sys.argv[1]),
                          redact_text=str)
        def serve(death):
            print(title(death).split(" after ")[0], flush=True)
            raise OSError("the disk is full")
        policy = CrashPolicy(good_startup=0, serve=serve, crashed=serve)
        sys.exit(supervise(program, policy, notifier=Notifier({}), signals=signals, streams=streams))
    """
    options = supervision.command()
    options["args"] = [sys.executable, "-c", script, str(supervision.state)]
    pipe = subprocess.PIPE
    with subprocess.Popen(**options, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert [process.stdout.readline() for _ in range(2)] == ["p ended with exit code 3\n"] * 2
            assert [_SPAN.sub("", process.stderr.readline()) for _ in range(2)] == [
                "notify: the monitor hears nothing of the crash: OSError\n",
                f"notify: p ended with exit code 3; this process stays until Ctrl-C, or kill {process.pid}\n",
            ]
            assert process.poll() is None
            process.send_signal(signal.SIGINT)

            assert process.wait(PATIENCE) == 3
        finally:
            process.kill()


# ---- as a shell and a container see it


def test_ctrl_c_at_a_terminal_reaches_the_program_once_and_is_no_crash(supervision):
    script = "trap 'echo got it; exit 130' INT; echo ready; while :; do sleep 0.02; done"
    options = supervision.command(*shell(script))
    terminal = Terminal()
    try:
        with terminal.start(options["args"], env=options["env"]) as process:
            try:
                terminal.wait_for(b"ready")
                terminal.type(b"\x03")
                assert process.wait(PATIENCE) == 130
            finally:
                process.kill()
        assert terminal.read_rest().count(b"got it") == 1
    finally:
        terminal.close()
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy stopped on SIGINT"]


def test_as_process_1_of_a_container_it_stops_its_program_and_tells_so(supervision):
    if os.getuid() != 0:
        missing("only root can make a namespace")
    options = supervision.command(*shell(f"sleep 0.01 & {WAITS}"))
    options["args"] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *options["args"]]
    with subprocess.Popen(**options, stdout=subprocess.PIPE, text=True) as outside:
        try:
            assert outside.stdout.readline() == "ready\n"
            os.kill(int(children_of(outside.pid)), signal.SIGTERM)

            assert outside.wait(PATIENCE) == 143
        finally:
            outside.kill()
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy stopped on SIGTERM"]


# ---- one stop, sent to the program and to the supervisor


SLOW_TO_SAY = f"""
import notify, os, time
notifier = notify.setup()
say_it = notifier.notify
def slow(*args, **kwargs):
    os.write(1, b"announcing\\n")  # not print(), in the middle of which the signal may come
    for _ in range(30):  # of 10 ms, in which a second signal is handled
        time.sleep(0.01)
    return say_it(*args, **kwargs)
notifier.notify = slow
print(os.getpid(), flush=True)
{IDLES}
"""


def test_a_stop_that_reaches_a_program_twice_is_told_once(supervision):
    supervision.env = {"NOTIFY_STDOUT": "off"}
    with supervision.running(*python(SLOW_TO_SAY)) as process:
        os.kill(int(process.stdout.readline()), signal.SIGTERM)
        assert process.stdout.readline() == "announcing\n"
        process.send_signal(signal.SIGTERM)  # which the supervisor passes on

        assert process.wait(PATIENCE) == 143
    assert supervision.titles == ["Told to stop: SIGTERM"]


# ---- behind a wrapper that outlives the program

# Kills itself, crashes in C, raises, or ends well, as its argument says; under the name of its file.
MORTAL = f"""{NO_CORE}
import notify
notifier = notify.setup()
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "segfault":
    ctypes.string_at(0)
if sys.argv[1] == "raise":
    raise ValueError("no price")
notifier.close()
"""
KILLED = "was killed: no Python code ran at its end"
SO_KILLED = (
    "{name}, which ran behind it, was killed, or ended by os._exit(): no Python code ran at its end. "
    "Progress, cycles and version are those of {name}."
)


@pytest.fixture
def bot(supervision: Supervision, tmp_path: Path) -> str:
    """The start of a shell's command that runs a program called `bot`."""
    supervision.env = {"NOTIFY_STDOUT": "off", "DISCORD_MENTION": ""}
    (tmp_path / "bot.py").write_text(MORTAL)
    return f"{sys.executable} {tmp_path}/bot.py"


def marks(supervision: Supervision) -> list[Path]:
    return list((supervision.state / "runs").iterdir())


def test_a_killed_program_that_a_shell_starts_again_is_told_once_by_that_start(supervision, bot):
    run = supervision.run(*shell(f"for way in kill segfault end; do {bot} $way; done; exit 0"))

    assert run.returncode == 0
    assert supervision.titles == [
        f"The last run {KILLED} (2nd start in 10 minutes)",
        "The last run crashed in C: Segmentation fault (3rd start in 10 minutes)",
    ]
    assert marks(supervision) == []


@pytest.mark.parametrize(("way", "said"), [("kill", KILLED), ("segfault", "crashed in C: Segmentation fault")])
def test_a_killed_program_whose_wrapper_ends_well_is_told_once_by_the_supervisor(supervision, bot, way, said):
    run = supervision.run(*shell(f"{bot} {way}; exit 0"))
    again = supervision.run(*shell(f"{bot} end; exit 0"))

    assert (run.returncode, again.returncode) == (0, 0)
    assert supervision.titles == [f"The last run of bot {said}"]
    assert marks(supervision) == []


@pytest.fixture
def feed(tmp_path):
    """The command of another program that dies as it is told to."""
    (tmp_path / "feed.py").write_text(MORTAL)
    return f"{sys.executable} {tmp_path}/feed.py"


def test_of_several_programs_that_were_killed_behind_one_wrapper_each_is_told(supervision, bot, feed):
    run = supervision.run(*shell(f"{bot} kill & {feed} kill & wait; exit 0"))

    assert run.returncode == 0
    assert sorted(supervision.titles) == [f"The last run of bot {KILLED}", f"The last run of feed {KILLED}"]
    assert marks(supervision) == []


def test_the_death_that_a_wrapper_passes_on_is_told_once_and_those_beside_it_too(supervision, bot, feed):
    run = supervision.run(*shell(f"{feed} kill & wait; {bot} kill; exit $?"))

    assert run.returncode == 137
    death, beside = sorted(supervision.titles, reverse=True)
    assert death.startswith("my-strategy ended with exit code 137 after ")
    assert beside == f"The last run of feed {KILLED}"
    assert marks(supervision) == []


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("exit 5", 5, "ended with exit code 5"),
        ("sleep 1.5; exit 5", 5, "ended with exit code 5"),
        ("exit 255", 255, "ended with exit code 255"),  # above those that signals make
        ("kill -KILL $$", 137, "was killed by SIGKILL"),
    ],
)
def test_a_kill_before_a_wrapper_comes_to_an_end_of_its_own_is_told_with_that(supervision, bot, end, code, said):
    run = supervision.run(*shell(f"{bot} kill; {end}"))

    assert run.returncode == code
    (death,) = supervision.embeds
    assert f"my-strategy {said} after " in death["title"]
    assert death["description"].replace("\\", "").startswith(SO_KILLED.format(name="bot"))
    assert marks(supervision) == []


def test_the_progress_of_what_a_wrapper_starts_to_clean_up_is_not_told_as_that_of_the_killed_program(
    supervision, bot, tmp_path
):
    works = "time.sleep(0.1)\nnotifier.run_state.refresh()\nnotifier.close()"
    (tmp_path / "clean_up.py").write_text(MORTAL.replace("notifier.close()", works))
    clean_up = f"{sys.executable} {tmp_path}/clean_up.py"

    run = supervision.run(*shell(f"{bot} kill; {clean_up} end; exit 5"))

    assert run.returncode == 5
    (death,) = supervision.embeds
    assert "those of bot" in death["description"]
    assert "last_progress" not in fields(death)


def test_an_exit_without_python_behind_a_shell_is_told_once(supervision):
    run = supervision.run(*behind_a_shell(f"{MARKED}\nos._exit(3)"))

    assert run.returncode == 3
    (death,) = supervision.embeds
    assert "my-strategy ended with exit code 3 after " in death["title"]
    assert death["description"].replace("\\", "") == SO_KILLED.format(name="executor-1")


def test_an_exit_code_that_a_signal_makes_is_that_of_the_program_which_it_has_killed(supervision, bot):
    run = supervision.run(*shell(f"{bot} kill; exit $?"))

    assert run.returncode == 137
    (death,) = supervision.embeds
    assert "ran behind it" not in str(death)


def test_a_row_of_ends_with_one_exit_code_does_not_hide_that_the_program_was_killed_before(supervision, bot):
    for way in ("end", "end", "end", "kill"):
        supervision.run(*shell(f"{bot} {way}; exit 5"))

    assert ["ran behind it" in str(death) for death in supervision.embeds] == [False, False, True]


def test_what_a_wrapper_starts_to_clean_up_does_not_tell_of_the_death_that_the_wrapper_passes_on(
    supervision, bot, tmp_path
):
    (tmp_path / "clean_up.py").write_text(MORTAL)
    clean_up = f"{sys.executable} {tmp_path}/clean_up.py"

    run = supervision.run(*shell(f"{bot} kill; code=$?; {clean_up} end; exit $code"))

    assert run.returncode == 137
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy ended with exit code 137"]
    assert marks(supervision) == []


def test_a_crash_that_a_program_behind_a_wrapper_has_reported_does_not_hide_how_its_next_run_ends(supervision, bot):
    run = supervision.run(*shell(f"{bot} raise; {bot} end; exit 3"))

    assert run.returncode == 3
    crash, death = supervision.titles
    assert crash.startswith("Crashed in the main thread: ValueError")
    assert death.startswith("my-strategy ended with exit code 3 after ")
    assert marks(supervision) == []


def test_a_pool_that_replaces_a_killed_worker_tells_of_it_once(supervision, bot, tmp_path):
    (tmp_path / "worker.py").write_text(
        MORTAL.replace("notifier.close()", "print('ready', flush=True)\nsys.stdin.read()\nnotifier.close()")
    )
    pool = f"""if True:
        import subprocess, sys
        def start():
            worker = subprocess.Popen([sys.executable, {str(tmp_path / "worker.py")!r}, "serve"], stdin=-1, stdout=-1)
            assert worker.stdout.readline() == b"ready\\n"
            return worker
        killed, *workers = [start() for _ in range(3)]
        killed.kill()
        killed.wait()
        workers += [start(), start()]
        for worker in workers:
            worker.communicate()
    """

    run = supervision.run(*python(pool))

    assert (run.returncode, run.stderr) == (0, "")
    assert supervision.titles == [f"The last run {KILLED} (4th start in 10 minutes)"]
    assert marks(supervision) == []


def test_a_program_without_a_wrapper_that_is_killed_again_and_again_is_told_by_the_supervisor_alone(
    supervision, bot, tmp_path
):
    supervision.env |= WELL
    (tmp_path / "third.py").write_text(
        f"import pathlib, sys\nstarts = pathlib.Path({str(tmp_path / 'starts')!r})\n"
        "starts.open('a').write('x')\nsys.argv.append('end' if len(starts.read_text()) > 2 else 'kill')\n" + MORTAL
    )

    run = supervision.run("--after-crash", "restart", "--", sys.executable, str(tmp_path / "third.py"))

    assert run.returncode == 0
    assert [title.split(" after ")[0] for title in supervision.titles] == [
        "my-strategy was killed by SIGKILL",
        "my-strategy was killed by SIGKILL (2nd start in 10 minutes)",
    ]
    assert marks(supervision) == []


def test_a_program_killed_because_its_wrapper_was_told_to_stop_is_no_news_but_one_that_crashes_then_is(
    supervision, bot, tmp_path
):
    for way in ("kill", "segfault"):
        script = f"trap '{bot} {way}; exit 0' TERM; {WAITS}"
        with supervision.running(*shell(script)) as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)

            assert process.wait(PATIENCE) == 0
    assert sorted(title.split(" after ")[0] for title in supervision.titles) == [
        "The last run of bot crashed in C: Segmentation fault (2nd start in 10 minutes)",
        "my-strategy stopped on SIGTERM",
        "my-strategy stopped on SIGTERM",
    ]


def test_of_programs_that_are_killed_again_and_again_behind_wrappers_some_are_told(supervision, bot):
    for _ in range(4):
        assert supervision.run(*shell(f"{bot} kill; exit 0")).returncode == 0

    # Discord shows 80 code points of a title, and a longer one is text.
    said = [(embed.get("title") or embed["description"]).split("\n")[0] for embed in supervision.embeds]
    assert [each.partition("bot ")[2] for each in said] == [KILLED, f"{KILLED} (2nd start in 10 minutes)"]
    assert marks(supervision) == []


# ---- behind a wrapper that waits for it


def behind_a_shell(script: str, end: str = "exit $?") -> list[str]:
    """The command line of a shell that runs a small Python program and outlives it."""
    return ["--", "sh", "-c", f'"$0" -c "$1"; {end}', sys.executable, script]


def test_a_hang_behind_a_shell_is_told_with_the_stacks_and_so_is_its_end(supervision):
    run = supervision.run("--hang-after", "2", *behind_a_shell(f"{HANGS}marker.end()"))

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    hang, end = supervision.embeds
    assert "my-strategy hangs: no progress for 2" in hang["title"]
    assert "in stuck_in_here" in hang["description"].replace("\\", "")
    assert re.match(r"✅ my-strategy goes on: it made no progress for \d", end["title"])


FOREVER = f"{NO_CORE}{MARKED}\nmarker.progress(); time.sleep(1.1); marker.progress(); threading.Event().wait()"


def test_a_program_that_hangs_behind_a_shell_is_ended_and_told_once(supervision):
    run = supervision.run("--hang-after", "2", "--kill-hung", *behind_a_shell(FOREVER))

    assert run.returncode == 134
    hang, death = supervision.embeds
    assert "my-strategy hangs: " in hang["title"]
    assert "my-strategy hung and was ended after " in death["title"]
    assert "Fatal Python error: Aborted" in death["description"]


def test_a_program_that_ends_before_it_is_ended_for_its_hang_is_not_sent_a_signal_that_could_meet_another(supervision):
    change = """if True:
    import os, time
    from notify.supervisor import child, hang
    kill = child.Child.kill
    def end_meanwhile(watch):
        os.kill(watch._mark.pid, 9)
        while watch._mark.is_alive():
            time.sleep(0.01)
        return ""
    def kill_and_say(self, signum, pid=None):
        os.write(1, f"sent {signum}\\n".encode())
        kill(self, signum, pid)
    hang.HangWatch._stacks, child.Child.kill = end_meanwhile, kill_and_say
"""
    wrapped = behind_a_shell(FOREVER, "sleep 0.5; exit 0")
    run = changed(supervision, change, "--hang-after", "2", "--kill-hung", *wrapped)

    assert (run.returncode, run.stdout) == (0, "")
    hang, death = supervision.titles
    assert "my-strategy hangs: " in hang
    assert death == f"The last run of executor-1 {KILLED}"


def test_a_program_that_hung_and_then_ended_is_not_said_to_go_on(supervision):
    script = f"{HANGS.replace('go_on(); time.sleep(1.5)', '')}\nmarker.end()"
    run = supervision.run("--hang-after", "2", *behind_a_shell(script, "sleep 1; exit 0"))

    assert run.returncode == 0
    (hang,) = supervision.titles
    assert hang.startswith("my-strategy hangs: ")


def test_a_shell_that_starts_a_hung_program_again_is_not_ended_with_it(supervision, bot, tmp_path):
    works = "notifier.run_state.refresh(); time.sleep(1.1); notifier.run_state.refresh(); time.sleep(1)"
    hangs = "if sys.argv[1] == 'hang': time.sleep(60)"
    (tmp_path / "bot.py").write_text(MORTAL.replace("notifier.close()", f"{works}\n{hangs}\nnotifier.close()"))
    script = f"{bot} hang; {bot} end; sleep 1; echo went on"

    # In place of ten seconds.
    change = "notify.supervisor.run._ABORTING = notify.supervisor.run._PASSING_ON = 0.2"
    run = changed(supervision, change, "--hang-after", "2", "--kill-hung", *shell(script))

    assert (run.returncode, run.stdout) == (0, "went on\n")
    hang, death, end = supervision.titles  # the first has turned green
    assert "my-strategy hangs: " in hang
    assert "my-strategy goes on: " in end
    assert death == "The last run crashed in C: Aborted (2nd start in 10 minutes)"
    assert marks(supervision) == []


@pytest.mark.parametrize("first", ["the program", "the supervisor"])
def test_a_stop_that_reaches_supervisor_shell_and_program_is_told_once(supervision, first):
    supervision.env = {"NOTIFY_STDOUT": "off"}
    script = f"import notify, os, time\nnotify.setup()\nprint(os.getpid(), flush=True)\n{IDLES}"
    with supervision.running(*behind_a_shell(script)) as process:
        pids = [int(process.stdout.readline()), process.pid]
        for pid in pids if first == "the program" else reversed(pids):
            os.kill(pid, signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    supervision.wait_for("Told to stop")  # the program may take longer to end than the shell and the supervisor
    assert supervision.titles == ["Told to stop: SIGTERM"]


def test_the_stop_of_a_shell_whose_program_was_not_told_of_it_is_told(supervision):
    script = f"{MARKED}\nprint(os.getpid(), flush=True)\n{IDLES}"
    with supervision.running(*behind_a_shell(script)) as process:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)  # of which the shell dies at once, and the program lives on
        try:
            assert process.wait(PATIENCE) == 143
        finally:
            os.kill(pid, signal.SIGKILL)
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy stopped on SIGTERM"]


def test_the_stop_of_a_shell_whose_program_has_ended_long_before_is_told(supervision):
    # 1.5 s: more than may lie between a signal to the program and one to us.
    script = behind_a_shell(f"{MARKED}\nmarker.end()", f"sleep 1.5; {WAITS}")
    with supervision.running(*script) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE) == 143
    assert [title.split(" after ")[0] for title in supervision.titles] == ["my-strategy stopped on SIGTERM"]
