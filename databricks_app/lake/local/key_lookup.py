"""Finds the keys that a table already has, so that an insert never repeats a row.

Reads the ids of data files with DuckDB, which skips the parts that cannot match. Keys are passed as
a table, never in the SQL text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from databricks_app.lake.arrow_columns import ArrowTable
from databricks_app.lake.batch import Key
from databricks_app.lake.insert import StoredRow

# The date is not a column of a file: it is in the name of the folder.
_FROM = """
FROM read_parquet($files, hive_partitioning = true, hive_types = {'event_date': DATE}) AS stored
SEMI JOIN wanted ON stored.event_id = wanted.event_id AND stored.event_date = wanted.event_date
"""
_KEYS = f"SELECT event_id, event_date {_FROM}"
# Files of an earlier release lack new columns. UNION ALL BY NAME makes these NULL.
_ROWS = """
SELECT event_id, event_date, received_at, target_table, unrouted_reason, body, body_encoding,
  workspace, body_sha256
FROM (
  SELECT NULL::VARCHAR AS workspace, NULL::VARCHAR AS body_sha256 WHERE FALSE
  UNION ALL BY NAME
  SELECT * FROM read_parquet($files, union_by_name = true, hive_partitioning = true,
    hive_types = {'event_date': DATE})
) AS stored
SEMI JOIN wanted ON stored.event_id = wanted.event_id AND stored.event_date = wanted.event_date
"""
_KEY = pa.schema([("event_id", pa.string()), ("event_date", pa.date32())])
KEY_COLUMNS = tuple(_KEY.names)
_MEMORY = "512MB"


class Lookup:
    """Reads data files. Several threads may use it at the same time."""

    def __init__(self) -> None:
        # Most files are read once, so a cache of their content would only cost memory.
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "enable_external_file_cache": False,
        }
        self._connection = duckdb.connect(config=config)

    def close(self) -> None:
        """Close the connection and free its memory."""
        self._connection.close()

    def keys(self, files: Sequence[Path], rows: ArrowTable) -> set[Key]:
        """Return the keys of these rows that are in these data files.

        Raises:
            duckdb.Error: A file cannot be read.
        """
        wanted = rows.select(KEY_COLUMNS)
        return set(self._query(_KEYS, files, wanted)) if files else set()

    def rows(self, files: Sequence[Path], keys: Iterable[Key]) -> Mapping[Key, StoredRow]:
        """Return the rows with these keys from data files of the raw table.

        Raises:
            duckdb.Error: A file cannot be read.
        """
        wanted = pa.table(list(zip(*keys, strict=True)), schema=_KEY)
        found = self._query(_ROWS, files, wanted)
        return {(row[0], row[1]): StoredRow(row[2].astimezone(UTC), *row[3:]) for row in found}

    def _query(self, sql: str, files: Sequence[Path], wanted: ArrowTable) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.register("wanted", wanted)
            return cursor.execute(sql, {"files": [str(file) for file in files]}).fetchall()
