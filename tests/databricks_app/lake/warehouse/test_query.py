"""Reading and checking the tables behind a warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from databricks_app.errors import LakeError, QueryError
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse import verify
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.query import WarehouseQuery
from databricks_app.lake.warehouse.store import Place, WarehouseLake
from tests.support.duck_warehouse import VOLUME, ServerOperationError
from tests.support.lake_backends import WarehouseBackend
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, event
from tests.support.warehouse_loads import load, once


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


def test_check_of_missing_tables_is_an_error(backend: WarehouseBackend) -> None:
    """There is no result of the check."""
    query = WarehouseQuery(backend.statements())

    with pytest.raises(LakeError, match="cannot be checked: a table"):
        verify.check(query, [EMAIL], is_loading=True)


def test_query_returns_rows_and_cuts_them_at_the_limit(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """Like a local query."""
    load(lake, event("a"), event("b"))
    query = WarehouseQuery(backend.statements())

    found = query.run(
        f"SELECT event_id FROM {RAW} WHERE event_id > :low ORDER BY 1", {"low": ""}, limit=1
    )

    assert (found.names, found.rows, found.is_cut) == (("event_id",), [("a",)], True)


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE x", "SELECT 1; SELECT 2", "DELETE FROM x", "SELEC 1", "MERGE INTO x USING y", ""],
)
def test_query_refuses_other_statements(backend: WarehouseBackend, sql: str) -> None:
    """Nothing is sent to the warehouse."""
    with pytest.raises(QueryError, match="a query is one SELECT"):
        WarehouseQuery(backend.statements()).run(sql)

    assert backend.warehouse.ran == []


def test_error_of_a_query_says_what_is_wrong(backend: WarehouseBackend) -> None:
    """The text contains no values."""
    query = WarehouseQuery(backend.statements())
    backend.warehouse.before = once(  # type: ignore[assignment]  # as it is called
        ServerOperationError("[CAST_INVALID_INPUT] ada@example.com SQLSTATE: 22018"), "SELECT"
    )

    with pytest.raises(QueryError, match=r"\(CAST_INVALID_INPUT\).*try_cast"):
        query.run("SELECT 1")
    with pytest.raises(QueryError, match="gone"):
        query.run("SELECT 1 FROM nowhere")


def test_states_count_every_table(backend: WarehouseBackend) -> None:
    """One statement returns rows and newest load."""
    lease = Lease(backend.files, f"{VOLUME}/lease")
    lake = WarehouseLake(backend.statements(), backend.files, lease, Place("cio", VOLUME), views=())
    lake.start()
    load(lake, event("a"))
    lake.close()

    states = {state.name: state for state in WarehouseQuery(backend.statements()).states()}

    assert len(states) == len(sql_dialect.tables())
    raw = states[RAW]
    assert (raw.rows, raw.files, raw.bytes, raw.newest_loaded_at) == (1, None, None, NOON)
    assert states[SMS].newest_loaded_at is None


def test_check_finds_every_kind_of_difference(
    backend: WarehouseBackend, lake: WarehouseLake
) -> None:
    """The test makes each difference. The newest batch is ignored while a loader runs."""
    load(lake, event("a"), event("b"), event("c", "sms/sent"), event("g", "x/y"), event("h"))
    load(lake, event("b", days_ago=1))
    rows = "SELECT * REPLACE ('{id}' AS event_id) FROM {table} WHERE event_id = 'h'"
    for sql in (
        f"INSERT INTO {RAW} SELECT * FROM {RAW} WHERE event_id = 'a'",
        f"DELETE FROM {EMAIL} WHERE event_id = 'a'",
        f"UPDATE {RAW} SET target_table = '{SMS}' WHERE event_id = 'h'",
        f"INSERT INTO {EMAIL} {rows.format(id='nobody', table=EMAIL)}",
        f"UPDATE {RAW} SET target_table = 'webhook_future' WHERE event_id = 'c'",
        f"INSERT INTO {EMAIL} {rows.format(id='g', table=EMAIL)}",
        f"INSERT INTO {SMS} SELECT * FROM {SMS}",
    ):
        backend.warehouse.execute(sql, None)
    backend.warehouse.execute(f"UPDATE {SMS} SET event_id = 'g' WHERE event_id = 'c'", None)

    verdict = backend.verdict()

    found = {(one.kind, one.table): one.event_ids for one in verdict.differences}
    assert found[("repeated", RAW)] == ("a",)
    assert found[("missing", EMAIL)] == ("a", "a")
    assert found[("misplaced", EMAIL)] == ("h",)
    assert found[("without_raw", EMAIL)] == ("nobody",)
    assert found[("missing", RAW)] == ("c",)
    assert found[("several_tables", RAW)] == ("g",)
    assert found[("repeated", SMS)] == ("g",)
    assert (verdict.two_dates, verdict.two_dates_ids) == (1, ("b",))
