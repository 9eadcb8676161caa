"""Delta tables in folders, with the isolation of a warehouse.

A write gives the version that it has read. If the table has newer commits by then, the write
conflicts: with every newer commit if the table is `Serializable`, else only with commits of writes
that have read the table too. A blind append (a write that has not read the table) never conflicts.

Not simulated: deletion vectors, row-level concurrency, clustering of files, time travel.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from sqlglot import exp

from databricks_app.lake.sql_dialect import duckdb_type
from tests.doubles.warehouse.failures import SqlFailure, concurrent_append
from tests.doubles.workspace.metastore import Column

_SIMPLE = {
    exp.DType.TEXT: pa.string(),
    exp.DType.TINYINT: pa.int8(),
    exp.DType.SMALLINT: pa.int16(),
    exp.DType.INT: pa.int32(),
    exp.DType.BIGINT: pa.int64(),
    exp.DType.FLOAT: pa.float32(),
    exp.DType.DOUBLE: pa.float64(),
    exp.DType.BOOLEAN: pa.bool_(),
    exp.DType.BINARY: pa.binary(),
    exp.DType.DATE: pa.date32(),
    exp.DType.TIMESTAMP: pa.timestamp("us", "UTC"),
    exp.DType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    exp.DType.TIMESTAMPNTZ: pa.timestamp("us"),
}
# The platform compacts tables by itself; without it reading gets slower with each commit.
_COMPACT_EVERY = 40


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version of a table and its data files."""

    version: int
    files: tuple[str, ...]


@dataclass(slots=True)
class Delta:
    """One table. Safe to share between threads.

    Attributes:
        folder: The folder of the table.
        name: Its name, for error texts.
        is_serializable: Whether every newer commit is a conflict.
    """

    folder: Path
    name: str
    is_serializable: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _handle: DeltaTable | None = None
    _blind: set[int] = field(default_factory=set)

    def create(self, columns: list[Column]) -> None:
        """Create the empty table."""
        with self._lock:
            self._handle = DeltaTable.create(str(self.folder), schema=schema(columns))

    def snapshot(self) -> Snapshot:
        """Return the newest version."""
        with self._lock:
            handle = self._opened()
            return Snapshot(handle.version(), tuple(unquote(uri) for uri in handle.file_uris()))

    def append(self, rows: pa.Table, read: Snapshot | None) -> None:
        """Append rows, unless a commit after `read` conflicts; None is a blind append.

        Raises:
            SqlFailure: Another write has committed first.
        """
        with self._lock:
            handle = self._opened()
            if read is not None:
                self._check(handle, read)
            write_deltalake(handle, rows, mode="append")
            handle.update_incremental()
            if read is None:
                self._blind.add(handle.version())
            if handle.version() % _COMPACT_EVERY == 0:
                self._compact(handle)

    def replace(self, rows: pa.Table, read: Snapshot) -> None:
        """Replace all rows by these.

        Raises:
            SqlFailure: Another write has committed first.
        """
        with self._lock:
            handle = self._opened()
            self._check(handle, read)
            write_deltalake(handle, rows, mode="overwrite")
            handle.update_incremental()

    def widen(self, columns: list[Column]) -> None:
        """Add the missing columns."""
        with self._lock:
            handle = self._opened()
            empty = schema(columns).empty_table()
            write_deltalake(handle, empty, mode="append", schema_mode="merge")
            handle.update_incremental()

    def compact(self) -> None:
        """Merge small files into few; this never conflicts."""
        with self._lock:
            self._compact(self._opened())

    def _compact(self, handle: DeltaTable) -> None:
        handle.optimize.compact()
        handle.update_incremental()
        self._blind.add(handle.version())

    def _check(self, handle: DeltaTable, read: Snapshot) -> None:
        newer = set(range(read.version + 1, handle.version() + 1))
        if newer if self.is_serializable else newer - self._blind:
            raise concurrent_append(self.name)

    def _opened(self) -> DeltaTable:
        if self._handle is None:
            self._handle = DeltaTable(str(self.folder))
        return self._handle


def schema(columns: list[Column]) -> pa.Schema:
    """Return the Arrow schema of columns; comments are in the metadata."""
    return pa.schema(
        [
            pa.field(
                column.name,
                arrow_type(column.type),
                nullable=column.nullable,
                metadata={"comment": column.comment},
            )
            for column in columns
        ]
    )


@cache
def arrow_type(databricks_type: str) -> pa.DataType:
    """Return the Arrow type of a Databricks type.

    Raises:
        SqlFailure: The double does not support the type.
    """
    return _arrow(exp.DataType.build(databricks_type, dialect="databricks"))


def _arrow(kind: exp.DataType) -> pa.DataType:
    inner = kind.expressions
    if kind.this is exp.DType.ARRAY:
        return pa.list_(pa.field("element", _arrow(inner[0])))
    if kind.this is exp.DType.MAP:
        return pa.map_(_arrow(inner[0]), _arrow(inner[1]))
    if kind.this is exp.DType.STRUCT:
        return pa.struct([(part.name, _arrow(part.args["kind"])) for part in inner])
    if kind.this is exp.DType.DECIMAL:
        precision, scale = (int(part.name) for part in inner) if inner else (10, 0)
        return pa.decimal128(precision, scale)
    if kind.this not in _SIMPLE:
        text = f"The double does not support the type {kind.sql('databricks')}."
        raise SqlFailure("DOUBLE_UNSUPPORTED", text, "0A000")
    return _SIMPLE[kind.this]


def relation(columns: list[Column], files: tuple[str, ...]) -> str:
    """Return DuckDB's SELECT of a snapshot; a column that a file does not have is NULL."""
    names = ", ".join(f'"{column.name}"' for column in columns)
    typed = ", ".join(
        f'CAST(NULL AS {duckdb_type(column.type)}) AS "{column.name}"' for column in columns
    )
    source = f"SELECT {typed} WHERE FALSE"
    if files:
        listed = ", ".join(quoted(file) for file in files)
        source += f" UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name = true)"
    return f"SELECT {names} FROM ({source})"


def quoted(text: str) -> str:
    """Return a text as a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"
