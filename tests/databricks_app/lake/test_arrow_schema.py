"""The Arrow schema of a table, and that Delta keeps it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from databricks_app.errors import LakeError
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.sql_dialect import ColumnDefinition, Table, table, tables

if TYPE_CHECKING:
    from pathlib import Path


def test_fields_have_the_types_and_the_nullability_of_the_columns() -> None:
    """Each Databricks type has one Arrow type; times are UTC microseconds."""
    schema = arrow_schema(table("webhook_email_events"))
    push = arrow_schema(table("webhook_push_events"))

    assert schema.names == list(table("webhook_email_events").column_names)
    assert schema.field("event_id").type == pa.string()
    assert schema.field("event_date").type == pa.date32()
    assert schema.field("event_timestamp").type == pa.timestamp("us", "UTC")
    assert schema.field("link_id").type == pa.int64()
    assert schema.field("machine").type == pa.bool_()
    assert schema.field("headers").type == pa.map_(pa.string(), pa.list_(pa.string()))
    assert [field.name for field in push.field("recipients").type.value_type] == [
        "device_id",
        "device_platform",
        "failure_message",
    ]
    required = [field.name for field in schema if not field.nullable]
    assert required == ["event_id", "event_date", "received_at", "loaded_at"]


def test_delta_keeps_names_nullability_and_comments(tmp_path: Path) -> None:
    """A local table has the columns and comments of `sql/`."""
    found = {}

    for each in tables():
        delta = DeltaTable.create(
            tmp_path / each.name, arrow_schema(each), partition_by=["event_date"]
        )
        found[each.name] = [
            (field.name, field.nullable, field.metadata["comment"])
            for field in delta.schema().fields
        ]

    assert found == {
        each.name: [(column.name, column.nullable, column.comment) for column in each.columns]
        for each in tables()
    }


def test_merge_keeps_maps_lists_and_their_nulls(tmp_path: Path) -> None:
    """MERGE stores nested values exactly and repeats no row."""
    moment = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)
    base = {"event_date": date(2026, 11, 22), "received_at": moment, "loaded_at": moment}
    headers = [[("a", ["1", None]), ("b", []), ("c", None)], [], None]
    rows = [{**base, "event_id": str(n), "headers": each} for n, each in enumerate(headers)]
    schema = arrow_schema(table("webhook_email_events"))
    DeltaTable.create(tmp_path, schema, partition_by=["event_date"])

    for _ in range(2):
        source = pa.Table.from_pylist(rows, schema=schema)
        DeltaTable(tmp_path).merge(
            source,
            "t.event_id = s.event_id AND t.event_date = DATE '2026-11-22'",
            source_alias="s",
            target_alias="t",
            streamed_exec=False,
        ).when_not_matched_insert_all().execute()

    (file,) = DeltaTable(tmp_path).file_uris()
    stored = pq.ParquetFile(file).read(["event_id", "headers", "loaded_at"]).to_pylist()
    assert sorted(stored, key=lambda row: row["event_id"]) == [
        {"event_id": str(n), "headers": each, "loaded_at": moment} for n, each in enumerate(headers)
    ]


def test_unknown_type_is_an_error() -> None:
    """A new type in `sql/` is found before a table is created."""
    odd = Table("t", (ColumnDefinition("x", "DECIMAL(10, 2)", nullable=True, comment=""),), "", "")

    with pytest.raises(LakeError, match=r"DECIMAL\(10, 2\)"):
        arrow_schema(odd)
