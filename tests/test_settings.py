"""The table of settings: what each row takes, what it refuses, and that no error shows a value."""

import re
import sys
from pathlib import Path

import pytest

from notify import settings
from notify.env_file import Environment
from notify.errors import ConfigError
from notify.rules.quiet_hours import QuietHours
from notify.rules.routing import Topics
from notify.rules.silence import Silence
from notify.setting import NEVER, Setting
from notify.settings import Settings, program_name, route_settings, state_dir

# Text, the value it becomes; for every row, so that a new row without forms fails the test below.
FORMS: dict[str, list[tuple[str, object]]] = {
    "NAME": [("Gold digger", "Gold digger")],
    "EXECUTOR_ID": [("gold-digger", "gold-digger")],
    "ICON_URL": [("https://example.com/icon.png", "https://example.com/icon.png")],
    "DISCORD_WEBHOOK_URL": [("https://discord.com/api/webhooks/1/x", "https://discord.com/api/webhooks/1/x")],
    "DISCORD_LEVEL": [("info", 20), ("TRADE", 21), ("Trade_High", 22), ("35", 35), ("disabled", NEVER)],
    "DISCORD_TOPICS": [
        ("trade, gas", Topics(frozenset({"trade", "gas"}))),
        ("!log", Topics(unwanted=frozenset({"log"}))),
    ],
    "DISCORD_FALLBACK": [("Telegram", "telegram"), ("discord_ops", "discord_ops")],
    "TELEGRAM_FALLBACK": [("Telegram", "telegram"), ("discord_ops", "discord_ops")],
    "APPRISE_FALLBACK": [("Telegram", "telegram"), ("discord_ops", "discord_ops")],
    "LOGSTASH_FALLBACK": [("Telegram", "telegram"), ("discord_ops", "discord_ops")],
    "STDOUT_FALLBACK": [("Telegram", "telegram"), ("discord_ops", "discord_ops")],
    "RELAY_FALLBACK": [("Telegram", "telegram"), ("discord_ops", "discord_ops")],
    "DISCORD_EXECUTORS": [("eth-1", frozenset({"eth-1"})), ("eth-1, btc-2", frozenset({"eth-1", "btc-2"}))],
    "DISCORD_USERNAME": [("Somebody", "Somebody")],
    "DISCORD_AVATAR_URL": [("http://localhost/a.png", "http://localhost/a.png")],
    "DISCORD_MENTION": [("&123", "&123")],
    "DISCORD_SILENT": [("TRADE", Silence(level=21)), ("gas", Silence(topics=Topics(frozenset({"gas"}))))],
    "DISCORD_THREAD_ID": [("1234567890", "1234567890")],
    "LOGSTASH_SERVER": [("tls://[::1]:5959", "tls://[::1]:5959")],
    "LOGSTASH_PORT": [("1", 1), ("65535", 65535)],
    "LOGSTASH_LEVEL": [("WARN", 30), ("none", NEVER)],
    "LOGSTASH_TOPICS": [("data", Topics(frozenset({"data"})))],
    "LOGSTASH_EXECUTORS": [("eth-1", frozenset({"eth-1"}))],
    "LOGSTASH_APPLICATION": [("executor-gold", "executor-gold")],
    "LOGSTASH_TAGS": [("python, live,", ("python", "live"))],
    "LOGSTASH_ECS": [("true", True), ("1", True), ("YES", True), ("on", True), ("false", False), ("0", False)],
    "TELEGRAM_API_KEY": [("4711000001:AAF", "4711000001:AAF")],
    "TELEGRAM_CHAT_ID": [("4711", 4711), ("-1001234567890", -1001234567890)],
    "TELEGRAM_LEVEL": [("trade", 21), ("off", NEVER)],
    "TELEGRAM_TOPICS": [("decision,trade", Topics(frozenset({"decision", "trade"})))],
    "TELEGRAM_EXECUTORS": [("eth-1", frozenset({"eth-1"}))],
    "TELEGRAM_API_BASE": [("https://telegram.example.com", "https://telegram.example.com")],
    "APPRISE_URLS": [("json://localhost, ntfy://x", "json://localhost, ntfy://x")],
    "APPRISE_LEVEL": [("critical", 50)],
    "APPRISE_TOPICS": [("!gas", Topics(unwanted=frozenset({"gas"})))],
    "APPRISE_EXECUTORS": [("eth-1", frozenset({"eth-1"}))],
    "LOG_LEVEL": [("debug", 10), ("disabled", NEVER), ("off", NEVER)],
    "STDOUT_TOPICS": [("!cycle", Topics(unwanted=frozenset({"cycle"})))],
    "STDOUT_EXECUTORS": [("eth-1", frozenset({"eth-1"}))],
    "NOTIFY_STDOUT": [("JSON", "json"), ("text", "text"), ("off", "off"), ("auto", "auto")],
    "NOTIFY_BACKENDS": [("pager, Sms_2", ("pager", "sms_2"))],
    "NOTIFY_RELAY_URL": [("redis://:pass@localhost/0", "redis://:pass@localhost/0")],
    "NOTIFY_RELAY_LOGSTASH": [("true", True), ("off", False)],
    "RELAY_LEVEL": [("trade", 21), ("off", NEVER)],
    "RELAY_TOPICS": [("!log", Topics(unwanted=frozenset({"log"})))],
    "NOTIFY_STATE_DIR": [("/var/lib/bot", "/var/lib/bot"), ("~/bot", "~/bot")],
    "NOTIFY_DURABLE_LEVEL": [("info", 20), ("TRADE", 21), ("off", NEVER), ("CRITICAL", 50)],
    "NOTIFY_REPEAT_INTERVAL": [("600", 600.0), ("1", 1.0)],
    "NOTIFY_STORM_LIMIT": [("1", 1), ("60", 60)],
    "NOTIFY_QUIET_HOURS": [("22:00-07:00", QuietHours(((1320, 420),)))],
    "NOTIFY_HANG_AFTER": [("90", 90.0), ("0.5", 0.5), ("off", None), ("0", None)],
    "NOTIFY_STALE_AFTER": [("900", 900.0), ("0.5", 0.5)],
    "HTTP_ENABLED": [("true", True), ("no", False)],
    "HTTP_HOST": [("0.0.0.0", "0.0.0.0"), ("::1", "::1")],
    "HTTP_PORT": [("19003", 19003)],
    "HTTP_USERNAME": [("operator", "operator")],
    "HTTP_PASSWORD": [("correct horse", "correct horse")],
    "HTTP_PUBLIC_LOGS": [("true", True), ("0", False)],
    "HTTP_WAIT_GOOD_STARTUP_SECONDS": [("60", 60.0), ("0", 0.0)],
    "HEARTBEAT_URL": [("https://hc.example.com/1b2c", "https://hc.example.com/1b2c")],
    "HEARTBEAT_SECONDS": [("30", 30.0), ("1", 1.0)],
    "TS_PUBLIC_STRATEGIES": [('[{"id": "vega"}]', '[{"id": "vega"}]')],
    "UNIT_TESTING": [("True", True), ("no", False)],
    "SIMULATE": [("true", True), ("off", False)],
    "NOTIFY_DRY_RUN": [("on", True), ("False", False)],
}

