"""Holds the floors of the house: who may import whom, how long a module may be, what the door shows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from children import python

import notify

PACKAGE = Path(notify.__file__).parent
MAX_LINES = 400

# By the name of the module or package below `notify`.
FLOORS: dict[str, int] = {
    **dict.fromkeys(["event", "levels", "errors", "backend", "clock", "clip", "plain", "exceptions", "version"], 0),
    **dict.fromkeys(
        ["threads", "imports", "locks", "descriptor", "diagnostics", "reported", "duration", "event_json"],
        0,
    ),
    **dict.fromkeys(["interruption", "ordinal", "table", "file_lock", "plural"], 0),
    **dict.fromkeys(
        ["arguments", "setting", "route_setting", "settings", "misspelt", "env_file", "rules", "run_state"], 1
    ),
    **dict.fromkeys(["backends", "delivery"], 2),
    **dict.fromkeys(["capture", "destinations", "preview"], 3),
    **dict.fromkeys(["notifier", "status"], 4),
    **dict.fromkeys(["crash", "fleet", "relay", "threshold"], 5),
    **dict.fromkeys(["bootstrap", "supervisor"], 6),
    **dict.fromkeys(["__init__", "__main__", "cli", "integrations", "testing", "pytest_plugin", "demo"], 7),
}
# Whose rooms know each other. On the other floors each keeps to itself: backends and delivery meet in backend.py only.
OPEN_FLOORS = {0, 1, 7}
# Packages that take seconds, or that an ordinary program has no use for. They are imported where they are used.
HEAVY = {
    "apprise",
    "requests",
    "discord_webhook",
    "structlog",
    "orjson",
    "dotenv",
    "rich",
    "typer",
    "asyncio",
    "urllib3",
    "pytest",
    "waitress",
    "jinja2",
    "werkzeug",
    "sentry_sdk",
    "IPython",
    "logstash",
    "redis",
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def room(module: str) -> str:
    """The first name below `notify`: what stands on a floor."""
    return module.split(".")[0]


def imports(path: Path) -> Iterator[str]:
    """Yield what a module imports of this package, as names below `notify`, wherever in the module that stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (below(alias.name) for alias in node.names if alias.name.split(".")[0] == "notify")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "notify":
                yield from (imported_from_the_door(alias.name) for alias in node.names)
            elif node.module is not None and node.module.startswith("notify."):
                yield below(node.module)


def below(name: str) -> str:
    return name.removeprefix("notify").removeprefix(".") or "__init__"


def imported_from_the_door(name: str) -> str:
    """`from notify import x` imports the module x, if there is one, and the whole door otherwise."""
    is_module = (PACKAGE / f"{name}.py").exists() or (PACKAGE / name / "__init__.py").exists()
    return name if is_module else f"__init__.{name}"


def ids(paths: list[Path]) -> list[str]:
    return [name_of(path) for path in paths]


def test_every_module_is_on_a_floor() -> None:
    rooms = {room(name_of(path)) for path in MODULES}

    assert rooms - FLOORS.keys() == set()
    assert FLOORS.keys() - rooms == set(), "floors of rooms that are gone"


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_imports_go_down_or_stay_in_the_room(path: Path) -> None:
    own = room(name_of(path))

    wrong = [
        imported
        for imported in imports(path)
        if room(imported) != own
        and not FLOORS[room(imported)] < FLOORS[own]
        and not (FLOORS[room(imported)] == FLOORS[own] and FLOORS[own] in OPEN_FLOORS)
    ]

    assert wrong == []


def test_no_module_is_imported_in_a_circle() -> None:
    graph: dict[str, set[str]] = {name_of(path): top_level_imports(path) for path in MODULES}

    while leaves := {name for name, imported in graph.items() if not imported & graph.keys()}:
        graph = {name: imported for name, imported in graph.items() if name not in leaves}

    assert graph == {}, "these import each other"


