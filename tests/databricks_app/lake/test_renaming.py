"""The rename of a workspace, on both lakes: which rows change, and that nothing else changes."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import product

import pytest

from databricks_app.errors import LakeError
from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake.renaming import KEYS_IN_RAW, Rename, keys_in_raw
from tests.support.lake_backends import BothLake, LakeBackend, WarehouseBackend
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, body

SHOP, BLOG = "0a1b2c3d", "ffffffff"
RENAME = Rename("default", "shop", frozenset({SHOP}))
KINDS = ("email/opened", "sms/sent", "x/y")
DAYS = (0, 1, 40)


def reading(event_id: str, kind: str, days_ago: int, key: str, workspace: str) -> Reading:
    """An event with a key and the name under which it was loaded."""
    content = body(event_id, kind, days_ago=days_ago)
    return read(Record(content, NOON, "0", key, len(content)), workspace)


def fill(lake: BothLake, workspace: str = "default", keys: tuple[str, ...] = (SHOP, BLOG)) -> None:
    """Three days with three kinds of events of each key, in one batch."""
    readings = [
        reading(f"{key}-{kind[:1]}-{days}", kind, days, key, workspace)
        for key, kind, days in product(keys, KINDS, DAYS)
    ]
    lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=NOON)


def names(backend: LakeBackend, table: str) -> set[tuple[object, object]]:
    """Key and workspace of the rows of a table."""
    return {(row[0][:8], row[1]) for row in backend.rows(table, "event_id, workspace")}


def test_rows_of_the_listed_keys_get_the_name_in_every_table(
    backend: LakeBackend, lake: BothLake
) -> None:
    """On every day; rows of other keys on the same days stay."""
    fill(lake)

    planned = lake.rows_to_rename(RENAME)
    done = lake.rename(RENAME)

    assert planned == done == {EMAIL: 3, SMS: 3, RAW: 9}
    assert list(done)[-1] == RAW
    for table in (RAW, EMAIL, SMS):
        assert names(backend, table) == {(SHOP, "shop"), (BLOG, "default")}
    assert backend.verdict().differences == ()


def test_rename_changes_only_the_workspace(backend: LakeBackend, lake: BothLake) -> None:
    """Neither loaded_at nor any other column."""
    fill(lake)
    others = "* EXCLUDE (workspace)"
    before = {table: backend.rows(table, others) for table in (RAW, EMAIL, SMS)}

    lake.rename(RENAME)

    assert {table: backend.rows(table, others) for table in (RAW, EMAIL, SMS)} == before


def test_rows_of_an_earlier_release_belong_to_default(backend: LakeBackend) -> None:
    """They are NULL in a column that was added later."""
    before = backend.lake(without=["workspace"])
    before.start()
    one = reading("a", "email/sent", 0, SHOP, "default")
    for row in (one.raw, one.typed or {}):
        row.pop("workspace", None)
    before.load([one], batch_id="old", loaded_at=NOON - timedelta(days=1))
    before.close()
    lake = backend.lake()
    lake.start()

    lake.rename(RENAME)

    lake.close()
    assert backend.rows(RAW, "workspace") == backend.rows(EMAIL, "workspace") == [("shop",)]


def test_workspace_with_a_name_can_be_renamed(backend: LakeBackend, lake: BothLake) -> None:
    """Rows of other workspaces with the same key stay."""
    fill(lake, "shop", (SHOP,))
    fill(lake, "default", (BLOG,))

    lake.rename(Rename("shop", "brand", frozenset({SHOP, BLOG})))

    assert names(backend, RAW) == names(backend, SMS) == {(SHOP, "brand"), (BLOG, "default")}


def test_second_rename_changes_nothing(lake: BothLake) -> None:
    """No row has the old name."""
    fill(lake)
    lake.rename(RENAME)

    assert lake.rename(RENAME) == {EMAIL: 0, SMS: 0, RAW: 0}


def test_loads_continue_after_a_rename(backend: LakeBackend, lake: BothLake) -> None:
    """A stored event is a duplicate; its rows keep the new name."""
    fill(lake)
    lake.rename(RENAME)

    again = reading(f"{SHOP}-e-0", "email/opened", 0, SHOP, "default")
    report = lake.load([again], batch_id="again", loaded_at=NOON)

    assert report.inserted == {}
    assert names(backend, EMAIL) == {(SHOP, "shop"), (BLOG, "default")}


def test_keys_in_raw_counts_rows_by_workspace_and_key(backend: LakeBackend, lake: BothLake) -> None:
    """With the newest row of each."""
    fill(lake)
    lake.rename(RENAME)

    found = keys_in_raw(backend.query(KEYS_IN_RAW))

    assert [(one.workspace, one.fingerprint, one.events) for one in found] == [
        ("default", BLOG, 9),
        ("shop", SHOP, 9),
    ]
    assert {one.newest_received_at for one in found} == {NOON}


@pytest.mark.parametrize("beginning", [f"MERGE INTO `{SMS}`", "UPDATE"])
def test_a_rename_that_failed_on_the_warehouse_is_completed_by_the_next(
    beginning: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The raw rows are changed last, so they show what remains to be done."""
    backend = WarehouseBackend(tmp_path_factory.mktemp("volume"))
    lake = backend.lake()
    lake.start()
    fill(lake)

    def fail(sql: str) -> None:
        if sql.startswith(beginning):
            raise LakeError("gone")

    backend.warehouse.before = fail
    with pytest.raises(LakeError):
        lake.rename(RENAME)
    backend.warehouse.before = lambda _sql: None
    lake.rename(RENAME)
    lake.close()

    for table in (RAW, EMAIL, SMS):
        assert names(backend, table) == {(SHOP, "shop"), (BLOG, "default")}
    backend.close()


def test_statements_of_the_warehouse_name_few_days(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """So no statement reaches its timeout, however many days a table has."""
    backend = WarehouseBackend(tmp_path_factory.mktemp("volume"))
    lake = backend.lake()
    lake.start()
    readings = [reading(f"e{day}", "email/opened", day, SHOP, "default") for day in range(40)]
    lake.load(readings, batch_id="one", loaded_at=NOON)

    done = lake.rename(RENAME)

    updates = [sql for sql in backend.warehouse.ran if sql.startswith("UPDATE")]
    assert done == {EMAIL: 40, SMS: 0, RAW: 40}
    assert [sql.count("DATE'") for sql in updates] == [31, 9]
    lake.close()
    backend.close()
