"""The check of the inbox, for both stores: how many events wait, and how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databricks_app.ingest.inbox import Pending
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning
from databricks_app.runtime import freshness
from databricks_app.runtime.words import counted

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext

_LOCAL_SECONDS = 60.0


def inbox(context: DoctorContext) -> CheckResult:
    """Check that no event waits too long for the loader."""
    settings = context.settings
    if context.workspace and settings.inbox == "local" and not settings.inbox_dir.exists():
        return skipped(
            f"the inbox {settings.inbox_dir} is not on this machine",
            "run this on the machine of the receiver, in its folder",
        )
    pending = _pending(context)
    if pending.oldest_at is None:
        return ok("the inbox is empty")
    age = max(0.0, context.now() - pending.oldest_at.timestamp())
    says = (
        f"{counted(pending.events, '[event waits|events wait]')} to be loaded "
        f"({pending.bytes:,} bytes), the oldest for "
        f"{age:.0f} s"
    )
    # On Databricks the limit is longer: starting a warehouse takes longer than a local load.
    if context.settings.store == "databricks":
        limit = freshness.stall_seconds(context.settings)
        if context.settings.warehouse_daily_seconds is not None:  # it may be reached today
            limit = max(limit, freshness.CEILING_WAIT_SECONDS + freshness.STALL_SECONDS)
    else:
        limit = _LOCAL_SECONDS + 2 * context.settings.flush_interval_seconds
    if age <= limit:
        return ok(says)
    return warning(
        says, "see the check loader, /readyz and the log of the receiver: they have the reason"
    )


def _pending(context: DoctorContext) -> Pending:
    from databricks_app.ingest.inbox import combined, local_reader, volume_reader

    here = there = Pending(0, 0, None)
    if context.settings.inbox == "local" and context.settings.inbox_dir.exists():
        here = local_reader.pending(context.settings.inbox_dir)
    if context.workspace is not None:
        there = volume_reader.pending(context.workspace, context.settings.volume_path)
    return combined.added(here, there)
