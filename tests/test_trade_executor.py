"""The executor's logging functions: in any order, twice, one without another, before and after `setup()`."""

import inspect
import io
import itertools
import json
import logging
import sys
import threading
import time
import weakref

import pytest
from children import python
from executors import LOOP, PNG, Executor
from logstash import LogstashFormatterVersion1
from set_up import QUIET

import notify
from notify.backends.relay.backend import RelayBackend
from notify.errors import ConfigError
from notify.integrations import trade_executor
from notify.notifier import current_notifier
from notify.testing import fake_telegram
from notify.testing.fake_discord import HANG
from notify.testing.fake_telegram import CHAT_ID, TOKEN


def parameters(function) -> str:
    return ", ".join(
        str(parameter.replace(annotation=inspect.Parameter.empty))
        for parameter in inspect.signature(function).parameters.values()
    )


@pytest.mark.parametrize(
    ("name", "theirs"),
    {
        "setup_logging": "log_level=20, in_memory_buffer=False, enable_trade_high=False",
        "setup_discord_logging": "name, webhook_url, avatar_url=None",
        "setup_telegram_logging": "telegram_api_key, telegram_chat_id",
        "setup_logstash_logging": "logstash_server, application_name, extra_tags=None, quiet=True, level=20, port=5959",
        "setup_file_logging": "log_filename, log_level=20, http_logging=False",
        "setup_in_memory_logging": "logger",
        "get_ring_buffer_handler": "",
        "setup_custom_log_levels": "enable_trade_high=False",
        "setup_pytest_logging": "request=None, mute_requests=True",
        "setup_notebook_logging": "log_level=30, show_process=False",
        "setup_strategy_logging": "default_log_level=30",
        "post_logging_discord_image": "image",
        "setup_sentry_logging": "application_name, sentry_dsn",
        "mute_noisy_loggers": "",
        "serialise_exception": "",
    }.items(),
)
def test_the_functions_are_called_as_the_executors_are(name, theirs):
    assert parameters(getattr(trade_executor, name)) == theirs


# ---- order


def steps(executor: Executor) -> dict[str, object]:
    return {
        "logging": lambda: trade_executor.setup_logging("info", in_memory_buffer=True, enable_trade_high=True),
        "discord": executor.to_discord,
        "telegram": executor.to_telegram,
        "logstash": executor.to_logstash,
    }


@pytest.mark.parametrize("order", list(itertools.permutations(["logging", "discord", "telegram", "logstash"])))
def test_in_any_order_everybody_gets_the_same(executor, order):
    for step in order:
        steps(executor)[step]()
    notifier = executor.notifier
    executor.documents  # noqa: B018 - what setting up has logged

    executor.loop.trade_high("Rebalanced")

    assert executor.titles == ["Rebalanced"]
    assert executor.sent == ["💰 Rebalanced"]
    assert [document["message"] for document in executor.documents] == ["Rebalanced"]
    assert trade_executor.get_ring_buffer_handler().export()[-1]["message"] == "Rebalanced"
    assert executor.notifier is notifier


def test_twice_is_as_good_as_once(executor):
    executor.begin()
    executor.begin()

    executor.loop.trade_high("Rebalanced")

    assert executor.titles == ["Rebalanced"]
    assert len(executor.sent) == 1
    assert [each["message"] for each in executor.documents].count("Rebalanced") == 1
    assert [each["message"] for each in trade_executor.get_ring_buffer_handler().export()].count("Rebalanced") == 1


def test_after_the_programs_own_setup_they_add_to_that_notifier(executor, state):
    mine = notify.setup(env={**QUIET, "NOTIFY_STATE_DIR": str(state)})

    executor.begin()
    executor.loop.trade("Bought ETH")

    assert executor.notifier is mine
    assert executor.titles == ["Bought ETH"]


def test_before_the_programs_own_setup_that_finds_their_notifier(executor):
    executor.begin()

    assert notify.setup() is executor.notifier


def test_a_notifier_that_was_closed_is_followed_by_another(executor):
    executor.begin()
    executor.notifier.close()

    executor.to_discord()
    executor.loop.trade("Bought ETH")

    assert executor.titles == ["Bought ETH"]


