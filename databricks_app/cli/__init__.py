"""The command `ciolake`. The module of a subcommand is imported only when the command is used."""

from __future__ import annotations

import os
import sys

import click

from databricks_app.cli.lazy import LazyGroup
from databricks_app.errors import ReceiverError
from databricks_app.runtime.file_modes import PRIVATE_UMASK

# Module and attribute of each command, and its line in `ciolake --help`.
_COMMANDS = {
    "serve": ("serve:serve", "Receive webhooks and load them into the tables."),
    "reload": ("reload:reload_", "Make the running receiver read its settings again."),
    "send": ("send:send", "Sign and post one event."),
    "simulate": ("simulate:simulate", "Send signed sample traffic, as Customer.io would."),
    "simulator": ("simulator:simulator", "Run a simulated Customer.io on this machine."),
    "query": ("query:query", "Run SQL on the tables and views."),
    "tables": ("tables:tables", "List the tables and views, or the columns of one."),
    "replay": ("replay:replay", "Load stored events again, with the current code."),
    "deploy": ("deploy:deploy", "Install or update the receiver in Databricks."),
    "verify": ("verify:verify", "Check that every event is in the tables exactly once."),
    "workspaces": ("workspaces:workspaces", "List or rename the workspaces of this receiver."),
    "explain-signature": (
        "explain_signature:explain_signature",
        "Say why the signature of a captured request fails.",
    ),
    "doctor": ("doctor:doctor", "Check every step from signature to table; say what to fix."),
    "webhooks": ("webhooks:webhooks", "Manage the reporting webhooks in Customer.io."),
}


@click.group(
    cls=LazyGroup,
    subcommands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="ciolake", prog_name="ciolake")
def ciolake() -> None:
    """Receive Customer.io's reporting webhooks and write them into Delta tables.

    \b
    Exit codes: those of the subcommand, see `ciolake COMMAND --help`. Mostly 0 success,
    1 error (the message says what to do), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b


def main() -> None:
    """Run the command line; print a `ReceiverError` without a stack trace."""
    # Files may contain keys or personal data, so only the user who runs the command can read them.
    os.umask(PRIVATE_UMASK)
    try:
        ciolake.main(prog_name="ciolake", standalone_mode=True)
    except ReceiverError as error:
        click.echo(f"Error: {error}", err=True)  # as click prints its own
        sys.exit(1)
