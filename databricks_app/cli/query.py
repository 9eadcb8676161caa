"""The command `ciolake query`: ask the tables in Databricks SQL, local or in the workspace.

Data goes to standard output, everything else to standard error; an error says what to do and
exits with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
        help="Folder of the data; otherwise CIO_DATA_DIR, also from .env, otherwise ./data.",
    )(command)


@click.command()
@click.argument("sql")
@format_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"Most rows to show. Without it a table shows {_TABLE_LIMIT}, all else every row.",
)
@data_dir_option
def query(sql: str, form: str, limit: int | None, data_dir: Path | None) -> None:
    """Answer SQL, in the Databricks dialect.

    SQL is one SELECT, SHOW TABLES or DESCRIBE; `-` reads it from standard input. Times are UTC.
    The tables are those of the configured store; with --data-dir the local ones of that folder.

    Example: ciolake query "SELECT * FROM daily_email_engagement ORDER BY event_date"
    """
    if sql == "-":
        sql = sys.stdin.read()
    if limit is None and form == "table":
        limit = _TABLE_LIMIT
    tables = open_tables(data_dir)
    write(answer(lambda: tables.run(sql, limit=limit)), form)


def open_tables(data_dir: Path | None) -> LocalQuery | WarehouseQuery:
    """Queries over the tables of the configured store, or over those of a folder."""
    if data_dir is not None or not is_remote():
        return local_query(data_dir)
    from databricks_app.databricks import workspace
    from databricks_app.lake.warehouse.connect import open_query

    logs.configure("error", "command")  # standard output is for rows alone
    try:
        variables = environment()
        return open_query(workspace.connect(variables), from_environment(variables))
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error


def is_remote() -> bool:
    """Whether the configured store is a Databricks workspace."""
    return environment().get("CIO_STORE") == "databricks"


def local_query(data_dir: Path | None) -> LocalQuery:
    """Queries over that folder, or the configured one; a remark if it holds no tables."""
    from databricks_app.lake.local.query import LocalQuery

    folder = data_dir or data_folder(environment())
    if not (folder / "tables").is_dir():
        click.echo(
            f"No tables in {folder} yet, so all of them are empty. "
            "Is this the folder the receiver writes to (--data-dir, CIO_DATA_DIR)?",
            err=True,
        )
    return LocalQuery(folder)


def answer(ask: Callable[[], Result]) -> Result:
    """The result; an error of ours ends the command with its text and exit code 1."""
    try:
        return ask()
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error
