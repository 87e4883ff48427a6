"""What hurt trade-executor where it logs and notifies, each by its reference: it does not any more.

`docs/trade-executor.md` has the table. What it serves, and what is seen of it from outside, is in
`test_trade_executor_known_problems_status.py`.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import types

import pytest
from children import python
from executors import LOOP, PNG, Executor, in_the_command
from http_raw import until
from lanes import LONG

import notify
from notify.integrations import trade_executor
from notify.testing.fake_discord import HANG, RESET, rate_limited
from notify.testing.fake_telegram import TOKEN

AT_ONCE = 1.0  # seconds: a call that waited for a network would take 15, the deadline of a request


class Strategy:
    """The executor's run state, as far as a failure changes it."""

    executor_running = True
    exception = None
    crashed_at = last_refreshed_at = None


@in_the_command
def crash(executor: Executor, root: logging.Logger, state: Strategy) -> None:
    """Fail as a live cycle does: in the scheduler's worker, then in the main loop, then in the command."""
    try:
        try:
            raise ZeroDivisionError("no liquidity")
        except ZeroDivisionError as cause:
            executor.loop.exception(cause)
            raise RuntimeError("one of the scheduled tasks failed") from cause
    except RuntimeError as wrapped:
        root.error("The execution loop crashed")
        trade_executor.set_fail(state)
        root.exception(wrapped)
        root.error("The web server waits, version %s", "v50")


# ---- images


@pytest.mark.parametrize("answer", [500, RESET, HANG], ids=["refused", "reset", "hangs"])
def test_pr_473_an_image_post_that_fails_does_not_crash_a_live_cycle_nor_delay_it(executor, answer):
    executor.begin()
    executor.discord.answer_with(answer)

    began = time.monotonic()
    trade_executor.post_logging_discord_image(PNG)

    assert time.monotonic() - began < AT_ONCE
    until(lambda: executor.discord.requests)
    executor.notifier.close(0)  # nobody waits for what hangs


@pytest.mark.parametrize("image", ["<svg/>", bytearray(PNG), 7])
def test_commit_82d704b2_what_is_no_image_is_left_out_with_a_warning(executor, image):
    executor.begin()

    trade_executor.post_logging_discord_image(image)

    assert [title for title in executor.titles if "no bytes but" in title]
    assert not any(message.files for message in executor.discord.messages)


def test_commit_728d3b37_that_there_is_no_image_is_no_noise(executor):
    executor.begin()

    for _ in range(3):
        trade_executor.post_logging_discord_image(None)

    assert executor.titles == []


def test_commit_0b7c52a6_an_image_that_is_too_large_costs_its_message_nothing(executor):
    executor.begin()

    trade_executor.post_logging_discord_image(PNG + bytes(11 * 2**20))  # Discord takes 10 MiB

    assert executor.titles == ["Strategy state"]


def test_commit_84f97edc_an_image_is_a_png_that_discord_shows(executor):
    executor.begin()

    trade_executor.post_logging_discord_image(PNG)

    executor.settle()
    (message,) = executor.discord.messages
    assert dict(message.files) == {"strategy-state.png": PNG}
    assert message.embeds[0]["image"] == {"url": "attachment://strategy-state.png"}


def test_pr_359_an_image_that_is_posted_twice_in_a_row_is_shown_once(executor):
    executor.begin()

    trade_executor.post_logging_discord_image(PNG)
    trade_executor.post_logging_discord_image(PNG)
    trade_executor.post_logging_discord_image(PNG + b"\0")

    executor.settle()
    assert sum(len(message.files) for message in executor.discord.messages) == 2  # the first and the changed one


# ---- Discord


def test_discord_handler_pr_2_a_rate_limit_is_obeyed_and_not_logged(executor):
    executor.begin()
    executor.discord.answer_with(*[rate_limited(0.05)] * 2)
    executor.documents  # noqa: B018 - what setting up has logged

    executor.loop.trade("Bought ETH")

    assert executor.titles == ["Bought ETH"]
    assert executor.discord.requests == 3  # two that were refused, and one that was not
    assert executor.discord.too_early == 0
    assert [each["message"] for each in executor.documents] == ["Bought ETH"]


