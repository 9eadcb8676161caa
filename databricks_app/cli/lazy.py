"""A group of commands whose modules are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

import click

_PACKAGE = "databricks_app.cli"
_MISSING = (
    "this command needs the simulator, which is not uploaded to Databricks: run it in a checkout"
    " of the sources."
)


class LazyGroup(click.Group):
    """Subcommands in the order given, each imported when it is asked for.

    A subcommand whose module is not installed says so; see `deployment.source`.
    """

    def __init__(self, *args: Any, subcommands: Mapping[str, tuple[str, str]], **kwargs: Any):
        """Args as `click.Group` has them, and the subcommands.

        Args:
            args: Of `click.Group`.
            subcommands: By name: `module:attribute` below this package, and the line in the help.
            kwargs: Of `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self._subcommands = subcommands

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names in their order."""
        return list(self._subcommands)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand; None if there is none of this name."""
        if cmd_name not in self._subcommands:
            return None
        name, _, attribute = self._subcommands[cmd_name][0].partition(":")
        if find_spec(f"{_PACKAGE}.{name}") is None:
            return _absent(cmd_name)
        command: click.Command = getattr(import_module(f"{_PACKAGE}.{name}"), attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lines of the help without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._subcommands.items()])


def _absent(name: str) -> click.Command:
    def refuse() -> NoReturn:
        raise click.ClickException(_MISSING)

    # Whatever options it is given, the answer is the same.
    taken = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, help=_MISSING.capitalize(), context_settings=taken)
