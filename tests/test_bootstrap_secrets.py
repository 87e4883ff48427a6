"""What `setup()` knows to be secret leaves by no way: not to the disk, not to a backend."""

import base64
import json
import logging
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest
from lanes import LONG, Hanging
from set_up import QUIET, bare_root, secrets_file

import notify
from notify.backends.memory import MemoryBackend
from notify.event import Attachment, Event, new_id
from notify.rules.redaction import MASK

# It has characters that every spelling changes, and looks like no secret: only its value gives it away.
SECRET = 'correct "horse" battery/staple'
SPELLINGS = {
    "plain": SECRET,
    "in a URL": urllib.parse.quote(SECRET, safe=""),
    "in a form": urllib.parse.quote_plus(SECRET),
    "in JSON": json.dumps(SECRET)[1:-1],
    "in base64": base64.b64encode(SECRET.encode()).decode(),
}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return secrets_file(tmp_path, f"WORDS='{SECRET}'\nSINK_LEVEL=DEBUG\n")


def everything_on_disk(state: Path) -> bytes:
    # By another process: one that closes a database's file itself drops the locks that SQLite holds on it.
    return subprocess.run(["cat", *state.glob("outbox*")], capture_output=True, check=True).stdout


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_value_of_the_secrets_file_reaches_the_disk_or_a_backend(
    state: Path, secrets: Path, spelling: str
) -> None:
    text = SPELLINGS[spelling]
    hanging, other = Hanging(durable=True), MemoryBackend()
    env = {**QUIET, "NOTIFY_STATE_DIR": str(state)}
    with notify.setup(env=env, env_file=secrets, backends={"discord": hanging, "sink": other}) as notifier:
        ticket = notifier.trade(
            f"Bought with {text}.",
            body=f"words={text}",
            fields={"plain": text, text: 1},
            key=text,
            attachments=[Attachment("a.txt", text.encode())],
            exc=ValueError(text),
        )
        assert ticket.durable
        on_disk = everything_on_disk(state)
        hanging.let.set()
        ticket.wait(LONG)

    (event,), (same,) = hanging.events, other.events
    assert event.message == f"Bought with {MASK}."
    assert same == event
    assert text.encode() not in on_disk
    assert b"Bought with" in on_disk
    assert text not in repr(event)
    assert text.encode() not in event.attachments[0].data


def test_what_is_logged_is_redacted_too(secrets: Path) -> None:
    bare_root()
    backend = MemoryBackend()
    with notify.setup(env=QUIET, env_file=secrets, backends={"sink": backend}):
        logging.getLogger("strategy").info("the words: %s", SECRET, extra={"words": SECRET})

    (event,) = backend.events
    assert event.message == f"the words: {MASK}"
    assert event.fields["words"] == MASK


def test_the_value_of_a_variable_with_a_secret_name_is_redacted() -> None:
    backend = MemoryBackend()
    env = {**QUIET, "EXCHANGE_API_SECRET": "quite ordinary words", "EXCHANGE_NAME": "Binance of the North"}
    with notify.setup(env=env, backends={"sink": backend}) as notifier:
        notifier.notify("quite ordinary words at Binance of the North")

    assert backend.messages == [f"{MASK} at Binance of the North"]


def test_a_setting_of_ours_in_the_secrets_file_is_no_secret_and_its_words_stay_readable(secrets: Path) -> None:
    backend = MemoryBackend()
    with secrets.open("a") as file:
        file.write("NAME=Golddigger\n")
    with notify.setup(env=QUIET, env_file=secrets, backends={"sink": backend}) as notifier:
        notifier.notify("Golddigger logs at DEBUG")

    assert backend.messages == ["Golddigger logs at DEBUG"]


def test_without_a_secrets_file_what_looks_like_a_secret_is_redacted() -> None:
    backend = MemoryBackend()
    with notify.setup(env=QUIET, backends={"sink": backend}) as notifier:
        notifier.notify("x", fields={"password": "hunter22"})

    assert backend.events[0].fields == {"password": MASK}


def test_the_callers_own_event_stays_as_it_was(state: Path, secrets: Path) -> None:
    backend = MemoryBackend(durable=True)
    now = time.time()
    fields = {"words": SECRET, "more": [SECRET]}
    mine = Event(id=new_id(now), time=now, message=SECRET, level=notify.TRADE, fields=fields)
    env = {**QUIET, "NOTIFY_STATE_DIR": str(state)}
    with notify.setup(env=env, env_file=secrets, backends={"discord": backend}) as notifier:
        assert notifier.accept(mine).wait(LONG) == {"discord": "delivered"}

    assert backend.messages == [MASK]
    assert (mine.message, mine.fields) == (SECRET, {"words": SECRET, "more": [SECRET]})


def test_a_value_of_the_secrets_file_that_the_environment_replaces_is_still_redacted(secrets: Path) -> None:
    backend = MemoryBackend()
    env = {**QUIET, "WORDS": "other words"}
    with notify.setup(env=env, env_file=secrets, backends={"sink": backend}) as notifier:
        notifier.notify(f"the words: {SECRET}")

    assert backend.messages == [f"the words: {MASK}"]


def test_a_secret_variable_of_the_process_is_redacted_also_when_setup_is_given_an_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXCHANGE_API_SECRET", "quite ordinary words")  # libraries read it there all the same
    backend = MemoryBackend()
    with notify.setup(env=QUIET, backends={"sink": backend}) as notifier:
        notifier.notify("login failed with quite ordinary words", exc=ValueError("quite ordinary words"))

    assert backend.messages[0].startswith(f"login failed with {MASK}")
    assert "ordinary" not in repr(backend.events)


def test_a_secret_variable_that_is_set_later_is_redacted_from_the_next_setup_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = MemoryBackend()
    with notify.setup(env=QUIET, backends={"sink": sink}) as notifier:
        monkeypatch.setenv("WALLET_PASSWORD", SECRET)

        assert notify.setup() is notifier
        notifier.notify(f"The words are {SECRET}.")

    assert [event.message for event in sink.events] == [f"The words are {MASK}."]