def whole_text(executor: Executor) -> str:
    """Return what people can read on Discord of everything, files included."""
    executor.settle()
    shown = [f"{embed.get('title', '')}\n{embed.get('description', '')}" for embed in executor.discord.embeds]
    files = [data.decode() for message in executor.discord.messages for data in message.files.values()]
    return "\n".join(shown + files)


def test_commit_908dd404_one_line_of_5000_characters_arrives_whole_from_its_beginning(executor):
    executor.begin()
    line = ", ".join(f"#{number} 10.25 USD" for number in range(300))  # 5088 characters

    executor.loop.trade(line)

    assert line in whole_text(executor)
    assert executor.discord.embeds[0]["description"].startswith("#0 10.25 USD, #1 10.25 USD, ")


def test_pr_1107_the_report_of_many_pairs_is_whole_and_is_one_message(executor):
    executor.begin()
    report = "Strategy thinking\n" + "\n…\n".join(
        f"Pair {pair}\n" + "\n".join(f"   signal {pair}.{line}: {'x' * 40}" for line in range(12))
        for pair in range(100)
    )  # 70 kB: seventeen times what an embed holds

    executor.loop.trade(report)

    assert "signal 99.11" in whole_text(executor)
    assert "signal 0.0" in executor.discord.embeds[0]["description"]
    assert len(executor.discord.messages) == 1


def test_found_here_what_discord_answers_with_500_is_delivered_later(executor):
    executor.begin()
    executor.discord.answer_with(500, 502)

    executor.loop.trade("Bought ETH")

    assert executor.titles == ["Bought ETH"]


def test_found_here_an_ellipsis_in_a_text_splits_nothing(executor):
    executor.begin()

    executor.loop.trade("Waiting… for the block\nand then…")
    executor.loop.trade("Portfolio\n…\nFirst\n   open\n…\nSecond")

    assert executor.titles == ["Waiting… for the block", "Portfolio"]
    assert "**First**" in executor.discord.embeds[1]["description"]


# ---- Telegram


def test_pr_1111_the_report_that_telegram_gets_is_made_for_telegram(executor):
    executor.begin()

    executor.loop.trade_high("Portfolio after rebalance\n…\nEquity\n   10,412 USD\n…\nPositions\n   none")

    (text,) = executor.sent
    assert text.startswith("💰 Portfolio after rebalance")
    assert "```" not in text
    assert "**" not in text
    assert "10,412 USD" in text


@pytest.mark.parametrize("enabled", [False, True], ids=["22", "51"])
def test_commit_d51d925d_decisions_go_to_telegram_whatever_their_number_and_nothing_else_does(executor, enabled):
    trade_executor.setup_custom_log_levels(enable_trade_high=enabled)
    executor.begin()

    executor.loop.trade("Bought ETH")
    executor.loop.error("A trade failed")
    executor.loop.critical("The loop hangs")
    executor.loop.trade_high("Rebalanced")
    executor.notifier.notify("Said by our number", level=notify.TRADE_HIGH, topic="decision")

    assert (51 if enabled else 22) == logging.TRADE_HIGH
    assert executor.sent == ["💰 Rebalanced", "💰 Said by our number"]


def test_commit_39de1bac_a_level_that_nobody_knows_is_shown(executor):
    executor.begin()

    executor.loop.log(23, "Of a level without a name", extra={"topic": "decision"})

    assert executor.titles == ["Of a level without a name"]
    assert len(executor.sent) == 1


