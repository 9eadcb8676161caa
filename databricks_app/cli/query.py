"""`ciolake query`: run Databricks SQL on the tables, local or in the workspace.

Rows go to standard output, everything else to standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from databricks_app.cli import connections
from databricks_app.cli.rows import format_option, write
from databricks_app.errors import ReceiverError
from databricks_app.runtime import logs
from databricks_app.settings import data_folder, environment, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from databricks_app.lake.local.query import LocalQuery, Result
    from databricks_app.lake.warehouse.query import WarehouseQuery

_TABLE_LIMIT = 1000


def data_dir_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add the option `--data-dir`."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Use the local tables in this folder. Default: CIO_DATA_DIR from the environment or "
        ".env, then ./data.",
    )(command)


@click.command()
@click.argument("sql")
@format_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"Maximum number of rows. Default: {_TABLE_LIMIT} for a table; no limit for CSV and JSON.",
)
@data_dir_option
def query(sql: str, form: str, limit: int | None, data_dir: Path | None) -> None:
    """Run one SQL query, in the Databricks dialect, and print the rows.

    SQL is one SELECT, SHOW TABLES or DESCRIBE statement; `-` reads it from standard input. Times
    are in UTC. The tables are those of the store in the settings (CIO_STORE); with --data-dir they
    are the local tables in that folder.

    \b
    Exit codes: 0 done, 1 the query failed (the message says why), 2 wrong usage.

    \b
    Example:
      ciolake query "SELECT * FROM daily_email_engagement ORDER BY event_date"
    """  # noqa: D301  # click needs the character \b
    if sql == "-":
        sql = sys.stdin.read()
    if limit is None and form == "table":
        limit = _TABLE_LIMIT
    tables = open_tables(data_dir)
    write(answer(lambda: tables.run(sql, limit=limit)), form)


def open_tables(data_dir: Path | None) -> LocalQuery | WarehouseQuery:
    """Return queries over the tables of the configured store, or over those in a folder."""
    if data_dir is not None or not is_remote():
        return local_query(data_dir)
    logs.configure("error", "command")  # only rows go to standard output
    try:
        variables = environment()
        workspace = connections.open_workspace(variables)
        return connections.open_tables(workspace, from_environment(variables))
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error


def is_remote() -> bool:
    """Whether the configured store is a Databricks workspace."""
    return environment().get("CIO_STORE") == "databricks"


def local_query(data_dir: Path | None) -> LocalQuery:
    """Return queries over a folder, or the configured one; print a remark if it has no tables."""
    from databricks_app.lake.local.query import LocalQuery

    folder = data_dir or data_folder(environment())
    if not (folder / "tables").is_dir():
        click.echo(
            f"There are no tables in {folder}, so every query returns no rows. Check that this is "
            "the folder of the receiver (--data-dir, CIO_DATA_DIR).",
            err=True,
        )
    return LocalQuery(folder)


def answer(ask: Callable[[], Result]) -> Result:
    """Call `ask`; a `ReceiverError` ends the command with its text and exit code 1."""
    try:
        return ask()
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error
