"""The start of the local lake: lock, columns, and folders that cannot be used."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from databricks_app.errors import LakeError
from databricks_app.lake.local.store import LocalLake
from tests.support.lake_events import (
    EMAIL,
    RAW,
    event,
    few_tables,
    lake_in,
    load,
    rows,
)


@pytest.mark.usefixtures("lake")
def test_start_refuses_a_second_loader_and_names_the_first(tmp_path: Path) -> None:
    """One loader at a time."""
    with pytest.raises(LakeError, match=rf"Process {os.getpid()} already loads into"):
        lake_in(tmp_path).start()


def test_start_works_again_after_close(lake: LocalLake) -> None:
    """The lock is released, and the tables are unchanged."""
    load(lake, event("a"))
    lake.close()

    report = lake.start()

    assert (report.created, report.problems, report.added_columns) == ((), (), {})
    assert {RAW: load(lake, event("a")).duplicates[RAW]} == {RAW: 1}


def test_start_adds_missing_columns_and_keeps_foreign_ones(tmp_path: Path) -> None:
    """Nothing is dropped. New columns are NULL in old rows, also maps and lists."""
    full = few_tables()
    new = {"headers", "link_id", "reading_notes"}
    old_email = pa.schema(
        [field for field in full[1].schema if field.name not in new] + [("of_others", pa.string())]
    )
    old = lake_in(tmp_path, tables=[full[0], replace(full[1], schema=old_email), full[2]])
    old.start()
    old_event = event("a")
    typed = {name: old_event.typed[name] for name in old_event.typed or {} if name not in new}  # type: ignore[index]
    load(old, replace(old_event, typed={**typed, "of_others": "x"}))
    old.close()

    lake = lake_in(tmp_path)
    report = lake.start()
    load(lake, event("b", "email/sent", headers={"X-A": ["1", "2"]}, link_id=7))
    lake.close()

    assert report.added_columns == {EMAIL: ("headers", "link_id", "reading_notes")}
    assert rows(tmp_path, EMAIL, "event_id, headers['X-A'], link_id, of_others") == [
        ("a", None, None, "x"),
        ("b", ["1", "2"], 7, None),
    ]
    fields = {
        field.name: field for field in DeltaTable(tmp_path / "tables" / EMAIL).schema().fields
    }
    assert fields["link_id"].metadata["comment"].endswith("data.link_id")


def test_start_refuses_a_column_of_another_type(tmp_path: Path) -> None:
    """The engine would silently convert values."""
    first, *others = few_tables()
    place = first.schema.get_field_index("body_bytes")
    wrong = first.schema.set(place, pa.field("body_bytes", pa.string()))
    old = lake_in(tmp_path, tables=[replace(first, schema=wrong), *others])
    old.start()
    old.close()

    with pytest.raises(LakeError, match="webhook_raw_events: column body_bytes has another type"):
        lake_in(tmp_path).start()
    old.start()  # the refused start gave the lock back
    old.close()


def test_start_refuses_a_table_without_partitions(tmp_path: Path) -> None:
    """Each load would read the whole table."""
    first = few_tables()[0]
    DeltaTable.create(tmp_path / "tables" / first.name, first.schema)

    with pytest.raises(LakeError, match="not partitioned by event_date"):
        lake_in(tmp_path).start()


@pytest.mark.parametrize("name", ["a%20b", "a[1]", "what?", "*"])
def test_start_refuses_a_path_that_the_engines_would_change(tmp_path: Path, name: str) -> None:
    """Percent-encoding is decoded by one and patterns are expanded by the other."""
    with pytest.raises(LakeError, match="Set CIO_DATA_DIR"):
        lake_in(tmp_path / name).start()


def test_start_accepts_a_folder_with_spaces_and_signs(tmp_path: Path) -> None:
    """Other unusual paths work, repeated loads included."""
    folder = tmp_path / "my lake's 100% ü #1"
    lake = lake_in(folder)
    lake.start()
    reports = [load(lake, event("a")) for _ in range(2)]
    lake.close()

    assert [report.inserted for report in reports] == [{RAW: 1, EMAIL: 1}, {}]


def test_start_says_why_the_folder_cannot_be_used(tmp_path: Path) -> None:
    """There is a file with the name of the folder."""
    (tmp_path / "tables").write_text("")

    with pytest.raises(LakeError, match=r"tables cannot be used: File exists"):
        lake_in(tmp_path).start()


@pytest.mark.usefixtures("lake")
def test_start_keeps_the_comments_of_the_definitions(tmp_path: Path) -> None:
    """Other programs see them on tables and columns."""
    table = DeltaTable(tmp_path / "tables" / EMAIL)

    assert table.metadata().description == "Email events of Customer.io, one row each"
    assert all(field.metadata.get("comment") for field in table.schema().fields)
