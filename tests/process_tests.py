"""Marks the tests of modules that start processes: `./test.sh --fast` leaves them out.

A module starts processes if it, the `conftest.py` beside it, or a part of `tests` or `benchmarks`
that one of them imports does. A pytest plugin, named in `tests/conftest.py`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_STARTS = re.compile(r"^(?:import|from) (?:subprocess|multiprocessing)\b", re.MULTILINE)
_PARTS = re.compile(r"^(?:from|import) ((?:tests|benchmarks)[\w.]*)(?: import ([\w, ]+))?", re.M)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if starts_processes(item.path) or starts_processes(item.path.with_name("conftest.py")):
            item.add_marker("processes")


@cache
def starts_processes(file: Path) -> bool:
    """Whether a module, or a part of the tests that it imports, starts processes."""
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    return bool(_STARTS.search(text)) or any(map(starts_processes, _imported(text)))


def _imported(text: str) -> list[Path]:
    files = []
    for module, names in _PARTS.findall(text):
        place = _ROOT.joinpath(*module.split("."))
        files += [place.with_suffix(".py"), place / "__init__.py"]
        files += [place / f"{name.strip()}.py" for name in names.split(",") if name.strip()]
    return files
