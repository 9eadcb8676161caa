"""The rooms: who may import whom, what is pure, and what stays out of the request path."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# A room imports rooms of a lower level alone; rooms of one level do not know each other.
LEVELS = (
    ("core",),
    ("errors", "endpoint", "warehouse_hours"),
    ("setting_values",),
    ("setting_table",),
    ("settings",),
    ("setting_names",),
    ("runtime", "databricks"),
    ("events",),
    ("ingest", "lake"),
    ("app",),
    ("loading", "operations", "relay", "serving", "simulator"),
    ("cli",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

# What a pure module may build on: nothing here reads, writes, waits or knows the time of day.
PURE_LIBRARY = frozenset(
    (
        "__future__",
        "base64",
        "binascii",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "functools",
        "hashlib",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zlib",
    )
)
# Pure beside the room `events`: what verifies, plans and decides.
PURE = frozenset(
    (
        "core.webhooks.diagnosis",
        "core.webhooks.event_names",
        "core.webhooks.key_form",
        "core.webhooks.reencoding",
        "core.webhooks.signature",
        "databricks_app.endpoint",
        "databricks_app.ingest.access",
        "databricks_app.ingest.inbox.frames",
        "databricks_app.ingest.signature_faults",
        "databricks_app.ingest.warnings",
        "databricks_app.loading.wake_ups",
        "databricks_app.operations.alerting.rules",
        "databricks_app.operations.costs.model",
        "databricks_app.operations.costs.prices",
        "databricks_app.operations.costs.topologies",
        "databricks_app.operations.costs.words",
        "databricks_app.runtime.freshness",
        "databricks_app.runtime.sender_pace",
        "databricks_app.runtime.words",
        "databricks_app.warehouse_hours",
    )
)
CLOCKS = frozenset(("now", "utcnow", "today", "time", "open", "print", "input"))

RECEIVING = (
    "databricks_app.app",
    "databricks_app.serving.server",
    "databricks_app.serving.worker",
    "databricks_app.serving.supervisor",
)
HEAVY = ("pyarrow", "deltalake", "duckdb", "sqlglot", "pandas", "databricks_app.lake")
HELPERS = ("tests.support.", "benchmarks.harness.")


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for top in ("core", "databricks_app"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def others() -> dict[str, Path]:
    """Every module of the benchmarks and the tests by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for top in ("benchmarks", "tests")
        for path in sorted((ROOT / top).rglob("*.py"))
    }


@cache
def tree(module: str) -> ast.Module:
    """The source of a module."""
    return ast.parse((modules().get(module) or others()[module]).read_text(encoding="utf-8"))


@cache
def imported(module: str, *, with_types: bool) -> tuple[str, ...]:
    """The modules that a module imports, wherever in its text; names of others as `module.name`."""
    return tuple(_imported(module, with_types=with_types))


def _imported(module: str, *, with_types: bool) -> Iterator[str]:
    known = modules().keys() | others().keys()
    only_for_types = {
        id(inner)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree(module)):
        if id(node) in only_for_types and not with_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else str(node.module)


def room(module: str) -> str:
    """The room of a module: `core`, or the first name below `databricks_app`."""
    top, _, rest = module.partition(".")
    return "core" if top == "core" else rest.partition(".")[0]


def is_pure(module: str) -> bool:
    """Whether a module must not read, write, wait or know the time of day."""
    return room(module) == "events" or module in PURE