def test_the_destinations_of_the_environment_wait_for_the_call_that_asks_for_them(executor, monkeypatch):
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", executor.discord.url)
    monkeypatch.setenv("LOGSTASH_SERVER", "127.0.0.1")
    monkeypatch.setenv("HTTP_ENABLED", "true")  # the executor's own server listens there

    trade_executor.setup_logging("info")
    assert current_notifier() is None
    executor.to_telegram()

    assert executor.notifier.stats().keys() - {"intake", "outbox"} == {"telegram"}
    assert executor.notifier.status_url is None


def test_further_destinations_of_the_environment_come_along(executor, monkeypatch):
    monkeypatch.setenv("DISCORD_OPS_WEBHOOK_URL", executor.discord.url)
    monkeypatch.setenv("DISCORD_OPS_LEVEL", "ERROR")

    executor.to_logstash()
    executor.to_telegram()
    executor.loop.error("A trade failed")

    assert executor.titles == ["❌ A trade failed"]


@pytest.mark.parametrize("variable", ["UNIT_TESTING", "SIMULATE"])
def test_in_tests_and_simulations_nothing_leaves(executor, monkeypatch, variable):
    monkeypatch.setenv(variable, "true")

    executor.begin()
    executor.loop.trade_high("Rebalanced")
    trade_executor.post_logging_discord_image(PNG)

    assert (executor.titles, executor.sent, executor.documents) == ([], [], [])


def test_standard_output_may_be_had_besides(executor, monkeypatch, capfd):
    monkeypatch.setenv("NOTIFY_STDOUT", "json")

    executor.begin()
    executor.loop.trade("Bought ETH")
    executor.settle()

    printed = capfd.readouterr()
    assert [json.loads(line)["message"] for line in printed.out.splitlines()][-1] == "Bought ETH"
    assert "already" not in printed.err


def test_a_dry_run_says_what_would_go_where(executor, monkeypatch, capfd):
    monkeypatch.setenv("NOTIFY_DRY_RUN", "true")

    executor.begin()
    executor.loop.trade_high("Rebalanced")

    assert (executor.titles, executor.sent, executor.documents) == ([], [], [])
    assert capfd.readouterr().out.count("Rebalanced") == 3  # for Discord, Telegram and Logstash


# ---- levels


def test_a_destination_that_comes_first_leaves_the_number_of_decisions_to_who_decides_it(executor):
    executor.to_discord()
    trade_executor.setup_logging(enable_trade_high=True)

    assert logging.TRADE_HIGH == 51


def test_the_caller_of_a_trade_is_who_calls_it(executor):
    executor.begin()
    executor.documents  # noqa: B018 - what setting up has logged
    records = []
    theirs = logging.Handler()
    theirs.emit = records.append
    executor.loop.addHandler(theirs)

    executor.loop.trade("Bought")
    executor.loop.trade_high("Rebalanced")
    executor.loop.removeHandler(theirs)

    line = inspect.currentframe().f_lineno
    assert [(record.levelno, record.lineno) for record in records] == [(21, line - 4), (51, line - 3)]
    assert {document["path"] for document in executor.documents} == {__file__}


def test_who_numbers_trade_high_first_decides(executor):
    trade_executor.setup_pytest_logging()
    trade_executor.setup_logging(enable_trade_high=True)

    assert (logging.TRADE, logging.TRADE_HIGH) == (21, 22)
    assert logging.getLevelName(22) == "TRADE_HIGH"


def test_at_a_root_level_of_warning_decisions_still_pass(executor):
    executor.begin("warning")

    executor.loop.trade("Bought")
    executor.loop.trade_high("Rebalanced")

    assert executor.titles == ["Rebalanced"]
    assert executor.sent == ["💰 Rebalanced"]


@pytest.mark.parametrize(
    ("name", "level"), [("web3.RequestManager", 30), ("pyramid_openapi3", 40), ("ddtrace", 20), ("traitlets", 40)]
)
def test_noisy_loggers_are_muted(executor, name, level):
    trade_executor.setup_logging()

    assert logging.getLogger(name).level == level


# ---- console and files


def console(executor: Executor, monkeypatch: pytest.MonkeyPatch, level: object) -> str:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    trade_executor.setup_logging(level)
    executor.loop.info("Loaded %d pairs", 7)
    executor.loop.error("A trade failed")
    return stderr.getvalue()


