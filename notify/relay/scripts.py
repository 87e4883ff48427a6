"""The Lua scripts of this package, which Redis runs one at a time."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from notify.backends.relay.wire import DEAD, EVENTS, GROUP
from notify.relay import keys

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

# A server that is full refuses scripts that write, unless they say that they may: or nobody could ever empty it.
HEAD = "#!lua flags=allow-oom\n"
# What scripts call the keys, in capitals what names of keys begin with.
_KEYS = {
    "events": EVENTS,
    "group": GROUP,
    "dead": DEAD,
    "workers": keys.WORKERS,
    "heirs": keys.HEIRS,
    "hands": keys.HANDS,
    "in_hand": keys.IN_HAND,
    "ENTRY": keys.ENTRY,
    "SEEN": keys.SEEN,
    "PARKED": keys.PARKED,
    "WORKER": keys.WORKER,
    "SAID": keys.SAID,
    "lock": keys.LOCK,
    "matters": keys.MATTERS,
    "log": keys.CHANGES,
    "said": keys.TELLING,
    "HEARD": keys.HEARD,
}


def locals_of(constants: Mapping[str, float | str]) -> str:
    """Return the Lua that makes *constants* known by their names. Their texts need no escaping."""
    return "".join(f"local {name} = {value!r}\n" for name, value in constants.items())


@cache
def source(name: str) -> str:
    """Return the text of the script *name*, the file `name.lua` beside this one."""
    return files("notify.relay").joinpath(f"{name}.lua").read_text("utf-8")


def script(client: "Redis", name: str) -> "Script":
    """Return the script *name*, with what `prelude.lua` has for all of them, ready to be called with *client*."""
    return client.register_script(HEAD + locals_of(_KEYS) + source("prelude") + source(name))
