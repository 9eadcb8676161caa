"""Who may import whom: read from the source, and tried in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "databricks_app"

PURE = [
    PACKAGE / "signature.py",
    PACKAGE / "envelope.py",
    PACKAGE / "reading.py",
    PACKAGE / "record.py",
    PACKAGE / "access.py",
    PACKAGE / "inbox" / "frames.py",
    *sorted((PACKAGE / "handlers").glob("*.py")),
]
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
        "zlib",
    )
)
PURE_OWN = ("record", "signature", "envelope", "reading", "handlers", "inbox.frames")
CLOCKS = frozenset(("now", "utcnow", "today", "time", "open", "print", "input"))

RECEIVING = ["databricks_app.app", "databricks_app.worker", "databricks_app.web"]
HEAVY = ("pyarrow", "deltalake", "duckdb", "sqlglot", "pandas", "databricks_app.lake")


def imported(path: Path) -> Iterator[str]:
    """The full names of all that a module imports when it runs, wherever in its text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_pure(name: str) -> bool:
    """Whether a pure module may import this."""
    if name.startswith("databricks_app."):
        return f"{name}.".startswith(tuple(f"databricks_app.{own}." for own in PURE_OWN))
    return name.partition(".")[0] in PURE_LIBRARY


def names(path: Path) -> str:
    """A test's id."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PURE, ids=names)
def test_pure_modules_import_nothing_that_reads_or_writes(path: Path) -> None:
    """No web framework, HTTP, environment, clock or store."""
    assert [name for name in imported(path) if not is_pure(name)] == []


@pytest.mark.parametrize("path", PURE, ids=names)
def test_pure_modules_ask_no_clock_and_open_nothing(path: Path) -> None:
    """What `datetime` and the built-ins would let them do all the same."""
    calls = [
        node.func
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    called = {
        call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls
    }

    assert called & CLOCKS == set()


@pytest.mark.parametrize("path", sorted((ROOT / "core").rglob("*.py")) or [None], ids=str)
def test_core_imports_nothing_of_the_receiver(path: Path | None) -> None:
    """The clients of Customer.io can be used without it."""
    found = [] if path is None else list(imported(path))

    assert [name for name in found if name.startswith(("databricks_app", "flask"))] == []


def test_only_the_web_side_knows_flask() -> None:
    """The framework is named by the modules that join it to the rest, and by no other."""
    knowing = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if any(name.startswith(("flask", "werkzeug")) for name in imported(path))
    }

    assert knowing == {"app.py", "routes.py", "web.py"}


@pytest.mark.parametrize("module", [*RECEIVING, "databricks_app.supervisor"])
def test_receiving_loads_no_storage_engine(module: str) -> None:
    """The request path starts fast and cannot be brought down by what it does not need."""
    source = f"import sys, {module}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == []


def test_importing_the_app_does_nothing(tmp_path: Path) -> None:
    """No app, thread, file or environment read at import."""
    source = (
        "import os, threading\n"
        "before = set(os.listdir())\n"
        "os.environ['CIO_WEB_WORKERS'] = 'not a number'\n"
        "import databricks_app.app, databricks_app.web, databricks_app.writer\n"
        "print(threading.active_count(), set(os.listdir()) - before)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "1 set()\n"
