"""Converts rows to Arrow columns and refuses every value that is not of the column's type.

Arrow and delta-rs convert values silently (2.9 is stored as 2 in a BIGINT column, a naive time
becomes UTC), so the Python types are checked first. Pure; imports pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from itertools import compress
from operator import attrgetter
from types import NoneType
from typing import Any

import pyarrow as pa

# pyarrow has no type hints.
ArrowTable = Any
ArrowSchema = Any
ArrowType = Any

Row = Mapping[str, object]

_TIME_ZONE = attrgetter("tzinfo")
# So few rows stay in the cache of the processor: a third of the time of all rows at once.
_TRANSPOSED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Built:
    """Rows as one Arrow table.

    Attributes:
        table: The rows that fit, in order, with the requested schema.
        refused: Position of each row that does not fit, with the name of the error type.
    """

    table: ArrowTable
    refused: dict[int, str]


def build(rows: Sequence[Row], schema: ArrowSchema, stamps: Row) -> Built:
    """Convert rows to columns.

    Args:
        rows: Each has exactly the columns of the schema, without those of `stamps`.
        schema: Columns, their types, and which of them may be NULL.
        stamps: Columns that have the same value in every row. Their types are not checked.
    """
    names = frozenset(schema.names) - stamps.keys()
    # A handler makes rows with few different column orders. To check these once is faster than to
    # check the columns of each row.
    shapes = set(map(tuple, rows))
    wrong = {shape for shape in shapes if names != set(shape)}
    refused: dict[int, str] = {}
    if wrong:
        refused = {place: "KeyError" for place, row in enumerate(rows) if tuple(row) in wrong}
    if not refused:
        columns = {
            name: _column(values, schema.field(name), refused)
            for name, values in _transposed(rows, names, shapes).items()
        }
    if refused:
        kept = [position not in refused for position in range(len(rows))]
        rest = build(list(compress(rows, kept)), schema, stamps)
        positions = list(compress(range(len(rows)), kept))
        later = {positions[position]: error for position, error in rest.refused.items()}
        return Built(rest.table, refused | later)
    for name, value in stamps.items():
        columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), len(rows))
    return Built(pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema), {})


def constant(rows: ArrowTable, name: str, value: object) -> ArrowTable:
    """Return the rows with one value in the whole column."""
    place = rows.schema.get_field_index(name)
    field = rows.schema.field(place)
    return rows.set_column(place, field, pa.repeat(pa.scalar(value, field.type), rows.num_rows))


def _transposed(
    rows: Sequence[Row], names: Iterable[str], shapes: Set[tuple[str, ...]]
) -> dict[str, list[object]]:
    """The values of each column."""
    if len(shapes) != 1:
        return {name: [row[name] for row in rows] for name in names}
    (order,) = shapes
    columns = dict[str, list[object]]((name, []) for name in order)
    for start in range(0, len(rows), _TRANSPOSED_AT_ONCE):
        part = rows[start : start + _TRANSPOSED_AT_ONCE]
        transposed = zip(*(row.values() for row in part), strict=True)
        for column, values in zip(columns.values(), transposed, strict=True):
            column.extend(values)
    return columns


def _column(values: Sequence[object], field: Any, refused: dict[int, str]) -> Any:
    types = set(map(type, values))
    if field.nullable and types == {NoneType}:
        return pa.nulls(len(values), field.type)
    check = _check(field.type)
    if check.all(values, types, is_nullable=field.nullable):
        try:
            return pa.array(values, field.type)
        except (pa.ArrowException, ValueError, OverflowError):
            pass  # the loop below finds the value
    for position, value in enumerate(values):
        error = _refusal(value, field, check)
        if error:
            refused.setdefault(position, error)
    return None


def _refusal(value: object, field: Any, check: ValueCheck) -> str | None:
    if value is None:
        return None if field.nullable else "ValueError"
    if not check.one(value):
        return "TypeError"
    try:
        pa.array([value], field.type)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        return type(error).__name__
    return None


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """Which Python values a column accepts.

    Attributes:
        takes: Whether the column accepts values of this class.
        deep: Whether it accepts this value (not None); for types where the class is not enough.
        deep_all: The same for many values, where this is faster than one by one.
    """

    takes: Callable[[type], bool]
    deep: Callable[[Any], bool] | None = None
    deep_all: Callable[[Iterable[Any]], bool] | None = None

    def one(self, value: object) -> bool:
        """Whether the column accepts a value that is not None."""
        return self.takes(type(value)) and (self.deep is None or self.deep(value))

    def all(self, values: Sequence[object], types: Set[type], *, is_nullable: bool) -> bool:
        """Whether the column accepts all values; `types` are their classes."""
        has_none = NoneType in types
        if (has_none and not is_nullable) or not all(map(self.takes, types - {NoneType})):
            return False
        if self.deep is None:
            return True
        present = [value for value in values if value is not None] if has_none else values
        return self.deep_all(present) if self.deep_all else all(map(self.deep, present))


def _is_aware(value: datetime) -> bool:
    return value.utcoffset() is not None


def _are_aware(values: Iterable[datetime]) -> bool:
    # Many values have few time zones, so one value of each zone is checked.
    zones = {_TIME_ZONE(value): value for value in values}
    return all(map(_is_aware, zones.values()))


def _is(cls: type) -> Callable[[type], bool]:
    return lambda actual: actual is cls


def _is_subclass_of(cls: type) -> Callable[[type], bool]:
    return lambda actual: issubclass(actual, cls)


def _check(type_: ArrowType) -> ValueCheck:
    if pa.types.is_string(type_):
        return ValueCheck(_is_subclass_of(str))
    if pa.types.is_int64(type_):
        return ValueCheck(_is(int))  # not bool, which is a subclass of int
    if pa.types.is_boolean(type_):
        return ValueCheck(_is(bool))
    if pa.types.is_date32(type_):
        return ValueCheck(_is(date))  # not datetime, which is a subclass of date
    if pa.types.is_timestamp(type_):
        return ValueCheck(_is_subclass_of(datetime), _is_aware, _are_aware)
    return _nested(type_)


def _nested(type_: ArrowType) -> ValueCheck:
    if pa.types.is_list(type_):
        item = _optional(type_.value_type)
        return ValueCheck(_is(list), lambda value: all(map(item, value)))
    if pa.types.is_map(type_):
        key, item = _check(type_.key_type).one, _optional(type_.item_type)
        return ValueCheck(
            _is(dict), lambda value: all(map(key, value)) and all(map(item, value.values()))
        )
    if pa.types.is_struct(type_):
        members = {field.name: _optional(field.type) for field in type_}
        return ValueCheck(
            _is(dict),
            lambda value: (
                value.keys() == members.keys()
                and all(fits(value[name]) for name, fits in members.items())
            ),
        )
    raise TypeError(f"no rule for columns of the type {type_}")


def _optional(type_: ArrowType) -> Callable[[object], bool]:
    check = _check(type_)
    return lambda value: value is None or check.one(value)
