"""`notify preview`: an event as Discord would show it, in the browser."""

import os
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from notify import settings
from notify.backends.discord.identity import acceptable_username, parse_mention
from notify.backends.discord.message import Appearance, Message, compose
from notify.bootstrap import redactor
from notify.errors import ConfigError
from notify.event import Event
from notify.preview.given import events_of
from notify.preview.page import page
from notify.settings import Settings

_MOST_EVENTS = 100
_STDIN = "-"


def show(env: Mapping[str, str], source: Path, output: Path | None, *, browser: bool) -> int:
    """Write the page, print where it is, open it if there is a browser, and return the exit code 0.

    Args:
        env: says who speaks and who is called, and what is secret.
        source: of the JSON; `-` is standard input.
        output: where the page goes; None is a file that only this user can read, in the directory for temporary ones.
        browser: open it.

    Raises `ConfigError` for what cannot be read, is no event or cannot be written, and when a setting is unusable.
    """
    config = Settings(env)
    name = "standard input" if str(source) == _STDIN else str(source)
    try:
        data = sys.stdin.buffer.read() if str(source) == _STDIN else source.read_bytes()
        events, unknown = events_of(data, time.time())
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    if len(events) > _MOST_EVENTS:
        raise ConfigError(f"{name}: {len(events):,} events, more than the {_MOST_EVENTS} that one page shows")
    if unknown:
        print(f"notify: {name}: no part of an event, left out: {', '.join(map(repr, unknown))}", file=sys.stderr)
    messages = _messages(redactor(config).events(events), _appearance(config))
    written = _write(page(list(messages)), output)
    print(written)
    if browser and _has_browser(os.environ):
        webbrowser.open(written.as_uri())
    return 0


def _messages(events: Sequence[Event], appearance: Appearance) -> Iterator[Message]:
    while events:
        message = compose(events, appearance)
        yield message
        events = events[message.count :]


def _appearance(config: Settings) -> Appearance:
    username = config.get(settings.DISCORD_USERNAME) or config.get(settings.NAME) or settings.program_name()
    mention = config.get(settings.DISCORD_MENTION)
    try:
        called = parse_mention(mention) if mention else None
    except ValueError as error:
        raise ConfigError(f"{settings.DISCORD_MENTION.name}: {error}") from None
    return Appearance(acceptable_username(username), mention=called, silent=config.get(settings.DISCORD_SILENT))


def _write(html: str, output: Path | None) -> Path:
    try:
        if output is None:
            descriptor, name = tempfile.mkstemp(prefix="notify-preview-", suffix=".html")
            os.close(descriptor)
            output = Path(name)
        output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output: {output or tempfile.gettempdir()}: {error.strerror}") from None
    return output.absolute()


def _has_browser(env: Mapping[str, str]) -> bool:
    """Say whether a page can be opened on a screen; a browser for the terminal would take the terminal."""
    return sys.platform == "darwin" or any(env.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
