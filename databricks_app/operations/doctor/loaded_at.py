"""The check of the newest `loaded_at` against the clock, also while no receiver runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from databricks_app.errors import QueryError
from databricks_app.lake import CLOCK_SECONDS, sql_dialect
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning


def loaded_at(context: DoctorContext) -> CheckResult:
    """No row is of the future: new rows go on from the newest one."""
    try:
        newest = _remote(context) if context.workspace else _local(context.settings.data_dir)
    except QueryError as error:
        return skipped(str(error), "see the check tables")
    if newest is None:
        return ok("no row yet, so none is ahead of the clock")
    ahead = newest.timestamp() - context.now()
    if ahead > CLOCK_SECONDS:
        return warning(
            f"loaded_at of the newest rows is {ahead:.0f} s ahead of this machine's clock",
            "check the clocks of all machines that load (NTP). Until then new rows go on from "
            "there, so that readers by loaded_at miss none",
        )
    return ok(f"loaded_at of the newest rows is {newest:%Y-%m-%d %H:%M:%S} UTC")


def _local(data_dir: Path) -> datetime | None:
    from databricks_app.lake.local.table_handle import TableHandle

    found = sorted((data_dir / "tables").glob("*/_delta_log"))
    newest = [TableHandle(log.parent, -1).newest_loaded_at() for log in found]
    return max((one for one in newest if one is not None), default=None)


def _remote(context: DoctorContext) -> datetime | None:
    # The warehouse runs: the check before has just asked it.
    from databricks_app.lake.warehouse.merge import utc
    from databricks_app.lake.warehouse.statements import newest_loaded_at

    found = context.warehouse().run(newest_loaded_at(sql_dialect.tables())).rows[0][0]
    return utc(found) if isinstance(found, datetime) else None
