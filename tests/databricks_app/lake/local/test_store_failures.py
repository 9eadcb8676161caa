"""The local lake while its storage fails: the error says why, and a later load succeeds."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from databricks_app.errors import LakeError
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.store import LocalLake
from tests.support.lake_events import (
    EMAIL,
    NOON,
    RAW,
    event,
    few_tables,
    lake_in,
    load,
)


def constrain(folder: Path, table: str, condition: str) -> None:
    """Make the engine refuse rows that passed all of our checks."""
    DeltaTable(folder / "tables" / table).alter.add_constraint({"test": condition})


def test_load_says_what_failed_on_the_disk_and_succeeds_later(lake: LocalLake) -> None:
    """A disk error rejects no row, and the same load works later."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))
    try:
        with pytest.raises(LakeError, match=r"webhook_raw_events: File too large\. Check the disk"):
            load(lake, event("a"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, handler)

    report = load(lake, event("a"))

    assert report.inserted == {RAW: 1, EMAIL: 1}


def test_load_that_could_not_sync_is_made_durable_by_the_next(tmp_path: Path) -> None:
    """The commit exists but is not durable. The next load finds its rows and syncs them."""
    failing = {"on": False}
    synced: list[str] = []

    def sync(path: Path) -> None:
        if failing["on"] and path.suffix == ".json":
            raise OSError(5, "Input/output error")
        synced.append(path.name)

    lake = lake_in(tmp_path, sync=sync)
    lake.start()
    failing["on"] = True
    with pytest.raises(LakeError, match="Input/output error"):
        load(lake, event("a"))
    failing["on"] = False
    synced.clear()

    report = load(lake, event("a"))
    lake.close()

    assert (report.inserted, report.duplicates) == ({EMAIL: 1}, {RAW: 1})
    versions = [name for name in synced if name.endswith(".json")]
    assert len(versions) == 2  # raw's old commit and email's new one


def test_load_says_that_another_program_changed_the_table(lake: LocalLake, tmp_path: Path) -> None:
    """The conflict is an error; the next load sees the rows of the other program."""
    load(lake, event("a"))
    table = DeltaTable(tmp_path / "tables" / RAW)
    schema = few_tables()[0].schema
    mine = event("b").raw
    stamped = [{**mine, "loaded_at": NOON, "batch_id": "other"}]
    table.merge(
        pa.Table.from_pylist(stamped, schema=schema),
        predicate="t.event_id = s.event_id AND t.event_date = s.event_date",
        source_alias="s",
        target_alias="t",
    ).when_not_matched_insert_all().execute()

    with pytest.raises(LakeError, match="another program changed the table"):
        load(lake, event("b"))
    report = load(lake, event("b"))

    assert (report.inserted, report.duplicates) == ({EMAIL: 1}, {RAW: 1})


def test_load_says_that_a_file_is_missing(lake: LocalLake, tmp_path: Path) -> None:
    """Loads of that date fail and say why; no row is rejected."""
    load(lake, event("a"))
    (file,) = (tmp_path / "tables" / RAW).glob("*/*.parquet")
    file.unlink()

    with pytest.raises(LakeError, match="2026-11-22 is missing or cannot be read"):
        load(lake, event("a"))


def test_load_says_that_stored_bodies_cannot_be_read(lake: LocalLake, tmp_path: Path) -> None:
    """The keys can be read. The error names table and date and contains no row."""
    load(lake, event("a"))
    (file,) = (tmp_path / "tables" / RAW).glob("event_date=*/*.parquet")
    group = pq.read_metadata(file).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    (body_column,) = (one for one in columns if one.path_in_schema == "body")
    content = bytearray(file.read_bytes())
    place = body_column.dictionary_page_offset or body_column.data_page_offset
    content[place : place + 16] = b"\xff" * 16
    file.write_bytes(content)

    with pytest.raises(
        LakeError, match=rf"{RAW}: a data file of 2026-11-22 to 2026-11-22 is missing or cannot"
    ):
        load(lake, event("a"))


def test_load_needs_a_start(tmp_path: Path) -> None:
    """A lake that was not started, or closed, writes nothing."""
    with pytest.raises(LakeError, match="not started"):
        load(lake_in(tmp_path), event("a"))


def test_load_succeeds_when_only_upkeep_fails(tmp_path: Path) -> None:
    """The rows are durable already, and the next load continues."""

    def sync(path: Path) -> None:
        if path.name.endswith(".checkpoint.parquet"):
            raise OSError(28, "No space left on device")

    lake = lake_in(tmp_path, sync=sync, policy=Policy(checkpoint_every=1))
    lake.start()

    reports = [load(lake, event(name)) for name in "ab"]
    lake.close()

    assert [report.inserted for report in reports] == [{RAW: 1, EMAIL: 1}] * 2
