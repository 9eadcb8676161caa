"""Read the local Delta tables with Databricks SQL: the same tables and views as on Databricks.

Each query gets its own in-memory DuckDB that sees the newest version of the tables it names and
no other file. Reading needs no lock: replaced files are kept for an hour. Imports duckdb and
deltalake at the first query.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from uuid import uuid4

from databricks_app.errors import QueryError
from databricks_app.events.workspaces import DEFAULT
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.sql_dialect import (
    Table,
    View,
    duckdb_query,
    duckdb_type,
    tables,
    views,
)
from databricks_app.lake.sql_dialect.functions import DIVISION_BY_ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import duckdb

_UNROUTED = "webhook_unrouted_events"
_CANDIDATES = f"SELECT DISTINCT event_date FROM {RAW_TABLE} WHERE target_table IS NULL"  # noqa: S608  # a name of sql/
# The date of a file is in its folder's name, `event_date=2026-11-22`.
_DATE_OF_PATH = "TRY_CAST(substr(split_part(filename, '/', -2), 12) AS DATE)"
_SAFE_ERRORS = ("BinderException", "CatalogException", "ParserException")
_TYPES = (("TIMESTAMP WITH TIME ZONE", "TIMESTAMP"), ("VARCHAR", "STRING"), ("HUGEINT", "BIGINT"))


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of a query.

    Attributes:
        names: Column names.
        types: Their types, in Databricks' words as far as there are such.
        rows: Python values: UTC-aware datetimes, dates, ints, lists, and dicts for structs and
            maps.
        is_cut: Whether there are more rows than were asked for.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[object, ...]]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class TableState:
    """How large and how fresh a table is; `bytes` counts its current data files.

    `files` and `bytes` are None of a table whose files are not ours to count.
    """

    name: str
    rows: int
    files: int | None
    bytes: int | None
    newest_loaded_at: datetime | None
    comment: str


@dataclass(frozen=True, slots=True)
class LocalQuery:
    """Queries over the tables in `data_dir`; a table that does not exist yet is empty.

    Attributes:
        data_dir: Folder with `tables/<table>`.
        memory_limit: DuckDB's, e.g. `512MB`; None means most of the machine's memory.
        threads: DuckDB's; None means one a core.
    """

    data_dir: Path
    memory_limit: str | None = None
    threads: int | None = None

    def run(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        limit: int | None = None,
    ) -> Result:
        """Answer a Databricks query; `parameters` fill its `:name` marks.

        Args:
            sql: One SELECT, WITH, VALUES, SHOW TABLES or DESCRIBE.
            parameters: Values by name.
            limit: Most rows to return; None means all.

        Raises:
            QueryError: The query is refused, wrong, or fails; says why, shows no values.
        """
        with self._prepared(sql) as (connection, text):
            connection.execute(text, dict(parameters or {}))
            columns = connection.description or []
            rows = connection.fetchall() if limit is None else connection.fetchmany(limit + 1)
        return Result(
            names=tuple(column[0] for column in columns),
            types=tuple(_databricks_type(str(column[1])) for column in columns),
            rows=rows[:limit],
            is_cut=limit is not None and len(rows) > limit,
        )

    def states(self) -> list[TableState]:
        """The tables of `sql/` in their order, with what the folder holds of each."""
        return [self._state(each) for each in tables()]

    def _state(self, each: Table) -> TableState:
        files = [Path(file) for file in self._files(each)]
        newest = f"SELECT count(*), max(loaded_at) FROM {each.name}"  # noqa: S608  # a name of sql/
        rows, loaded_at = self.run(newest).rows[0] if files else (0, None)
        return TableState(
            name=each.name,
            rows=rows,  # type: ignore[arg-type]  # count(*)
            files=len(files),
            bytes=sum(file.stat().st_size for file in files),
            newest_loaded_at=loaded_at,  # type: ignore[arg-type]  # max of a timestamp
            comment=each.comment,
        )

    @contextmanager
    def _prepared(self, sql: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A connection that sees what the query reads, and the query's DuckDB text."""
        import duckdb

        query = duckdb_query(sql)
        connection = duckdb.connect(config=self._config())
        try:
            self._bind(connection, query.names)
            yield connection, query.text
        except duckdb.Error as error:
            raise QueryError(_explanation(error)) from error
        finally:
            connection.close()

    def _config(self) -> dict[str, str | bool | int | float | list[str]]:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # Made only when a query needs more than the memory, removed with the connection.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"ciolake-{uuid4().hex}"),
        }
        if self.memory_limit:
            settings["memory_limit"] = self.memory_limit
        if self.threads:
            settings["threads"] = self.threads
        return settings

    def _bind(self, connection: duckdb.DuckDBPyConnection, names: frozenset[str]) -> None:
        """Make the tables and views the query reads, and lock everything else."""
        used_tables, used_views = _needed(names)
        files = {each.name: self._files(each) for each in used_tables}
        allowed = [file for of_table in files.values() for file in of_table]
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET allowed_paths = $1", [allowed])
        connection.execute("SET enable_external_access = false")
        for each in used_tables:
            connection.execute(_table_view(each, files[each.name]))
        for view in used_views:
            if view.name == _UNROUTED:
                _bind_unrouted(connection, view, files)
            else:
                connection.execute(f"CREATE VIEW {view.name} AS {duckdb_query(view.sql).text}")
        connection.execute("SET lock_configuration = true")

    def _files(self, each: Table) -> list[str]:
        """Data files of the table's newest version."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        folder = self.data_dir / "tables" / each.name
        if not (folder / "_delta_log").is_dir():
            return []
        try:
            uris = DeltaTable(folder).file_uris()
        except DeltaError as error:
            raise QueryError(f"The table in {folder} cannot be opened: {error}") from error
        # The library percent-encodes the table's folder.
        return [unquote(uri) for uri in uris]


def _needed(names: frozenset[str]) -> tuple[list[Table], list[View]]:
    """Tables and views behind those names, each in running order."""
    wanted = set(names)
    used_views = []
    # Views read only earlier ones, so going backwards meets each before what it reads.
    for view in reversed(views()):
        if view.name in wanted:
            used_views.append(view)
            wanted |= duckdb_query(view.sql).names
    return [each for each in tables() if each.name in wanted], used_views[::-1]


def _bind_unrouted(
    connection: duckdb.DuckDBPyConnection, view: View, files: Mapping[str, list[str]]
) -> None:
    """Make the view of unrouted events over the typed files of its candidates' dates alone.

    It joins on the date, so no other file can change its rows. The engine cannot know that before
    it has read the candidates, and would open every file of every typed table.
    """
    days = {f"event_date={day}" for (day,) in connection.execute(_CANDIDATES).fetchall()}
    connection.execute("CREATE SCHEMA candidates")
    # A view finds tables in its own schema first, and what is not there in the main one.
    connection.execute("SET schema = 'candidates'")
    for each in tables():
        if each.name in files and each.name != RAW_TABLE:
            near = [file for file in files[each.name] if Path(file).parent.name in days]
            connection.execute(_table_view(each, near))
    connection.execute(f"CREATE VIEW {view.name} AS {duckdb_query(view.sql).text}")
    connection.execute("SET schema = 'main'")
    connection.execute(f"CREATE VIEW {view.name} AS FROM candidates.{view.name}")


def _table_view(each: Table, files: list[str]) -> str:
    """A view with the columns of `sql/`, whichever of them the files have."""
    columns = ", ".join(_read(column.name) for column in each.columns)
    if not files:
        typed = ", ".join(
            f'CAST(NULL AS {duckdb_type(column.type)}) AS "{column.name}"'
            for column in each.columns
        )
        return f"CREATE VIEW {each.name} AS SELECT {typed} WHERE FALSE"
    listed = ", ".join(_quoted(file) for file in files)
    # With the columns given no file is opened before the query runs, and those whose path cannot
    # match are never opened: of a year with 30 files a day one day takes 0.2 s instead of 4.
    # Files that were written before a column was added lack it: it is NULL.
    source = (
        f"SELECT *, {_DATE_OF_PATH} AS event_date FROM read_parquet([{listed}],"  # noqa: S608  # quoted
        f" schema = MAP {{{_schema(each)}}}, filename = true)"
    )
    return f"CREATE VIEW {each.name} AS SELECT {columns} FROM ({source})"  # noqa: S608  # names of sql/


def _schema(each: Table) -> str:
    """The columns that a data file may have, as the reader wants them: by name."""
    names = ((_quoted(one.name), duckdb_type(one.type)) for one in each.columns)
    return ", ".join(
        f"{name}: {{name: {name}, type: '{kind}', default_value: NULL}}"
        for name, kind in names
        if name != "'event_date'"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _read(column: str) -> str:
    """A column as queries see it; rows from before the column was there are of the default."""
    return (
        f"coalesce(workspace, '{DEFAULT}') AS workspace" if column == "workspace" else f'"{column}"'
    )


def _databricks_type(name: str) -> str:
    for duckdb_name, databricks_name in _TYPES:
        name = name.replace(duckdb_name, databricks_name)
    return name


def _explanation(error: Exception) -> str:
    """The engine's first lines where they name columns; never where they may show a value."""
    kind = type(error).__name__
    if kind in _SAFE_ERRORS:
        text = str(error).partition("\n\nLINE ")[0].partition(": ")[2]
        return f"The query fails: {text}"
    if DIVISION_BY_ZERO in str(error):
        return DIVISION_BY_ZERO
    if kind in {"IOException", "PermissionException"}:
        return "A data file is gone or cannot be read: run the query again, then check the folder."
    if kind == "OutOfMemoryException":
        return "The query needs more memory than allowed; read fewer days or columns."
    if kind == "ConversionException":
        return "The query fails: a value does not fit the type asked for; try_cast gives NULL."
    return f"The query fails: {kind.removesuffix('Exception')}."