# Rows that take any text at this point; what they mean is looked at by the backend that they are for.
ANY_TEXT = {
    "NAME", "EXECUTOR_ID", "DISCORD_WEBHOOK_URL", "DISCORD_USERNAME", "DISCORD_MENTION", "LOGSTASH_SERVER",
    "LOGSTASH_APPLICATION", "LOGSTASH_TAGS", "TELEGRAM_API_KEY", "APPRISE_URLS", "NOTIFY_RELAY_URL",
    "NOTIFY_STATE_DIR", "HTTP_HOST", "HTTP_USERNAME", "HTTP_PASSWORD", "TS_PUBLIC_STRATEGIES",
}  # fmt: skip

by_name = pytest.mark.parametrize("setting", settings.TABLE, ids=lambda setting: setting.name)


@by_name
def test_every_row_reads_every_form_that_people_write(setting: Setting[object]) -> None:
    for text, value in FORMS[setting.name]:
        assert Settings({setting.name: text}).get(setting) == value


@by_name
@pytest.mark.parametrize("env", ["unset", "empty", "blank"])
def test_an_unset_or_empty_variable_has_its_default(setting: Setting[object], env: str) -> None:
    given: dict[str, dict[str, str]] = {"unset": {}, "empty": {setting.name: ""}, "blank": {setting.name: " \t "}}

    config = Settings(given[env])

    assert config.get(setting) == setting.default
    assert not config.is_set(setting)


@by_name
def test_the_default_that_the_table_shows_is_the_default(setting: Setting[object]) -> None:
    # These name another source instead of a value.
    if (
        setting.shown_default in {"program name", "NAME", "ICON_URL", "Telegram's", "executor-{EXECUTOR_ID}"}
        or "directory" in setting.shown_default
    ):
        assert setting.default is None
    elif setting.shown_default == "–":
        assert not setting.default
    elif setting.shown_default == "all":
        assert setting.default in (Topics(), frozenset())
    else:
        assert Settings({setting.name: setting.shown_default}).get(setting) == setting.default


@by_name
def test_every_row_says_what_it_means_in_a_line(setting: Setting[object]) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", setting.name)
    assert setting.meaning
    assert "\n" not in setting.meaning


