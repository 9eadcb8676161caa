"""The check of the inbox, for both stores: how many events wait, and how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databricks_app.ingest.inbox import Pending
from databricks_app.operations.doctor.result import CheckResult, ok, warning
from databricks_app.runtime import freshness
from databricks_app.runtime.words import counted

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext

_LOCAL_SECONDS = 60.0


def inbox(context: DoctorContext) -> CheckResult:
    """Check that no event waits too long for the loader."""
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
    else:
        limit = _LOCAL_SECONDS + 2 * context.settings.flush_interval_seconds
    if age <= limit:
        return ok(says)
    return warning(
        says, "see the check loader, /readyz and the log of the receiver: they have the reason"
    )


def _pending(context: DoctorContext) -> Pending:
    if context.workspace is None:
        from databricks_app.ingest.inbox import local_reader

        if not context.settings.inbox_dir.exists():
            return Pending(0, 0, None)
        return local_reader.pending(context.settings.inbox_dir)
    from databricks_app.ingest.inbox import volume_reader

    return volume_reader.pending(context.workspace, context.settings.volume_path)
