"""The check that the newest `loaded_at` is not ahead of the clock."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from databricks_app.errors import LakeError, QueryError
from databricks_app.lake import CLOCK_SECONDS, sql_dialect
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning


def loaded_at(context: DoctorContext) -> CheckResult:
    """Check that no row was loaded in the future; new rows must be later than the newest one."""
    try:
        if context.workspace:
            newest = _newest_in_warehouse(context)
        else:
            newest = _newest_in_folder(context.settings.data_dir)
    except QueryError as error:
        return skipped(str(error), "see the check tables")
    except LakeError as error:
        return skipped(str(error), "see the check commits")
    if newest is None:
        return ok("the tables have no rows yet")
    ahead = newest.timestamp() - context.now()
    if ahead > CLOCK_SECONDS:
        return warning(
            f"the newest loaded_at is {ahead:.0f} s ahead of this machine's clock",
            "check the clocks (NTP) of all machines that run a loader. New rows get a later "
            "loaded_at than this one, so that incremental readers miss none",
        )
    return ok(f"the newest rows were loaded at {newest:%Y-%m-%d %H:%M:%S} UTC")


def _newest_in_folder(data_dir: Path) -> datetime | None:
    from databricks_app.lake.local.table_handle import TableHandle

    found = sorted((data_dir / "tables").glob("*/_delta_log"))
    newest = [TableHandle(log.parent, -1).newest_loaded_at() for log in found]
    return max((one for one in newest if one is not None), default=None)


def _newest_in_warehouse(context: DoctorContext) -> datetime | None:
    # This starts no warehouse: it runs already, because the check `warehouse` comes first.
    from databricks_app.lake.warehouse.merge import utc
    from databricks_app.lake.warehouse.statements import newest_loaded_at

    found = context.warehouse().run(newest_loaded_at(sql_dialect.tables())).rows[0][0]
    return utc(found) if isinstance(found, datetime) else None
