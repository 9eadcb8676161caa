"""Conversion of rows to Arrow columns: no value is changed silently."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.events.envelope import UnroutedReason
from databricks_app.lake.arrow_columns import build

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TYPES = {
    "text": pa.string(),
    "whole": pa.int64(),
    "flag": pa.bool_(),
    "day": pa.date32(),
    "time": pa.timestamp("us", "UTC"),
    "map": pa.map_(pa.string(), pa.list_(pa.string())),
    "structs": pa.list_(pa.struct([("a", pa.string()), ("b", pa.string())])),
}
FITTING: dict[str, list[Any]] = {
    "text": ["", "a\0b", "\U0010ffff", UnroutedReason.NOT_JSON],
    "whole": [0, 2**63 - 1, -(2**63)],
    "flag": [True, False],
    "day": [date(1, 1, 1), date(9999, 12, 31)],
    "time": [NOON, NOON.astimezone(timezone(timedelta(hours=2)))],
    "map": [{}, {"a": ["b", None], "c": None}],
    "structs": [[], [{"a": "1", "b": None}, None]],
}
UNFIT = [
    ("text", 1, "TypeError"),
    ("text", b"a", "TypeError"),
    ("text", "\ud800", "UnicodeEncodeError"),
    ("whole", 2.0, "TypeError"),
    ("whole", True, "TypeError"),
    ("whole", "12", "TypeError"),
    ("whole", 2**63, "OverflowError"),
    ("flag", 1, "TypeError"),
    ("day", NOON, "TypeError"),
    ("day", 20_000, "TypeError"),
    ("time", date(2026, 11, 22), "TypeError"),
    ("time", NOON.replace(tzinfo=None), "TypeError"),
    ("map", [("a", ["b"])], "TypeError"),
    ("map", {"a": "b"}, "TypeError"),
    ("map", {1: ["b"]}, "TypeError"),
    ("map", {"a": ["\udfff"]}, "UnicodeEncodeError"),
    ("structs", {"a": "1", "b": "2"}, "TypeError"),
    ("structs", [{"a": "1"}], "TypeError"),
    ("structs", [{"a": "1", "b": 2}], "TypeError"),
    ("structs", [{"a": "1", "b": "2", "c": "3"}], "TypeError"),
]


def schema_of(*columns: str) -> Any:
    """A schema of nullable columns."""
    return pa.schema([(column, TYPES[column]) for column in columns])


def test_build_keeps_every_value_that_fits() -> None:
    """The values in the columns are the given values, NULL included."""
    expected = {}
    found = {}

    for column in TYPES:
        values = [*FITTING[column], None]
        built = build([{column: value} for value in values], schema_of(column), {})
        found[column] = (built.table.column(column).to_pylist(), built.refused)
        same = [list(one.items()) if isinstance(one, dict) else one for one in values]
        expected[column] = (same, {})

    assert found == expected


def test_build_refuses_only_the_value_that_does_not_fit() -> None:
    """The refusal has the position of the row. The rows before and after it stay."""
    wrong = {}

    for column, value, error in UNFIT:
        good = FITTING[column][0]
        rows = [{column: good}, {column: None}, {column: value}, {column: good}]
        built = build(rows, schema_of(column), {})
        if (built.refused, built.table.num_rows) != ({2: error}, 3):
            wrong[column, repr(value)] = (built.refused, built.table.num_rows)

    assert wrong == {}


def test_build_refuses_null_where_it_is_not_allowed() -> None:
    """NOT NULL is checked before the rows reach the engine."""
    schema = pa.schema([pa.field("text", pa.string(), nullable=False)])

    built = build([{"text": None}, {"text": "a"}], schema, {})

    assert built.refused == {0: "ValueError"}


def test_build_refuses_rows_that_lack_a_column_or_have_one_too_many() -> None:
    """An unknown column would be lost silently."""
    rows = [{"text": "a"}, {}, {"text": "b", "more": 1}]

    built = build(rows, schema_of("text"), {})

    assert (built.refused, built.table.column("text").to_pylist()) == (
        {1: "KeyError", 2: "KeyError"},
        ["a"],
    )


def test_build_refuses_rows_for_different_columns() -> None:
    """Positions refer to the given rows, also if a later pass finds the row."""
    rows: list[dict[str, object]] = [
        {"more": 1},
        {"text": "a", "whole": 1},
        {"text": 1, "whole": 1},
        {"whole": "b", "text": "c"},
        {"whole": 2, "text": "d"},
    ]

    built = build(rows, schema_of("text", "whole"), {})

    assert set(built.refused) == {0, 2, 3}
    assert built.table.to_pylist() == [{"text": "a", "whole": 1}, {"text": "d", "whole": 2}]


def test_build_stamps_every_row() -> None:
    """Constant columns are not part of the rows."""
    built = build([{"text": "a"}, {"text": "b"}], schema_of("time", "text"), {"time": NOON})

    assert built.table.to_pylist() == [{"time": NOON, "text": "a"}, {"time": NOON, "text": "b"}]


def test_build_of_no_rows_is_an_empty_table_of_the_schema() -> None:
    """Without rows the table is empty and has the columns of the schema."""
    built = build([], schema_of("text", "time"), {"time": NOON})

    assert (built.table.num_rows, built.table.schema) == (0, schema_of("text", "time"))


def test_build_refuses_unknown_column_types() -> None:
    """A column type without a rule is a mistake in the definition."""
    with pytest.raises(TypeError, match="no rule for columns of the type double"):
        build([{"x": 1.0}], pa.schema([("x", pa.float64())]), {})


ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.datetimes(),
    st.dates(), st.lists(st.text() | st.none()), st.dictionaries(st.text(), st.integers()),
)  # fmt: skip


@given(values=st.lists(ANY, max_size=6), column=st.sampled_from(list(TYPES)))
def test_build_gives_back_exactly_what_it_does_not_refuse(values: list[Any], column: str) -> None:
    """Each value is either refused or unchanged."""
    built = build([{column: value} for value in values], schema_of(column), {})

    kept = [value for place, value in enumerate(values) if place not in built.refused]
    got = built.table.column(column).to_pylist()
    assert [(type(one), one) for one in kept if one or not isinstance(one, dict)] == [
        (type(one), one)
        for one, before in zip(got, kept, strict=True)
        if before or not isinstance(before, dict)
    ]