@pytest.mark.parametrize(("level", "lines"), [(None, 2), ("INFO", 2), (20, 2), ("error", 1), (logging.CRITICAL, 0)])
def test_the_console_is_standard_error_from_the_level_on(executor, monkeypatch, level, lines):
    assert len(console(executor, monkeypatch, level).splitlines()) == lines


def test_a_line_of_the_console_has_the_columns_of_the_executors(executor, monkeypatch):
    first = console(executor, monkeypatch, "info").splitlines()[0]

    assert first[24:] == f"{LOOP:<44} {'INFO':<8} [{threading.current_thread().name}] Loaded 7 pairs"


def test_a_disabled_level_leaves_logging_as_it_is(executor, monkeypatch):
    root = logging.getLogger()
    before = root.level, list(root.handlers)

    assert trade_executor.setup_logging("disabled", in_memory_buffer=True, enable_trade_high=True) is root

    assert (root.level, root.handlers) == before
    assert trade_executor.get_ring_buffer_handler() is None
    assert logging.TRADE_HIGH == 51


def test_a_level_that_there_is_not_changes_nothing(executor):
    before = list(logging.getLogger().handlers)

    with pytest.raises(ValueError, match="LOUD"):
        trade_executor.setup_logging("loud")

    assert logging.getLogger().handlers == before


def test_a_file_gets_what_is_logged_once_and_its_directory_is_made(executor, tmp_path):
    path = tmp_path / "logs" / "gold.log"
    trade_executor.setup_logging()

    trade_executor.setup_file_logging(path, "info")
    trade_executor.setup_file_logging(str(path), "INFO")
    executor.loop.info("Loaded")

    (line,) = path.read_text().splitlines()
    assert line[24:] == f"{LOOP:<50} {'INFO':<8} Loaded"


def test_a_file_level_of_none_is_no_file(executor, tmp_path):
    trade_executor.setup_file_logging(tmp_path / "gold.log", "none", http_logging=True)

    assert list(tmp_path.iterdir()) == []


def test_without_the_executors_web_server_requests_are_not_logged_and_somebody_is_told(executor, tmp_path, capfd):
    trade_executor.setup_file_logging(tmp_path / "gold.log", http_logging=True)

    assert "requests are not logged" in capfd.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize(
    ("set_up", "printed"),
    [
        ("setup_notebook_logging()", ["WARNING"]),
        ("setup_notebook_logging('info', show_process=True)", ["INFO", "TRADE", "WARNING"]),
        ("setup_strategy_logging()", ["INFO", "TRADE", "WARNING"]),
    ],
)
def test_notebooks_and_backtests_print_on_standard_output(set_up, printed):
    script = f"""if True:
        import logging
        from notify.integrations import trade_executor
        trade_executor.{set_up}
        positions = logging.getLogger("tradeexecutor.strategy.pandas_trader.position_manager")
        positions.info("Opened"); positions.trade("Bought"); positions.warning("Slipped")
        logging.getLogger("other").info("silent") if "strategy" in {set_up!r} else None
    """

    ended = python("-c", script)

    assert ended.stderr == ""
    assert [
        next(word for word in ("INFO", "TRADE", "WARNING") if word in line) for line in ended.stdout.splitlines()
    ] == (printed)


def test_pytests_own_handlers_stay(executor, caplog):
    assert trade_executor.setup_pytest_logging(request=object()).name == "test"
    trade_executor.setup_logging()

    executor.loop.warning("seen by caplog")

    assert "seen by caplog" in caplog.text


def test_requests_may_be_heard_in_tests(executor):
    logging.getLogger("requests").setLevel(logging.DEBUG)

    trade_executor.setup_pytest_logging(mute_requests=False)

    assert logging.getLogger("requests").level == logging.DEBUG
    assert logging.getLogger("matplotlib").level == logging.WARNING


# ---- destinations


