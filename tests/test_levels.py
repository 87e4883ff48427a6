import inspect
import json
import logging
from collections.abc import Iterator

import pytest
from children import python

from notify.levels import TRADE, TRADE_HIGH, level_name, number_trade_high, parse_level, severity

pytestmark = pytest.mark.interpreter


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("strategy")  # its own tree: nothing propagates
    logger.setLevel(logging.DEBUG)
    return logger


@pytest.fixture
def recorder(logger: logging.Logger) -> Iterator[Recorder]:
    recorder = Recorder()
    logger.addHandler(recorder)
    yield recorder
    logger.removeHandler(recorder)


def this_line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_trade_is_21_and_trade_high_is_22_and_logging_knows_both() -> None:
    # trade-executor's numbers
    assert (TRADE, TRADE_HIGH) == (21, 22)
    assert (logging.getLevelName(21), logging.getLevelName("TRADE_HIGH")) == ("TRADE", 22)
    assert (logging.TRADE, logging.TRADE_HIGH) == (21, 22)  # type: ignore[attr-defined]  # added at run time


@pytest.mark.parametrize(("method", "level"), [("trade", 21), ("trade_high", 22)])
def test_the_new_methods_report_the_line_of_their_caller(
    logger: logging.Logger, recorder: Recorder, method: str, level: int
) -> None:
    line = this_line() + 1
    getattr(logger, method)("Bought %s", "ETH")

    (record,) = recorder.records
    assert (record.levelno, record.getMessage(), record.lineno) == (level, "Bought ETH", line)
    assert (record.filename, record.funcName) == (
        "test_levels.py",
        "test_the_new_methods_report_the_line_of_their_caller",
    )


def test_a_stacklevel_is_counted_from_the_caller(logger: logging.Logger, recorder: Recorder) -> None:
    def wrapper() -> None:
        logger.trade("Bought", stacklevel=2)  # type: ignore[attr-defined]  # added at run time

    line = this_line() + 1
    wrapper()

    assert recorder.records[0].lineno == line


def test_extras_and_exceptions_go_with_a_trade(logger: logging.Logger, recorder: Recorder) -> None:
    error = ValueError("slippage")

    logger.trade("Bought", extra={"pair": "ETH"}, exc_info=error)  # type: ignore[attr-defined]  # added at run time

    (record,) = recorder.records
    assert record.__dict__["pair"] == "ETH"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_trade_below_the_loggers_level_is_not_even_formatted(logger: logging.Logger, recorder: Recorder) -> None:
    logger.setLevel(logging.WARNING)

    logger.trade("Bought")  # type: ignore[attr-defined]  # added at run time

    assert recorder.records == []


# What programs do before they import us, and the numbers that are in force afterwards.
HOSTS = {
    "nothing": ("", 21, 22),
    "as trade-executor": (
        "logging.TRADE = 21; logging.addLevelName(21, 'TRADE'); logging.TRADE_HIGH = 51;"
        "logging.addLevelName(51, 'TRADE_HIGH')",
        21,
        51,
    ),
    "names only": ("logging.addLevelName(23, 'TRADE'); logging.addLevelName(24, 'TRADE_HIGH')", 23, 24),
    "attributes only": ("logging.TRADE = 26; logging.TRADE_HIGH = 27", 26, 27),
    "something else of that name": ("logging.TRADE = 'a string'", 21, 22),
}


@pytest.mark.process
@pytest.mark.parametrize(("before", "trade", "trade_high"), HOSTS.values(), ids=HOSTS)
def test_levels_that_a_program_registered_first_keep_their_numbers(before: str, trade: int, trade_high: int) -> None:
    script = f"""if True:
        import json, logging
        {before}
        from notify.levels import number_trade_high, TRADE, TRADE_HIGH
        names = [logging.getLevelName(TRADE), logging.getLevelName(TRADE_HIGH)]
        logging.basicConfig(level=1, format="%(levelno)d %(levelname)s %(lineno)d")
        logging.getLogger("a").trade("Bought")
        print(json.dumps([TRADE, TRADE_HIGH, names]))
    """

    run = python("-c", script)

    assert json.loads(run.stdout) == [trade, trade_high, ["TRADE", "TRADE_HIGH"]]
    assert run.stderr == f"{trade} TRADE 7\n"  # the seventh line of the script


@pytest.mark.process
def test_a_method_that_a_program_registered_first_stays_its_own() -> None:
    script = """if True:
        import logging
        logging.Logger.trade = lambda self, message: print("the program's own", message)
        import notify.levels
        logging.getLogger("a").trade("Bought")
    """

    run = python("-c", script)

    assert (run.stdout, run.stderr) == ("the program's own Bought\n", "")


def test_trade_high_above_critical_weighs_as_much_as_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(logging._levelToName, 51, "TRADE_HIGH")

    assert severity(51) == 22


@pytest.mark.parametrize("level", [0, 10, 20, 21, 22, 23, 50, 51, 60])
def test_every_other_level_weighs_its_number(level: int) -> None:
    assert severity(level) == level


def test_a_level_without_a_name_is_shown_by_its_number() -> None:
    assert (level_name(21), level_name(23)) == ("TRADE", "Level 23")


@pytest.mark.parametrize(
    ("text", "level"), [("trade", 21), (" Warning ", 30), ("CRITICAL", 50), ("17", 17), ("0", 0), ("warn", 30)]
)
def test_a_level_is_read_by_name_in_any_case_or_by_number(text: str, level: int) -> None:
    assert parse_level(text) == level


@pytest.mark.parametrize("text", ["", "secret", "-5", "1.5", "²", "Level 23"])
def test_what_is_no_level_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="not a level") as caught:
        parse_level(text)

    assert "secret" not in str(caught.value)


def test_trade_high_may_be_given_another_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "TRADE_HIGH", 22)
    monkeypatch.setitem(logging._levelToName, 51, "")
    monkeypatch.setitem(logging._nameToLevel, "TRADE_HIGH", 22)
    records: list[logging.LogRecord] = []
    logger = logging.Logger("loop")
    logger.handle = records.append  # type: ignore[method-assign]

    number_trade_high(51)
    logger.trade_high("Rebalanced")  # type: ignore[attr-defined]

    assert [(record.levelno, record.levelname, record.filename) for record in records] == [
        (51, "TRADE_HIGH", "test_levels.py")
    ]
    assert parse_level("trade_high") == 51
    assert severity(51) == severity(22) == 22
