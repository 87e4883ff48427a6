"""Names of the environment that nothing reads and that look like settings of ours: slips, told with the right name."""

import re
from collections.abc import Collection, Iterable

from notify import diagnostics
from notify.settings import DISCORD, TABLE, Settings

# What `notify run` tells the program that it runs.
_NOT_FOR_PEOPLE = frozenset({"NOTIFY_SUPERVISOR", "NOTIFY_AFTER_CRASH"})
_FAMILIES = ("NOTIFY_", "DISCORD_", "LOGSTASH_", "TELEGRAM_", "APPRISE_", "RELAY_")
_SHORTEST = 8  # letters of a name that is looked at for a slip: of shorter ones too many are alike
# Names of others that look like ours: systemd's, and those that are a letter away from one of ours.
_FOREIGN = frozenset({"NOTIFY_SOCKET", "LOGLEVEL", "LOG_LEVELS", "HTTP_POST"})
_FOREIGN_FAMILIES = ("HTTPS_", "HTTP2_", "FTP_")
_OF_A_CHANNEL = re.compile(rf"DISCORD_([A-Z0-9_]+)_({'|'.join(row.name.removeprefix('DISCORD_') for row in DISCORD)})")
_ELSEWHERE = tuple(row.name for row in TABLE if not row.name.startswith(_FAMILIES) and len(row.name) >= _SHORTEST)


def unknown(config: Settings) -> list[tuple[str, str]]:
    """Return every variable that nothing reads and that is called as ours are, with what to say of it.

    Names that begin with `NOTIFY_` are ours alone. With the names of services others begin theirs too, and the
    secrets file may have names of others: of these only what resembles one of ours is returned. The environment is
    full of others' names (`HTTP_PROXY`): of all the rest there, only what is one slip of the finger from one of ours.
    """
    known = {setting.name for setting in config.rows()}
    found = []
    for name in sorted(config.env.keys() - known - _NOT_FOR_PEOPLE - _FOREIGN):
        ours = name.startswith("NOTIFY_")
        if name.startswith(_FAMILIES):
            near = _nearest(name, known, 0.75 if ours else 0.8)
            channel = _OF_A_CHANNEL.fullmatch(name)
            # A name like DISCORD_LOG_LEVEL is nearest to DISCORD_LEVEL, and means something else.
            if channel is not None and near in (None, f"DISCORD_{channel[2]}"):
                if config.env[name]:
                    found.append((name, f"has no effect without DISCORD_{channel[1]}_WEBHOOK_URL"))
                continue
        elif len(name) < _SHORTEST or name.startswith(_FOREIGN_FAMILIES):
            continue
        else:
            near = _slip_of(name, _ELSEWHERE)
            if near is None and name in config.file:
                near = _nearest(name, known, 0.88)  # a slip of one letter in eight; HTTP_PROXY is none of HTTP_PORT
        if ours or near:
            hint = f"; did you mean {near}?" if near else ""
            found.append((name, f"is no setting of ours{hint}"))
    return found


def report(config: Settings) -> None:
    """Report each variable that nothing reads and that is called as ours are."""
    for name, why in unknown(config):
        diagnostics.report(f"unknown {name}", f"{name} {why}")


def _nearest(name: str, known: Collection[str], cutoff: float) -> str | None:
    import difflib  # a program without such names need not load it

    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def _slip_of(name: str, known: Iterable[str]) -> str | None:
    """Return which of *known* becomes *name* by one slip: a letter wrong, too many, or up to two missing or swapped.

    Every start looks at the whole environment so, and this is much quicker than difflib.
    """
    length, first, last = len(name), name[0], name[-1]
    for each in known:
        # A slip of one place leaves the first letter or the last.
        if -1 <= len(each) - length <= 2 and (each[0] == first or each[-1] == last) and _is_slip(name, each):
            return each
    return None


def _is_slip(name: str, right: str) -> bool:
    shorter = min(len(name), len(right))
    same = 0
    while same < shorter and name[same] == right[same]:
        same += 1
    name, right = name[same:], right[same:]
    shorter -= same
    same = 0
    while same < shorter and name[-1 - same] == right[-1 - same]:
        same += 1
    typed, meant = name[: len(name) - same], right[: len(right) - same]
    return (len(typed) <= 1 and len(meant) <= 1) or not typed or (len(typed) == 2 and typed == meant[::-1])
