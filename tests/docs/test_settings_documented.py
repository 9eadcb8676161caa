"""The texts about settings in `.env.example` and the documents agree with the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from databricks_app.setting_table import SETTINGS
from databricks_app.settings import environment, from_environment
from tests.support import setting_tables
from tests.support.paths import ROOT
from tests.support.setting_tables import EXAMPLE


def test_the_settings_in_the_documents_are_those_of_the_code() -> None:
    """`.env.example` and the tables of README and docs/deployment.md are written from the code."""
    old = [
        str(path.relative_to(ROOT))
        for path, text in setting_tables.documents().items()
        if path.read_text("utf-8") != text
    ]

    assert old == [], "run: python -m tests.support.setting_tables"


def test_every_setting_is_in_the_readme_with_its_default_and_meaning() -> None:
    """So that the writer itself cannot leave one out."""
    rows = [line for line in setting_tables.README.read_text("utf-8").splitlines() if "|" in line]

    missing = [
        one.name
        for one in SETTINGS
        if not any(
            row.startswith(f"| `{one.name}`") and one.default in row and one.meaning in row
            for row in rows
        )
    ]
    assert missing == []


def test_a_table_that_is_not_there_is_reported() -> None:
    """A changed heading must not end the comparison silently."""
    with pytest.raises(AssertionError, match="no table"):
        setting_tables.with_table("# README\n", "Setting", SETTINGS)


def test_a_copy_of_the_example_changes_nothing() -> None:
    """Every line is commented out, so an unchanged copy keeps all defaults."""
    assert dotenv_values(EXAMPLE) == {}
    assert from_environment(environment({}, EXAMPLE)) == from_environment({})


def test_a_line_of_the_example_without_its_comment_mark_sets_the_default(tmp_path: Path) -> None:
    """Each setting alone: removing the `#` in front of it changes nothing."""
    # Empty is not the same as unset for these two: `ciolake serve` creates unset ones.
    created = ("CIO_WEBHOOK_SIGNING_KEYS", "CIO_ADMIN_TOKEN")
    example = EXAMPLE.read_text("utf-8")
    wrong = {}
    for name in (one.name for one in SETTINGS if one.name not in created):
        file = tmp_path / name
        file.write_text(example.replace(f"\n#{name}=", f"\n{name}="))
        variables = environment({}, file)
        if list(variables) != [name] or from_environment(variables) != from_environment({}):
            wrong[name] = variables

    assert wrong == {}


def test_names_of_settings_are_unique() -> None:
    """Each variable sets one field, and each field has one variable."""
    names = [name for setting in SETTINGS for name in (setting.name, *setting.also)]

    assert len(set(names)) == len(names)
    assert len({setting.field for setting in SETTINGS}) == len(SETTINGS)
