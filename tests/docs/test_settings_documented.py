"""One table of settings: what is written for people is compared with `SETTINGS`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from databricks_app.settings import SETTINGS, environment, from_environment
from tests.support.paths import ROOT

EXAMPLE = ROOT / ".env.example"
README = ROOT / "README.md"

TABLE = [(setting.name, setting.default, setting.meaning) for setting in SETTINGS]


def example_rows() -> list[tuple[str, str, str]]:
    """Name, default and meaning of each setting of `.env.example`.

    A setting is `#NAME=default`, after comment lines with its meaning.
    """
    rows = []
    for block in EXAMPLE.read_text(encoding="utf-8").split("\n\n")[1:]:
        *meaning, assignment = block.strip().splitlines()
        name, _, default = assignment.removeprefix("#").partition("=")
        rows.append((name, default, " ".join(line.removeprefix("# ") for line in meaning)))
    return rows


def readme_rows() -> list[tuple[tuple[str, ...], str, str]]:
    """The rows of README's table `| Setting | Default | Meaning |`.

    Names and defaults are set in back-ticks; a setting without a default has an empty cell. A
    setting that is read from several variables names each of them.
    """
    lines = README.read_text(encoding="utf-8").splitlines()
    heads = [n for n, line in enumerate(lines) if cells(line) == ["Setting", "Default", "Meaning"]]
    assert len(heads) == 1, "README.md needs one table with | Setting | Default | Meaning |"
    rows = []
    for line in lines[heads[0] + 2 :]:
        if not line.startswith("|"):
            break
        name, default, meaning = cells(line)
        rows.append((tuple(re.findall("`([^`]+)`", name)), default.replace("`", ""), meaning))
    return rows


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def test_the_example_file_is_the_table_of_settings() -> None:
    """The same names, defaults and meanings, in the same order."""
    assert example_rows() == TABLE


def test_the_readme_is_the_table_of_settings() -> None:
    """The same names, defaults and meanings, in the same order."""
    rows = [((one.name, *one.also), one.shown_default, one.meaning) for one in SETTINGS]

    assert readme_rows() == rows


def test_a_copy_of_the_example_changes_nothing() -> None:
    """Every setting in it is commented out: copied as it is, it leaves all defaults."""
    assert dotenv_values(EXAMPLE) == {}
    assert from_environment(environment({}, EXAMPLE)) == from_environment({})


# Unset and empty differ in these: where they are unset `ciolake serve` makes them.
MADE = ("CIO_WEBHOOK_SIGNING_KEYS", "CIO_ADMIN_TOKEN")


@pytest.mark.parametrize("name", [name for name, _, _ in TABLE if name not in MADE])
def test_a_line_of_the_example_gives_the_default(name: str, tmp_path: Path) -> None:
    """A line whose mark is taken away sets what was in force before."""
    text = EXAMPLE.read_text(encoding="utf-8").replace(f"#{name}=", f"{name}=")
    (tmp_path / ".env").write_text(text)

    variables = environment({}, tmp_path / ".env")

    assert list(variables) == [name]
    assert from_environment(variables) == from_environment({})


def test_names_are_unique() -> None:
    """A variable fills one field, and a field has one variable."""
    names = [name for setting in SETTINGS for name in (setting.name, *setting.also)]

    assert len(set(names)) == len(names)
    assert len({setting.field for setting in SETTINGS}) == len(SETTINGS)
