"""The index of the App API client: every method with the operation it calls.

`python -m core.app_api.index` writes it as README.md beside this file.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from core.app_api import inventory
from core.app_api.noun import Noun
from core.app_api.nouns import Nouns

if TYPE_CHECKING:
    from collections.abc import Callable

README = Path(__file__).with_name("README.md")

_OPERATION = re.compile(r"^Operation: (\w+)$", re.MULTILINE)
_HEAD = """\
# App API: every method

Written by `python -m core.app_api.index`; do not edit. A method is called on a client:
`AppClient(api_key).segments.get(7)`. The rate classes are in `declarations.py`. A star marks what
the documentation that could be read does not prove in full; the method's docstring says what.

| Method | Verb | Path | Operation | Rate class |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a noun.

    Attributes:
        noun: The attribute of the client.
        name: Of the method.
        operation: What its docstring names; empty if it names none.
        function: The method, unbound.
    """

    noun: str
    name: str
    operation: str
    function: Callable[..., object]


def nouns() -> dict[str, type[Noun]]:
    """Return the class of each noun that the client has."""
    names = [name for name, value in vars(Nouns).items() if isinstance(value, property)]
    return {name: _class(name) for name in sorted(names)}


def _class(noun: str) -> type[Noun]:
    module = import_module(f"core.app_api.{noun}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
        if issubclass(value, Noun)
    ]
    (only,) = found  # a module is one noun
    return only


def methods() -> list[Method]:
    """Return every public method of every noun, in the order of the source."""
    return [
        Method(noun, name, _operation(function), function)
        for noun, kind in nouns().items()
        for name, function in vars(kind).items()
        if inspect.isfunction(function) and not name.startswith("_")
    ]


def _operation(function: Callable[..., object]) -> str:
    found = _OPERATION.search(inspect.getdoc(function) or "")
    return found[1] if found else ""


def text() -> str:
    """Return the index as Markdown."""
    known = inventory.entries()
    rows = [_row(method, known[method.operation]) for method in methods() if method.operation]
    left = "".join(f"- `{one['id']}`: {one['why']}.\n" for one in inventory.left_out())
    return f"{_HEAD}{''.join(rows)}\nLeft out:\n\n{left}"


def _row(method: Method, entry: inventory.OperationEntry) -> str:
    star = " *" if "uncertain" in entry else ""
    return (
        f"| `{method.noun}.{method.name}` | {entry['method']} | `{entry['path']}` |"
        f" {entry['id']}{star} | {entry.get('rate', 'default')} |\n"
    )


if __name__ == "__main__":
    README.write_text(text(), encoding="utf-8")
