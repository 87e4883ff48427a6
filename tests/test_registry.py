"""What programs may pass as a backend, and third-party backends found by their entry point."""

import importlib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from notify.backends.function import FunctionBackend
from notify.backends.handler import HandlerBackend
from notify.backends.memory import MemoryBackend
from notify.backends.registry import adapt, load
from notify.errors import ConfigError, Rejected
from notify.event import Event
from notify.testing import check_backend

CANARY = "https://discord.com/api/webhooks/1/c4nary"

# All that the author of a backend writes.
PAGER = """
class Pager:
    def __init__(self, url):
        self.url = url
        self.sent = []

    def send(self, events, /):
        self.sent.append(events[0].message)
        return 1

    def close(self):
        pass


def from_env(env):
    return Pager(env["PAGER_URL"]) if "PAGER_URL" in env else None
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs a distribution with one module and one entry point, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str, code: str, *, target: str | None = None) -> None:
        module = f"third_party_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        about = tmp_path / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[notify.backends]\n{name} = {target or module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    return installed


def event(message: str = "Bought") -> Event:
    return Event(id="1", time=0.0, message=message, level=21)


# ---- what a program passes


def test_a_backend_is_taken_as_it_is() -> None:
    backend = MemoryBackend()

    assert adapt(backend) is backend


def test_a_function_becomes_a_backend() -> None:
    got: list[Event] = []

    backend = adapt(got.append)
    backend.send([event()])

    assert isinstance(backend, FunctionBackend)
    assert [one.message for one in got] == ["Bought"]


def test_a_handler_becomes_a_backend_though_it_may_have_a_send_of_its_own() -> None:
    from logging.handlers import SocketHandler

    backend = adapt(SocketHandler("127.0.0.1", 9))

    assert isinstance(backend, HandlerBackend)
    backend.close()


@pytest.mark.parametrize(
    "candidate",
    [None, CANARY, {"url": CANARY}, MemoryBackend, logging.StreamHandler, object()],
    ids=["None", "a text", "a dict", "a class of backends", "a class of handlers", "an object"],
)
def test_anything_else_is_refused_without_showing_it(candidate: object) -> None:
    with pytest.raises(ValueError, match="is no backend") as caught:
        adapt(candidate)

    assert "c4nary" not in str(caught.value)


def test_who_passes_a_class_is_told_so() -> None:
    with pytest.raises(ValueError, match="the class MemoryBackend is no backend: pass an object"):
        adapt(MemoryBackend)


class Later:
    """A backend that somebody wrote for an event loop."""

    async def send(self, events: Sequence[Event], /) -> int:
        return len(events)

    def close(self) -> None:
        pass


class LaterAndLater(Later):
    async def send(self, events: Sequence[Event], /) -> AsyncIterator[int]:  # type: ignore[override]  # another one
        yield len(events)


@pytest.mark.parametrize("kind", [Later, LaterAndLater])
def test_a_backend_whose_send_is_asynchronous_is_refused(kind: type[Later]) -> None:
    with pytest.raises(ValueError, match=r"send\(\) is asynchronous"):
        adapt(kind())


# ---- what is installed


def test_a_backend_in_one_file_is_loaded_by_its_name(install: Install) -> None:
    install("pager", PAGER)

    backend = load("pager", {"PAGER_URL": "x"})

    assert backend is not None
    assert backend.send([event("one"), event("two")]) == 1
    assert backend.sent == ["one"]  # type: ignore[attr-defined]  # the pager's own


def test_the_backend_of_the_contracts_page_keeps_the_contract(install: Install) -> None:
    install("pager", PAGER)

    def make() -> MemoryBackend:
        return load("pager", {"PAGER_URL": "x"})  # type: ignore[return-value]  # a backend all the same

    check_backend(make)


def test_from_env_may_be_a_method_of_a_class(install: Install) -> None:
    code = PAGER + "\nclass Plugin:\n    from_env = staticmethod(from_env)\n"
    install("pager", code, target="third_party_pager:Plugin")

    assert load("pager", {"PAGER_URL": "x"}) is not None


def test_a_backend_that_is_not_configured_is_none(install: Install) -> None:
    install("pager", PAGER)

    assert load("pager", {}) is None


def test_a_backend_that_is_not_installed_is_an_error_that_lists_what_is(install: Install) -> None:
    install("pager", PAGER)

    with pytest.raises(ConfigError, match=r"NOTIFY_BACKENDS: no backend 'sms' is installed \(installed: .*pager"):
        load("sms", {})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (f"raise RuntimeError('{CANARY}')", "RuntimeError"),
        (f"import no_such_module_of_anybody  # {CANARY}", "ModuleNotFoundError"),
        ("this is no Python", "SyntaxError"),
        ("", "AttributeError"),  # no from_env
        (f"def from_env(env):\n    raise KeyError('{CANARY}')", "KeyError"),
        (f"def from_env():\n    '{CANARY}'", "TypeError"),
    ],
)
def test_a_backend_that_fails_to_load_is_an_error_that_shows_nothing_of_it(
    install: Install, code: str, kind: str
) -> None:
    install("pager", code)

    with pytest.raises(ConfigError) as caught:
        load("pager", {"PAGER_URL": CANARY})

    assert str(caught.value) == f"NOTIFY_BACKENDS: backend 'pager' failed to load: {kind}"
    assert caught.value.__suppress_context__  # a traceback would print the cause


def test_a_backend_may_refuse_its_settings_in_its_own_words(install: Install) -> None:
    install(
        "pager",
        "from notify import ConfigError\ndef from_env(env):\n    raise ConfigError('PAGER_URL: not an address')",
    )

    with pytest.raises(ConfigError, match=r"^PAGER_URL: not an address$"):
        load("pager", {})


@pytest.mark.parametrize("returned", ["object()", "'text'", "False", "type('B', (), {'close': None})()"])
def test_a_backend_without_send_and_close_is_an_error(install: Install, returned: str) -> None:
    install("pager", f"def from_env(env):\n    return {returned}")

    with pytest.raises(ConfigError, match=r"NOTIFY_BACKENDS: backend 'pager' has no send\(\) and close\(\)"):
        load("pager", {})


def test_an_installed_backend_whose_send_is_asynchronous_is_refused(install: Install) -> None:
    install("pager", PAGER.replace("def send", "async def send"))

    with pytest.raises(ConfigError, match=r"NOTIFY_BACKENDS: backend 'pager': send\(\) is asynchronous"):
        load("pager", {"PAGER_URL": "x"})


def test_third_parties_can_use_our_exceptions(install: Install) -> None:
    install("pager", PAGER.replace("return 1", "raise __import__('notify').Rejected('no')"))
    backend = load("pager", {"PAGER_URL": "x"})

    assert backend is not None
    with pytest.raises(Rejected):
        backend.send([event()])
