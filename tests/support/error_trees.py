"""The tree of errors that a docstring draws, and the one that there is.

Not a test module.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

from tests.support.paths import ROOT

_LINE = re.compile(r"^((?:[| ] {3})*)\+-- (\w+)", re.MULTILINE)


def drawn(text: str, root: str) -> set[tuple[str, str]]:
    """Name and parent of each error in a drawing."""
    above = [root]
    found = set()
    for indent, name in _LINE.findall(text):
        depth = len(indent) // 4
        above[depth + 1 :] = [name]
        found.add((name, above[depth]))
    return found


def declared(package: ModuleType, root: type[Exception]) -> set[tuple[str, str]]:
    """Name and parent of each error of a package, after all its modules were imported."""
    for path in sorted((ROOT / package.__name__).rglob("*.py")):
        if path.stem not in {"__init__", "__main__"}:
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return {
        (kind.__name__, kind.__mro__[1].__name__)
        for kind in _below(root)
        if kind.__module__.startswith(f"{package.__name__}.")
    }


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)