def test_logstash_gets_what_python_logstash_would_send(executor):
    theirs = LogstashFormatterVersion1("logstash", tags=["python", "live"])
    trade_executor.setup_logging("info")
    executor.to_logstash(extra_tags=["live"], quiet=False, level="info")
    executor.documents  # noqa: B018 - what setting up has logged
    records = []
    beside = logging.Handler()
    beside.emit = records.append
    executor.loop.addHandler(beside)
    logger = logging.getLogger("tradeexecutor.strategy")
    logger.addHandler(beside)

    executor.loop.trade("Bought %s", "ETH", extra={"pair": "ETH-USDC", "price": 3450.1, "route": ["a", "b"]})
    try:
        raise ValueError("no liquidity")
    except ValueError:
        logger.exception("Could not buy")
    executor.loop.removeHandler(beside)
    logger.removeHandler(beside)

    ours = sorted(executor.documents, key=lambda each: each["level"] != "TRADE")  # errors overtake
    # The executor's fork adds the name of the application to what the original formats.
    expected = [{**json.loads(theirs.format(record)), "application": "executor-gold"} for record in records]
    for document in expected:
        document.pop("taskName", None)  # Python 3.12 added it to every record
    assert [
        {name: value for name, value in document.items() if name not in ("event_id", "topic")} for document in ours
    ] == expected


def test_a_logstash_over_tcp_needs_no_more_than_its_address(executor):
    trade_executor.setup_logstash_logging("tcp://127.0.0.1:1", "executor-gold")

    assert "logstash" in executor.notifier


@pytest.mark.parametrize(
    ("call", "variable"),
    [
        (lambda: trade_executor.setup_discord_logging("S", "https://example.com/hook"), "DISCORD_WEBHOOK_URL"),
        (lambda: trade_executor.setup_discord_logging("S", None), "DISCORD_WEBHOOK_URL"),
        (lambda: trade_executor.setup_discord_logging("S", b"https://example.com/hook"), "DISCORD_WEBHOOK_URL"),
        (lambda: trade_executor.setup_discord_logging("S", 7), "DISCORD_WEBHOOK_URL"),
        (lambda: trade_executor.setup_telegram_logging("", "1"), "TELEGRAM_API_KEY"),
        (lambda: trade_executor.setup_telegram_logging(5, 5), "TELEGRAM_API_KEY"),
        (lambda: trade_executor.setup_logstash_logging(None, "executor-gold"), "LOGSTASH_SERVER"),
        (lambda: trade_executor.setup_telegram_logging(TOKEN, ""), "TELEGRAM_CHAT_ID"),
        (lambda: trade_executor.setup_logstash_logging("127.0.0.1", ""), "LOGSTASH_APPLICATION"),
    ],
)
def test_what_cannot_be_right_is_an_error_that_names_the_setting(executor, call, variable):
    with pytest.raises(ConfigError, match=variable):
        call()


def test_another_address_for_what_is_there_changes_nothing_and_somebody_is_told(executor, capfd):
    executor.begin()

    trade_executor.setup_discord_logging("My strategy", "https://discord.com/api/webhooks/1/c4nary")
    executor.loop.trade("Bought ETH")

    assert executor.titles == ["Bought ETH"]
    said = capfd.readouterr().err
    assert "there is a backend discord already, which stays as it is" in said
    assert "c4nary" not in said


def test_the_port_of_logstash_may_be_set_in_the_environment(executor, monkeypatch):
    monkeypatch.setenv("LOGSTASH_PORT", str(executor.port))
    trade_executor.setup_logging("info")

    trade_executor.setup_logstash_logging("127.0.0.1", "executor-gold")
    executor.loop.info("Loaded")

    assert executor.documents[-1]["message"] == "Loaded"


def test_nothing_waits_for_destinations_that_hang(executor):
    executor.begin()
    executor.discord.answer_with(*[HANG] * 5)

    began = time.monotonic()
    for number in range(200):
        executor.loop.trade("Trade %d", number)
        executor.loop.error("Error %d", number)
    took = time.monotonic() - began

    executor.notifier.close(0)
    assert took < 5.0  # seconds, on a busy machine; with the handler that was, each would take five


def test_a_chat_may_be_given_as_a_number(executor):
    trade_executor.setup_telegram_logging(TOKEN, CHAT_ID)
    executor.loop.setLevel(logging.INFO)

    executor.loop.trade_high("Rebalanced")

    assert executor.sent == ["💰 Rebalanced"]
    executor.loop.setLevel(logging.NOTSET)


