"""Rows into Arrow columns, refusing every value that is not of its column's type.

Arrow and delta-rs convert silently (2.9 into BIGINT stores 2, a naive time becomes UTC), so the
Python types are checked first. Pure; imports pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import compress
from operator import attrgetter
from types import NoneType
from typing import Any

import pyarrow as pa

# A table of columns and a schema: pyarrow ships no types.
ArrowTable = Any
ArrowSchema = Any
ArrowType = Any

Row = Mapping[str, object]

_TIME_ZONE = attrgetter("tzinfo")
_TURNED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Built:
    """Rows as one Arrow table.

    Attributes:
        table: The rows that fit, in order, with the schema asked for.
        refused: Position of each row that does not fit, to the name of the error's type.
    """

    table: ArrowTable
    refused: dict[int, str]


def build(rows: Sequence[Row], schema: ArrowSchema, stamps: Row) -> Built:
    """Make columns of rows.

    Args:
        rows: Each with exactly the schema's columns but those of `stamps`.
        schema: Columns, types and which may be NULL.
        stamps: Values of the columns that are the same in every row; trusted to fit.
    """
    names = frozenset(schema.names) - stamps.keys()
    # Rows of one reader share few shapes, which saves a comparison and look-ups for each row.
    shapes = set(map(tuple, rows))
    refused = _misshapen(rows, {shape for shape in shapes if names != set(shape)})
    if not refused:
        columns = {
            name: _column(values, schema.field(name), refused)
            for name, values in _transposed(rows, names, shapes).items()
        }
    if refused:
        kept = [position not in refused for position in range(len(rows))]
        rest = build(list(compress(rows, kept)), schema, stamps)
        return Built(rest.table, refused | _repositioned(rest.refused, kept))
    for name, value in stamps.items():
        columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), len(rows))
    return Built(pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema), {})


def constant(rows: ArrowTable, name: str, value: object) -> ArrowTable:
    """The same rows with one value in a column."""
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
    # Few rows at a time stay in the processor's cache: a third of the time of all at once.
    for start in range(0, len(rows), _TURNED_AT_ONCE):
        turned = zip(*(row.values() for row in rows[start : start + _TURNED_AT_ONCE]), strict=True)
        for column, values in zip(columns.values(), turned, strict=True):
            column.extend(values)
    return columns


def _repositioned(refused: Mapping[int, str], kept: Sequence[bool]) -> dict[int, str]:
    positions = list(compress(range(len(kept)), kept))
    return {positions[position]: error for position, error in refused.items()}


def _misshapen(rows: Sequence[Row], wrong: Set[tuple[str, ...]]) -> dict[int, str]:
    if not wrong:
        return {}
    return {position: "KeyError" for position, row in enumerate(rows) if tuple(row) in wrong}


def _column(values: Sequence[object], field: Any, refused: dict[int, str]) -> Any:
    types = set(map(type, values))
    if field.nullable and types == {NoneType}:
        return pa.nulls(len(values), field.type)
    check = _check(field.type)
    if check.all(values, types, is_nullable=field.nullable):
        try:
            return pa.array(values, field.type)
        except (pa.ArrowException, ValueError, OverflowError):
            pass  # found below, value by value
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
    """Which Python values a column takes.

    Attributes:
        takes: Whether values of this class fit, as far as the class says it.
        deep: Whether one value that is not None fits, where the class does not say it all.
        deep_all: The same for many values at once, where there is a faster way.
    """

    takes: Callable[[type], bool]
    deep: Callable[[Any], bool] | None = None
    deep_all: Callable[[Iterable[Any]], bool] | None = None

    def one(self, value: object) -> bool:
        """Whether a value that is not None fits."""
        return self.takes(type(value)) and (self.deep is None or self.deep(value))

    def all(self, values: Sequence[object], types: Set[type], *, is_nullable: bool) -> bool:
        """Whether every value, of these types, fits; None where the column allows it."""
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
    # Few distinct time zones in many values; one of each is asked.
    zones = {_TIME_ZONE(value): value for value in values}
    return all(map(_is_aware, zones.values()))


def _is(cls: type) -> Callable[[type], bool]:
    return partial(_same, cls)


def _same(expected: type, actual: type) -> bool:
    return expected is actual


def _is_kind_of(cls: type) -> Callable[[type], bool]:
    return lambda actual: issubclass(actual, cls)


def _check(type_: ArrowType) -> ValueCheck:
    if pa.types.is_string(type_):
        return ValueCheck(_is_kind_of(str))
    if pa.types.is_int64(type_):
        return ValueCheck(_is(int))  # not bool, which is a kind of int
    if pa.types.is_boolean(type_):
        return ValueCheck(_is(bool))
    if pa.types.is_date32(type_):
        return ValueCheck(_is(date))  # not datetime, which is a kind of date
    if pa.types.is_timestamp(type_):
        return ValueCheck(_is_kind_of(datetime), _is_aware, _are_aware)
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