@by_name
def test_an_error_names_the_variable_and_never_shows_the_value(setting: Setting[object]) -> None:
    canary = "c4nary, !! value/with spaces"
    config = Settings({setting.name: canary})

    if setting.name in ANY_TEXT:
        config.get(setting)
        return
    with pytest.raises(ConfigError) as caught:
        config.get(setting)

    assert str(caught.value).startswith(f"{setting.name}: not ")
    assert "c4nary" not in repr(caught.value)
    # A traceback prints the cause as well.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOGSTASH_PORT", "0"),
        ("HEARTBEAT_SECONDS", "0.5"),
        ("LOGSTASH_PORT", "65536"),
        ("LOGSTASH_PORT", "00655360"),
        ("LOGSTASH_PORT", "-1"),
        ("LOGSTASH_PORT", "٥٩٥٩"),  # digits, but no port
        ("LOGSTASH_PORT", "9" * 5000),  # more digits than int() takes
        ("TELEGRAM_CHAT_ID", "@channel"),
        ("TELEGRAM_CHAT_ID", "0"),
        ("TELEGRAM_CHAT_ID", "--5"),
        ("TELEGRAM_CHAT_ID", "1.5"),
        ("TELEGRAM_CHAT_ID", "\u0665"),  # a digit, but no id
        ("TELEGRAM_CHAT_ID", str(2**52)),
        ("TELEGRAM_CHAT_ID", "9" * 5000),
        ("ICON_URL", "file:///etc/passwd"),
        ("ICON_URL", "https://"),
        ("ICON_URL", "https://example.com/" + "x" * 2048),
        ("DISCORD_TOPICS", "trade,,gas"),
        ("DISCORD_TOPICS", "!"),
        ("DISCORD_EXECUTORS", "eth-1,,btc-2"),
        ("DISCORD_EXECUTORS", "eth 1"),
        ("TELEGRAM_EXECUTORS", "!eth-1"),
        ("APPRISE_EXECUTORS", "eth\x00-1"),
        ("DISCORD_THREAD_ID", "12x"),
        ("NOTIFY_BACKENDS", "pager,../x"),
        ("UNIT_TESTING", "maybe"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused(name: str, text: str) -> None:
    setting = next(setting for setting in settings.TABLE if setting.name == name)

    with pytest.raises(ConfigError, match=f"{name}: not "):
        Settings({name: text}).get(setting)


def test_values_are_stripped() -> None:
    assert Settings({"LOG_LEVEL": " info\r"}).get(settings.LOG_LEVEL) == 20


def test_what_lets_others_in_or_speak_for_us_is_a_secret_and_no_other_setting_is() -> None:
    secret = [setting.name for setting in settings.TABLE if setting.secret]

    assert secret == [
        "DISCORD_WEBHOOK_URL", "TELEGRAM_API_KEY", "APPRISE_URLS", "NOTIFY_RELAY_URL", "HTTP_PASSWORD", "HEARTBEAT_URL",
    ]  # fmt: skip


def test_no_two_rows_have_the_same_name() -> None:
    names = [setting.name for setting in settings.TABLE]
    assert len(names) == len(set(names))


def test_a_second_webhook_makes_a_second_family_of_settings() -> None:
    config = Settings(
        {
            "DISCORD_OPS_WEBHOOK_URL": "https://discord.com/api/webhooks/2/y",
            "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x",
            "DISCORD_EU_2_WEBHOOK_URL": "https://discord.com/api/webhooks/3/z",
            "DISCORD_OPS_LEVEL": "ERROR",
            "DISCORD_EMPTY_WEBHOOK_URL": "",
        }
    )

    assert config.discord_prefixes() == ["DISCORD_", "DISCORD_EU_2_", "DISCORD_OPS_"]
    assert config.get(settings.DISCORD_LEVEL.under("DISCORD_", "DISCORD_OPS_")) == 40
    assert config.get(settings.DISCORD_LEVEL) == settings.DISCORD_LEVEL.default


def test_a_family_needs_no_first_webhook() -> None:
    assert Settings({"DISCORD_OPS_WEBHOOK_URL": "x"}).discord_prefixes() == ["DISCORD_OPS_"]


def test_the_rows_of_a_family_are_in_the_table_and_its_webhook_is_secret() -> None:
    rows = {row.name: row for row in Settings({"DISCORD_OPS_WEBHOOK_URL": "x"}).rows()}

    assert rows["DISCORD_OPS_WEBHOOK_URL"].secret
    assert {f"DISCORD_OPS_{row.name.removeprefix('DISCORD_')}" for row in settings.DISCORD} <= rows.keys()


def test_a_third_party_backend_adds_its_route_to_the_table() -> None:
    rows = [row.name for row in Settings({"NOTIFY_BACKENDS": "pager-2"}).rows()]

    assert rows[-4:] == ["PAGER_2_LEVEL", "PAGER_2_TOPICS", "PAGER_2_FALLBACK", "PAGER_2_EXECUTORS"]


def test_the_table_can_be_shown_when_the_list_of_backends_is_unusable() -> None:
    assert list(Settings({"NOTIFY_BACKENDS": "!!"}).rows()) == list(settings.TABLE)


def test_every_backend_has_a_level_and_topics_under_its_name() -> None:
    level, topics = route_settings("sink.two")
    config = Settings({"SINK_TWO_LEVEL": "ERROR", "SINK_TWO_TOPICS": "gas"})

    assert config.get(level) == 40
    assert config.get(topics) == Topics(frozenset({"gas"}))
    assert Settings({}).get(level) == 20


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/srv/bot/trader.py", "start"], "trader"),
        (["/usr/lib/python3/site-packages/trader/__main__.py"], "trader"),
        (["/usr/local/bin/trade-executor"], "trade-executor"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_program_is_called_by_its_script_or_package(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str
) -> None:
    monkeypatch.setattr(sys, "argv", argv)

    assert program_name() == name


# ---- the state directory


def test_the_state_directory_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert state_dir(Settings({"NOTIFY_STATE_DIR": "/var/lib/bot"})) == Path("/var/lib/bot")
    assert state_dir(Settings({"NOTIFY_STATE_DIR": "~/bot"})) == tmp_path / "bot"
    assert state_dir(Settings({"NOTIFY_STATE_DIR": "bot"})) == tmp_path / "bot"  # wherever the program goes later
    assert list(tmp_path.iterdir()) == []  # nothing is made


@pytest.mark.parametrize(
    ("executor", "folder"),
    [
        ("gold-digger_2.0", "gold-digger_2.0"),
        ("gold digger/../x", "gold_digger_.._x"),
        ("../../etc", "_.._etc"),
        ("...", "python"),
        ("", "trader"),
    ],
)
def test_without_a_name_for_it_each_speaker_has_a_directory_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, executor: str, folder: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["/srv/bot/trader.py"])

    assert state_dir(Settings({"EXECUTOR_ID": executor})) == tmp_path / "notify" / folder


# ---- what nobody may see


def of_file(**values: str) -> Environment:
    environment = Environment(values)
    environment.file = values
    return environment


def test_every_value_of_the_secrets_file_is_a_secret_but_those_of_our_settings() -> None:
    env = of_file(JSON_RPC="https://rpc.example.com/x", LOG_LEVEL="warning", DISCORD_WEBHOOK_URL="https://webhook")

    assert sorted(Settings(env).secrets()) == ["https://rpc.example.com/x", "https://webhook"]


def test_elsewhere_the_name_gives_a_secret_away() -> None:
    env = {
        "EXCHANGE_API_KEY": "key of the exchange",
        "PRIVATE_KEY": "0x123",
        "PATH": "/usr/bin",
        "DISCORD_OPS_WEBHOOK_URL": "https://webhook/ops",
        "DISCORD_OPS_USERNAME": "bot",
        "EMPTY_SECRET": "",
        "BLANK_SECRET": " ",
    }

    assert sorted(Settings(env).secrets()) == ["0x123", "https://webhook/ops", "key of the exchange"]


def test_of_the_address_of_an_rpc_node_the_key_is_a_secret_wherever_it_stands() -> None:
    env = {
        "JSON_RPC_POLYGON": "https://node.example.com/0123456789abcdef0123 mev+https://u:t0p-s3cret@rpc.example.com/v1",
        "json_rpc_base": "https://base.example.com/rpc?auth=fedcba98765432100123",
        "JSON_RPC_ETHEREUM": "https://eth.example.com",
        "OTHER_URL": "https://www.example.com/0123456789abcdef9999",
    }

    assert set(Settings(env).secrets()) == {"0123456789abcdef0123", "t0p-s3cret", "fedcba98765432100123"}


def test_a_value_of_the_file_is_a_secret_also_when_another_one_replaces_it() -> None:
    env = of_file(JSON_RPC=" https://rpc.example.com/x ").but(JSON_RPC="demo")

    assert Settings(env).secrets() == ["https://rpc.example.com/x"]  # the other is judged by its name


@pytest.mark.parametrize("name", ["intake", "outbox", "pager, Outbox"])
def test_no_backend_may_have_a_name_that_means_something_else_in_stats(name: str) -> None:
    with pytest.raises(ConfigError, match="NOTIFY_BACKENDS: intake and outbox are no names"):
        Settings({"NOTIFY_BACKENDS": name}).get(settings.NOTIFY_BACKENDS)
