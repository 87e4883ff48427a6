"""Which names are told as slips, with what was meant, and which belong to other programs."""

import time

import pytest
from children import python

from notify.env_file import Environment
from notify.misspelt import unknown
from notify.settings import TABLE, Settings


def told(**env: str) -> dict[str, str]:
    return dict(unknown(Settings(env)))


def told_of_file(**values: str) -> dict[str, str]:
    """What is told of a secrets file that has *values*."""
    env = Environment(values)
    env.file = values
    return dict(unknown(Settings(env)))


def meant(near: str) -> str:
    return f"is no setting of ours; did you mean {near}?"


def test_an_unknown_notify_variable_is_found_with_the_name_it_resembles() -> None:
    assert told(NOTIFY_STDUOT="json", NOTIFY_FLAVOUR="x", NOTIFY_STDOUT="json") == {
        "NOTIFY_FLAVOUR": "is no setting of ours",
        "NOTIFY_STDUOT": meant("NOTIFY_STDOUT"),
    }


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DISCORD_WEBHOOK", "DISCORD_WEBHOOK_URL"),
        ("DISCORD_WEBHOK_URL", "DISCORD_WEBHOOK_URL"),
        ("DISCORD_LEVLE", "DISCORD_LEVEL"),
        ("LOGSTASH_HOST", "LOGSTASH_PORT"),
    ],
)
def test_a_name_that_resembles_one_of_ours_is_found(name: str, near: str) -> None:
    assert told(**{name: "x"}) == {name: meant(near)}


def test_a_setting_of_a_further_channel_needs_the_channels_webhook() -> None:
    needs = {"DISCORD_OPS_LEVEL": "has no effect without DISCORD_OPS_WEBHOOK_URL"}

    assert told(DISCORD_OPS_LEVEL="ERROR") == needs
    assert told(DISCORD_OPS_LEVEL="ERROR", DISCORD_WEBHOOK_URL="x", DISCORD_OPS_WEBHOOK_URL="") == needs
    assert told(DISCORD_OPS_LEVEL="ERROR", DISCORD_OPS_WEBHOOK_URL="x") == {}
    assert told(DISCORD_OPS_LEVEL="") == {}  # which counts as unset


def test_a_setting_of_a_further_channel_that_is_there_may_be_misspelt_at_either_end() -> None:
    there = {"DISCORD_OPS_WEBHOOK_URL": "x"}

    assert told(**there, DISCORD_OSP_LEVEL="ERROR") == {"DISCORD_OSP_LEVEL": meant("DISCORD_OPS_LEVEL")}
    assert told(**there, DISCORD_OPS_LEVLE="ERROR") == {"DISCORD_OPS_LEVLE": meant("DISCORD_OPS_LEVEL")}


@pytest.mark.parametrize("name", ["DISCORD_TOKEN", "DISCORD_BOT_TOKEN", "DISCORD_CLIENT_ID", "LOGSTASH_INDEX"])
def test_what_other_programs_call_theirs_is_not_taken_for_ours(name: str) -> None:
    assert told(**{name: "x"}) == {}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("HTTP_ENABLD", "HTTP_ENABLED"),
        ("HTTP_ENABLE", "HTTP_ENABLED"),
        ("HTTP_PROT", "HTTP_PORT"),
        ("HTPP_PORT", "HTTP_PORT"),
        ("HTTP_PASWORD", "HTTP_PASSWORD"),
        ("HTTP_PASSWD", "HTTP_PASSWORD"),
        ("HTTP_USER_NAME", "HTTP_USERNAME"),
        ("EXECUTER_ID", "EXECUTOR_ID"),
        ("EXECUTORID", "EXECUTOR_ID"),
        ("HEARTBEAT_URI", "HEARTBEAT_URL"),
        ("LOG_LEVL", "LOG_LEVEL"),
        ("SIMULTAE", "SIMULATE"),
        ("UNIT_TESTNG", "UNIT_TESTING"),
    ],
)
def test_a_slip_is_found_in_the_environment_and_in_the_secrets_file_whatever_the_name_begins_with(
    name: str, near: str
) -> None:
    assert told(**{name: "x"}) == {name: meant(near)}
    assert told_of_file(**{name: "x"}) == {name: meant(near)}


