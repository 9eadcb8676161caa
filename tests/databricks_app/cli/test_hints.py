"""The commands that the product names in its texts exist, with their options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from databricks_app.cli import ciolake
from tests.support.paths import ROOT

_NAMED = re.compile(r"`ciolake ([a-z][^`]*)`")
_SCRIPT = re.compile(r"(?:^|[\s`])\./[a-z_]+\.sh\b|\.venv/bin/")


def texts() -> Iterator[tuple[Path, str]]:
    """Each string of the product with its file; parts of an f-string are joined by `{}`."""
    for folder in ("core", "databricks_app"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield file, node.value
                elif isinstance(node, ast.JoinedStr):
                    parts = [
                        one.value if isinstance(one, ast.Constant) else "{}" for one in node.values
                    ]
                    yield file, "".join(map(str, parts))


def fault(words: list[str]) -> str | None:
    """What the command line lacks of a command; None if it has all of it."""
    command: click.Command = ciolake
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z-]+", words[0]):
        name = words.pop(0)
        inner = command.get_command(click.Context(command), name)
        if inner is None:
            return f"there is no command {name}"
        command = inner
    options = {opt for one in command.params for opt in (*one.opts, *one.secondary_opts)}
    unknown = [
        one for one in words if one.startswith("--") and one.partition("=")[0] not in options
    ]
    return f"{command.name} has no option {unknown[0]}" if unknown else None


def test_each_named_command_exists_with_its_options() -> None:
    """In errors, fixes, log events and help."""
    found = [(file, words) for file, text in texts() for words in _NAMED.findall(text)]
    wrong = {
        f"{file.relative_to(ROOT)}: ciolake {words}: {what}"
        for file, words in found
        if (what := fault(re.sub(r"[^\w\s=./-]", " ", words).split()))
    }

    assert len(found) > 50
    assert wrong == set()


def test_no_text_names_a_script_of_the_checkout() -> None:
    """It does not exist after `pip install`."""
    assert {str(file.relative_to(ROOT)) for file, text in texts() if _SCRIPT.search(text)} == set()
