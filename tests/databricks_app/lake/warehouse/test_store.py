"""The lake of a warehouse: lost answers, two owners, error texts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_sessions import Unclear
from databricks_app.databricks.volume_files import TimedFiles
from databricks_app.errors import LakeError
from databricks_app.events.decoding import Reading
from databricks_app.lake import Standby, sql_dialect
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.store import Place, WarehouseLake
from tests.support.duck_warehouse import VOLUME, ServerOperationError
from tests.support.lake_backends import WarehouseBackend, ids, tables
from tests.support.lake_events import EMAIL, RAW, SMS, event
from tests.support.warehouse_loads import load, once

CONFLICT = "[DELTA_CONCURRENT_APPEND] SQLSTATE: 2D521"


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
    yield lake
    lake.close()


def staged(backend: WarehouseBackend) -> list[str]:
    """The names of the staged files."""
    return backend.files.names(f"{VOLUME}/staging")


@pytest.mark.parametrize("error", [OSError("reset"), ServerOperationError(CONFLICT)])
def test_merge_is_repeated_if_its_answer_is_lost(
    backend: WarehouseBackend, lake: WarehouseLake, error: Exception
) -> None:
    """The first one committed, so the repetition inserts nothing. Its rows still count as new."""
    backend.warehouse.after = once(error)  # type: ignore[assignment]  # as it is called

    report = load(lake, event("a"), event("b", "sms/sent"))

    assert report.inserted == {RAW: 2, EMAIL: 1, SMS: 1}
    assert report.duplicates == {}
    assert ids(backend, RAW) == ["a", "b"]


def test_next_load_completes_a_failed_load(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """The raw row of the first load stays; the typed row is added."""
    backend.warehouse.before = lambda sql: fail_all(sql, EMAIL)
    with pytest.raises(LakeError, match="cannot be reached"):
        load(lake, event("a"))
    backend.warehouse.before = lambda _sql: None

    report = load(lake, event("a"))

    assert report.inserted == {EMAIL: 1}
    assert ids(backend, RAW) == ids(backend, EMAIL) == ["a"]


def fail_all(sql: str, table: str) -> None:
    """Break every connection that sends a MERGE into a table."""
    if sql.startswith(f"MERGE INTO `{table}`"):
        raise OSError("reset")


def test_staged_files_are_removed(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """After a load and after a failed load. Files of a dead loader are removed at the start."""
    load(lake, event("a"), event("b", "sms/sent"))
    backend.warehouse.before = lambda sql: fail_all(sql, EMAIL)
    with pytest.raises(LakeError):
        load(lake, event("c"))
    backend.warehouse.before = lambda _sql: None
    lake.close()
    assert staged(backend) == []
    backend.files.put(f"{VOLUME}/staging/00000001.left.parquet", b"", overwrite=True)

    lake.start()

    assert staged(backend) == []


def test_batch_of_new_events_needs_one_statement_per_table(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """Only if rows were stored before, there is one more query."""
    backend.warehouse.ran.clear()

    load(lake, event("a"), event("b", "sms/sent"))

    assert [sql.split()[0] for sql in backend.warehouse.ran] == ["MERGE"] * 3


def test_dropped_table_is_created_again(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """The first load fails and says so; the next one succeeds."""
    backend.warehouse.execute(f"DROP TABLE {EMAIL}", None)
    with pytest.raises(LakeError, match="tables are made again"):
        load(lake, event("a"))

    load(lake, event("a"))

    assert ids(backend, EMAIL) == ["a"]


def test_unclear_error_does_not_block_a_batch_for_ever(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """After three failed loads the loader looks for the row that causes it."""
    backend.warehouse.refused[EMAIL] = "event_id <> 'bad'"
    backend.warehouse.refusal = "[ODD] ada@example.com SQLSTATE: XX000"
    readings = [event(name) for name in ("a", "b", "bad", "c")]
    for _ in range(3):
        with pytest.raises(Unclear, match=r"\(ODD\)"):
            load(lake, *readings)

    report = load(lake, *readings)

    assert report.rejected == {"load_failed:ODD": 1}
    assert ids(backend, EMAIL) == ["a", "b", "c"]


def test_unclear_error_of_every_row_fails_the_load(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """The cause is not in single rows: no row is rejected, and few statements are sent."""
    backend.warehouse.refused[RAW] = "false"
    backend.warehouse.refusal = "[ODD] SQLSTATE: XX000"
    readings = [event(f"e{number}") for number in range(100)]
    for _ in range(4):
        with pytest.raises(Unclear):
            load(lake, *readings)
    backend.warehouse.refused.clear()

    report = load(lake, *readings)

    assert report.inserted == {RAW: 100, EMAIL: 100}
    assert report.rejected == {}


@pytest.mark.slow
def test_no_row_is_rejected_if_the_table_refuses_all_rows(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """The error names a constraint as a possible cause."""
    backend.warehouse.refused[RAW] = "false"

    with pytest.raises(LakeError, match="no row can be written"):
        load(lake, *(event(f"e{number}") for number in range(600)))


def test_load_needs_a_start(backend: WarehouseBackend) -> None:
    """Before the start the instance does not own the lease."""
    with pytest.raises(LakeError, match="not started"):
        load(backend.lake(), event("a"))


def test_start_releases_the_lease_if_the_warehouse_fails(backend: WarehouseBackend) -> None:
    """Another instance can then try."""

    def refuse(_sql: str) -> None:
        raise ServerOperationError("Invalid access token")

    backend.warehouse.before = refuse
    with pytest.raises(LakeError, match="refuses the token"):
        backend.lake(owner="one").start()
    backend.warehouse.before = lambda _sql: None

    other = backend.lake(owner="two")
    other.start()
    other.close()


def test_start_creates_missing_views_and_keeps_existing_ones(backend: WarehouseBackend) -> None:
    """An existing view keeps its grants. A view that cannot be created is a problem."""
    views = [
        ("there", "CREATE OR REPLACE VIEW there AS SELECT 2 AS n"),
        ("missing", "CREATE OR REPLACE VIEW missing AS SELECT 3 AS n"),
        ("broken", "CREATE OR REPLACE VIEW broken AS SELECT * FROM nowhere"),
    ]
    backend.warehouse.execute("CREATE VIEW there AS SELECT 1 AS n", None)
    lease = Lease(backend.files, f"{VOLUME}/lease")
    place = Place("cio", VOLUME)
    lake = WarehouseLake(
        backend.statements(), backend.files, lease, place, tables=tables(), views=views
    )

    report = lake.start()
    lake.close()

    assert backend.rows("there", "n") == [(1,)]
    assert backend.rows("missing", "n") == [(3,)]
    (problem,) = report.problems
    assert "view broken is missing" in problem


def test_start_creates_all_tables_and_views_of_the_definitions(backend: WarehouseBackend) -> None:
    """A second start changes nothing."""
    lease = Lease(backend.files, f"{VOLUME}/lease", owner="here")
    lake = WarehouseLake(backend.statements(), backend.files, lease, Place("cio", VOLUME))

    first = lake.start()
    lake.close()
    again = lake.start()
    lake.close()

    assert first.created == tuple(table.name for table in sql_dialect.tables())
    assert (first.problems, again.created, again.problems) == ((), (), ())
    view_names = {view.name for view in sql_dialect.views()}
    made = {row[0] for row in backend.rows("information_schema.tables", "table_name")}
    assert view_names <= made


def test_second_instance_is_on_standby(backend: WarehouseBackend, lake: WarehouseLake) -> None:
    """This is not an error."""
    load(lake, event("a"))

    with pytest.raises(Standby):
        backend.lake(owner="there").start()


def take_over(backend: WarehouseBackend) -> WarehouseLake:
    """An instance that took the lease while the owner was paused."""
    lease = Lease(backend.files, f"{VOLUME}/lease", silence_seconds=0, renew_seconds=0)
    place = Place("cio", VOLUME)
    lake = WarehouseLake(
        backend.statements(), backend.files, lease, place, tables=tables(), views=()
    )
    lake.start()
    return lake


def test_owner_that_lost_the_lease_before_a_load_writes_nothing(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """It is on standby."""
    other = take_over(backend)
    backend.warehouse.ran.clear()

    with pytest.raises(Standby, match="on standby"):
        load(lake, event("a"))

    assert backend.warehouse.ran == []
    other.close()


STEPS = ("put", "MERGE INTO `webhook_raw_events`", "MERGE INTO `webhook_email_events`")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_before", [True, False])
def test_owner_that_lost_the_lease_in_a_load_repeats_no_row_and_may_not_delete(
    backend: WarehouseBackend, lake: WarehouseLake, step: str, *, is_before: bool
) -> None:
    """Another instance loads the same events while it is paused; then it continues."""
    others: list[WarehouseLake] = []

    def pause(what: str) -> None:
        if what.startswith(step) and not others:
            others.append(take_over(backend))
            load(others[0], event("a"), event("b"))

    if step == "put":
        backend.files.before = lambda operation, path: (
            pause(operation) if "staging" in path else None
        )
    elif is_before:
        backend.warehouse.before = pause
    else:
        backend.warehouse.after = pause

    # The other has swept what was staged, or has taken over: either way it deletes nothing.
    with pytest.raises(LakeError):
        load(lake, event("a"), event("c"))

    assert len(others) == 1
    backend.files.before = lambda _operation, _path: None
    load(others[0], event("a"), event("c"))
    assert ids(backend, RAW) == ids(backend, EMAIL) == ["a", "b", "c"]
    assert backend.verdict().differences == ()
    others[0].close()


@given(
    loads=st.lists(
        st.lists(
            st.builds(event, st.sampled_from("abcdef"), st.sampled_from(["email/opened", "x/y"])),
            min_size=1,
            max_size=4,
        ),
        min_size=2,
        max_size=4,
    )
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_two_owners_at_the_same_time_write_each_event_once(
    loads: list[list[Reading]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The worst case: the volume let both create the object, and their loads overlap."""
    backend = WarehouseBackend(tmp_path_factory.mktemp("warehouse"))
    place = Place("cio", VOLUME)
    lakes = [
        WarehouseLake(
            backend.statements(),
            backend.files,
            Lease(backend.files, f"{VOLUME}/lease{number}"),
            place,
            tables=tables(),
            views=(),
        )
        for number in range(2)
    ]
    for lake in lakes:
        lake.start()
    barrier = threading.Barrier(2)

    def run(lake: WarehouseLake, mine: list[list[Reading]]) -> None:
        barrier.wait()
        for batch in mine:
            load(lake, *batch)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, lake, loads) for lake in lakes]:
            done.result()
    for lake in lakes:
        lake.close()

    offered = [one for batch in loads for one in batch]
    own = [row[0] for row in backend.rows(RAW, "event_id") if ":" not in row[0]]
    assert own == sorted({one.event_id for one in offered})
    digests = {str(one.raw["body_sha256"]) for one in offered}
    assert [row[0] for row in backend.rows(RAW, "body_sha256")] == sorted(digests)
    assert backend.verdict().differences == ()
    backend.close()


def test_hanging_volume_fails_a_load_after_the_timeout(backend: WarehouseBackend) -> None:
    """The error says what hangs."""
    release, armed = threading.Event(), threading.Event()

    def hang(operation: str, _path: str) -> None:
        if armed.is_set() and operation == "put":
            release.wait(20)

    backend.files.before = hang
    timeout = CallTimeout(call_seconds=2)
    files = TimedFiles(backend.files, timeout)  # type: ignore[arg-type]  # it has what is asked
    lease = Lease(files, f"{VOLUME}/lease", renew_seconds=0)
    lake = WarehouseLake(
        backend.statements(), files, lease, Place("cio", VOLUME), tables=tables(), views=()
    )
    lake.start()
    armed.set()

    with pytest.raises(LakeError, match="a put into the volume: abandoned after 2 s"):
        load(lake, event("a"))
    release.set()
    lake.close()
