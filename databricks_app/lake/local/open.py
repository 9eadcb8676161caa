"""Brings one local table to a state in which it can be loaded: repaired, made, widened, synced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import Schema

from databricks_app.errors import LakeError
from databricks_app.lake.local.fsync import Sync, sync_checkpoint
from databricks_app.lake.local.recovery import recover
from databricks_app.lake.local.table_handle import PARTITION, Definition, TableHandle, explained
from databricks_app.runtime import crash_points


@dataclass(frozen=True, slots=True)
class Opened:
    """A table that can be loaded; everything in it is durable.

    Attributes:
        handle: Open at the newest version.
        checkpointed_version: Newest version with a durable checkpoint; -1 for none.
        is_new: Whether it was made now.
        added_columns: Columns that it lacked.
        problems: What was moved aside, in sentences.
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
        LakeError: It cannot be used; names the table and says what to do.
    """
    path = data_dir / "tables" / definition.name
    with explained(definition.name):
        found = recover(path, data_dir / "quarantine", sync)
        if not found.exists:
            TableHandle.create(path, definition, properties)
            crash_points.reach("lake.after_create")
        handle = TableHandle(path, found.checkpointed_version, sync)
        _require_same_shape(handle, definition)
        added = _add_missing(handle, definition)
        _set_properties(handle, properties)
        # A process that was killed may have left commits that were written but never synced.
        if found.checkpointed_version >= 0:
            sync_checkpoint(path, found.checkpointed_version, sync)
        handle.sync()
        sync(path.parent)
    return Opened(handle, found.checkpointed_version, not found.exists, added, found.problems)


def _require_same_shape(handle: TableHandle, definition: Definition) -> None:
    """The engine would convert values silently into a column of another type."""
    have = {column.name: column.type for column in handle.delta.schema().fields}
    for column in Schema.from_arrow(definition.schema).fields:
        if have.get(column.name, column.type) != column.type:
            raise LakeError(
                f"{handle.name}: column {column.name} has another type than in sql/tables. Move "
                f"{handle.path} away: the table is then made anew."
            )
    if handle.delta.metadata().partition_columns != [PARTITION]:
        raise LakeError(
            f"{handle.name}: the table is not partitioned by {PARTITION}. Move {handle.path} away: "
            "the table is then made anew."
        )


def _add_missing(handle: TableHandle, definition: Definition) -> tuple[str, ...]:
    have = set(handle.columns())
    missing = [column for column in definition.schema if column.name not in have]
    if missing:
        # Rows that are there already have no value for it.
        handle.add_columns(pa.schema([column.with_nullable(True) for column in missing]))
        crash_points.reach("lake.after_add_columns")
    return tuple(column.name for column in missing)


def _set_properties(handle: TableHandle, properties: Mapping[str, str]) -> None:
    have = handle.delta.metadata().configuration
    if any(have.get(name) != value for name, value in properties.items()):
        handle.set_properties(properties)
