"""The tables of log events and of refusals are compared with the code, both ways."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from databricks_app.ingest.refusals import REASONS
from databricks_app.runtime.recurring import ENDED
from tests.support.paths import ROOT

PAGE = ROOT / "docs/log-events.md"
LEVELS = frozenset(("debug", "info", "warning", "error", "critical"))
RECURRING = frozenset(("note", "note_error"))
# The supervisor chooses the level first: `write = log.error if code else log.info`.
ASSIGNED = "write"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """How and with which name each line of a module is written."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name, how = node.args[0], node.func
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            continue
        if isinstance(how, ast.Attribute) and (how.attr in RECURRING or is_log(how)):
            yield how.attr, name.value
        elif isinstance(how, ast.Name) and how.id == ASSIGNED:
            yield how.id, name.value


def is_log(how: ast.Attribute) -> bool:
    """Whether this is a method of a logger."""
    is_level = how.attr in LEVELS
    return is_level and ast.unparse(how.value).startswith(("log", "structlog.get_logger("))


def events() -> set[str]:
    """Every event that the code can log."""
    found = {"library_message"}
    for path in sorted((ROOT / "databricks_app").rglob("*.py")):
        for how, name in calls(path):
            found.add(name)
            if how in RECURRING:
                found.add(name + ENDED)
    for reason in REASONS.values():
        found |= {reason.event, reason.event + ENDED}
    return found


def test_every_event_is_documented_and_every_documented_event_is_logged() -> None:
    """One row each."""
    documented = [row[0].strip("`") for row in rows("Events")]

    assert len(documented) == len(set(documented))
    assert events() == set(documented)


def test_every_row_says_when_and_what_to_do() -> None:
    """No empty cell."""
    assert [row for row in rows("Events") if len(row) != 4 or not all(row)] == []


def test_reasons_are_those_of_the_code_with_their_levels() -> None:
    """In the same order."""
    documented = [(row[0].strip("`"), row[1]) for row in rows("Reasons of a refusal")]

    assert [(name, reason.level) for name, reason in REASONS.items()] == documented


def test_every_refusal_has_a_reason_of_the_table() -> None:
    """A reason without advice would be an exception when it first comes."""
    found = set()
    for folder in ("ingest", "serving"):
        for path in (ROOT / "databricks_app" / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r'[._]refuse\(\s*"(\w+)"', text))
            found |= set(re.findall(r'_Refused\(\s*\w+, "(\w+)"', text))

    assert {"not_found", "no_key", "incomplete"} <= found
    assert found <= set(REASONS)
