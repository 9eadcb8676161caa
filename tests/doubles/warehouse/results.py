"""Results in the formats of Thrift and JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from tests.doubles.warehouse.generated import types as ttypes

_TYPES: tuple[tuple[Any, int, str], ...] = (
    (pa.types.is_boolean, ttypes.TTypeId.BOOLEAN_TYPE, "BOOLEAN"),
    (pa.types.is_int8, ttypes.TTypeId.TINYINT_TYPE, "BYTE"),
    (pa.types.is_int16, ttypes.TTypeId.SMALLINT_TYPE, "SHORT"),
    (pa.types.is_int32, ttypes.TTypeId.INT_TYPE, "INT"),
    (pa.types.is_integer, ttypes.TTypeId.BIGINT_TYPE, "LONG"),
    (pa.types.is_float32, ttypes.TTypeId.FLOAT_TYPE, "FLOAT"),
    (pa.types.is_floating, ttypes.TTypeId.DOUBLE_TYPE, "DOUBLE"),
    (pa.types.is_decimal, ttypes.TTypeId.DECIMAL_TYPE, "DECIMAL"),
    (pa.types.is_date, ttypes.TTypeId.DATE_TYPE, "DATE"),
    (pa.types.is_timestamp, ttypes.TTypeId.TIMESTAMP_TYPE, "TIMESTAMP"),
    (pa.types.is_binary, ttypes.TTypeId.BINARY_TYPE, "BINARY"),
    (pa.types.is_map, ttypes.TTypeId.MAP_TYPE, "MAP"),
    (pa.types.is_list, ttypes.TTypeId.ARRAY_TYPE, "ARRAY"),
    (pa.types.is_struct, ttypes.TTypeId.STRUCT_TYPE, "STRUCT"),
)


def named(rows: pa.Table | None) -> pa.Table:
    """Return rows with at least one column, as a warehouse does for a statement without result."""
    if rows is None or rows.num_columns == 0:
        return pa.table({"Result": pa.array([], pa.string())})
    return rows


def type_of(kind: pa.DataType) -> tuple[int, str]:
    """Return Thrift's number and the API's name of a type; an unknown type is text."""
    for is_it, number, name in _TYPES:
        if is_it(kind):
            return number, name
    return ttypes.TTypeId.STRING_TYPE, "STRING"


def column_descriptions(schema: pa.Schema) -> list[Any]:
    """Return the columns of a schema as Thrift describes them."""
    return [
        ttypes.TColumnDesc(
            columnName=field.name,
            position=index + 1,
            typeDesc=ttypes.TTypeDesc(types=[ttypes.TTypeEntry(primitiveEntry=_entry(field.type))]),
        )
        for index, field in enumerate(schema)
    ]


def _entry(kind: pa.DataType) -> Any:
    entry = ttypes.TPrimitiveTypeEntry(type=type_of(kind)[0])
    if pa.types.is_decimal(kind):
        parts = {"precision": kind.precision, "scale": kind.scale}
        qualifiers = {
            name: ttypes.TTypeQualifierValue(i32Value=value) for name, value in parts.items()
        }
        entry.typeQualifiers = ttypes.TTypeQualifiers(qualifiers=qualifiers)
    return entry


def batches(page: pa.Table) -> list[Any]:
    """Return rows as Arrow messages without the schema."""
    return [
        ttypes.TSparkArrowBatch(batch=batch.serialize().to_pybytes(), rowCount=batch.num_rows)
        for batch in page.combine_chunks().to_batches()
    ]


def json_rows(rows: pa.Table) -> list[list[str | None]]:
    """Return rows in the format `JSON_ARRAY`: every value is text or NULL."""
    columns = [[_text(value) for value in column.to_pylist()] for column in rows.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
