"""Checks the local tables: each event is there once, and raw and typed tables agree.

It only reads and needs no lock: while a loader runs, the rows of its newest batch are ignored.
DuckDB does the comparison, and uses the disk for what does not fit into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

from databricks_app.errors import LakeError
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.local.data_files import TableFile, data_files
from databricks_app.lake.local.fsync import LOG
from databricks_app.lake.local.lock import is_held

Kind = Literal[
    "file_missing",
    "file_cut",
    "file_unreadable",
    "repeated",
    "missing",
    "misplaced",
    "several_tables",
    "without_raw",
]

_EXAMPLES = 5

_REPEATED = "SELECT event_id FROM {table} GROUP BY event_id, event_date HAVING count(*) > 1"
_OF_TYPED: Mapping[Kind, str] = {
    "missing": """SELECT event_id FROM settled_{raw} ANTI JOIN {table} USING (event_id, event_date)
        WHERE target_table = '{table}'""",
    "misplaced": """SELECT event_id FROM {table}
        SEMI JOIN (FROM {raw} WHERE target_table <> '{table}') USING (event_id, event_date)""",
    "without_raw": """SELECT event_id FROM settled_{table}
        ANTI JOIN {raw} USING (event_id, event_date)""",
}
_UNKNOWN_TABLE = """SELECT event_id FROM {raw}
    WHERE target_table IS NOT NULL AND NOT list_contains($known, target_table)"""
_SEVERAL_TABLES = """SELECT event_id FROM typed
    SEMI JOIN (FROM {raw} WHERE target_table IS NULL) USING (event_id, event_date)
    GROUP BY event_id, event_date HAVING count(DISTINCT home) > 1"""
_TWO_DATES = "SELECT event_id FROM {raw} GROUP BY event_id HAVING count(DISTINCT event_date) > 1"
_CONFLICTS = "SELECT event_id FROM {raw} WHERE unrouted_reason = 'key_conflict'"
_UNROUTED = """SELECT event_id FROM {raw} ANTI JOIN typed USING (event_id, event_date)
    WHERE target_table IS NULL"""
_REPLAYED = """SELECT event_id FROM {raw} SEMI JOIN typed USING (event_id, event_date)
    WHERE target_table IS NULL"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Events that are wrong in a table, or a damaged data file.

    Attributes:
        kind: `file_missing`, `file_cut`, `file_unreadable`: what is wrong with a data file. Its
            rows are ignored in all other checks. `repeated`: the table has a key more than once.
            `missing`: the raw row names the table, but the table does not have the event.
            `misplaced`: the table has the event, but the raw row names another table.
            `several_tables`: the raw row names no table, and several typed tables have the event.
            `without_raw`: the table has the event, but the raw table does not.
        table: The table that is wrong.
        events: Number of events; for a data file the number in the log.
        event_ids: Some of their ids; empty for a data file.
        file: Path of the data file.
    """

    kind: Kind
    table: str
    events: int
    event_ids: tuple[str, ...]
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check.

    Attributes:
        rows: Rows by table.
        differences: What is wrong; empty if everything is correct.
        unrouted: Number of raw rows that name no table and are in no typed table.
        replayed: Number of raw rows that name no table but are in a typed table after a replay.
        conflicts: How many of `unrouted` have the id and day of another event.
        conflict_ids: Some of their ids.
        two_dates: Number of ids that the sender used with several dates. They are several events,
            because the date is part of the key.
        two_dates_ids: Some of these ids.
        is_loading: Whether a loader was running, so that its newest batch was ignored.
    """

    rows: Mapping[str, int]
    differences: tuple[Difference, ...]
    unrouted: int
    replayed: int
    conflicts: int
    conflict_ids: tuple[str, ...]
    two_dates: int
    two_dates_ids: tuple[str, ...]
    is_loading: bool


def check(data_dir: Path, typed_tables: Sequence[str]) -> Verdict:
    """Compare the tables under `<data_dir>/tables`.

    Raises:
        LakeError: There is no raw table, or a log cannot be read; says which one.
    """
    folder = data_dir.absolute() / "tables"
    if not (folder / RAW_TABLE / LOG).is_dir():
        raise LakeError(
            f"No table {RAW_TABLE} in {folder}. Is this the folder that the receiver writes to "
            "(--data-dir, CIO_DATA_DIR)?"
        )
    is_loading = is_held(folder)
    # Raw first: a typed row that is written after this belongs to a batch that is ignored.
    files = {name: data_files(folder / name) for name in (RAW_TABLE, *typed_tables)}
    with (
        tempfile.TemporaryDirectory(prefix="ciolake-") as temporary,
        # On disk, because the keys of a large table do not fit into memory.
        duckdb.connect(Path(temporary) / "check.duckdb") as connection,
    ):
        try:
            return _LocalVerification(connection, files, is_loading).run()
        except duckdb.Error as error:
            raise LakeError(
                f"The tables in {folder} cannot be read ({type(error).__name__}). Check that there "
                "is enough memory, and enough space in the folder for temporary files."
            ) from error


