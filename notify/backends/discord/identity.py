"""Who a message is from, and who is called by it."""

import re
from dataclasses import dataclass

from notify.backends.discord import text
from notify.setting import parse_snowflake

_MAX_NAME = 80  # Discord's
_REFUSED_INSIDE = re.compile("(dis)(cord)|(cly)(de)", re.IGNORECASE)
_REFUSED = frozenset({"everyone", "here"})
_MENTION = re.compile(r"(?:<@(&?)([0-9]+)>|@?(&?)([0-9]+))")


@dataclass(frozen=True, slots=True)
class Mention:
    """A person or a role that is called when it matters."""

    kind: str
    id: str

    @property
    def text(self) -> str:
        """What calls them when it stands in a message's content."""
        return f"<@&{self.id}>" if self.kind == "roles" else f"<@{self.id}>"


def parse_mention(given: str) -> Mention:
    """Return who is meant by an id, `@id` or `<@id>` (a user), or `&id`, `@&id` or `<@&id>` (a role).

    Raises `ValueError`, without the text, for anything else.
    """
    match = _MENTION.fullmatch(given.strip())
    if match is None:
        raise ValueError("not a mention: use a user's id, or a role's id with & before it")
    role = match[1] or match[3]
    return Mention("roles" if role else "users", parse_snowflake(match[2] or match[4]))


def acceptable_username(name: str) -> str | None:
    """Return *name* as Discord takes it, None if that cannot be.

    Discord refuses names with `discord` or `clyde` in them, the names `everyone` and `here`, and more than 80
    characters. Its list is not complete, by its own words.
    """
    name = " ".join(text.visible(name).split())
    name = _REFUSED_INSIDE.sub(lambda found: "-".join(part for part in found.groups() if part), name)
    name = text.head_that_fits(name, _MAX_NAME, str)[0]
    return None if text.is_blank(name) or name.lower() in _REFUSED else name
