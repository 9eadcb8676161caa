"""Delta tables in folders, with the isolation of a warehouse: a write that read is checked.

A write names the version that it read. If the table has a newer one by then, a write that read
the table conflicts: with every newer commit if the table is `Serializable`, else with those that
have read the table as well. Blind appends never conflict.

Does not imitate: deletion vectors, row-level concurrency, clustering of files, time travel.
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
# Few files keep reading fast, as the platform's own upkeep does.
_COMPACT_EVERY = 40


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version of a table and its data files."""

    version: int
    files: tuple[str, ...]


@dataclass(slots=True)
class Delta:
    """One table; methods may be called by several threads.

    Attributes:
        folder: Where it lies.
        name: For error texts.
        is_serializable: Whether any newer commit is a conflict.
    """

    folder: Path
    name: str
    is_serializable: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _handle: DeltaTable | None = None
    _blind: set[int] = field(default_factory=set)

    def create(self, columns: list[Column]) -> None:
        """Make it, empty."""
        with self._lock:
            self._handle = DeltaTable.create(str(self.folder), schema=schema(columns))

    def snapshot(self) -> Snapshot:
        """The newest version."""
        with self._lock:
            return self._snapshot(self._opened())

    def append(self, rows: pa.Table, read: Snapshot | None) -> None:
        """Add rows, if nothing that matters has come since `read`; None is a blind append.

        Raises:
            SqlFailure: Another write was faster.
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
        """Put these rows in the place of all.

        Raises:
            SqlFailure: Another write was faster.
        """
        with self._lock:
            handle = self._opened()
            self._check(handle, read)
            write_deltalake(handle, rows, mode="overwrite")
            handle.update_incremental()

    def widen(self, columns: list[Column]) -> None:
        """Give it the columns that it lacks."""
        with self._lock:
            handle = self._opened()
            empty = schema(columns).empty_table()
            write_deltalake(handle, empty, mode="append", schema_mode="merge")
            handle.update_incremental()

    def compact(self) -> None:
        """Rewrite small files into few; conflicts with nothing."""
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

    @staticmethod
    def _snapshot(handle: DeltaTable) -> Snapshot:
        files = tuple(unquote(uri) for uri in handle.file_uris())
        return Snapshot(handle.version(), files)


def schema(columns: list[Column]) -> pa.Schema:
    """Arrow fields of columns; comments travel as metadata."""
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
    """Arrow type of a Databricks type.

    Raises:
        SqlFailure: The double does not know it.
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
        text = f"The double does not know the type {kind.sql('databricks')}."
        raise SqlFailure("DOUBLE_UNSUPPORTED", text, "0A000")
    return _SIMPLE[kind.this]


def relation(columns: list[Column], files: tuple[str, ...]) -> str:
    """DuckDB's SELECT of a snapshot, with all columns whichever of them the files have."""
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
    """A DuckDB string."""
    return "'" + text.replace("'", "''") + "'"
