"""The fixture `notify_outbox`, in test runs of their own as other projects have them."""

import sys

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> "Run":
    # The installed package loads the plugin by its entry point, a checkout does not; so both load it by hand.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delitem(sys.modules, "notify.pytest_plugin", raising=False)  # or pytest warns that it is loaded twice
    for name in ("DISCORD_WEBHOOK_URL", "LOGSTASH_SERVER"):
        monkeypatch.delenv(name, raising=False)
    return Run(pytester)


class Run:
    """Runs a test file in a process-wide clean pytest."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    def __call__(self, code: str, **outcomes: int) -> pytest.RunResult:
        self._pytester.makepyfile(code)
        # In one process the plugin is there already when this pytest wants to load it, and says so.
        rewrite = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
        result = self._pytester.runpytest_inprocess("-p", "notify.pytest_plugin", "-W", "error", "-W", rewrite)
        result.assert_outcomes(**outcomes)
        return result


def test_it_is_listed_with_its_first_sentence(run: Run, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("-p", "notify.pytest_plugin", "--fixtures")

    result.stdout.fnmatch_lines(["notify_outbox*", "*Catch every event that is logged or notified during the test*"])


def test_a_program_is_tested_by_what_it_said(run: Run) -> None:
    run(
        """
        import logging
        import notify

        def program():
            notifier = notify.setup()
            logging.getLogger("strategy").info("thinking", extra={"pair": "ETH-USDC"})
            notifier.trade("Bought 0.25 ETH", fields={"price": 3450.1})

        def test_it_buys(notify_outbox):
            program()

            assert any("Bought" in m for m in notify_outbox.messages)
            assert notify_outbox.messages == ["thinking", "Bought 0.25 ETH"]
            assert [event.fields for event in notify_outbox.of_topic("trade")] == [{"price": 3450.1}]
            assert len(notify_outbox) == 2
            assert [event.level for event in notify_outbox] == [logging.INFO, notify.TRADE]
        """,
        passed=1,
    )


def test_messages_are_in_the_order_of_saying_also_with_an_error_among_them(run: Run) -> None:
    run(
        """
        import logging
        import pytest

        @pytest.mark.parametrize("time", range(20))  # the order of a lane with an ERROR in it varies from run to run
        def test_it(notify_outbox, time):
            log = logging.getLogger("strategy")
            log.info("a")
            log.trade("b")
            log.error("c")
            notify_outbox.notifier.notify("d", level=logging.CRITICAL)
            log.info("e")

            assert notify_outbox.messages == ["a", "b", "c", "d", "e"]
        """,
        passed=20,
    )


def test_setup_in_the_code_under_test_returns_the_notifier_of_the_fixture(run: Run) -> None:
    run(
        """
        import notify

        def test_it(notify_outbox):
            notifier = notify.setup(env={"DISCORD_WEBHOOK_URL": "unusable"}, backends={"sink": print})
            assert notifier is notify_outbox.notifier is notify.get_notifier()
            assert list(notifier.stats()) == ["outbox"]
        """,
        passed=1,
    )


def test_nothing_reaches_the_network(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # An address of a documentation network: a post there would take its time, and fail.
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", "https://discord.com/api/webhooks/1/x")
    monkeypatch.setenv("LOGSTASH_SERVER", "192.0.2.1")
    run(
        """
        import socket
        import notify

        def test_it(notify_outbox, monkeypatch):
            opened = []
            monkeypatch.setattr(socket, "socket", lambda *a, **k: opened.append(a))
            with notify.setup() as notifier:
                notifier.notify("hello")
            assert notify_outbox.messages == ["hello"]
            assert opened == []
        """,
        passed=1,
    )


def test_what_one_test_said_is_not_heard_in_the_next(run: Run) -> None:
    run(
        """
        import logging
        import pytest
        import notify
        from notify.errors import ConfigError

        before = logging.getLogger().level, tuple(h for h in logging.getLogger().handlers if "IntakeHandler" in repr(h))

        def test_one(notify_outbox):
            notify.get_notifier().notify("one")
            assert notify_outbox.messages == ["one"]

        def test_two(notify_outbox):
            notify.get_notifier().notify("two")
            assert notify_outbox.messages == ["two"]

        def test_without():
            root = logging.getLogger()
            assert (root.level, tuple(h for h in root.handlers if "IntakeHandler" in repr(h))) == before
            with pytest.raises(ConfigError):
                notify.get_notifier()
        """,
        passed=3,
    )


def test_a_failing_test_leaves_nothing_behind(run: Run) -> None:
    run(
        """
        import threading
        import notify.notifier

        def test_one(notify_outbox):
            assert not notify_outbox.messages, "as it should be"
            raise ValueError

        def test_two():
            assert notify.notifier.current_notifier() is None
            assert not [t for t in threading.enumerate() if t.name.startswith("notify-")]
        """,
        passed=1,
        failed=1,
    )


def test_code_that_closes_its_notifier_may_run_twice_in_a_test(run: Run) -> None:
    run(
        """
        import notify

        def program():
            with notify.setup() as notifier:
                notifier.notify("ran")

        def test_it(notify_outbox):
            program()
            program()
            assert notify_outbox.messages == ["ran", "ran"]
        """,
        passed=1,
    )


def test_the_outbox_can_be_emptied_and_keeps_levels_and_topics_of_all_kinds(run: Run) -> None:
    run(
        """
        import logging

        def test_it(notify_outbox):
            notifier = notify_outbox.notifier
            notifier.notify("a", level=logging.DEBUG, topic="anything")
            logging.getLogger("x").debug("below INFO, where the root logger stands")
            notify_outbox.clear()
            assert notify_outbox.events == []
            notifier.notify("b", level=1)
            assert notify_outbox.messages == ["b"]
        """,
        passed=1,
    )


def test_it_goes_along_with_caplog(run: Run) -> None:
    run(
        """
        import logging

        def test_it(caplog, notify_outbox):
            caplog.set_level(logging.DEBUG)
            logging.getLogger("x").debug("fine")
            assert caplog.messages == notify_outbox.messages == ["fine"]
        """,
        passed=1,
    )


def test_a_process_that_does_not_use_it_does_not_pay_for_it(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "notify.testing.caught" not in sys.modules
        """
    )

    pytester.runpytest_subprocess("-p", "notify.pytest_plugin").assert_outcomes(passed=1)
