"""What all handlers share: columns as data, and the reading of a payload by them.

A handler names, for one object type, its metrics and which field of the payload fills which column.
Column types and order are those of `sql/tables/`; a test compares them. Pure; imports no I/O.
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

_MAX_NOTES = 20

_SCALARS: Mapping[SqlType, Convert] = {"STRING": string, "BIGINT": bigint, "BOOLEAN": boolean}


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        name: As in `sql/tables/`.
        type: Databricks SQL type.
        path: The payload's field that fills it, as a dot path; None: filled otherwise.
        nullable: False for NOT NULL.
    """

    name: str
    type: SqlType
    path: str | None = None
    nullable: bool = True


class TypedRow(NamedTuple):
    """A row of a typed table.

    Attributes:
        values: Every column of the table but `loaded_at` and `batch_id`, in the table's order.
        unknown: Dot paths of the payload that no column takes, as sent: neither bounded nor safe
            to log.
    """

    values: dict[str, object]
    unknown: list[str]


def data_columns(type_: SqlType, *names: str) -> tuple[Column, ...]:
    """Columns that hold the fields of `data` with their own names."""
    return tuple(Column(name, type_, f"data.{name}") for name in names)


_BEFORE = (
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
_AFTER = (Column("reading_notes", "STRING"),)


@dataclass(frozen=True, slots=True)
class Handler:
    """How events of one object type become rows; made by `handler`.

    Attributes:
        object_type: The vendor's name.
        table: The table that takes its events.
        metrics: The metrics that are known for it.
        columns: The table's columns but `loaded_at` and `batch_id`, in order.
    """

    object_type: str
    table: str
    metrics: frozenset[str]
    columns: tuple[Column, ...]
    _steps: _Steps = field(repr=False)
    _blank: dict[str, object] = field(repr=False)

    def row(self, opened: EventEnvelope, received_at: datetime, workspace: str) -> TypedRow:
        """Read a payload into a row; what does not fit is NULL and noted.

        Args:
            opened: An envelope whose payload was read; its own routing is not looked at.
            received_at: UTC.
            workspace: Name of the workspace that sent it.
        """
        findings = Findings(opened.notes)
        values = self._blank.copy()
        if opened.payload.get("data") is None:
            findings.notes.append("data: missing")
        _fill(values, self._steps, opened.payload, "", findings)
        values["event_id"] = opened.event_id
        values["event_timestamp"] = opened.event_timestamp
        values["event_date"] = opened.event_date
        values["received_at"] = received_at
        values["workspace"] = workspace
        if findings.notes:
            values["reading_notes"] = _joined(findings.notes)
        return TypedRow(values, findings.unknown)


def handler(object_type: str, metrics: Iterable[str], own: tuple[Column, ...]) -> Handler:
    """Make a handler.

    Args:
        object_type: The vendor's name; the table is named after it.
        metrics: The metrics known for it.
        own: The table's columns between the common ones and `reading_notes`, in order.
    """
    columns = (*_BEFORE, *own, *_AFTER)
    return Handler(
        object_type=object_type,
        table=f"webhook_{object_type}_events",
        metrics=frozenset(metrics),
        columns=columns,
        _steps=_plan(columns),
        _blank={column.name: None for column in columns},
    )


def _plan(columns: tuple[Column, ...]) -> _Steps:
    # None stands for a field that is known and read elsewhere.
    plan: _Steps = {"event_id": None, "timestamp": None}
    for column in columns:
        if column.path is None:
            continue
        *parents, leaf = column.path.split(".")
        steps = plan
        for parent in parents:
            inner = steps.setdefault(parent, {})
            assert isinstance(inner, dict)  # noqa: S101  # a column's path ends in a leaf
            steps = inner
        steps[leaf] = _step(column)
    return plan


def _step(column: Column) -> tuple[str, Convert] | _Nested:
    scalar = _SCALARS.get(column.type)
    if scalar is not None:
        return column.name, scalar
    return partial(header_map if column.type.startswith("MAP") else devices, column.name)


def _fill(
    values: dict[str, object],
    steps: _Steps,
    source: Mapping[str, object],
    prefix: str,
    findings: Findings,
) -> None:
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


def _joined(notes: list[str]) -> str:
    distinct = list(dict.fromkeys(notes))
    more = len(distinct) - _MAX_NOTES
    if more > 0:
        distinct[_MAX_NOTES:] = [f"and {more} more"]
    return "; ".join(distinct)
