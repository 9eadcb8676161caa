"""Opens a local table for loading: repairs it, creates it, adds missing columns, syncs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import Schema

from databricks_app.errors import LakeError
from databricks_app.lake.local.fsync import Sync, sync_checkpoint
from databricks_app.lake.local.recovery import recover
from databricks_app.lake.local.table_handle import (
    PARTITION,
    Definition,
    TableHandle,
    translated_errors,
)
from databricks_app.runtime import crash_points


@dataclass(frozen=True, slots=True)
class Opened:
    """A table that is ready to be loaded. Everything in it is durable.

    Attributes:
        handle: Open at the newest version.
        checkpointed_version: Newest version with a durable checkpoint; -1 means none.
        is_new: Whether it was created now.
        added_columns: Columns that were missing.
        problems: One sentence for each file that was moved to quarantine.
    """

    handle: TableHandle
    checkpointed_version: int
    is_new: bool
    added_columns: tuple[str, ...]
    problems: tuple[str, ...]


def open_table(
    data_dir: Path, definition: Definition, properties: Mapping[str, str], sync: Sync
) -> Opened:
    """Open a table under `<data_dir>/tables`.

    Raises:
        LakeError: The table cannot be used; the text names it and says what to do.
    """
    path = data_dir / "tables" / definition.name
    with translated_errors(definition.name):
        found = recover(path, data_dir / "quarantine", sync)
        if not found.exists:
            TableHandle.create(path, definition, properties)
            crash_points.reach("lake.after_create")
        handle = TableHandle(path, found.checkpointed_version, sync)
        _require_same_types(handle, definition)
        added = _add_missing_columns(handle, definition)
        current = handle.delta.metadata().configuration
        if any(current.get(name) != value for name, value in properties.items()):
            handle.set_properties(properties)
        # A process that was killed may have written commits and not synced them.
        if found.checkpointed_version >= 0:
            sync_checkpoint(path, found.checkpointed_version, sync)
        handle.sync()
        sync(path.parent)
    return Opened(handle, found.checkpointed_version, not found.exists, added, found.problems)


def _require_same_types(handle: TableHandle, definition: Definition) -> None:
    # The engine would silently convert values if a column has another type.
    existing = {column.name: column.type for column in handle.delta.schema().fields}
    for column in Schema.from_arrow(definition.schema).fields:
        if existing.get(column.name, column.type) != column.type:
            raise LakeError(
                f"{handle.name}: column {column.name} has another type than in sql/tables. Move "
                f"the folder {handle.path} away; the next start creates the table again."
            )
    if handle.delta.metadata().partition_columns != [PARTITION]:
        raise LakeError(
            f"{handle.name}: the table is not partitioned by {PARTITION}. Move the folder "
            f"{handle.path} away; the next start creates the table again."
        )


def _add_missing_columns(handle: TableHandle, definition: Definition) -> tuple[str, ...]:
    existing = set(handle.columns())
    missing = [column for column in definition.schema if column.name not in existing]
    if missing:
        # Existing rows have no value in a new column.
        handle.add_columns(pa.schema([column.with_nullable(True) for column in missing]))
        crash_points.reach("lake.after_add_columns")
    return tuple(column.name for column in missing)