@dataclass(slots=True)
class _LocalVerification:
    connection: duckdb.DuckDBPyConnection
    files: Mapping[str, list[TableFile]]
    is_loading: bool
    differences: list[Difference] = field(default_factory=list)

    def run(self) -> Verdict:
        typed = [name for name in self.files if name != RAW_TABLE]
        self._bind(typed)
        for name in self.files:
            self._differ("repeated", name, _REPEATED)
        for name in typed:
            for kind, sql in _OF_TYPED.items():
                self._differ(kind, name, sql)
        self._differ("missing", RAW_TABLE, _UNKNOWN_TABLE, {"known": typed})
        self._differ("several_tables", RAW_TABLE, _SEVERAL_TABLES)
        two_dates, two_dates_ids = self._find(_TWO_DATES)
        conflicts, conflict_ids = self._find(_CONFLICTS)
        return Verdict(
            rows={name: self._find(f"FROM {name}")[0] for name in self.files},
            differences=tuple(self.differences),
            unrouted=self._find(_UNROUTED)[0],
            replayed=self._find(_REPLAYED)[0],
            conflicts=conflicts,
            conflict_ids=conflict_ids,
            two_dates=two_dates,
            two_dates_ids=two_dates_ids,
            is_loading=self.is_loading,
        )

    def _bind(self, typed: Sequence[str]) -> None:
        """Copy the keys of all tables, so that each file is read once; create the views."""
        self._copy(RAW_TABLE, ", target_table, unrouted_reason, batch_id")
        for name in typed:
            self._copy(name)
        homes = [f"SELECT event_id, event_date, '{name}' AS home FROM {name}" for name in typed]  # noqa: S608  # our tables' names
        self.connection.execute(f"CREATE VIEW typed AS {' UNION ALL '.join(homes)}")
        self.connection.execute(
            "CREATE TABLE newest AS SELECT min(loaded_at) AS newest_at "  # noqa: S608
            f"FROM {RAW_TABLE} WHERE batch_id = ("
            f"SELECT arg_max(batch_id, loaded_at) FROM {RAW_TABLE})"
        )
        settled = "WHERE loaded_at < (SELECT newest_at FROM newest)" if self.is_loading else ""
        for name in self.files:
            self.connection.execute(f"CREATE VIEW settled_{name} AS FROM {name} {settled}")

    def _copy(self, table: str, more: str = "") -> None:
        """Copy the keys of a table from its intact files; report each damaged file."""
        intact = [one for one in self.files[table] if one.fault is None]
        try:
            self.connection.execute(_copy_statement(table, intact, more))
        except duckdb.Error:
            readable = [one for one in intact if self._can_read(one, more)]
            if len(readable) == len(intact):
                raise  # every file alone can be read, so the cause is not a file
            unreadable = set(intact).difference(readable)
            self.connection.execute(_copy_statement(table, readable, more))
        else:
            unreadable = set()
        for one in self.files[table]:
            kind: Kind | None = "file_unreadable" if one in unreadable else one.fault
            if kind is not None:
                self.differences.append(Difference(kind, table, one.rows, (), str(one.path)))

    def _can_read(self, file: TableFile, more: str) -> bool:
        try:
            self.connection.execute(_copy_statement("probe", [file], more))
        except duckdb.Error:
            return False
        self.connection.execute("DROP TABLE probe")
        return True

    def _differ(
        self, kind: Kind, table: str, sql: str, parameters: Mapping[str, object] | None = None
    ) -> None:
        events, examples = self._find(sql, parameters, table)
        if events:
            self.differences.append(Difference(kind, table, events, examples))

    def _find(
        self, sql: str, parameters: Mapping[str, object] | None = None, table: str = RAW_TABLE
    ) -> tuple[int, tuple[str, ...]]:
        """Return how many rows a query has, and the first ids in order."""
        counted = (
            f"SELECT count(*), coalesce(min(event_id, {_EXAMPLES}), []) "  # noqa: S608  # constants
            f"FROM ({sql.format(raw=RAW_TABLE, table=table)})"
        )
        row = self.connection.execute(counted, dict(parameters or {})).fetchone()
        events, examples = row or (0, ())
        return int(events), tuple(examples)


def _copy_statement(table: str, files: Sequence[TableFile], more: str = "") -> str:
    """Return the statement that copies the keys of a table; without files the copy is empty."""
    if not files:
        return (
            f"CREATE TABLE {table} AS SELECT NULL::VARCHAR AS event_id, NULL::DATE AS event_date, "
            "NULL::TIMESTAMPTZ AS loaded_at, NULL::VARCHAR AS target_table, "
            "NULL::VARCHAR AS unrouted_reason, NULL::VARCHAR AS batch_id WHERE false"
        )
    quoted = ", ".join("'" + str(file.path).replace("'", "''") + "'" for file in files)
    return (
        f"CREATE TABLE {table} AS SELECT event_id, event_date, loaded_at{more} "  # noqa: S608  # as above
        f"FROM read_parquet([{quoted}], hive_partitioning = true, "
        "hive_types = {'event_date': DATE})"
    )
