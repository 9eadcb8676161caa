"""`ciolake workspaces`: list or rename the workspaces of a receiver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from databricks_app.cli import connections
from databricks_app.cli.query import local_query
from databricks_app.cli.rows import format_option, write
from databricks_app.cli.webhooks_access import errors_shown
from databricks_app.errors import LakeError
from databricks_app.runtime import file_modes, logs
from databricks_app.runtime.words import counted
from databricks_app.settings import Settings, environment, from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks_app.lake.local.query import LocalQuery
    from databricks_app.lake.renaming import KeyInRaw, RenamingLake
    from databricks_app.lake.warehouse.query import WarehouseQuery

_NAMES = (
    *("workspace", "fingerprint", "key", "listed_as", "events", "newest_received_at"),
    *("app_api_key", "region"),
)
_TYPES = (*("STRING",) * 4, "BIGINT", "TIMESTAMP", "BOOLEAN", "STRING")
_STOP = (
    "A receiver is loading into these tables. Stop it (`ciolake serve`, or the app), run this "
    "again, then start it."
)


@click.group(invoke_without_command=True)
@click.pass_context
def workspaces(context: click.Context) -> None:
    """List the workspaces of this receiver, or rename one. Without a command it lists them.

    CIO_WORKSPACES gives each signing key the name of its workspace; see docs/workspaces.md.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    if context.invoked_subcommand is None:
        context.invoke(list_, form="table")


