"""`ciolake verify`: check that every event is in the tables exactly once."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from databricks_app.cli import connections
from databricks_app.errors import ReceiverError
from databricks_app.runtime import logs
from databricks_app.runtime.words import counted

if TYPE_CHECKING:
    from databricks_app.lake.local.verify import Difference, Verdict

_FILE_WORDS = {
    "file_missing": "is missing",
    "file_cut": "does not have the size that the table's log says",
    "file_unreadable": "cannot be read",
}
_WORDS = {
    "repeated": "[event is|events are] there more than once",
    "missing": "[event is|events are] missing, although the raw row names this table",
    "misplaced": "[event is|events are] here, although the raw row names another table",
    "several_tables": "[event is|events are] in several typed tables, and the raw row names none",
    "without_raw": "[event is|events are] not in the raw table",
}
_ADVICE = {
    "missing": "load them again with `ciolake replay`",
    "repeated": "check whether another program writes into the table",
    "misplaced": "check whether another program writes into the table",
    "several_tables": "check whether another program writes into the table",
    "without_raw": "check whether the raw table was restored from a backup",
}


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Check the local tables in this folder. Default: the store in the settings (CIO_STORE, "
    "CIO_DATA_DIR).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table, or one JSON object.",
)
def verify(data_dir: Path | None, form: str) -> None:
    """Check that every event is in the tables exactly once.

    It compares the raw table with the typed tables. You can run it while the receiver loads; the
    newest batch is then left out. Events that are still in the inbox do not count as missing. A
    data file that is missing or truncated is reported as a difference, and the other files are
    still compared.

    \b
    Exit codes: 0 no difference, 1 there are differences, 2 the tables cannot be checked, or wrong
    usage.
    """  # noqa: D301  # click needs the character \b
    try:
        verdict = _verdict(data_dir)
    except ReceiverError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if form == "json":
        click.echo(json.dumps(asdict(verdict), indent=2))
    else:
        _print(verdict)
    sys.exit(1 if verdict.differences else 0)


def _verdict(data_dir: Path | None) -> Verdict:
    from databricks_app.lake.local import verify as local_verify
    from databricks_app.lake.sql_dialect import tables
    from databricks_app.lake.warehouse import verify as warehouse_verify
    from databricks_app.settings import data_folder, environment, from_environment

    typed = [table.name for table in tables()][1:]
    variables = environment()
    if data_dir is None and variables.get("CIO_STORE") == "databricks":
        from databricks_app.lake.warehouse.connect import is_loading

        logs.configure("error", "command")
        settings = from_environment(variables)
        workspace = connections.open_workspace(variables)
        query = connections.open_tables(workspace, settings)
        loading = is_loading(workspace, settings)
        return warehouse_verify.check(query, typed, is_loading=loading)
    return local_verify.check(data_dir or data_folder(variables), typed)


def _print(verdict: Verdict) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    wrong = {difference.table for difference in verdict.differences}
    table = Table(box=box.SIMPLE)
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("")
    for name, rows in verdict.rows.items():
        table.add_row(name, f"{rows:,}", "differs" if name in wrong else "ok")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    for line in _lines(verdict):
        console.print(line)


def _lines(verdict: Verdict) -> list[str]:
    lines = [_line(difference) for difference in verdict.differences]
    if verdict.two_dates:
        ids = ", ".join(verdict.two_dates_ids)
        lines.append(
            counted(verdict.two_dates, "[event id|event ids] came with two different dates")
            + f" and count as two events each: {ids}"
        )
    if verdict.unrouted:
        lines.append(
            counted(verdict.unrouted, "[event is|events are] only in the raw table; the view ")
            + "webhook_unrouted_events has the reason"
        )
    if verdict.conflicts:
        ids = ", ".join(verdict.conflict_ids)
        lines.append(
            counted(verdict.conflicts, "of them [has|have] the id and the day of a different")
            + f" event (key_conflict): {ids}"
        )
    if verdict.replayed:
        words = "raw [event|events] reached the typed table in a later load"
        lines.append(counted(verdict.replayed, words))
    if verdict.is_loading:
        lines.append("The receiver is loading now: its newest batch was left out.")
    if any(difference.file for difference in verdict.differences):
        lines.append(
            "The other files were compared. First restore the missing files: they may be the cause "
            "of the other differences."
        )
    if not verdict.differences:
        lines.append("Every event is in the tables exactly once; raw and typed tables agree.")
    return lines


def _line(difference: Difference) -> str:
    if difference.file is not None:
        return (
            f"{difference.table}: the data file {difference.file} "
            f"{_FILE_WORDS[difference.kind]} ({counted(difference.events, '[event|events]')}; "
            "restore it from a backup)"
        )
    ids = ", ".join(difference.event_ids)
    return (
        f"{difference.table}: {counted(difference.events, _WORDS[difference.kind])} "
        f"({_ADVICE[difference.kind]}): {ids}"
    )
