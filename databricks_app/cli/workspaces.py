"""The command `ciolake workspaces`: several workspaces of Customer.io in one receiver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from databricks_app.cli.rows import format_option, write
from databricks_app.errors import LakeError, ReceiverError
from databricks_app.runtime import file_modes, logs
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
    "A receiver loads into these tables. Stop it (`ciolake serve`, or the app), run this again, "
    "then start it."
)


@click.group(invoke_without_command=True)
@click.pass_context
def workspaces(context: click.Context) -> None:
    """Show the workspaces of this receiver, or rename one; alone it is `list`.

    CIO_WORKSPACES names workspaces by the fingerprints of their signing keys; docs/workspaces.md
    says how to begin.

    \b
    Exit codes: 0 done, 1 not done: the error says why, 2 wrong usage.
    """  # noqa: D301  # click wants the character itself
    if context.invoked_subcommand is None:
        context.invoke(list_, form="table")


@workspaces.command("list")
@format_option
def list_(*, form: str) -> None:
    """List the workspaces with their keys and what the raw table holds of each.

    `workspace` is the name in the rows, `listed_as` the name that CIO_WORKSPACES gives the key,
    `app_api_key` whether the settings hold an App API key of that workspace.
    """
    from databricks_app.lake.local.query import Result
    from databricks_app.operations.workspaces import app_api
    from databricks_app.operations.workspaces.overview import overview

    with _told():
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
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rename_(*, old: str, new: str, yes: bool) -> None:
    """Give rows of the workspace OLD the name NEW, if CIO_WORKSPACES lists their key for NEW.

    Rows of keys that are not listed for NEW stay as they are, and are named. The receiver must be
    stopped meanwhile. Typed tables are changed first and the raw table last: after a crash run the
    same command again, it completes what is missing.

    Nothing but the column workspace is changed. `loaded_at` stays, so that readers that go on from
    their last loaded_at do not see a rename: let them read the tables again from the start.

    \b
    Exit codes: 0 done, or nothing to do, 1 not done: the error says why, 2 wrong usage.

    \b
    Example:
      CIO_WORKSPACES=shop:5e8f0c1d ciolake workspaces rename default shop
    """  # noqa: D301  # click wants the character itself
    from databricks_app.operations.workspaces.overview import remaining, rename_of

    with _told():
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
                    click.confirm("Do this?", abort=True)
                _show(lake.rename(rename), "renamed")
    for one, why in remaining(old, names, found):
        click.echo(f"{one.events:,} rows of {old} stay: they {why}.")


def _check(old: str, new: str, names: Mapping[str, str]) -> None:
    if old == new:
        raise click.UsageError("OLD and NEW are the same name")
    if new not in names.values():
        listed = ", ".join(sorted(set(names.values()))) or "none"
        raise click.ClickException(
            f"CIO_WORKSPACES lists no key for {new} (its workspaces: {listed}). Add "
            f"{new}:<fingerprint> to it first; `ciolake workspaces` shows fingerprints."
        )


def _show(rows: Mapping[str, int], title: str) -> None:
    click.echo(f"{title}:")
    for table, events in rows.items():
        if events:
            click.echo(f"  {table}: {events:,} rows")
    if not any(rows.values()):
        click.echo("  nothing")


def _remarks(names: Mapping[str, str], active: list[str], found: list[KeyInRaw]) -> Iterator[str]:
    """What should be set or done, a line each."""
    from databricks_app.operations.workspaces.overview import due

    for (old, new), events in due(names, found).items():
        yield (
            f"{events:,} rows of {old} have a key of {new}: `ciolake workspaces rename {old} {new}`"
        )
    if not names:
        return
    known = {one.fingerprint: one.events for one in found if one.fingerprint}
    for fingerprint in dict.fromkeys([*active, *known]):
        if fingerprint not in names:
            state = "active" if fingerprint in active else "retired"
            yield (
                f"CIO_WORKSPACES does not list the {state} key {fingerprint} "
                f"({known.get(fingerprint, 0):,} rows): its events belong to default"
            )


def _keys_in_raw(query: LocalQuery | WarehouseQuery) -> list[KeyInRaw]:
    from databricks_app.lake.renaming import KEYS_IN_RAW, keys_in_raw

    return keys_in_raw(query.run(KEYS_IN_RAW).rows)


def _query(settings: Settings, variables: Mapping[str, str]) -> LocalQuery | WarehouseQuery:
    if settings.store == "local":
        from databricks_app.lake.local.query import LocalQuery

        return LocalQuery(settings.data_dir)
    from databricks_app.databricks import workspace
    from databricks_app.lake.warehouse.connect import open_query

    logs.configure("error", "command")  # standard output is for rows alone
    return open_query(workspace.connect(variables), settings)


@contextmanager
def _stopped_lake(
    settings: Settings, variables: Mapping[str, str]
) -> Iterator[tuple[RenamingLake, LocalQuery | WarehouseQuery]]:
    """The tables, while no loader may write them.

    Raises:
        LakeError: One does.
    """
    from databricks_app.lake import Standby

    logs.configure("error", "command")
    lake = _lake(settings, variables)
    try:
        lake.start()
    except Standby as error:
        raise LakeError(
            f"{_STOP} If it has died, start it and stop it once more: that gives its lease back."
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
            raise LakeError(f"No tables in {settings.data_dir}: is CIO_DATA_DIR right?")
        if is_held(folder):
            raise LakeError(_STOP)
        os.umask(file_modes.tables_umask(settings.data_dir))
        return LocalLake(settings.data_dir)
    from databricks_app.databricks import workspace
    from databricks_app.databricks.call_timeout import CallTimeout
    from databricks_app.lake.warehouse.connect import open_lake

    return open_lake(workspace.connect(variables), settings, CallTimeout())


@contextmanager
def _told() -> Iterator[None]:
    """End the command with the words of an error that says what to do."""
    try:
        yield
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error
