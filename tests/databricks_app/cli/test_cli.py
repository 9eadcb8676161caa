"""The command line as a whole: help, exit codes and errors."""

from __future__ import annotations

import subprocess
import sys

import click
from click.testing import CliRunner

from databricks_app.cli import ciolake

COMMANDS = (
    *("serve", "send", "simulate", "simulator", "query", "tables", "replay", "verify", "deploy"),
    *("workspaces", "doctor", "webhooks", "explain-signature", "reload"),
)


def test_help_lists_every_command() -> None:
    """Each has one line."""
    text = CliRunner().invoke(ciolake, ["--help"]).output

    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_every_command_has_help_with_its_exit_codes() -> None:
    """Subcommands too."""
    wrong = []

    def look(command: click.Command, words: tuple[str, ...]) -> None:
        result = CliRunner().invoke(ciolake, [*words, "--help"])
        usage = result.output.startswith(f"Usage: ciolake {' '.join(words)}".rstrip())
        if result.exit_code or not usage or "Exit codes:" not in result.output:
            wrong.append(" ".join(words))
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                look(inner, (*words, name))

    for name in COMMANDS:
        command = ciolake.get_command(click.Context(ciolake), name)
        assert command is not None
        look(command, (name,))
    assert wrong == []


def test_h_is_the_same_as_help() -> None:
    """For subcommands too; in a new process, because click remembers the options of a command."""
    shown = [
        subprocess.run(
            [sys.executable, "-m", "databricks_app", "webhooks", "plan", option],
            capture_output=True,
            check=True,
        ).stdout
        for option in ("-h", "--help")
    ]

    assert shown[0] == shown[1]
    assert shown[0].startswith(b"Usage: ciolake webhooks plan")


def test_an_unknown_command_is_refused() -> None:
    """The exit code is the one for wrong usage."""
    result = CliRunner().invoke(ciolake, ["launch"])

    assert result.exit_code == 2
    assert "No such command 'launch'" in result.output


def test_the_version_is_that_of_the_package() -> None:
    """As pip shows it."""
    assert CliRunner().invoke(ciolake, ["--version"]).output.startswith("ciolake, version ")


def test_a_wrong_setting_is_an_error_without_a_stack_trace() -> None:
    """The value is not printed, because it may be a secret."""
    ended = subprocess.run(
        [sys.executable, "-m", "databricks_app", "replay", "--all"],
        env={"CIO_WEB_WORKERS": "quite-secret"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: CIO_WEB_WORKERS cannot be used")
    assert "quite-secret" not in ended.stderr
    assert "Traceback" not in ended.stderr
