"""A group of commands that imports the module of a command only when the command is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

import click

_PACKAGE = "databricks_app.cli"
_MISSING = (
    "this command needs the simulator, which is not uploaded to Databricks. Run it in a checkout"
    " of the source code."
)


class LazyGroup(click.Group):
    """Subcommands in the given order, each imported only when it is used.

    A subcommand whose module is not installed prints an error; see `deployment.source`.
    """

    def __init__(self, *args: Any, subcommands: Mapping[str, tuple[str, str]], **kwargs: Any):
        """Create the group.

        Args:
            args: Passed to `click.Group`.
            subcommands: By name: `module:attribute` in this package, and the line in the help.
            kwargs: Passed to `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self._subcommands = subcommands

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in order."""
        return list(self._subcommands)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand; None if none has this name."""
        if cmd_name not in self._subcommands:
            return None
        name, _, attribute = self._subcommands[cmd_name][0].partition(":")
        if find_spec(f"{_PACKAGE}.{name}") is None:
            return _absent(cmd_name)
        command: click.Command = getattr(import_module(f"{_PACKAGE}.{name}"), attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in the help, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._subcommands.items()])


def _absent(name: str) -> click.Command:
    def refuse() -> NoReturn:
        raise click.ClickException(_MISSING)

    # Accept any options, so that the error is this one and not "no such option".
    taken = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, help=_MISSING.capitalize(), context_settings=taken)
