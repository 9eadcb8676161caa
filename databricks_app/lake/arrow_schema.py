"""The Arrow schema of a table, derived from `sql/`.

Rows must have this schema to be written to Delta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from databricks_app.lake.sql_dialect import Table

_SIMPLE = {
    exp.DType.TEXT: pa.string(),
    exp.DType.BIGINT: pa.int64(),
    exp.DType.BOOLEAN: pa.bool_(),
    exp.DType.DATE: pa.date32(),
    # Delta stores microseconds. A timestamp without a zone is another Delta type.
    exp.DType.TIMESTAMP: pa.timestamp("us", "UTC"),
    exp.DType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the fields in the order of the table, with NOT NULL and comments.

    Raises:
        LakeError: A column has a type that local tables do not support.
    """
    return pa.schema(
        pa.field(
            column.name,
            _type(exp.DataType.build(column.type, dialect="databricks")),
            nullable=column.nullable,
            # delta-rs makes this the comment of the Delta column.
            metadata={"comment": column.comment},
        )
        for column in table.columns
    )


def _type(kind: exp.DataType) -> pa.DataType:
    inner = kind.expressions
    if kind.this is exp.DType.ARRAY:
        return pa.list_(pa.field("element", _type(inner[0])))
    if kind.this is exp.DType.MAP:
        return pa.map_(_type(inner[0]), _type(inner[1]))
    if kind.this is exp.DType.STRUCT:
        return pa.struct([(field.name, _type(field.args["kind"])) for field in inner])
    if kind.this not in _SIMPLE:
        raise LakeError(f"Local tables do not support the type {kind.sql('databricks')}.")
    return _SIMPLE[kind.this]