def test_at_the_end_of_the_program_the_handler_of_telegram_waits_for_nobody(executor):
    handler = executor.to_telegram()
    executor.telegram.answer_with(fake_telegram.HANG)
    executor.loop.error("not for Telegram")
    executor.loop.trade_high("Rebalanced")
    executor.notifier.close(0)

    began = time.monotonic()
    handler.close()  # as logging does at exit

    assert time.monotonic() - began < 4.0  # seconds; it would wait for five


@pytest.mark.parametrize("exc_info", [(), (1,), (None, "text", None)])
def test_an_error_of_the_loop_with_odd_exception_info_raises_nothing_and_arrives(executor, exc_info):
    executor.begin()
    record = logging.makeLogRecord(
        {"name": LOOP, "levelno": logging.ERROR, "msg": "Cycle failed", "exc_info": exc_info}
    )

    executor.notifier.handler.handle(record)  # pytest's own handlers would raise

    assert executor.titles == ["❌ Cycle failed"]


def test_a_record_that_cannot_be_copied_arrives_as_it_is(executor, capfd):
    class Uncopyable(logging.LogRecord):
        def __reduce_ex__(self, protocol):
            raise SystemExit

    executor.begin()

    try:
        raise ValueError("wrong")
    except ValueError:
        executor.loop.handle(Uncopyable(LOOP, logging.ERROR, __file__, 1, "Cycle failed", (), sys.exc_info()))

    executor.settle()
    assert [document["message"] for document in executor.documents if document["level"] == "ERROR"] == ["Cycle failed"]
    assert "passed on as it is: SystemExit" in capfd.readouterr().err


def test_a_record_of_a_logger_without_a_name_raises_nothing_and_arrives(executor):
    executor.begin()

    logging.getLogger().handle(logging.makeLogRecord({"name": None, "levelno": logging.ERROR, "msg": "from elsewhere"}))

    assert executor.titles == ["❌ from elsewhere"]


def test_a_configuration_of_logging_in_the_middle_waits_for_no_destination(executor):
    executor.begin()
    handler = executor.to_telegram()
    executor.telegram.answer_with(fake_telegram.HANG)
    executor.loop.trade_high("Rebalanced")

    began = time.monotonic()
    logging.shutdown([weakref.ref(handler)])  # as dictConfig() does with all handlers there are

    assert time.monotonic() - began < 4.0  # seconds; it would wait for five
    executor.notifier.close(0)


def test_trades_and_images_are_on_disk_before_the_call_returns(executor):
    executor.begin()
    executor.discord.answer_with(*[500] * 20)

    trade_executor.post_logging_discord_image(PNG)
    executor.loop.trade("Bought ETH")
    executor.notifier.close(0)
    executor.discord.answer_with()
    executor.discord._script.clear()
    executor.to_discord()  # as the next start does

    assert executor.titles == ["Strategy state", "Bought ETH"]
    assert sum(len(message.files) for message in executor.discord.messages) == 1


@pytest.mark.parametrize("order", [["to_discord", "to_telegram"], ["to_telegram", "to_discord"]])
def test_a_channel_that_is_gone_has_its_fallback_whichever_is_set_up_first(executor, monkeypatch, order):
    monkeypatch.setenv("DISCORD_FALLBACK", "telegram")
    executor.discord.answer_with(404)
    trade_executor.setup_logging()
    for step in order:
        getattr(executor, step)()

    executor.loop.trade("Bought ETH")

    assert any("Bought ETH" in text and "in place of" in text for text in executor.sent)


def test_with_a_relay_everything_is_published_to_it_images_too(executor, monkeypatch, capfd):
    sent = []
    monkeypatch.setenv("NOTIFY_RELAY_URL", "redis://127.0.0.1:1")
    monkeypatch.setattr(RelayBackend, "send", lambda self, events: (sent.extend(events), len(events))[1])
    executor.begin()

    executor.loop.trade_high("Rebalanced")
    trade_executor.post_logging_discord_image(PNG)

    assert executor.titles == executor.sent == []  # from here
    assert [event.message for event in sent if event.topic != "log"] == ["Rebalanced", "Strategy state"]
    assert [each.filename for event in sent for each in event.attachments] == ["strategy-state.png"]
    assert "stays as it is" not in capfd.readouterr().err


