"""Compares the data files in the log of a local table with the files in its folder.

It compares only names and sizes and opens no file, so that a year of data is checked in a moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
from deltalake import DeltaTable

from databricks_app.lake.local.fsync import LOG
from databricks_app.lake.local.table_handle import translated_errors

Fault = Literal["file_missing", "file_cut"]


@dataclass(frozen=True, slots=True)
class TableFile:
    """A data file of the newest version.

    Attributes:
        path: Where it must be.
        rows: Number of rows in the log; 0 if the log has none.
        fault: `file_cut` if the size differs from the log; None if nothing is wrong.
    """

    path: Path
    rows: int
    fault: Fault | None


def data_files(table: Path) -> list[TableFile]:
    """Return the data files of the newest version of a table; empty if there is no table.

    Raises:
        LakeError: The log cannot be read.
    """
    if not (table / LOG).is_dir():
        return []
    with translated_errors(table.name):
        actions = pa.table(DeltaTable(table).get_add_actions())
    columns = (actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records"))
    return [
        TableFile(table / name, rows or 0, _fault(table / name, size))
        for name, size, rows in zip(*columns, strict=True)
    ]


def _fault(path: Path, size: int) -> Fault | None:
    try:
        return None if path.stat().st_size == size else "file_cut"
    except FileNotFoundError:
        return "file_missing"
