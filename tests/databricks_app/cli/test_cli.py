"""The command line as a whole: it lists what there is, and errors say what to do."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from databricks_app.cli import ciolake

COMMANDS = (
    *("serve", "send", "simulate", "simulator", "query", "tables", "replay", "verify", "deploy"),
    *("workspaces", "doctor", "webhooks"),
)


def test_help_lists_every_command() -> None:
    """One line each, without importing any of them."""
    said = CliRunner().invoke(ciolake, ["--help"]).output

    assert all(f"\n  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """With -h as well."""
    result = CliRunner().invoke(ciolake, [name, "-h"])

    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: ciolake {name}")


def test_an_unknown_command_is_refused() -> None:
    """With the exit code of wrong usage."""
    result = CliRunner().invoke(ciolake, ["launch"])

    assert result.exit_code == 2
    assert "No such command 'launch'" in result.output


def test_the_version_is_the_package_s() -> None:
    """As pip shows it."""
    assert CliRunner().invoke(ciolake, ["--version"]).output.startswith("ciolake, version ")


def test_an_unusable_setting_is_told_without_a_trace() -> None:
    """`python -m databricks_app` is the same command; the value, maybe a secret, is not shown."""
    told = subprocess.run(
        [sys.executable, "-m", "databricks_app", "replay", "--all"],
        env={"CIO_WEB_WORKERS": "quite-secret"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 1
    assert told.stderr.startswith("ciolake: CIO_WEB_WORKERS cannot be used")
    assert "quite-secret" not in told.stderr
    assert "Traceback" not in told.stderr