def test_an_image_without_discord_goes_nowhere(executor):
    trade_executor.post_logging_discord_image(PNG)
    executor.to_logstash()

    trade_executor.post_logging_discord_image(PNG)

    assert executor.documents == []


def test_the_size_and_level_of_the_ring_buffer_may_be_chosen():
    ring = trade_executor.RingBufferHandler(logging.WARNING, buffer_size=2)
    logger = logging.Logger("ring")
    logger.addHandler(ring)

    for number in range(3):
        logger.error("number %d", number)
    logger.info("below its level")

    assert [record["message"] for record in ring.export()] == ["number 1", "number 2"]


def test_a_record_that_the_ring_buffer_cannot_look_at_raises_nothing():
    class OfNoClass:
        @property
        def __class__(self):
            raise RuntimeError("no")

    ring = trade_executor.RingBufferHandler()

    ring.handle(logging.makeLogRecord({"msg": "said", "exc_info": (None, OfNoClass(), None)}))

    assert [record["message"] for record in ring.export()] == ["said"]


def test_names_and_tags_that_are_no_text_are_shown_as_text(executor):
    trade_executor.setup_discord_logging(None, executor.discord.url)
    executor.to_logstash(extra_tags=["gold", 7])

    executor.loop.error("Failed")

    assert executor.titles == ["❌ Failed"]
    assert executor.documents[-1]["tags"] == ["python", "gold", "7"]


def test_what_the_ring_buffer_shows_has_no_secret_that_was_set_after_it_was_shown_first(executor, monkeypatch):
    trade_executor.setup_logging("info", in_memory_buffer=True)
    ring = trade_executor.get_ring_buffer_handler()
    assert ring.export() == []

    monkeypatch.setenv("BROKER_PASSWORD", "c4nary-loaded-later")
    executor.loop.error("refused c4nary-loaded-later")

    assert [record["message"] for record in ring.export()] == ["refused [redacted]"]


def test_what_is_served_has_no_secret_of_the_file_that_notify_was_set_up_with(executor, tmp_path):
    file = tmp_path / "secrets.env"
    file.write_text("BROKER_PASSWORD=c4nary-of-the-file\n")
    file.chmod(0o600)
    notify.setup(env_file=file, signals=False)
    trade_executor.setup_logging("info", in_memory_buffer=True)

    executor.loop.error("refused c4nary-of-the-file")
    try:
        raise RuntimeError("refused c4nary-of-the-file")
    except RuntimeError:
        served = trade_executor.serialise_exception()

    assert [record["message"] for record in trade_executor.get_ring_buffer_handler().export()] == ["refused [redacted]"]
    assert served["exception_message"] == "refused [redacted]"


def test_secrets_of_destinations_that_come_along_are_shown_nowhere(executor, monkeypatch):
    monkeypatch.setenv("APPRISE_URLS", "json://me:c4nary-of-a-service@127.0.0.1:9")
    executor.begin()

    executor.loop.error("refused c4nary-of-a-service")
    executor.notifier.close(1)  # second: nobody listens at that service

    assert [embed.get("title") for embed in executor.discord.embeds] == ["❌ refused [redacted]"]


# ---- who speaks of a crash


def test_a_library_that_logs_to_the_root_logger_while_it_tries_again_is_no_crash(executor):
    executor.begin()

    for node in range(3):
        try:
            raise ConnectionError(f"RPC node {node} timed out")
        except ConnectionError:
            logging.error("Trying the next node")

    assert [title for title in executor.titles if "Crashed" in title] == []
    assert executor.titles.count("❌ Trying the next node") == 1  # and its repeats fold
    assert executor.notifier.run_state.crashes == 0


def test_nor_is_one_below_a_directory_of_the_executors_name(executor):
    executor.begin()
    record = logging.LogRecord(
        "root", logging.ERROR, "/srv/tradeexecutor/.venv/lib/python3.11/site-packages/rpc.py", 1, "Again", (), None
    )

    try:
        raise ConnectionError("timed out")
    except ConnectionError:
        logging.getLogger().handle(record)

    assert executor.titles == ["❌ Again"]
