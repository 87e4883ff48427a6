"""`notify run` as a command: its options, its settings, and what it says when something is wrong with them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervision import Supervision, python, shell
from typer.testing import CliRunner

from notify.cli.app import app
from notify.cli.run import name_of
from notify.testing.fake_discord import FakeDiscord

CANARY = "c4nary-token"
DIES = shell("echo out; echo err >&2; exit 3")


@pytest.fixture
def supervision(tmp_path: Path) -> Iterator[Supervision]:
    with FakeDiscord(speed=60) as discord:
        yield Supervision(discord, tmp_path / "state")


def crash_titles(supervision: Supervision) -> list[str]:
    return [title.split(" after ")[0] for title in supervision.titles]


# ---- the command


@pytest.mark.parametrize("arguments", [[], ["--"], ["--after-crash", "exit"], ["--after-crash", "exit", "--"]])
def test_without_a_command_it_ends_with_2_and_one_line(arguments):
    result = CliRunner().invoke(app, ["run", *arguments])

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "notify: no command to run: notify run [OPTIONS] -- CMD …\n"


@pytest.mark.parametrize(
    "options",
    [["--after-crash", "sleep"], ["--hang-after", "1"], ["--hang-after", "nan"], ["--kill-hung"], ["--nonsense"]],
)
def test_a_wrong_option_ends_with_2_and_runs_nothing(options, tmp_path):
    result = CliRunner().invoke(app, ["run", *options, "--", "touch", str(tmp_path / "run")])

    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_explains_itself():
    result = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    for option in ("--env-file", "--insecure", "--after-crash", "--hang-after", "--kill-hung"):
        assert option in result.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("content", "mode", "code", "said"),
    [
        (None, 0, 127, "no such program, or the interpreter that its first line names is missing"),
        ("#!/nowhere\n", 0o755, 127, "no such program, or the interpreter that its first line names is missing"),
        ("#!/bin/sh\n", 0o644, 126, "cannot be executed: Permission denied"),
        ("echo\n", 0o755, 126, "is no program: a script needs a first line such as #!/bin/sh"),
    ],
)
def test_what_cannot_be_started_is_one_line_and_the_exit_code_of_a_shell(
    supervision, tmp_path, content, mode, code, said
):
    program = tmp_path / "program"
    if content is not None:
        program.write_text(content)
        program.chmod(mode)

    run = supervision.run("--", str(program))

    assert (run.returncode, run.stdout, run.stderr) == (code, "", f"notify: {program}: {said}\n")
    assert supervision.embeds == []


@pytest.mark.process
@pytest.mark.parametrize("separator", [["--"], []])
def test_options_after_the_command_are_the_commands(supervision, separator):
    show = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "--after-crash", "--help", "--", "-x"]

    run = supervision.run(*separator, *show)

    assert (run.returncode, run.stdout) == (0, "['--after-crash', '--help', '--', '-x']\n")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["trade-executor", "start"], "trade-executor"),
        (["/usr/bin/trade-executor"], "trade-executor"),
        (["./strategy.sh"], "strategy"),
        (["python", "strategy.py", "other.py"], "strategy"),
        (["/usr/bin/python3.11", "-u", "-X", "dev", "-Wignore", "dir/strategy.py"], "strategy"),
        (["python3", "-m", "package"], "package"),
        (["python3", "-mpackage.module", "x.py"], "module"),
        (["python3", "-m", "package.__main__"], "package"),
        (["python3", "-c", "pass", "x.py"], "python"),
        (["python3", "-"], "python"),
        (["python3"], "python"),
        (["python3", "-X"], "python"),
        (["pypy3.10", "strategy.py"], "strategy"),
        (["/"], "python"),
    ],
)
def test_the_name_of_the_program_is_known_from_its_command(command, name):
    assert name_of(command) == name


@pytest.mark.process
def test_without_names_the_supervisor_speaks_as_the_program_and_shares_its_state_directory(supervision, tmp_path):
    script = tmp_path / "strategy.py"
    script.write_text("import os; from notify import settings; print(settings.state_dir(settings.Settings({}))); 1 / 0")
    supervision.env = {"XDG_STATE_HOME": str(tmp_path), "NOTIFY_STATE_DIR": "", "NAME": ""}

    run = supervision.run("--", sys.executable, str(script))

    assert run.stdout == f"{tmp_path}/notify/strategy\n"
    assert (tmp_path / "notify" / "strategy" / "outbox.sqlite3").exists()
    assert crash_titles(supervision) == ["strategy ended with exit code 1"]
    assert supervision.discord.messages[0].payload["username"] == "strategy"


@pytest.mark.process
def test_the_file_says_who_the_program_is_and_the_program_finds_the_state_directory_in_which_it_is_awaited(
    supervision, tmp_path
):
    file = tmp_path / "secrets.env"
    file.write_text(f"EXECUTOR_ID=from-the-file\nAPI_PASSWORD={CANARY}\n")
    file.chmod(0o600)
    supervision.env = {"XDG_STATE_HOME": str(tmp_path), "NOTIFY_STATE_DIR": "", "NAME": ""}
    marks = "import os, notify; notify.setup(); print(os.environ['EXECUTOR_ID'], flush=True); os._exit(5)"

    run = supervision.run("--env-file", str(file), *python(marks))
    supervision.run("--env-file", str(file), *python("import notify; notify.setup().close()"))

    assert run.stdout == "from-the-file\n"
    assert crash_titles(supervision) == ["python ended with exit code 5"]
    assert sorted(each.name for each in (tmp_path / "notify").iterdir()) == ["from-the-file"]


@pytest.mark.process
def test_what_the_programs_environment_says_stands_whatever_the_file_says(supervision, tmp_path):
    file = tmp_path / "secrets.env"
    file.write_text(f"EXECUTOR_ID=from-the-file\nNOTIFY_STATE_DIR={tmp_path}/elsewhere\n")
    file.chmod(0o600)
    supervision.env = {"EXECUTOR_ID": "mine"}
    show = "import os; print(os.environ['EXECUTOR_ID'], os.environ['NOTIFY_STATE_DIR'])"

    assert supervision.run("--env-file", str(file), *python(show)).stdout == f"mine {supervision.state}\n"


# ---- settings


@pytest.mark.process
def test_the_secrets_file_alone_is_enough_and_the_program_does_not_see_it(supervision, tmp_path):
    file = tmp_path / "secrets.env"
    file.write_text(f"DISCORD_WEBHOOK_URL={supervision.discord.url}\nNAME=from the file\nAPI_PASSWORD={CANARY}\n")
    file.chmod(0o600)
    supervision.env = {"DISCORD_WEBHOOK_URL": "", "NAME": ""}
    show = f"import os, sys; print('API_PASSWORD' in os.environ); sys.exit('wrong: {CANARY}')"

    run = supervision.run("--env-file", str(file), *python(show))

    assert (run.returncode, run.stdout) == (1, "False\n")
    assert crash_titles(supervision) == ["from the file ended with exit code 1"]
    assert "wrong: " in str(supervision.embeds)
    assert CANARY not in str(supervision.embeds)


@pytest.mark.process
@pytest.mark.parametrize(
    ("options", "env", "why"),
    [
        ([], {"DISCORD_WEBHOOK_URL": f"https://example.com/{CANARY}"}, "DISCORD_WEBHOOK_URL: "),
        ([], {"NOTIFY_DURABLE_LEVEL": CANARY}, "NOTIFY_DURABLE_LEVEL: "),
        ([], {"NOTIFY_BACKENDS": "pager"}, ""),
        (["--env-file", "/none.env"], {}, "/none.env: cannot be read"),
    ],
)
def test_unusable_settings_do_not_keep_the_program_from_running_but_are_said_loudly(supervision, options, env, why):
    supervision.env = env

    run = supervision.run(*options, *DIES)

    assert (run.returncode, run.stdout) == (3, "out\n")
    loud, said = run.stderr.splitlines()
    assert loud.startswith(f"notify: NOBODY WILL HEAR HOW THIS PROGRAM ENDS: {why}")
    assert said == "err"
    assert CANARY not in run.stderr
    assert supervision.embeds == []


@pytest.mark.process
def test_a_secrets_file_that_others_can_read_is_taken_only_when_told_so(supervision, tmp_path):
    file = tmp_path / "secrets.env"
    file.write_text("NAME=from the file\n")
    file.chmod(0o644)
    supervision.env = {"NAME": ""}

    refused = supervision.run("--env-file", str(file), *DIES)
    supervision.state = tmp_path / "another state"
    taken = supervision.run("--env-file", str(file), "--insecure", *DIES)

    assert "others can read this file" in refused.stderr
    assert taken.stderr == "err\n"
    assert crash_titles(supervision) == ["from the file ended with exit code 3"]


@pytest.mark.process
def test_without_any_backend_one_line_says_that_nobody_hears(supervision):
    supervision.env = {"DISCORD_WEBHOOK_URL": ""}

    run = supervision.run(*DIES)

    assert (run.returncode, run.stdout) == (3, "out\n")
    assert run.stderr == "notify: no backend is set up: nobody will hear how this program ends\nerr\n"


@pytest.mark.process
@pytest.mark.parametrize("silence", ["UNIT_TESTING", "SIMULATE"])
def test_a_run_without_network_says_nothing(supervision, silence):
    supervision.env = {silence: "true"}

    run = supervision.run(*DIES)

    assert (run.returncode, run.stdout, run.stderr) == (3, "out\n", "err\n")
    assert supervision.embeds == []


@pytest.mark.process
def test_a_dry_run_prints_on_stderr_as_stdout_is_the_programs(supervision):
    supervision.env = {"NOTIFY_DRY_RUN": "true", "NOTIFY_STDOUT": "json"}

    run = supervision.run(*DIES)

    assert (run.returncode, run.stdout) == (3, "out\n")
    assert "my-strategy ended with exit code 3" in run.stderr
    assert supervision.embeds == []


@pytest.mark.process
def test_a_home_that_does_not_exist_does_not_keep_the_program_from_running(supervision):
    supervision.env = {"NOTIFY_STATE_DIR": "~nobody-of-this-name/state", "NOTIFY_DURABLE_LEVEL": "off"}

    run = supervision.run(*DIES)

    assert (run.returncode, run.stdout) == (3, "out\n")
    assert crash_titles(supervision) == ["my-strategy ended with exit code 3"]


@pytest.mark.process
def test_a_program_that_uses_this_package_does_not_take_the_supervisors_word_for_a_misspelt_setting(supervision):
    run = supervision.run(*python("import notify; notify.setup().close()"))

    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.process
def test_the_supervisor_leaves_nothing_in_the_home_of_who_runs_it(supervision, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    supervision.env = {"HOME": str(home)}

    assert supervision.run(*DIES).returncode == 3
    assert list(home.iterdir()) == []
