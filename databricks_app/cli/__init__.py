"""The command `ciolake`. Each subcommand is a module, imported when it is asked for."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from databricks_app.errors import ReceiverError
from databricks_app.runtime.file_modes import PRIVATE_UMASK

_COMMANDS = {
    "serve": "Receive webhooks and load them into the tables.",
    "send": "Sign and post one event.",
    "simulate": "Send signed traffic as Customer.io would.",
    "simulator": "Run a Customer.io on this machine: APIs and sender.",
    "query": "Ask the local tables in Databricks SQL.",
    "tables": "List the local tables and views.",
    "replay": "Read stored events again, with the code of today.",
    "deploy": "Bring the receiver into a Databricks workspace.",
    "verify": "Check that every event stands exactly once.",
    "doctor": "Check every hop from signature to table; say what to fix.",
    "webhooks": "Keep Customer.io's reporting webhooks as a file says.",
}


class _Lazy(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"databricks_app.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ciolake", prog_name="ciolake")
def ciolake() -> None:
    """Customer.io reporting webhooks into Delta tables, exactly once."""


def main() -> None:
    """Run the command line; an error that says what to do is printed without a trace.

    What a command or a process that it starts writes may hold bodies or keys: it is made for its
    owner alone.
    """
    os.umask(PRIVATE_UMASK)
    try:
        ciolake.main(prog_name="ciolake", standalone_mode=True)
    except ReceiverError as error:
        click.echo(f"ciolake: {error}", err=True)
        sys.exit(1)
