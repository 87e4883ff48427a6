"""What `setup()` imports before it returns, so that no thread of ours does that while the program runs."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import python
from raw_server import OK, Raw, answering, raw
from redis_server import running_redis
from set_up import QUIET, WEBHOOK

import notify
from notify.testing import MemoryBackend
from notify.testing.fake_discord import FakeDiscord
from notify.testing.fake_telegram import TOKEN, FakeTelegram

pytestmark = pytest.mark.process

# Notes what threads of ours import, and what their program asks of the network while it sets up.
PROGRAM = r"""if True:
    import json, os, sys, threading, time
    late, asked, connected, is_set_up = [], [], [], False

    def note(event, arguments):
        is_ours = threading.current_thread().name.startswith("notify-")
        if event == "import" and is_ours:
            late.append(arguments[0])
        elif event == "exec" and is_ours and arguments[0].co_name == "<module>":  # all that import_module() tells of
            late.append(arguments[0].co_filename)
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            if is_ours:
                connected.append(event)
            elif not is_set_up:
                asked.append(event)

    sys.addaudithook(note)
    import logging
    import notify
    notifier = notify.setup()
    is_set_up = True

    def told():
        backends = {name: one for name, one in notifier.stats().items() if name not in ("intake", "outbox")}
        return {name: "trouble" if one["last_error"] else one["delivered"] for name, one in backends.items()}

    say = logging.getLogger("strategy")
    say.trade("Bought %s", "0.25 ETH ✓", extra={"pair": "ETH-USDC", "legs": [{"pool": "0.05 %", "price": 1850.25}]})
    try:
        1 / 0
    except ZeroDivisionError:
        say.exception("No price")
    notifier.notify("Report", body="First\n…\nSecond", level=40, topic="trade",
                    attachments=[notify.Attachment("chart.png", b"image", "image/png")])
    while not all(done in ("trouble", 3) for done in told().values()) or not (connected or told()):
        time.sleep(0.01)
    os.write(1, ("\n" + json.dumps({"late": late, "asked": asked, "told": told()})).encode())
    os._exit(0)