def test_of_the_secrets_file_more_is_taken_for_a_slip_than_of_the_environment() -> None:
    assert told_of_file(TS_PUBLIC_STRATEGY="[]") == {"TS_PUBLIC_STRATEGY": meant("TS_PUBLIC_STRATEGIES")}
    assert told(TS_PUBLIC_STRATEGY="[]") == {}  # three letters are others: the environment has many programs' names


@pytest.mark.parametrize(
    "name",
    [
        *("HTTP_PROXY", "HTTPS_PROXY", "PRIVATE_KEY", "JSON_RPC_POLYGON", "TRADING_STRATEGY_API_KEY", "STRATEGY_FILE"),
        *("FILE_LOG_LEVEL", "NAMES", "SENTRY_DSN", "MAX_CYCLES", "GAS_BALANCE_WARNING_LEVEL", "CACHE_PATH"),
        *("HTTPS_PORT", "HTTPS_HOST", "FTP_PASSWORD", "FTP_USERNAME", "SMTP_PASSWORD", "SMTP_USERNAME", "SMTP_PORT"),
    ],
)
def test_what_a_secrets_file_has_for_the_program_itself_is_not_taken_for_ours(name: str) -> None:
    assert told_of_file(**{name: "x"}) == {}


# Of shells, proxies, CGI, containers, CI, orchestrators, clouds, databases and frameworks.
USUAL = [
    name
    for line in """
ALL_PROXY HTTP_PROXY HTTPS_PROXY NO_PROXY FTP_PROXY http_proxy https_proxy no_proxy HTTP_PROXY_HOST HTTP_PROXY_PORT
HTTP_ACCEPT HTTP_ACCEPT_CHARSET HTTP_ACCEPT_ENCODING HTTP_ACCEPT_LANGUAGE HTTP_AUTHORIZATION HTTP_CACHE_CONTROL
HTTP_CONNECTION HTTP_COOKIE HTTP_FORWARDED HTTP_ORIGIN HTTP_REFERER HTTP_USER_AGENT HTTP_VIA HTTP_X_FORWARDED_FOR
HTTP_X_FORWARDED_HOST HTTP_X_FORWARDED_PORT HTTP_X_FORWARDED_PROTO HTTP_X_REAL_IP HTTP_TIMEOUT HTTP_POST HTTP_USER
HTTP_PASS HTTP_AUTH HTTP_ADDR HTTP_BIND HTTP_BASE_URL HTTP_PATH HTTP_PREFIX HTTP_WORKERS HTTP_MAX_REDIRECTS HTTP2_PORT
HTTPS_PORT HTTPS_HOST HTTPS_ENABLED HTTPS_USERNAME HTTPS_PASSWORD FTP_PORT FTP_HOST FTP_USERNAME FTP_PASSWORD
SMTP_PORT SMTP_HOST SMTP_USERNAME SMTP_PASSWORD SMTP_ENABLED TCP_PORT UDP_PORT SSH_PORT GRPC_PORT RPC_PORT
EXECUTOR EXECUTOR_NUMBER EXECUTOR_MEMORY EXECUTOR_CORES SPARK_EXECUTOR_ID SPARK_EXECUTOR_CORES CI_RUNNER_EXECUTABLE_ARCH
LOGLEVEL LOG_LEVELS LOG_FORMAT LOG_FILE LOGNAME LOG_DIR APP_LOG_LEVEL RUST_LOG PYTHONLOGLEVEL ROOT_LOG_LEVEL
HOME HOSTNAME HOSTTYPE LANG LANGUAGE LC_ALL LC_CTYPE LESSOPEN LESSCLOSE LS_COLORS MAIL MANPATH OLDPWD PATH PWD SHELL
SHLVL TERM TERM_PROGRAM TMPDIR USER USERNAME XDG_DATA_DIRS XDG_RUNTIME_DIR XDG_SESSION_ID XDG_STATE_HOME EDITOR PAGER
COLORTERM DBUS_SESSION_BUS_ADDRESS DISPLAY SSH_AUTH_SOCK SSH_CLIENT SSH_CONNECTION SSH_TTY SUDO_USER WAYLAND_DISPLAY
CONDA_PREFIX PIP_INDEX_URL POETRY_HOME PYTHONDONTWRITEBYTECODE PYTHONHASHSEED PYTHONPATH PYTHONUNBUFFERED VIRTUAL_ENV
CURL_CA_BUNDLE REQUESTS_CA_BUNDLE SSL_CERT_DIR SSL_CERT_FILE INVOCATION_ID JOURNAL_STREAM LISTEN_FDS LISTEN_PID
MAINPID NOTIFY_SOCKET RUNTIME_DIRECTORY STATE_DIRECTORY SYSTEMD_EXEC_PID WATCHDOG_PID WATCHDOG_USEC
BUILD_ID BUILD_NUMBER CI GITHUB_ACTIONS GITHUB_EVENT_NAME GITHUB_JOB GITHUB_RUN_ID GITHUB_SHA GITLAB_CI JENKINS_URL
KUBERNETES_PORT KUBERNETES_PORT_443_TCP KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT POD_IP POD_NAMESPACE
REDIS_PORT_6379_TCP_ADDR WEB_PORT_80_TCP_PROTO NODE_ENV NODE_NAME SERVICE_NAME SERVER_NAME SERVER_PORT REMOTE_ADDR
AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_SECRET_ACCESS_KEY AZURE_CLIENT_ID DATABASE_URL DB_HOST DB_PASSWORD
GOOGLE_APPLICATION_CREDENTIALS MYSQL_PASSWORD PGPASSWORD POSTGRES_PASSWORD REDIS_URL CELERY_BROKER_URL
DJANGO_SETTINGS_MODULE FLASK_APP SECRET_KEY SENTRY_DSN SENTRY_ENVIRONMENT TESTING UNITTEST UNIT_TEST UNIT_TESTS DEBUG
FAVICON_URL ICON_PATH STDOUT_LOG STDOUT_PATH STRATEGY_FILE TRADING_STRATEGY_API_KEY SIMULATION SIMULATOR STATUS_URL
""".splitlines()
    for name in line.split()
]


