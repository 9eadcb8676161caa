"""`ciolake tables`: list the tables and views, or the columns of one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from databricks_app.cli.query import answer, data_dir_option, open_tables
from databricks_app.cli.rows import fits, format_option, write

if TYPE_CHECKING:
    from pathlib import Path

    from databricks_app.lake.local.query import LocalQuery, Result
    from databricks_app.lake.warehouse.query import WarehouseQuery

T = TypeVar("T")

# Columns that are left out on a narrow terminal, in this order.
_OPTIONAL = ("comment", "files", "kind")


@click.command()
@click.argument("name", required=False)
@format_option
@data_dir_option
def tables(name: str | None, form: str, data_dir: Path | None) -> None:
    """List the tables and views, or the columns of NAME.

    Rows, files and bytes are those of the current version of a table; files and bytes are known for
    local tables only. newest_loaded_at is the time of the last load, in UTC. On a narrow terminal
    some columns are left out.

    \b
    Exit codes: 0 done, 1 the tables cannot be read (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    source = open_tables(data_dir)
    if name is not None:
        write(answer(lambda: source.run(f"DESCRIBE {name}")), form)
        return
    listing = answer(lambda: _listing(source))
    write(_narrowed(listing) if form == "table" else listing, form)


def _listing(source: LocalQuery | WarehouseQuery) -> Result:
    from databricks_app.lake.local.query import Result
    from databricks_app.lake.sql_dialect import views

    rows: list[tuple[object, ...]] = [
        (
            state.name,
            "table",
            state.rows,
            state.files,
            state.bytes,
            state.newest_loaded_at and state.newest_loaded_at.replace(microsecond=0),
            state.comment,
        )
        for state in source.states()
    ]
    rows += [(view.name, "view", None, None, None, None, view.comment) for view in views()]
    return Result(
        names=("name", "kind", "rows", "files", "bytes", "newest_loaded_at", "comment"),
        types=("STRING", "STRING", "BIGINT", "BIGINT", "BIGINT", "TIMESTAMP", "STRING"),
        rows=rows,
    )


def _narrowed(listing: Result) -> Result:
    for name in _OPTIONAL:
        if fits(listing):
            break
        place = listing.names.index(name)
        listing = replace(
            listing,
            names=_without(listing.names, place),
            types=_without(listing.types, place),
            rows=[_without(row, place) for row in listing.rows],
        )
    return listing


def _without(items: tuple[T, ...], place: int) -> tuple[T, ...]:
    return items[:place] + items[place + 1 :]
