"""Several portions are staged without a warehouse, and committed with one MERGE a table."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_app.errors import LakeError
from databricks_app.events.decoding import Reading
from databricks_app.lake import LoadReport, Standby
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.store import Place, WarehouseLake
from tests.support.duck_warehouse import SCHEMA, VOLUME
from tests.support.lake_backends import WarehouseBackend, ids, tables
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, body, event, reading_of
from tests.support.warehouse_loads import load

PORTIONS = ([event("a"), event("b", "sms/sent")], [event("c")], [event("d"), event("e", "x/y")])


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[WarehouseBackend]:
    """A warehouse and a volume."""
    backend = WarehouseBackend(tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def lake(backend: WarehouseBackend) -> Iterator[WarehouseLake]:
    """A started lake of few tables."""
    lake = backend.lake()
    lake.start()
    backend.warehouse.ran.clear()
    yield lake
    lake.close()


def stage(lake: WarehouseLake, *portions: Sequence[Reading], batch_id: str = "") -> None:
    """Stage portions of one load at noon."""
    batch_id = batch_id or uuid.uuid4().hex
    for portion in portions:
        assert lake.stage(portion, batch_id=batch_id, loaded_at=NOON)


def load_staged(lake: WarehouseLake, *portions: Sequence[Reading]) -> LoadReport:
    """Stage portions and commit them."""
    stage(lake, *portions)
    return lake.commit(loaded_at=NOON)


def words(backend: WarehouseBackend) -> list[str]:
    """The first words of the statements that were sent."""
    return [sql.split(maxsplit=1)[0] for sql in backend.warehouse.ran]


def staged(backend: WarehouseBackend) -> list[str]:
    """The names of the staged files."""
    return backend.files.names(f"{VOLUME}/staging")


def test_staging_sends_no_statement_and_the_commit_one_for_each_table(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """Whatever the number of portions is."""
    stage(lake, *PORTIONS)
    while_staging = words(backend)

    report = lake.commit(loaded_at=NOON)

    assert (while_staging, words(backend)) == ([], ["MERGE"] * 3)
    assert report.inserted == {RAW: 5, EMAIL: 3, SMS: 1}
    assert report.unrouted == {"unknown_object_type": 1}
    assert ids(backend, RAW) == list("abcde")


def test_rows_have_the_time_of_the_commit(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """A reader that polled after the staging would miss rows with the time of the staging."""
    stage(lake, *PORTIONS)

    lake.commit(loaded_at=NOON + timedelta(minutes=10))

    (oldest,) = backend.rows(RAW, "min(loaded_at)")
    assert oldest == (NOON + timedelta(minutes=10),)


def test_stored_events_cost_a_bounded_number_of_statements(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """Only the portions with such events are read again."""
    load(lake, event("a"), event("c", "sms/sent"))
    backend.warehouse.ran.clear()

    report = load_staged(lake, *PORTIONS)

    # Raw; two queries about it; for each of two portions MERGE and query, and a conflict's MERGE;
    # then each typed table, with two queries for the one that had a row.
    assert words(backend).count("MERGE") == 6
    assert words(backend).count("SELECT") <= 6
    assert report.inserted == {RAW: 4, EMAIL: 1, SMS: 1}
    assert report.unrouted == {"unknown_object_type": 1, "key_conflict": 1}
    assert report.duplicates == {RAW: 1, EMAIL: 1}
    assert backend.verdict().differences == ()


def test_missing_staged_file_fails_the_load(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """A pattern ignores missing files, so their events would count as loaded and be deleted."""
    stage(lake, *PORTIONS)
    (missing, *_) = [name for name in staged(backend) if RAW in name]
    backend.files.delete(f"{VOLUME}/staging/{missing}")

    with pytest.raises(LakeError, match="staged file is missing"):
        lake.commit(loaded_at=NOON)

    report = load_staged(lake, *PORTIONS)
    assert ids(backend, RAW) == list("abcde")
    assert report.duplicates[RAW] > 0
    assert backend.verdict().differences == ()


def test_missing_typed_file_fails_the_load(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """Also while the raw rows are already written."""
    stage(lake, *PORTIONS)
    (missing, *_) = [name for name in staged(backend) if EMAIL in name]
    backend.files.delete(f"{VOLUME}/staging/{missing}")

    with pytest.raises(LakeError, match="staged file is missing"):
        lake.commit(loaded_at=NOON)

    load_staged(lake, *PORTIONS)
    assert backend.verdict().differences == ()


@pytest.mark.parametrize(
    ("table", "expected"), [(RAW, {RAW: 15, EMAIL: 1}), (EMAIL, {RAW: 1, EMAIL: 14})]
)
def test_refused_row_is_searched_by_file_and_then_by_row(
    backend: WarehouseBackend, lake: WarehouseLake, table: str, expected: dict[str, int]
) -> None:
    """Of 8 files 7 MERGEs find the file, of its 8 rows 7 more the row; all others are loaded."""
    backend.warehouse.refused[table] = "event_id <> 'e037'"
    if table == RAW:  # the row that is made instead is not refused
        backend.warehouse.refused[table] += " OR target_table IS NULL"
    sent: list[str] = []
    backend.warehouse.before = sent.append
    starts = range(0, 64, 8)

    report = load_staged(
        lake, *([event(f"e{n:03}") for n in range(start, start + 8)] for start in starts)
    )

    merges = {name: sum(f"MERGE INTO `{name}`" in sql for sql in sent) for name in (RAW, EMAIL)}
    assert merges == expected
    assert report.inserted == {RAW: 64, EMAIL: 63}
    assert sum(report.rejected.values()) == 1


def test_standby_before_the_commit_writes_nothing(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """Another instance has taken the lease while portions were staged."""
    stage(lake, *PORTIONS)
    other = WarehouseLake(
        backend.statements(),
        backend.files,
        Lease(backend.files, f"{VOLUME}/lease", silence_seconds=0, renew_seconds=0),
        Place(SCHEMA, VOLUME),
        tables=tables(),
        views=(),
    )
    other.start()
    backend.warehouse.ran.clear()

    with pytest.raises(Standby):
        lake.commit(loaded_at=NOON)

    assert backend.warehouse.ran == []
    other.close()


def test_discarded_portions_are_removed_and_not_loaded(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """Also those of an earlier load that was never committed."""
    stage(lake, [event("a")], batch_id="one")
    stage(lake, [event("b")], batch_id="two")
    lake.commit(loaded_at=NOON)
    stage(lake, [event("c")])
    lake.discard()

    with pytest.raises(LakeError, match="Nothing is staged"):
        lake.commit(loaded_at=NOON)

    lake.close()
    assert (ids(backend, RAW), staged(backend)) == (["b"], [])


def test_load_takes_no_more_portions_when_many_events_share_a_key(lake: WarehouseLake) -> None:
    """They stay in memory until the commit."""

    def has_room(number: int) -> bool:
        portion = [event("a", subject=f"{number}-{one}") for one in range(50)]
        return lake.stage(portion, batch_id="one", loaded_at=NOON)

    assert [has_room(number) for number in range(11)] == [True] * 10 + [False]


PORTIONED = st.lists(
    st.lists(
        st.builds(
            event,
            st.sampled_from("abcdefgh"),
            st.sampled_from(["email/opened", "email/clicked", "sms/sent", "x/y"]),
            days_ago=st.sampled_from([0, 1, 40]),
            subject=st.sampled_from(["fine", "fine", "refused"]),
        )
        | st.builds(reading_of, st.sampled_from([b"odd", b"\xff", body("a", "sms/sent", size=9)])),
        max_size=5,
    ),
    min_size=2,
    max_size=5,
)


@given(before=PORTIONED, portions=PORTIONED, raw_refused=st.sampled_from(["", "g", "h"]))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_staged_portions_give_the_tables_and_the_report_of_one_batch(
    before: list[list[Reading]],
    portions: list[list[Reading]],
    raw_refused: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With duplicates, shared keys, stored events and refused rows in any portion."""
    found = []
    for is_staged in (False, True):
        backend = WarehouseBackend(tmp_path_factory.mktemp("warehouse"))
        lake = backend.lake()
        lake.start()
        load(lake, *(one for portion in before for one in portion))
        # Both conditions hold for the rows that the loader makes instead.
        backend.warehouse.refused[EMAIL] = "subject IS NULL OR subject <> 'refused'"
        backend.warehouse.refused[RAW] = (
            f"event_id <> '{raw_refused}' OR target_table IS NULL" if raw_refused else "true"
        )
        whole = [one for portion in portions for one in portion]
        report = load_staged(lake, *portions) if is_staged and whole else load(lake, *whole)
        lake.close()
        columns = "event_id, event_date, target_table, unrouted_reason, body_sha256, received_at"
        typed = "event_id, event_date, metric, received_at"
        found.append(
            (
                backend.rows(RAW, columns),
                backend.rows(EMAIL, f"{typed}, subject"),
                backend.rows(SMS, typed),
                replace(report, seconds=0),
                report.by_metric,
            )
        )
        backend.close()

    assert found[0] == found[1]
