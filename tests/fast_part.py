"""The option `--fast`: leaves out modules that start processes or write tables, unread.

A module is left out if it, the `conftest.py` beside it, or a part of `tests` or `benchmarks` that
one of them imports has such an import. It is not imported either: that alone would take half of the
time. A pytest plugin, named in `tests/conftest.py`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = re.compile(
    r"^(?:import|from) (?:subprocess|multiprocessing"  # processes
    r"|deltalake|duckdb|databricks_app\.lake\.(?:local|warehouse)|tests\.doubles|pyspark)\b",
    re.MULTILINE,
)
_PARTS = re.compile(r"^(?:from|import) ((?:tests|benchmarks)[\w.]*)(?: import ([\w, ]+))?", re.M)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--fast", action="store_true", help="no tests of processes or tables")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a module out; None lets other plugins decide."""
    if not config.getoption("fast") or collection_path.suffix != ".py":
        return None
    beside = collection_path.with_name("conftest.py")
    return is_left_out(collection_path) or is_left_out(beside) or None


@cache
def is_left_out(file: Path) -> bool:
    """Whether a module, or a part of the tests that it imports, has such an import."""
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    return bool(_LEFT_OUT.search(text)) or any(map(is_left_out, _imported(text)))


def _imported(text: str) -> list[Path]:
    files = []
    for module, names in _PARTS.findall(text):
        place = _ROOT.joinpath(*module.split("."))
        files += [place.with_suffix(".py"), place / "__init__.py"]
        files += [place / f"{name.strip()}.py" for name in names.split(",") if name.strip()]
    return files