def test_commit_ab213e03_telegram_needs_no_http_library_that_may_change_under_it(executor, monkeypatch):
    for name in ("httpx", "telegram_bot_logger", "distutils"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises ImportError
    executor.begin()

    executor.loop.trade_high("Rebalanced")

    assert executor.sent == ["💰 Rebalanced"]


def test_pr_1067_no_thread_outlives_a_test_and_closing_twice_is_fine(executor):
    executor.begin()
    handler = executor.to_telegram()
    executor.loop.trade_high("Rebalanced")

    handler.close()
    handler.close()
    arrived = len(executor.telegram.messages)
    executor.notifier.close()

    assert arrived == 1
    assert [each.name for each in threading.enumerate() if each.name.startswith("notify-lane")] == []


# ---- Logstash


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def test_commit_633a3060_whatever_is_logged_is_json_for_logstash(executor):
    executor.begin()
    loop = {}
    loop["itself"] = loop
    executor.documents  # noqa: B018 - what setting up has logged

    executor.loop.info("Signals", extra={"broken": Broken(), "circle": loop, "number": float("nan"), "huge": 10**400})

    (document,) = executor.documents
    assert document["message"] == "Signals"
    assert {"broken", "circle", "number", "huge"} <= document.keys()


# ---- the log in memory


def test_commit_19cabc09_one_odd_record_costs_no_other_and_who_logs_meanwhile_neither(executor):
    executor.begin()
    handler = trade_executor.get_ring_buffer_handler()
    never_raised = (ValueError, ValueError("never raised"), None)
    odd = [("Without a traceback", (), never_raised), ("Two %s of %s", ("arguments",), None), ("as usual", (), None)]
    for message, arguments, exc_info in odd:  # past the handlers of pytest, which raise what is wrong with a record
        handler.handle(logging.LogRecord(LOOP, logging.ERROR, __file__, 1, message, arguments, exc_info))
    before = handler.export()
    ending = threading.Event()

    def log() -> None:
        while not ending.is_set():
            handler.handle(logging.LogRecord(LOOP, logging.INFO, __file__, 1, "more", (), None))

    busy = threading.Thread(target=log)
    busy.start()
    exported = [len(handler.export()) for _ in range(3)]
    ending.set()
    busy.join()

    odd, mismatched, usual = before[-3:]
    assert (odd["exception_type"], odd["traceback_data"]) == ("<class 'ValueError'>", None)
    assert mismatched["message"].startswith("Two %s of %s")
    assert usual["message"] == "as usual"
    assert max(exported) <= 2000  # as many as are kept


def test_pr_563_a_record_has_the_seven_keys_that_front_ends_read(executor):
    executor.begin()
    try:
        raise RuntimeError("Big bada boom")
    except RuntimeError as error:
        logging.getLogger("strategy").exception(error)
    executor.loop.trade_high("Rebalanced")

    *_, failed, decided = trade_executor.get_ring_buffer_handler().export()

    assert (
        [*failed] == [*decided] == ["timestamp", "level", "message", "exception_type", "traceback_data", "level_number",
                                    "formatted_data"]
    )  # fmt: skip
    assert (failed["level"], failed["level_number"]) == ("error", logging.ERROR)
    assert failed["exception_type"] == "<class 'RuntimeError'>"
    assert failed["traceback_data"]["tb_frame"]["f_code"]["co_filename"] == __file__
    assert failed["formatted_data"][-1] == "RuntimeError: Big bada boom\n"
    assert (decided["level"], decided["level_number"]) == ("trade_high", 51)
    assert decided["formatted_data"] is decided["exception_type"] is decided["traceback_data"] is None


# ---- noise


def test_commit_bbaaa6e7_floods_are_muted_or_folded(executor):
    executor.begin()

    logging.getLogger("apscheduler.executors.default").warning("Run time of job was missed")
    logging.getLogger("web3.RequestManager").info("Making request")
    for block in range(200):
        executor.loop.warning("Block %d is late", block)

    assert executor.titles == ["⚠️ Block 0 is late"]
    assert executor.notifier.stats()["discord"]["folded"] == 199  # and told as a count later


def test_commit_cd26e40f_the_log_of_requests_never_reaches_root(executor, monkeypatch, tmp_path):
    executor.begin()
    logged = []
    web = types.ModuleType("tradeexecutor.webhook.http_log")
    web.configure_http_request_logging = logged.append
    for name in ("tradeexecutor", "tradeexecutor.webhook"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, web.__name__, web)
    path = tmp_path / "logs" / "gold.log"

    trade_executor.setup_file_logging(path, http_logging=True)
    executor.loop.info("A cycle")

    assert logged == [path]  # the executor's own, which makes `gold.http.log` of it
    assert [line.split()[-2:] for line in path.read_text().splitlines()] == [["A", "cycle"]]


def test_commit_765b9771_setting_up_again_takes_off_nobodys_handler_and_clearing_them_can_be_mended(executor):
    mine = logging.NullHandler()
    root = executor.begin()
    root.addHandler(mine)

    trade_executor.setup_logging("info")
    assert mine in root.handlers
    root.handlers.clear()  # as other libraries' set-up does
    trade_executor.setup_logging("info")
    executor.loop.trade("Bought ETH")

    assert executor.titles == ["Bought ETH"]


# ---- Sentry


@pytest.fixture
def sentry(monkeypatch):
    """What `sentry_sdk.init` was called with."""
    called = {}
    module = types.ModuleType("sentry_sdk")
    module.init = lambda **options: called.update(options)
    monkeypatch.setitem(sys.modules, "sentry_sdk", module)
    return called


@pytest.mark.parametrize(
    ("level", "known"), [("trade", "info"), ("trade_high", "info"), ("warning", "warning"), (None, None)]
)
def test_commit_d2d93a19_sentry_gets_levels_that_it_knows(sentry, level, known):
    trade_executor.setup_sentry_logging(application_name="My strategy", sentry_dsn="https://key@sentry.example.com/1")
    crumb = {"category": "log"} | ({} if level is None else {"level": level})

    assert sentry["before_breadcrumb"](crumb, {}).get("level") == known
    assert sentry["before_breadcrumb"]({"category": "httplib"}, {}) is None


def test_issue_407_sentry_stays_the_executors_own(sentry, executor, monkeypatch, tmp_path):
    (tmp_path / "GIT_VERSION_TAG.txt").write_text("v50\n")
    monkeypatch.chdir(tmp_path)
    root = executor.begin()
    seen = []
    theirs = logging.Handler()
    theirs.emit = seen.append
    root.addHandler(theirs)

    trade_executor.setup_sentry_logging(application_name="My strategy", sentry_dsn="https://key@sentry.example.com/1")
    crash(executor, root, Strategy())

    assert (sentry["environment"], sentry["traces_sample_rate"]) == ("My strategy", 0.1)
    assert sentry["before_send"]({}, {})["extra"]["docker_image_version"] == "v50"
    assert len(seen) == 4  # all that was logged of the crash reaches the handlers of others
    assert [record.exc_info is not None for record in seen] == [True, False, True, False]


# ---- crashes


def test_found_here_one_crash_is_one_report_that_names_the_root_cause(executor):
    root, state = executor.begin(), Strategy()
    executor.documents  # noqa: B018 - what setting up has logged

    crash(executor, root, state)

    assert executor.titles == ["🆘 Crashed in the main loop: ZeroDivisionError: no liquidity"]
    assert "no liquidity" in state.exception["exception_message"]
    machines = [(document["level"], document["message"]) for document in executor.documents]
    assert sorted(machines) == [
        ("CRITICAL", "Crashed in the main loop: ZeroDivisionError: no liquidity"),
        ("ERROR", "The execution loop crashed"),
        ("ERROR", "The web server waits, version v50"),
        ("ERROR", "no liquidity"),
        ("ERROR", "one of the scheduled tasks failed"),
    ]


def test_found_here_a_start_up_that_fails_is_one_report(executor):
    root = executor.begin()

    @in_the_command
    def start():
        try:
            raise ConnectionError("no RPC")
        except ConnectionError as error:
            root.critical("Startup failed: %s", error)
            root.exception(error)

    start()

    assert executor.titles == ["🆘 Crashed in the main loop: ConnectionError: no RPC"]


def test_commit_b904eac4_what_the_watchdog_ends_is_a_crash_as_any_other(executor):
    root, state = executor.begin(), Strategy()

    @in_the_command
    def loop():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(LONG)
        except KeyboardInterrupt:
            root.error("The main loop was interrupted")
            trade_executor.set_fail(state)
            root.exception("Interrupted")

    with contextlib.suppress(KeyboardInterrupt):
        loop()

    assert executor.titles.count("🆘 Crashed in the main loop: KeyboardInterrupt") == 1
    assert [title for title in executor.titles if "❌" in title] == []
    assert not state.executor_running


def test_commit_1691a41a_a_failure_without_an_exception_raises_nothing(executor):
    executor.begin()
    state = Strategy()

    trade_executor.set_fail(state)
    trade_executor.set_fail(object())  # takes no attributes

    assert trade_executor.serialise_exception()["exception_message"] == ""
    assert not state.executor_running
    assert not executor.notifier.run_state.executor_running


@pytest.mark.process
def test_commit_dd5a3c1e_a_single_cycle_that_crashes_ends_the_process(executor, tmp_path):
    script = f"""if True:
        import logging
        from notify.integrations import trade_executor

        root = trade_executor.setup_logging("info", enable_trade_high=True)
        trade_executor.setup_discord_logging("My strategy", {executor.discord.url!r})
        try:
            1 / 0
        except ZeroDivisionError as error:
            root.error("The execution loop crashed")
            trade_executor.set_fail()
            root.exception(error)
            raise
    """
    command = tmp_path / "tradeexecutor" / "cli" / "start.py"
    command.parent.mkdir(parents=True)
    command.write_text(script)

    ended = python(str(command))

    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr
    assert [embed["title"] for embed in executor.discord.embeds] == [
        "🆘 Crashed in the main loop: ZeroDivisionError: division by zero"
    ]


@pytest.mark.process
def test_found_here_docker_stop_is_told_before_the_end(executor):
    script = f"""if True:
        import os, signal, time
        from notify.integrations import trade_executor

        trade_executor.setup_logging("info", enable_trade_high=True)
        trade_executor.setup_discord_logging("My strategy", {executor.discord.url!r})
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    """

    ended = python("-c", script)

    assert ended.returncode == -signal.SIGTERM
    assert [embed["title"] for embed in executor.discord.embeds] == ["Told to stop: SIGTERM"]


def test_issue_389_crashes_are_counted(executor):
    root = executor.begin()
    state = executor.notifier.run_state

    crash(executor, root, Strategy())
    state.executor_running = True
    crash(executor, root, Strategy())

    assert state.crashes == 2


def test_pr_1098_a_position_that_freezes_is_an_event_of_its_own_and_no_crash(executor):
    executor.begin()

    try:
        raise ValueError("the trade reverted")
    except ValueError:
        logging.getLogger("tradeexecutor.state.freeze").error("Position %d is frozen", 7, exc_info=True)

    assert executor.titles == ["❌ Position 7 is frozen"]
    assert executor.notifier.run_state.executor_running


def test_issue_995_a_crash_calls_whoever_is_to_be_called(executor, monkeypatch):
    monkeypatch.setenv("DISCORD_MENTION", "123456789012345678")
    root = executor.begin()

    crash(executor, root, Strategy())

    executor.settle()
    (message,) = executor.discord.messages
    assert message.payload["content"] == "<@123456789012345678>"
    assert message.payload["allowed_mentions"]["users"] == ["123456789012345678"]


def test_pr_715_low_gas_is_told_once_and_so_is_that_it_is_well_again(executor):
    executor.begin()
    gas = notify.Threshold("gas of the hot wallet", unit="MATIC", warn=25, critical=5)

    for left in (30, 24, 23.5, 24, 23, 40, 41):
        gas.observe(left)

    # Before there was one for each refresh below 25. By now the first message is green, too.
    assert [title.partition(": ")[0] for title in executor.titles] == [
        "✅ gas of the hot wallet is low",
        "✅ gas of the hot wallet is well again",
    ]


# ---- who speaks, and what nobody may see


def test_found_here_the_name_and_picture_of_the_strategy_module_reach_discord(executor):
    executor.begin()

    executor.to_discord("Gold digger", "https://example.com/gold.png")  # when the module is loaded
    executor.loop.trade("Bought ETH")

    executor.settle()
    (message,) = executor.discord.messages
    assert (message.payload["username"], message.payload["avatar_url"]) == (
        "Gold digger",
        "https://example.com/gold.png",
    )


def test_found_here_no_secret_of_the_executor_is_shown_anywhere(executor, monkeypatch, tmp_path):
    secrets = {"PRIVATE_KEY": "0x" + "5ca1ab1e" * 8, "TRADING_STRATEGY_API_KEY": "secret-token:tradingstrategy-c4nary"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    root = executor.begin()

    for text in (*secrets.values(), executor.discord.url, TOKEN):
        executor.loop.trade_high("Using %s", text)
    with contextlib.suppress(RuntimeError):
        try:
            raise RuntimeError(f"refused {secrets['PRIVATE_KEY']}")
        finally:
            root.exception("Failed")
            exported = trade_executor.serialise_exception()

    shown = [whole_text(executor), *executor.sent, *map(str, executor.documents), str(exported)]
    shown.append(str(trade_executor.get_ring_buffer_handler().export()))
    leaked = [(name, place) for place, text in enumerate(shown) for name, value in secrets.items() if value in text]
    assert leaked == []
    assert not any(TOKEN in text or executor.discord.url in text for text in shown)