def test_rooms_depend_downward_only() -> None:
    """One direction between rooms, imports for types included."""
    upward = {
        f"{module} imports {other}"
        for module in modules()
        for other in imported(module, with_types=True)
        if other in modules()
        and room(other)
        and room(module) != room(other)
        and LEVEL[room(module)] <= LEVEL[room(other)]
    }

    assert upward == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types included: what cannot be read alone cannot be understood alone."""
    edges = {
        module: {other for other in imported(module, with_types=True) if other in modules()}
        for module in modules()
    }
    while free := [module for module, others in edges.items() if not others & edges.keys()]:
        for module in free:
            del edges[module]
    while ends := [one for one in edges if not any(one in others for others in edges.values())]:
        for module in ends:
            del edges[module]

    assert sorted(edges) == []


def test_a_class_name_has_one_meaning() -> None:
    """A reader of a signature knows which class is meant."""
    homes: dict[str, set[str]] = {}
    for module in modules():
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, set()).add(module)

    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_every_room_says_what_it_is_for() -> None:
    """The docstring of its package is the first thing that a newcomer reads."""
    folders = {path.parent for path in modules().values()}
    silent = [
        str(folder.relative_to(ROOT))
        for folder in folders
        if not (folder / "__init__.py").is_file()
        or not ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    ]

    assert silent == []


@pytest.mark.parametrize("module", [name for name in modules() if is_pure(name)])
def test_pure_modules_do_no_input_or_output(module: str) -> None:
    """No web framework, HTTP, environment, clock or store: they import pure modules alone."""
    calls = [node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    called = {
        call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls
    }

    impure = {
        name
        for name in imported(module, with_types=False)
        if not (
            is_pure(name) if name in modules() else {name, name.partition(".")[0]} & PURE_LIBRARY
        )
    }

    assert (impure, called & CLOCKS) == (set(), set())


def test_core_knows_neither_the_receiver_nor_its_frameworks() -> None:
    """The clients of Customer.io can be used without it."""
    foreign = {"flask", "werkzeug", "databricks", "pyarrow", "deltalake", "duckdb", "sqlglot"}
    found = {
        name.partition(".")[0]
        for module in modules()
        if room(module) == "core"
        for name in imported(module, with_types=True)
    }

    assert found & {*foreign, "databricks_app"} == set()


def test_only_the_web_side_knows_flask() -> None:
    """The framework stays where HTTP is: the app, the routes and the server."""
    knowing = {
        room(module)
        for module in modules()
        if any(name.startswith(("flask", "werkzeug")) for name in imported(module, with_types=True))
    }

    assert knowing <= {"app", "ingest", "serving"}


@pytest.mark.parametrize("module", RECEIVING)
def test_receiving_loads_no_storage_engine(module: str) -> None:
    """The request path starts fast and cannot be brought down by what it does not need."""
    source = f"import sys, {module}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == []


def test_importing_every_module_does_nothing(tmp_path: Path) -> None:
    """No app, thread, file, environment or JSON read at import."""
    names = sorted(name for name in modules() if not name.endswith("__main__"))
    source = (
        "import json, os, sys, threading\n"
        "opened = []\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).startswith(sys.argv[1]):\n"
        "        opened.append(str(arguments[0]))\n"
        "before = set(os.listdir())\n"
        "os.environ['CIO_WEB_WORKERS'] = 'not a number'\n"
        "sys.addaudithook(hook)\n"
        f"import {', '.join(names)}\n"
        "data = [name for name in opened if not name.endswith(('.py', '.pyc', 'METADATA'))]\n"
        "print(threading.active_count(), set(os.listdir()) - before, data)\n"
    )

    done = subprocess.run(
        [sys.executable, "-B", "-c", source, str(ROOT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "1 set() []\n"


def test_benchmarks_import_no_tests() -> None:
    """Tests use what the benchmarks have; the way back would make either unusable alone."""
    found = {
        f"{module} imports {name}"
        for module in others()
        if module.startswith("benchmarks.")
        for name in imported(module, with_types=True)
        if name.partition(".")[0] == "tests"
    }

    assert found == set()


def test_no_test_module_imports_another() -> None:
    """What two of them need is a helper of its own: in `tests/support` or `benchmarks/harness`."""
    found = {
        f"{module} imports {name}"
        for module in others()
        for name in imported(module, with_types=True)
        if any(part.startswith("test_") for part in name.split("."))
    }

    assert found == set()


def test_helpers_are_imported_by_package() -> None:
    """One name for a helper, wherever it is used: `tests.support.x`, never `x` or `.x`."""
    helpers = {name.split(".")[2] for name in others() if name.startswith(HELPERS)}
    bare = {
        f"{module} imports {name}"
        for module in others()
        for name in imported(module, with_types=True)
        if name.partition(".")[0] in helpers
    }

    assert bare == set()
