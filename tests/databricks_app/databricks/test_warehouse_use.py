"""How long the warehouse ran for the loader: the estimate of a day, and where it is kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from databricks_app.databricks import warehouse_use
from databricks_app.databricks.warehouse_use import WarehouseUse
from tests.support.volume_files import MemoryFiles

VOLUME = "/Volumes/main/cio/events"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


def test_a_wake_up_lasts_until_its_last_statement_and_the_auto_stop() -> None:
    """The idle time is billed too; it is counted as it passes."""
    use = WarehouseUse()
    for began in (NOON, NOON + 5, NOON + 40):
        use = use.after_statement(began, began + 3, 60)

    assert use.seconds_on_day_of(NOON + 50) == 50
    assert use.seconds_on_day_of(NOON + 1000) == 103
    assert use.last_statement_at == NOON + 43


def test_the_wake_ups_of_a_day_add_up() -> None:
    """A later statement begins another one."""
    use = WarehouseUse().after_statement(NOON, NOON + 5, 60)
    use = use.after_statement(NOON + 900, NOON + 910, 60)

    assert use.seconds_on_day_of(NOON + 2000) == 65 + 70


def test_a_stop_ends_the_idle_time() -> None:
    """A stopped warehouse is not billed."""
    use = WarehouseUse().after_statement(NOON, NOON + 5, 60).after_stop(NOON + 7)

    assert use.seconds_on_day_of(NOON + 2000) == 7


def test_a_day_begins_at_midnight() -> None:
    """A wake-up over midnight counts for both days, each with its part."""
    midnight = NOON + 12 * 3600
    use = WarehouseUse().after_statement(NOON, NOON + 40, 60)
    use = use.after_statement(midnight - 10, midnight + 10, 60)

    assert use.seconds_on_day_of(midnight - 1) == 109
    assert use.seconds_on_day_of(midnight + 1000) == 70
    assert use.after_statement(midnight + 900, midnight + 900, 60).seconds_on_day_of(
        midnight + 2000
    ) == pytest.approx(130)
    assert use.seconds_on_day_of(midnight + 86400) == 0


def test_the_volume_keeps_it() -> None:
    """A restarted loader, another machine and the doctor read it there."""
    files = MemoryFiles()
    use = WarehouseUse().after_statement(NOON, NOON + 5, 60)

    nothing = warehouse_use.read(files, VOLUME)
    warehouse_use.write(files, VOLUME, use)

    assert (nothing, warehouse_use.read(files, VOLUME)) == (WarehouseUse(), use)


def test_a_damaged_file_is_an_empty_one() -> None:
    """The estimate is lost; the loader goes on."""
    files = MemoryFiles()
    warehouse_use.write(files, VOLUME, WarehouseUse(1.0, 2.0, 3.0))
    (path,) = files.stored

    for damaged in (b"", b"[]", b'{"awake_from": "x"}'):
        files.put(path, damaged, overwrite=True)
        assert warehouse_use.read(files, VOLUME) == WarehouseUse()