@pytest.mark.parametrize("name", USUAL)
def test_what_a_usual_environment_has_is_not_taken_for_ours(name: str) -> None:
    assert told(**{name: "x"}) == {}


def test_what_a_usual_environment_has_costs_no_millisecond() -> None:
    config = Settings(dict.fromkeys(USUAL, "x"))

    def seconds() -> float:
        began = time.perf_counter()
        unknown(config)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(20)) < 0.001  # what it costs, and not what else the machine does


@pytest.mark.process
def test_nothing_is_imported_for_names_of_others() -> None:
    code = (
        "import sys; from notify.misspelt import unknown; from notify.settings import Settings; "
        f"unknown(Settings(dict.fromkeys({USUAL!r}, 'x'))); print('difflib' in sys.modules)"
    )

    assert python("-c", code).stdout == "False\n"


@pytest.mark.parametrize("name", [row.name for row in TABLE])
def test_what_is_a_setting_is_no_slip_of_another(name: str) -> None:
    assert told(**{name: "x"}) == {}


@pytest.mark.parametrize("name", ["NOTIFY_SUPERVISOR", "NOTIFY_AFTER_CRASH"])
def test_what_a_supervisor_tells_its_program_is_known(name: str) -> None:
    assert told(**{name: "x"}) == {}


def test_the_route_of_a_third_party_backend_is_a_known_variable() -> None:
    assert told(NOTIFY_BACKENDS="notify_sms", NOTIFY_SMS_LEVEL="ERROR", NOTIFY_SMS_TOPICS="trade") == {}