"""


def found(program: str, **env: str) -> Any:
    """Run *program* with *env*, and return what its last line says in JSON."""
    ended = python("-c", program, **{**QUIET, **env})
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture
def server() -> Iterator[Raw]:
    """Answers to every request that all is well."""
    with raw(answering(OK)) as listening:
        yield listening


@pytest.fixture
def hanging_up() -> Iterator[Raw]:
    """Takes every connection, and ends it."""
    with raw(lambda server, connection: None) as listening:
        yield listening


def is_quiet(said: Any) -> bool:
    """Say whether threads of ours have imported nothing but codecs, and setting up has asked nothing of the network."""
    # A codec is a page of code: one for each encoding that a text has.
    late = [name for name in said["late"] if not name.startswith("encodings.") and "/encodings/" not in name]
    return late == [] and said["asked"] == []


def test_where_discord_is_told_no_thread_of_ours_imports_anything() -> None:
    with FakeDiscord(speed=1000) as discord:
        said = found(PROGRAM, DISCORD_WEBHOOK_URL=discord.url)

    assert said["told"] == {"discord": 3}  # all that the program says
    assert is_quiet(said), said


def test_where_telegram_is_told_no_thread_of_ours_imports_anything() -> None:
    settings = {"TELEGRAM_API_KEY": TOKEN, "TELEGRAM_CHAT_ID": "-1001234567890", "TELEGRAM_TOPICS": "log,trade"}
    with FakeTelegram(speed=1000) as telegram:
        said = found(PROGRAM, **settings, TELEGRAM_API_BASE=telegram.base)

    assert said["told"] == {"telegram": 3}
    assert is_quiet(said), said


def test_where_logstash_is_told_over_udp_no_thread_of_ours_imports_anything() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        said = found(PROGRAM, LOGSTASH_SERVER=f"udp://127.0.0.1:{receiver.getsockname()[1]}")

    assert said["told"] == {"logstash": 3}
    assert is_quiet(said), said


@pytest.mark.parametrize("how", ["text", "json"])
def test_where_standard_output_is_told_no_thread_of_ours_imports_anything(how: str) -> None:
    said = found(PROGRAM, NOTIFY_STDOUT=how)

    assert said["told"] == {"stdout": 3}
    assert is_quiet(said), said


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"LOGSTASH_SERVER": "tcp://{authority}"}, {"logstash": 3}),
        ({"APPRISE_URLS": "json://{authority}/", "APPRISE_LEVEL": "TRADE"}, {"apprise": 3}),
        ({"HEARTBEAT_URL": "http://{authority}/ping"}, {}),
    ],
)
def test_where_others_are_told_no_thread_of_ours_imports_anything(
    server: Raw, env: dict[str, str], told: dict[str, object]
) -> None:
    said = found(PROGRAM, **{name: value.format(authority=server.authority) for name, value in env.items()})

    assert said["told"] == told
    assert is_quiet(said), said


@pytest.mark.parametrize(
    ("backend", "name", "url"),
    [
        ("discord", "DISCORD_WEBHOOK_URL", "https://{authority}/api/webhooks/1/token"),
        ("logstash", "LOGSTASH_SERVER", "tls://{authority}"),
    ],
)
def test_where_tls_fails_no_thread_of_ours_imports_anything(hanging_up: Raw, backend: str, name: str, url: str) -> None:
    said = found(PROGRAM, **{name: url.format(authority=hanging_up.authority)})

    assert said["told"] == {backend: "trouble"}
    assert is_quiet(said), said


def test_where_a_relay_is_told_no_thread_of_ours_imports_anything(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        said = found(PROGRAM, NOTIFY_RELAY_URL=server.url)

    assert said["told"] == {"relay": 3}
    assert is_quiet(said), said


TAKES_LONG = "{'requests', 'discord_webhook', 'redis', 'structlog'}"
LOADED = f"import json, sys, notify; notify.setup(); print(json.dumps(sorted({TAKES_LONG} & sys.modules.keys())))"


@pytest.mark.parametrize("switch", ["UNIT_TESTING", "SIMULATE", "NOTIFY_DRY_RUN"])
def test_where_nothing_leaves_the_machine_nothing_is_imported(switch: str) -> None:
    env = {
        "NOTIFY_STDOUT": "text",
        "DISCORD_WEBHOOK_URL": WEBHOOK,
        "LOGSTASH_SERVER": "logs.example.com",
        "HEARTBEAT_URL": "https://monitor.example.com/ping",
        "TELEGRAM_API_KEY": TOKEN,
        "TELEGRAM_CHAT_ID": "5",
    }

    assert found(LOADED, **env, **{switch: "true"}) == []


def test_what_no_setting_asks_for_is_not_imported() -> None:

    assert found(LOADED, LOGSTASH_SERVER="127.0.0.1:9") == []


def test_a_backend_that_a_program_makes_itself_imports_nothing_before_it_is_used() -> None:
    script = f"""if True:
        import json, sys
        from notify import Notifier
        from notify.backends.discord import DiscordBackend
        from notify.backends.telegram import TelegramBackend
        with Notifier({{"discord": DiscordBackend({WEBHOOK!r}), "telegram": TelegramBackend({TOKEN!r}, 5)}}):
            print(json.dumps(sorted({TAKES_LONG} & sys.modules.keys())))
    """

    assert found(script) == []


def test_what_is_added_to_a_notifier_that_runs_is_imported_before_it_is_there() -> None:
    script = f"""if True:
        import json, sys
        import notify
        from notify.bootstrap import extend
        notifier = notify.setup()
        before = sorted({TAKES_LONG} & sys.modules.keys())
        extend({{"DISCORD_WEBHOOK_URL": {WEBHOOK!r}}})
        print(json.dumps([before, "discord_webhook" in sys.modules]))
    """

    assert found(script) == [[], True]


def test_what_cannot_be_imported_ends_no_start_and_is_told_by_who_needs_it() -> None:
    script = """if True:
        import json, os, sys, time
        sys.modules["discord_webhook"] = None  # whoever imports it gets an ImportError
        import notify
        notifier = notify.setup()
        notifier.trade("Bought")
        while not (error := notifier.stats()["discord"]["last_error"]):
            time.sleep(0.01)
        print(json.dumps(error))
        sys.stdout.flush()
        os._exit(0)
    """
    with FakeDiscord(speed=1000) as discord:
        said = found(script, DISCORD_WEBHOOK_URL=discord.url)

    assert said == "ModuleNotFoundError"


def test_a_module_that_raises_what_ends_programs_ends_no_start(tmp_path: Path) -> None:
    (tmp_path / "discord_webhook.py").write_text("raise SystemExit('a script without a guard')\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import notify; notify.setup(); print('[]')"

    assert found(script, DISCORD_WEBHOOK_URL=WEBHOOK, NOTIFY_DURABLE_LEVEL="CRITICAL") == []


class Needing(MemoryBackend):
    """A backend of a program's own, with an attribute that ours have."""

    imports = ("pager_client",)


def test_what_a_backend_of_ones_own_imports_is_its_own_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pager_client.py").write_text("import notify; notify.setup()\n")  # where another thread may hang
    monkeypatch.syspath_prepend(tmp_path)
    backend = Needing()

    with notify.setup(env=QUIET, backends={"pager": backend}) as notifier:
        notifier.notify("hello")

    assert [event.message for event in backend.events] == ["hello"]
    assert "pager_client" not in sys.modules


def test_a_forked_child_whose_parent_was_importing_sets_up_without_waiting_for_that(tmp_path: Path) -> None:
    (tmp_path / "requests.py").write_text("import __main__; __main__.inside.set(); __main__.go_on.wait()\n")
    script = f"""if True:
        import os, sys, threading
        import notify.bootstrap
        sys.path.insert(0, {str(tmp_path)!r})
        inside, go_on = threading.Event(), threading.Event()
        threading.Thread(target=lambda: __import__("requests")).start()
        inside.wait()
        child = os.fork()
        if not child:
            notify.setup()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        go_on.set()
    """

    assert found(script, DISCORD_WEBHOOK_URL=WEBHOOK) == 7


def test_who_sets_up_in_a_signal_handler_during_the_imports_gets_the_notifier_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "discord_webhook.py").write_text("import signal; signal.raise_signal(signal.SIGUSR1)\n")
    script = f"""if True:
        import signal, sys
        sys.path.insert(0, {str(tmp_path)!r})
        import notify
        again = []
        signal.signal(signal.SIGUSR1, lambda number, frame: again.append(notify.setup()))
        notifier = notify.setup()
        print(int(again == [notifier]))
    """

    assert found(script, DISCORD_WEBHOOK_URL=WEBHOOK) == 1
