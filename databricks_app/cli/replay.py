"""`ciolake replay`: load stored events again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from databricks_app.cli import connections
from databricks_app.errors import ReceiverError
from databricks_app.runtime import freshness, logs
from databricks_app.runtime.words import counted
from databricks_app.settings import environment, from_environment

if TYPE_CHECKING:
    from databricks_app.loading.replay import ReplayReport, Selection
    from databricks_app.settings import Settings


@click.command()
@click.option("--unrouted", is_flag=True, help="Select events that are in no typed table.")
@click.option(
    "--from",
    "first",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Select events with this event_date or a later one.",
)
@click.option(
    "--to",
    "last",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Select events with this event_date or an earlier one.",
)
@click.option("--table", help="Select events of this typed table.")
@click.option("--event-id", "event_ids", multiple=True, help="Select this event; can be repeated.")
@click.option("--all", "everything", is_flag=True, help="Select every stored event.")
@click.option("--dry-run", is_flag=True, help="Only count the selected events.")
def replay(
    *,
    unrouted: bool,
    first: datetime | None,
    last: datetime | None,
    table: str | None,
    event_ids: tuple[str, ...],
    everything: bool,
    dry_run: bool,
) -> None:
    """Load stored events again, with the current version of the code.

    Use this when a new version can read events that an earlier one could not. The command copies
    bodies from webhook_raw_events into the inbox; the receiver loads them, now or at its next
    start. An event that is already in its table is not changed, so you can repeat a replay. Events
    whose body was too large to be stored whole are left out.

    \b
    Exit codes: 0 done, 1 the tables or the inbox cannot be used, 2 wrong usage.

    \b
    Examples:
      ciolake replay --unrouted
      ciolake replay --from 2026-11-01 --to 2026-11-07 --table webhook_email_events
    """  # noqa: D301  # click needs the character \b
    from databricks_app.lake.local.query import LocalQuery
    from databricks_app.loading.replay import Selection, count
    from databricks_app.loading.replay import replay as put_back

    selection = Selection(unrouted, _day(first), _day(last), table, event_ids)
    if selection == Selection() and not everything:
        raise click.UsageError(
            "select events with --unrouted, --from, --to, --table, --event-id or --all"
        )
    variables = environment()
    settings = from_environment(variables)
    if settings.store == "databricks":
        click.echo(_remotely(settings, variables, selection, dry_run=dry_run))
        return
    if not (settings.data_dir / "tables").is_dir():
        raise click.ClickException(
            f"there are no tables in {settings.data_dir}, so nothing can be loaded again: run this "
            "in the receiver's folder, or set CIO_DATA_DIR to its data folder"
        )
    query = LocalQuery(settings.data_dir)
    if dry_run:
        click.echo(counted(count(query, selection), "[event|events] would be loaded again."))
        return
    try:
        outcome = put_back(query, settings.inbox_dir, selection, datetime.now(UTC))
    except OSError as error:
        raise click.ClickException(
            f"the inbox {settings.inbox_dir} cannot be written: {error.strerror}"
        ) from error
    click.echo(_words(outcome))


def _remotely(
    settings: Settings, variables: Mapping[str, str], selection: Selection, *, dry_run: bool
) -> str:
    from databricks_app.ingest.inbox.volume_reader import put_replay
    from databricks_app.loading.replay import count, replay_through

    logs.configure("error", "command")
    try:
        workspace = connections.open_workspace(variables)
        query = connections.open_tables(workspace, settings)
        if dry_run:
            return counted(count(query, selection), "[event|events] would be loaded again.")
        put = partial(put_replay, workspace, settings.volume_path)
        outcome = replay_through(query, put, selection)
        if not outcome.events:
            return _words(outcome)
        by = freshness.expected_by(settings, time.time())
        return f"{_words(outcome)}\nA running receiver will have loaded them by {by}."
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error


def _words(outcome: ReplayReport) -> str:
    text = counted(outcome.events, "[event was|events were] copied into the inbox.")
    if outcome.cut:
        cut = "[was|were] left out, with a body that was too large to be stored whole."
        text += f"\n{counted(outcome.cut, cut)}"
    return text


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
