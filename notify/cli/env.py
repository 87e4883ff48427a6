"""`notify env`: the table of settings with what is set."""

from collections.abc import Mapping

from notify.cli.output import print_json, print_table
from notify.errors import ConfigError
from notify.rules.redaction import Redactor
from notify.setting import Setting
from notify.settings import Settings

MASK = "•••••• (set)"
UNUSABLE = "unusable: see `notify doctor`"


def show(env: Mapping[str, str], *, only_set: bool, as_json: bool) -> None:
    """Print every setting, or those that are set.

    A secret is never printed, nor what looks like one where none belongs.
    """
    config = Settings(env)
    rows = [(setting, _value(config, setting)) for setting in config.rows() if config.is_set(setting) or not only_set]
    if as_json:
        print_json(
            [
                {
                    "name": setting.name,
                    "value": value or None,
                    "default": setting.shown_default,
                    "meaning": setting.meaning,
                    "secret": setting.secret,
                }
                for setting, value in rows
            ]
        )
    elif not rows:
        print("no setting is set")
    else:
        print_table(
            "Settings",
            ("variable", "value", "default", "meaning"),
            [(setting.name, value, setting.shown_default, setting.meaning) for setting, value in rows],
        )


def _value(config: Settings, setting: Setting[object]) -> str:
    if not config.is_set(setting):
        return ""
    try:
        config.get(setting)
    except ConfigError:
        return UNUSABLE
    return MASK if setting.secret else Redactor().text(config.env[setting.name])
