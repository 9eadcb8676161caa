"""The look-up of keys that a table already has."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databricks_app.lake.local.key_lookup import Lookup, StoredRow
from databricks_app.lake.local.table_handle import Definition, TableHandle
from tests.support.lake_events import NOON, RAW, SMS, body, event, lake_in, load, reading_of

DAY = date(2026, 11, 22)
SCHEMA = pa.schema([("event_id", pa.string()), ("event_date", pa.date32())])
PRINTABLE = st.characters(exclude_categories=("C", "Z"))
IDS = st.sets(st.text(PRINTABLE, min_size=1) | st.text("az'\\\U0010ffff", min_size=60), max_size=6)


@pytest.fixture
def lookup() -> Iterator[Lookup]:
    """A look-up that is closed after the test."""
    lookup = Lookup()
    yield lookup
    lookup.close()


def keys(ids: set[str], day: date = DAY) -> pa.Table:
    """Rows of one day."""
    return pa.table([sorted(ids), [day] * len(ids)], schema=SCHEMA)


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(IDS.filter(bool), min_size=2, max_size=5))
def test_keys_finds_exactly_the_ids_that_were_appended(batches: list[set[str]]) -> None:
    """For any ids: the statistics of the files hide none of them."""
    lookup = Lookup()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        TableHandle.create(path, Definition("keys", SCHEMA), {})
        table = TableHandle(path, -1)
        seen: set[str] = set()
        for batch in batches:
            found = lookup.keys(table.files(keys(batch)), keys(batch))
            assert found == {(one, DAY) for one in batch & seen}
            table.append(keys(batch))
            seen |= batch
    lookup.close()


def test_keys_distinguishes_the_same_id_on_different_dates(lookup: Lookup, tmp_path: Path) -> None:
    """The date of a row is in the name of its folder."""
    TableHandle.create(tmp_path / "keys", Definition("keys", SCHEMA), {})
    table = TableHandle(tmp_path / "keys", -1)
    table.append(keys({"a"}))
    table.append(keys({"b"}, date(1970, 1, 1)))
    asked = pa.concat_tables([keys({"a", "b"}), keys({"a", "b"}, date(1970, 1, 1))])

    found = lookup.keys(table.files(asked), asked)

    assert found == {("a", DAY), ("b", date(1970, 1, 1))}


def test_keys_without_files_are_empty(lookup: Lookup) -> None:
    """A table without rows has no files."""
    assert lookup.keys([], keys({"a"})) == set()


def test_rows_returns_only_the_rows_of_the_keys(lookup: Lookup, tmp_path: Path) -> None:
    """Hostile ids are only data."""
    hostile = "'; DROP TABLE asked; --"
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, event("a"), event("b"), event("a", days_ago=1), event(hostile, "sms/sent"))
    lake.close()

    found = lookup.rows(
        list((tmp_path / "tables" / RAW).glob("event_date=*/*.parquet")),
        [("a", DAY), (hostile, DAY), ("missing", DAY), ("b", date(1970, 1, 1))],
    )

    assert set(found) == {("a", DAY), (hostile, DAY)}
    content = body(hostile, "sms/sent")
    digest = hashlib.sha256(content).hexdigest()
    expected = StoredRow(NOON, SMS, None, content.decode(), "utf-8", "default", digest)
    assert found[hostile, DAY] == expected


def test_rows_have_times_in_utc_to_the_microsecond(lookup: Lookup, tmp_path: Path) -> None:
    """The same as written."""
    received_at = datetime(2026, 11, 22, 1, 2, 3, 456789, UTC)
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, reading_of(b"\xff", received_at))
    lake.close()

    (row,) = lookup.rows(
        list((tmp_path / "tables" / RAW).glob("event_date=*/*.parquet")),
        [(reading_of(b"\xff").event_id, date(1970, 1, 1))],
    ).values()

    assert (row.received_at, row.received_at.tzinfo) == (received_at, UTC)
    assert (row.target_table, row.unrouted_reason, row.body) == (None, "not_utf8", "/w==")