def top_level_imports(path: Path) -> set[str]:
    """What is imported as soon as the module is: packages are named by the `__init__` that it runs."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("notify"):
            for alias in node.names:
                found.add(file_of(f"{node.module}.{alias.name}") or file_of(node.module) or node.module)
    return found - {name_of(path), "__init__"}


def file_of(dotted: str) -> str | None:
    path = PACKAGE.joinpath(*dotted.split(".")[1:])
    if path.with_suffix(".py").exists():
        return name_of(path.with_suffix(".py"))
    return name_of(path / "__init__.py") if (path / "__init__.py").exists() else None


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())

    assert ast.get_docstring(tree), "the module has no docstring"
    assert list(undocumented(tree, "")) == []


def undocumented(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or child.name.startswith("_"):
            continue
        name = f"{prefix}{child.name}"
        if not ast.get_docstring(child):
            yield name
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f"{name}.")


def test_the_door_shows_its_public_names_and_no_others() -> None:
    public = {
        name for name in dir(notify) if not name.startswith("_") and not isinstance(getattr(notify, name), ModuleType)
    }

    assert set(notify.__all__) == public | {"__version__"}


def test_a_name_that_the_door_does_not_show_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'setpu'"):
        notify.setpu  # type: ignore[attr-defined]  # noqa: B018 - the misspelling is the point


def test_the_door_lists_constants_then_classes_then_functions_each_by_the_alphabet() -> None:
    def place(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert notify.__all__ == sorted(notify.__all__, key=place)


@pytest.mark.process
def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, notify; print(*{name.split('.')[0] for name in sys.modules})"

    run = python("-c", script)

    assert run.stdout, run.stderr
    assert set(run.stdout.split()) & HEAVY == set()


@pytest.mark.process
def test_importing_the_package_starts_no_thread_and_leaves_logging_alone() -> None:
    script = """if True:
        import logging, sys, threading, warnings
        before = sys.excepthook, threading.excepthook, warnings.showwarning, logging.getLogger().level
        import notify
        assert (sys.excepthook, threading.excepthook, warnings.showwarning, logging.getLogger().level) == before
        assert logging.getLogger().handlers == []
        print(threading.active_count())
    """

    run = python("-c", script)

    assert (run.stdout, run.stderr) == ("1\n", "")


def test_the_page_of_the_architecture_shows_every_room_on_its_floor() -> None:
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| ([0-7]) \| (.*) \|$", page, re.MULTILINE)
    shown = {int(floor): rooms for floor, rooms in rows}

    assert len(rows) == len(shown), "a floor is there twice"
    hidden = [room for room, floor in FLOORS.items() if f"`{room}`" not in shown[floor] and room != "__init__"]

    assert hidden == []


# What is loaded before a thread of ours comes to the import, by the module that imports it.
LOADED_BEFORE = {
    "backends.apprise": {"apprise"},  # by `open_services`, in the thread that sets up
    "backends.http.session": {"requests", "urllib3", "urllib3.connection"},  # with requests, by `open_session`
    "backends.http.trust": {"urllib3.util.ssl_"},  # likewise
    "backends.registry": {"importlib.metadata"},  # in the thread that sets up
    "backends.relay.backend": {"redis"},  # by `open_client`, as all of this package
    "backends.relay.server": {"redis", "redis.backoff", "redis.connection", "redis.retry"},
    "backends.relay.trouble": {"redis"},
}
BACKENDS = [path for path in MODULES if room(name_of(path)) == "backends"]


@pytest.mark.parametrize("path", BACKENDS, ids=ids(BACKENDS))
def test_what_backends_import_late_is_loaded_where_no_fork_breaks_it_off(path: Path) -> None:
    late: set[str] = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            late |= imported_in(function) - loaded_in(function)

    assert late - LOADED_BEFORE.get(name_of(path), set()) == set(), "`imports.load` has to come before the import"


def imported_in(function: ast.FunctionDef) -> set[str]:
    imported = {alias.name for node in ast.walk(function) if isinstance(node, ast.Import) for alias in node.names}
    return imported | {str(node.module) for node in ast.walk(function) if isinstance(node, ast.ImportFrom)}


def loaded_in(function: ast.FunctionDef) -> set[str]:
    """What the function gives to `imports.load`."""
    return {
        str(argument.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "imports.load"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
