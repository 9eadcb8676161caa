"""The check finds every kind of difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from databricks_app.errors import LakeError
from databricks_app.events.decoding import Reading
from databricks_app.lake.local.store import LocalLake
from databricks_app.lake.local.verify import Difference, Verdict, check
from tests.support.lake_events import (
    EMAIL,
    NOON,
    RAW,
    SMS,
    event,
    few_tables,
    lake_in,
    load,
    reading_of,
)

SCHEMAS = {one.name: one.schema for one in few_tables()}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[LocalLake]:
    """A started lake with three events, one of them unrouted."""
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, event("a"), event("b", "sms/sent"), reading_of(b"{"))
    yield lake
    lake.close()


@pytest.fixture
def folder(lake: LocalLake, tmp_path: Path) -> Path:
    """The folder of that lake, closed."""
    lake.close()
    return tmp_path


def append(folder: Path, table: str, reading: Reading, *, days_later: int = 0) -> None:
    """Write a row without the loader."""
    row = reading.raw if table == RAW else reading.typed
    stamped = {**(row or {}), "loaded_at": NOON + timedelta(days=days_later), "batch_id": "x"}
    rows = pa.Table.from_pylist([stamped], schema=SCHEMAS[table])
    write_deltalake(folder / "tables" / table, rows, mode="append")


def verdict_on(folder: Path) -> Verdict:
    """Check the tables of these tests."""
    return check(folder, [EMAIL, SMS])


def test_check_of_tables_that_agree_finds_nothing(folder: Path) -> None:
    """Rows and unrouted rows are counted."""
    assert verdict_on(folder) == Verdict(
        rows={RAW: 3, EMAIL: 1, SMS: 1},
        differences=(),
        unrouted=1,
        replayed=0,
        conflicts=0,
        conflict_ids=(),
        two_dates=0,
        two_dates_ids=(),
        is_loading=False,
    )


def test_check_of_empty_tables_finds_nothing(tmp_path: Path) -> None:
    """Also for tables that do not exist yet."""
    lake = lake_in(tmp_path, tables=few_tables()[:2])
    lake.start()
    lake.close()

    assert verdict_on(tmp_path).rows == {RAW: 0, EMAIL: 0, SMS: 0}


@pytest.mark.parametrize(
    ("table", "reading", "expected"),
    [
        (RAW, event("a"), [Difference("repeated", RAW, 1, ("a",))]),
        (EMAIL, event("a"), [Difference("repeated", EMAIL, 1, ("a",))]),
        (RAW, event("new"), [Difference("missing", EMAIL, 1, ("new",))]),
        (EMAIL, event("new"), [Difference("without_raw", EMAIL, 1, ("new",))]),
        (SMS, event("a", "sms/sent"), [Difference("misplaced", SMS, 1, ("a",))]),
        (
            RAW,
            replace(event("n"), raw={**event("n").raw, "target_table": "webhook_fax_events"}),
            [Difference("missing", RAW, 1, ("n",))],
        ),
    ],
)
def test_check_finds_each_difference(
    folder: Path, table: str, reading: Reading, expected: list[Difference]
) -> None:
    """It has the table, the number of events, and their ids."""
    append(folder, table, reading)

    assert list(verdict_on(folder).differences) == expected


def test_check_lists_few_ids_of_many(folder: Path) -> None:
    """Sorted; the number of events is exact."""
    for number in range(8):
        append(folder, RAW, event(f"n{number}"))

    (difference,) = verdict_on(folder).differences

    assert (difference.events, difference.event_ids) == (8, ("n0", "n1", "n2", "n3", "n4"))


def test_check_accepts_a_replayed_event(folder: Path) -> None:
    """Its raw row names no table, and one typed table has it after the replay."""
    unrouted = {**event("r").raw, "target_table": None, "unrouted_reason": "unknown_metric"}
    append(folder, RAW, replace(event("r"), raw=unrouted))
    append(folder, EMAIL, event("r"))

    verdict = verdict_on(folder)

    assert (verdict.differences, verdict.replayed, verdict.unrouted) == ((), 1, 1)


def test_check_finds_an_unrouted_event_in_two_tables(folder: Path) -> None:
    """Only one typed table may have it."""
    unrouted = {**event("r").raw, "target_table": None}
    append(folder, RAW, replace(event("r"), raw=unrouted))
    append(folder, EMAIL, event("r"))
    append(folder, SMS, event("r", "sms/sent"))

    assert verdict_on(folder).differences == (Difference("several_tables", RAW, 1, ("r",)),)


def test_check_lists_ids_with_two_dates(lake: LocalLake, tmp_path: Path) -> None:
    """They are two events, because the date is part of the key."""
    load(lake, event("a", days_ago=1))
    lake.close()

    verdict = verdict_on(tmp_path)

    assert (verdict.differences, verdict.two_dates, verdict.two_dates_ids) == ((), 1, ("a",))


def test_check_ignores_the_newest_batch_while_a_loader_runs(
    lake: LocalLake, tmp_path: Path
) -> None:
    """Its typed rows may be missing for a moment, and rows of later batches are ignored too."""
    append(tmp_path, RAW, event("coming"), days_later=1)
    append(tmp_path, EMAIL, event("later"), days_later=2)

    while_loading = verdict_on(tmp_path)
    lake.close()
    afterwards = verdict_on(tmp_path)

    assert (while_loading.differences, while_loading.is_loading) == ((), True)
    assert {one.kind for one in afterwards.differences} == {"missing", "without_raw"}


def test_check_needs_a_raw_table(tmp_path: Path) -> None:
    """Without it, the folder is probably wrong."""
    with pytest.raises(LakeError, match="--data-dir, CIO_DATA_DIR"):
        verdict_on(tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"), [(None, "file_missing"), (b"PAR1", "file_cut"), (bytes, "file_unreadable")]
)
def test_check_names_a_damaged_file_and_compares_the_other_files(
    lake: LocalLake, tmp_path: Path, content: bytes | type[bytes] | None, kind: str
) -> None:
    """It has the file, its number of rows, and the events that are missing because of it."""
    load(lake, event("c", "sms/sent", days_ago=1), event("d", "sms/sent"))
    lake.close()
    file = min((tmp_path / "tables" / SMS).glob("event_date=*/*.parquet"))
    size = file.stat().st_size
    file.unlink()
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else bytes(size))
    DeltaTable(tmp_path / "tables" / EMAIL).delete()

    verdict = verdict_on(tmp_path)

    assert verdict.differences == (
        Difference(kind, SMS, 1, (), str(file)),  # type: ignore[arg-type]  # parametrized
        Difference("missing", EMAIL, 1, ("a",)),
        Difference("missing", SMS, 1, ("c",)),
    )
    assert verdict.rows == {RAW: 5, EMAIL: 0, SMS: 2}


def test_check_of_a_raw_table_without_its_file_still_compares(folder: Path) -> None:
    """The typed rows have no raw row; each file of the raw table is named."""
    for file in (folder / "tables" / RAW).glob("event_date=*/*.parquet"):
        file.unlink()

    verdict = verdict_on(folder)

    kinds = [(one.kind, one.table) for one in verdict.differences]
    assert kinds == [
        ("file_missing", RAW),
        ("file_missing", RAW),
        ("without_raw", EMAIL),
        ("without_raw", SMS),
    ]


def test_check_works_in_a_folder_with_a_quote(tmp_path: Path) -> None:
    """The path is part of a statement."""
    lake = lake_in(tmp_path / "it's mine")
    lake.start()
    load(lake, event("a"))
    lake.close()

    assert verdict_on(tmp_path / "it's mine").rows[RAW] == 1


def test_check_works_after_a_compaction(lake: LocalLake, tmp_path: Path) -> None:
    """It reads only the files of the newest version."""
    load(lake, event("c"))
    lake.close()
    DeltaTable(tmp_path / "tables" / EMAIL).optimize.compact()

    assert verdict_on(tmp_path).differences == ()
