"""The command `ciolake`. Each subcommand is a module, imported when it is asked for."""

from __future__ import annotations

import os
import sys

import click

from databricks_app.cli.lazy import LazyGroup
from databricks_app.errors import ReceiverError
from databricks_app.runtime.file_modes import PRIVATE_UMASK

# The module and attribute of each, and its line in the help.
_COMMANDS = {
    "serve": ("serve:serve", "Receive webhooks and load them into the tables."),
    "send": ("send:send", "Sign and post one event."),
    "simulate": ("simulate:simulate", "Send signed traffic as Customer.io would."),
    "simulator": ("simulator:simulator", "Run a Customer.io on this machine: APIs and sender."),
    "query": ("query:query", "Ask the local tables in Databricks SQL."),
    "tables": ("tables:tables", "List the local tables and views."),
    "replay": ("replay:replay", "Read stored events again, with the code of today."),
    "deploy": ("deploy:deploy", "Bring the receiver into a Databricks workspace."),
    "verify": ("verify:verify", "Check that every event stands exactly once."),
    "workspaces": ("workspaces:workspaces", "Show or rename the workspaces of this receiver."),
    "doctor": ("doctor:doctor", "Check every hop from signature to table; say what to fix."),
    "webhooks": ("webhooks:webhooks", "Keep Customer.io's reporting webhooks as a file says."),
}


@click.group(
    cls=LazyGroup,
    subcommands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
