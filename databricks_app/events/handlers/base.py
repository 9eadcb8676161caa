"""What all handlers share: columns declared as data, and the code that fills them.

A handler declares the metrics of one object type, and which payload field fills which column.
Column types and order are the same as in `sql/tables/`; a test compares them. Pure, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from databricks_app.events.handlers.conversions import (
    Convert,
    Findings,
    SqlType,
    Unfit,
    bigint,
    boolean,
    devices,
    header_map,
    string,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from databricks_app.events.envelope import EventEnvelope

_Nested: TypeAlias = "Callable[[object, Findings], object]"
_Steps: TypeAlias = "dict[str, tuple[str, Convert] | _Nested | _Steps | None]"

# A payload with thousands of wrong values must not make a huge row.
_MAX_NOTES = 20

_SCALARS: Mapping[SqlType, Convert] = {"STRING": string, "BIGINT": bigint, "BOOLEAN": boolean}


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        name: As in `sql/tables/`.
        type: Databricks SQL type.
        path: Dot path of the payload field that fills the column; None if code fills it.
        nullable: False for NOT NULL.
    """

    name: str
    type: SqlType
    path: str | None = None
    nullable: bool = True


class TypedRow(NamedTuple):
    """A row of a typed table.

    Attributes:
        values: Every column of the table, in order, without `loaded_at` and `batch_id`.
        unknown: Dot paths of payload fields without a column, as sent: any number of them, and
            not safe to log.
    """

    values: dict[str, object]
    unknown: list[str]


def data_columns(type_: SqlType, *names: str) -> tuple[Column, ...]:
    """Return columns that have the names of the `data` fields that fill them."""
    return tuple(Column(name, type_, f"data.{name}") for name in names)


_COMMON_COLUMNS = (
    Column("event_id", "STRING", nullable=False),
    Column("object_type", "STRING", "object_type"),
    Column("metric", "STRING", "metric"),
    Column("event_timestamp", "TIMESTAMP"),
    Column("event_date", "DATE", nullable=False),
    Column("received_at", "TIMESTAMP", nullable=False),
    Column("workspace", "STRING"),
    *data_columns("STRING", "customer_id"),
    Column("identifiers_id", "STRING", "data.identifiers.id"),
    Column("identifiers_email", "STRING", "data.identifiers.email"),
    Column("identifiers_cio_id", "STRING", "data.identifiers.cio_id"),
    *data_columns("STRING", "delivery_id"),
    *data_columns("BIGINT", "campaign_id", "broadcast_id", "newsletter_id"),
    *data_columns("STRING", "transactional_message_id"),
    *data_columns("BIGINT", "action_id", "parent_action_id", "content_id"),
    *data_columns("STRING", "journey_id"),
    *data_columns("BIGINT", "trigger_id"),
    *data_columns("STRING", "trigger_event_id"),
)
_LAST_COLUMNS = (Column("reading_notes", "STRING"),)


@dataclass(frozen=True, slots=True)
class Handler:
    """How events of one object type become rows. Create it with `handler`.

    Attributes:
        object_type: The vendor's name.
        table: The table that takes its events.
        metrics: The known metrics of the object type.
        columns: The columns of the table, in order, without `loaded_at` and `batch_id`.
    """

    object_type: str
    table: str
    metrics: frozenset[str]
    columns: tuple[Column, ...]
    _steps: _Steps = field(repr=False)
    _empty_row: dict[str, object] = field(repr=False)

    def row(self, event: EventEnvelope, received_at: datetime, workspace: str) -> TypedRow:
        """Read a payload into a row; a value that does not fit its column is NULL and noted.

        Args:
            event: An envelope with a payload. Its `table` is ignored.
            received_at: UTC.
            workspace: Name of the workspace that sent it.
        """
        findings = Findings(event.notes)
        values = self._empty_row.copy()
        if event.payload.get("data") is None:
            findings.notes.append("data: missing")
        _fill(values, self._steps, event.payload, "", findings)
        values["event_id"] = event.event_id
        values["event_timestamp"] = event.event_timestamp
        values["event_date"] = event.event_date
        values["received_at"] = received_at
        values["workspace"] = workspace
        if findings.notes:
            notes = list(dict.fromkeys(findings.notes))
            more = len(notes) - _MAX_NOTES
            if more > 0:
                notes[_MAX_NOTES:] = [f"and {more} more"]
            values["reading_notes"] = "; ".join(notes)
        return TypedRow(values, findings.unknown)


def handler(object_type: str, metrics: Iterable[str], own: tuple[Column, ...]) -> Handler:
    """Create a handler.

    Args:
        object_type: The vendor's name; it is part of the table's name.
        metrics: The known metrics of the object type.
        own: The columns that only this table has, in order. They stand between the common columns
            and `reading_notes`.
    """
    columns = (*_COMMON_COLUMNS, *own, *_LAST_COLUMNS)
    return Handler(
        object_type=object_type,
        table=f"webhook_{object_type}_events",
        metrics=frozenset(metrics),
        columns=columns,
        _steps=_plan(columns),
        _empty_row={column.name: None for column in columns},
    )


def _plan(columns: tuple[Column, ...]) -> _Steps:
    """Return what to do with each payload field, as a tree like the payload.

    The tree is built once for each handler: reading an event walks its payload, not the columns.
    """
    # None: the field is known, and the envelope has read it already.
    plan: _Steps = {"event_id": None, "timestamp": None}
    for column in columns:
        if column.path is None:
            continue
        *parents, leaf = column.path.split(".")
        steps = plan
        for parent in parents:
            inner = steps.setdefault(parent, {})
            assert isinstance(inner, dict)  # noqa: S101  # no path is the beginning of another
            steps = inner
        if scalar := _SCALARS.get(column.type):
            steps[leaf] = column.name, scalar
        else:
            convert = header_map if column.type.startswith("MAP") else devices
            steps[leaf] = partial(convert, column.name)
    return plan


def _fill(
    values: dict[str, object],
    steps: _Steps,
    source: Mapping[str, object],
    prefix: str,
    findings: Findings,
) -> None:
    # Walk the payload, not the columns: so fields without a column are found too.
    for key, value in source.items():
        if key not in steps:
            findings.unknown.append(prefix + key)
            continue
        step = steps[key]
        if value is None or step is None:
            continue
        if isinstance(step, tuple):
            column, convert = step
            try:
                values[column] = convert(value)
            except Unfit as unfit:
                findings.notes.append(f"{column}: {unfit}")
        elif not isinstance(step, dict):
            values[key] = step(value, findings)
        elif type(value) is dict:
            _fill(values, step, value, f"{prefix}{key}.", findings)
        else:
            findings.notes.append(f"{prefix}{key}: expected an object")