@workspaces.command("list")
@format_option
def list_(*, form: str) -> None:
    """List the workspaces with their keys and the number of their events.

    \b
    workspace    the name in the rows of the raw table
    listed_as    the name that CIO_WORKSPACES gives the key
    app_api_key  whether the settings have an App API key of the workspace

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    from databricks_app.lake.local.query import Result
    from databricks_app.operations.workspaces import app_api
    from databricks_app.operations.workspaces.overview import overview

    with errors_shown():
        variables = environment()
        settings = from_environment(variables)
        found = _keys_in_raw(_query(settings, variables))
        active = [key.fingerprint for key in settings.signing_keys or ()]
        rows = [
            (
                one.workspace,
                one.fingerprint,
                one.state,
                one.listed_as,
                one.events,
                one.newest_received_at and one.newest_received_at.replace(microsecond=0),
                app_api.has_key(variables, one.listed_as or one.workspace),
                app_api.region(variables, one.listed_as or one.workspace),
            )
            for one in overview(settings.workspaces, active, found)
        ]
    write(Result(_NAMES, _TYPES, list(rows)), form)
    for line in _remarks(settings.workspaces, active, found):
        click.echo(line, err=True)


@workspaces.command("rename")
@click.argument("old")
@click.argument("new")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def rename_(*, old: str, new: str, yes: bool) -> None:
    """Change the workspace of rows from OLD to NEW, if CIO_WORKSPACES lists their key for NEW.

    Rows with other keys stay as they are, and the command lists them. Stop the receiver first.
    After a crash run the same command again: it changes the remaining rows.

    Only the column workspace changes. loaded_at stays, so jobs that read increments by loaded_at do
    not see the rename: let them read the tables again from the start.

    \b
    Exit codes: 0 done, or nothing to do, 1 not done (the message says why), 2 wrong usage.

    \b
    Example:
      CIO_WORKSPACES=shop:5e8f0c1d ciolake workspaces rename default shop
    """  # noqa: D301  # click needs the character \b
    from databricks_app.operations.workspaces.overview import remaining, rename_of

    with errors_shown():
        variables = environment()
        settings = from_environment(variables)
        names = settings.workspaces
        _check(old, new, names)
        with _stopped_lake(settings, variables) as (lake, query):
            found = _keys_in_raw(query)
            rename = rename_of(old, new, names, found)
            if rename is None:
                click.echo(f"No rows of {old} have a key that CIO_WORKSPACES lists for {new}.")
            else:
                _show(lake.rows_to_rename(rename), f"{old} -> {new}")
                if not yes:
                    click.confirm("Rename these rows?", abort=True)
                _show(lake.rename(rename), "renamed")
    for one, why in remaining(old, names, found):
        click.echo(f"{counted(one.events, '[row|rows]')} of {old} not renamed, because they {why}.")


def _check(old: str, new: str, names: Mapping[str, str]) -> None:
    if old == new:
        raise click.UsageError("OLD and NEW are the same name")
    if new not in names.values():
        listed = ", ".join(sorted(set(names.values()))) or "none"
        raise click.ClickException(
            f"CIO_WORKSPACES lists no key for {new} (its workspaces: {listed}). First add "
            f"{new}:<fingerprint> to it; `ciolake workspaces` shows the fingerprints."
        )


def _show(rows: Mapping[str, int], title: str) -> None:
    click.echo(f"{title}:")
    for table, events in rows.items():
        if events:
            click.echo(f"  {table}: {counted(events, '[row|rows]')}")
    if not any(rows.values()):
        click.echo("  nothing")


def _remarks(names: Mapping[str, str], active: list[str], found: list[KeyInRaw]) -> Iterator[str]:
    """Yield a line for each setting or rename that is needed."""
    from databricks_app.operations.workspaces.overview import due

    for (old, new), events in due(names, found).items():
        yield (
            f"{counted(events, '[row has|rows have]')} the workspace {old}, but a key of {new}: "
            f"run `ciolake workspaces rename {old} {new}`"
        )
    if not names:
        return
    known = {one.fingerprint: one.events for one in found if one.fingerprint}
    for fingerprint in dict.fromkeys([*active, *known]):
        if fingerprint not in names:
            state = "active" if fingerprint in active else "retired"
            yield (
                f"CIO_WORKSPACES does not list the {state} key {fingerprint} "
                f"({known.get(fingerprint, 0):,} rows): its events get the workspace default"
            )


def _keys_in_raw(query: LocalQuery | WarehouseQuery) -> list[KeyInRaw]:
    from databricks_app.lake.renaming import KEYS_IN_RAW, keys_in_raw

    return keys_in_raw(query.run(KEYS_IN_RAW).rows)


def _query(settings: Settings, variables: Mapping[str, str]) -> LocalQuery | WarehouseQuery:
    if settings.store == "local":
        return local_query(settings.data_dir)
    logs.configure("error", "command")  # only rows go to standard output
    return connections.open_tables(connections.open_workspace(variables), settings)


@contextmanager
def _stopped_lake(
    settings: Settings, variables: Mapping[str, str]
) -> Iterator[tuple[RenamingLake, LocalQuery | WarehouseQuery]]:
    """Yield the tables while no loader can write them.

    Raises:
        LakeError: A loader is running.
    """
    from databricks_app.lake import Standby

    logs.configure("error", "command")
    lake = _lake(settings, variables)
    try:
        lake.start()
    except Standby as error:
        raise LakeError(
            f"{_STOP} If it has crashed, start it and stop it again, so that it gives its lease "
            "back."
        ) from error
    try:
        yield lake, _query(settings, variables)
    finally:
        lake.close()


def _lake(settings: Settings, variables: Mapping[str, str]) -> RenamingLake:
    if settings.store == "local":
        from databricks_app.lake.local.lock import is_held
        from databricks_app.lake.local.store import LocalLake

        folder = settings.data_dir / "tables"
        if not folder.is_dir():
            raise LakeError(f"There are no tables in {settings.data_dir}: check CIO_DATA_DIR.")
        if is_held(folder):
            raise LakeError(_STOP)
        os.umask(file_modes.tables_umask(settings.data_dir))
        return LocalLake(settings.data_dir)
    from databricks_app.databricks.call_timeout import CallTimeout
    from databricks_app.lake.warehouse.connect import open_lake

    return open_lake(connections.open_workspace(variables), settings, CallTimeout())
