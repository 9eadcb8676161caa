"""The Arrow schema of a table: what rows must look like to be written to Delta.

Derived from `sql/`; the one module besides the loaders that imports pyarrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from databricks_app.lake.sql_dialect import ColumnDefinition, Table

_SIMPLE = {
    exp.DType.TEXT: pa.string(),
    exp.DType.BIGINT: pa.int64(),
    exp.DType.BOOLEAN: pa.bool_(),
    exp.DType.DATE: pa.date32(),
    # Delta knows microseconds; a timestamp without a zone is another Delta type.
    exp.DType.TIMESTAMP: pa.timestamp("us", "UTC"),
    exp.DType.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Fields in the table's order; NOT NULL and the comments are kept.

    The metadata `comment` of a field becomes the comment of the Delta column.

    Raises:
        LakeError: A column has a type that local tables do not know.
    """
    return pa.schema([_field(column) for column in table.columns])


def _field(column: ColumnDefinition) -> pa.Field:
    kind = exp.DataType.build(column.type, dialect="databricks")
    metadata = {"comment": column.comment}
    return pa.field(column.name, _type(kind), nullable=column.nullable, metadata=metadata)


def _type(kind: exp.DataType) -> pa.DataType:
    inner = kind.expressions
    if kind.this is exp.DType.ARRAY:
        return pa.list_(pa.field("element", _type(inner[0])))
    if kind.this is exp.DType.MAP:
        return pa.map_(_type(inner[0]), _type(inner[1]))
    if kind.this is exp.DType.STRUCT:
        return pa.struct([(field.name, _type(field.args["kind"])) for field in inner])
    if kind.this not in _SIMPLE:
        raise LakeError(f"Type {kind.sql('databricks')} is not known to local tables.")
    return _SIMPLE[kind.this]
