"""The Lua scripts of this package, which Redis runs one at a time."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

# A server that is full refuses scripts that write, unless they say that they may: or nobody could ever empty it.
HEAD = "#!lua flags=allow-oom\n"


@cache
def source(name: str) -> str:
    """Return the text of the script *name*, the file `name.lua` beside this one."""
    return files("notify.relay").joinpath(f"{name}.lua").read_text("utf-8")


def script(client: "Redis", name: str) -> "Script":
    """Return the script *name*, with what `acknowledge.lua` has for all of them, ready to be called with *client*."""
    return client.register_script(HEAD + source("acknowledge") + source(name))
