"""Prints the page docs/settings.md from the table of settings: `python docs/settings_page.py > docs/settings.md`."""

from notify.rules.routing import TOPICS
from notify.settings import TABLE

HEAD = """# Settings

From the environment, or from a secrets file below it (`notify.setup(env_file=…)`, `notify … --env-file …`). An empty value
counts as unset. A file that others can read is refused. `notify env` shows this table with what is set; `notify doctor` checks it.
A value that cannot be used ends the start with a `ConfigError`. When nothing reads it, as `DISCORD_LEVEL` without a webhook, the program starts,
and one line on standard error says what is wrong; for `doctor` it is wrong all the same.

Every backend has `<BACKEND>_LEVEL`, `<BACKEND>_TOPICS` and `<BACKEND>_FALLBACK` under its name: a backend passed as `backends={"sink": …}` or
named in `NOTIFY_BACKENDS` reads `SINK_LEVEL` (INFO), `SINK_TOPICS` (all) and `SINK_FALLBACK`, the name of the backend that gets what goes there while
it is [gone](alerts.md#when-a-channel-is-gone). In `notify relay` each has `<BACKEND>_EXECUTORS`, too.

Levels are logging's names, `TRADE`, `TRADE_HIGH`, a number, or `off`. Topics are free text; these are in use:
{topics}.
`notify doctor` warns of others, which may be slips.

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    rows = (f"| `{row.name}` | {row.shown_default} | {row.meaning} |\n" for row in TABLE)
    return HEAD.replace("{topics}", ", ".join(f"`{topic}`" for topic in TOPICS)) + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
