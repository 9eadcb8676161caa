"""Runs Databricks SQL on the local Delta tables, with the same tables and views as on Databricks.

Each query has its own in-memory DuckDB. It can read the newest version of the tables that the query
names, and no other file. Queries need no lock, because replaced files are kept for an hour. Imports
duckdb and deltalake at the first query.
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
# The date is not in a file but in the name of its folder, e.g. `event_date=2026-11-22`.
_DATE_OF_PATH = "TRY_CAST(substr(split_part(filename, '/', -2), 12) AS DATE)"
_SAFE_ERRORS = ("BinderException", "CatalogException", "ParserException")
_TYPES = (("TIMESTAMP WITH TIME ZONE", "TIMESTAMP"), ("VARCHAR", "STRING"), ("HUGEINT", "BIGINT"))


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a query.

    Attributes:
        names: Column names.
        types: Column types with their Databricks names, where these exist.
        rows: Python values: UTC-aware datetimes, dates, ints, lists, and dicts for structs and
            maps.
        is_cut: Whether the query has more rows than `limit`.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[object, ...]]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class TableState:
    """The size and the newest row of a table.

    `files` and `bytes` count the current data files; None for a table of a warehouse.
    """

    name: str
    rows: int
    files: int | None
    bytes: int | None
    newest_loaded_at: datetime | None
    comment: str


@dataclass(frozen=True, slots=True)
class LocalQuery:
    """Queries on the tables in `data_dir`; a table that does not exist yet is empty.

    Attributes:
        data_dir: Folder that contains `tables/<table>`.
        memory_limit: Limit for DuckDB, e.g. `512MB`; None means most of the memory.
        threads: Threads of DuckDB; None means one per core.
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
        """Run a Databricks query.

        Args:
            sql: One SELECT, WITH, VALUES, SHOW TABLES or DESCRIBE.
            parameters: Values of the `:name` parameters.
            limit: Greatest number of rows to return; None means all.

        Raises:
            QueryError: The query is refused, wrong, or fails. The text says why and contains no
                values.
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
        """Return the tables of `sql/` in their order, with size and newest row."""
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
        """Yield a connection with the tables and views of the query, and the DuckDB text."""
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
            # DuckDB creates it only if a query needs more than the memory, and removes it at close.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"ciolake-{uuid4().hex}"),
        }
        if self.memory_limit:
            settings["memory_limit"] = self.memory_limit
        if self.threads:
            settings["threads"] = self.threads
        return settings

    def _bind(self, connection: duckdb.DuckDBPyConnection, names: frozenset[str]) -> None:
        """Create the tables and views of the query, and forbid access to all other files."""
        used_tables, used_views = _needed(names)
        files = {each.name: self._files(each) for each in used_tables}
        allowed = [file for table_files in files.values() for file in table_files]
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
        """Return the data files of the newest version of a table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        folder = self.data_dir / "tables" / each.name
        if not (folder / "_delta_log").is_dir():
            return []
        try:
            uris = DeltaTable(folder).file_uris()
        except DeltaError as error:
            raise QueryError(f"The table in {folder} cannot be opened: {error}") from error
        # deltalake percent-encodes the path of the folder.
        return [unquote(uri) for uri in uris]


def _needed(names: frozenset[str]) -> tuple[list[Table], list[View]]:
    """Return the tables and views behind these names, in the order of `sql/`."""
    wanted = set(names)
    used_views = []
    # A view reads only earlier views, so the reverse order reaches it before the views it reads.
    for view in reversed(views()):
        if view.name in wanted:
            used_views.append(view)
            wanted |= duckdb_query(view.sql).names
    return [each for each in tables() if each.name in wanted], used_views[::-1]


def _bind_unrouted(
    connection: duckdb.DuckDBPyConnection, view: View, files: Mapping[str, list[str]]
) -> None:
    """Create the view of unrouted events over the typed files of the dates that it needs."""
    # The view joins on the date, so files of other dates cannot change its rows. DuckDB does not
    # know this when it plans the query, and would open every file of every typed table.
    days = {f"event_date={day}" for (day,) in connection.execute(_CANDIDATES).fetchall()}
    connection.execute("CREATE SCHEMA candidates")
    # A view looks for a table in its own schema first, then in `main`.
    connection.execute("SET schema = 'candidates'")
    for each in tables():
        if each.name in files and each.name != RAW_TABLE:
            needed = [file for file in files[each.name] if Path(file).parent.name in days]
            connection.execute(_table_view(each, needed))
    connection.execute(f"CREATE VIEW {view.name} AS {duckdb_query(view.sql).text}")
    connection.execute("SET schema = 'main'")
    connection.execute(f"CREATE VIEW {view.name} AS FROM candidates.{view.name}")


def _table_view(each: Table, files: list[str]) -> str:
    """Return a CREATE VIEW with the columns of `sql/`, also those that files lack."""
    # Rows that are older than the column `workspace` belong to the default workspace.
    columns = ", ".join(
        f"coalesce(workspace, '{DEFAULT}') AS workspace"
        if column.name == "workspace"
        else f'"{column.name}"'
        for column in each.columns
    )
    if not files:
        typed = ", ".join(
            f'CAST(NULL AS {duckdb_type(column.type)}) AS "{column.name}"'
            for column in each.columns
        )
        return f"CREATE VIEW {each.name} AS SELECT {typed} WHERE FALSE"
    listed = ", ".join(_quoted(file) for file in files)
    # Because the schema is given, DuckDB opens no file before the query runs, and never opens files
    # whose date cannot match. One day of a year with 30 files a day takes 0.2 s instead of 4 s.
    source = (
        f"SELECT *, {_DATE_OF_PATH} AS event_date FROM read_parquet([{listed}],"  # noqa: S608  # quoted
        f" schema = MAP {{{_schema(each)}}}, filename = true)"
    )
    return f"CREATE VIEW {each.name} AS SELECT {columns} FROM ({source})"  # noqa: S608  # names of sql/


def _schema(each: Table) -> str:
    """Return the columns of a data file for `read_parquet`; a column that a file lacks is NULL."""
    names = ((_quoted(one.name), duckdb_type(one.type)) for one in each.columns)
    return ", ".join(
        f"{name}: {{name: {name}, type: '{kind}', default_value: NULL}}"
        for name, kind in names
        if name != "'event_date'"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _databricks_type(name: str) -> str:
    for duckdb_name, databricks_name in _TYPES:
        name = name.replace(duckdb_name, databricks_name)
    return name


def _explanation(error: Exception) -> str:
    """Explain an error of DuckDB. Its own text is used only where it cannot contain a value."""
    kind = type(error).__name__
    if kind in _SAFE_ERRORS:
        text = str(error).partition("\n\nLINE ")[0].partition(": ")[2]
        return f"The query fails: {text}"
    if DIVISION_BY_ZERO in str(error):
        return DIVISION_BY_ZERO
    if kind in {"IOException", "PermissionException"}:
        return (
            "A data file is missing or cannot be read. Run the query again, then check the folder."
        )
    if kind == "OutOfMemoryException":
        return "The query needs more memory than it may use; read fewer days or columns."
    if kind == "ConversionException":
        return (
            "The query fails: a value does not fit the requested type; "
            "use try_cast, which gives NULL."
        )
    return f"The query fails: {kind.removesuffix('Exception')}."
