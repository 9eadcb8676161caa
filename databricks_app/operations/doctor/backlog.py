"""The check of the inbox, of both stores: how much waits, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databricks_app.ingest.inbox import Pending
from databricks_app.operations.doctor.result import CheckResult, ok, warning
from databricks_app.runtime import freshness

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext
    from databricks_app.settings import Settings

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext

_LOCAL_SECONDS = 60.0


def inbox(context: DoctorContext) -> CheckResult:
    """Events become rows soon after they came."""
    return _judged(_pending(context), context)


def _pending(context: DoctorContext) -> Pending:
    if context.workspace is None:
        from databricks_app.ingest.inbox import local_reader

        if not context.settings.inbox_dir.exists():
            return Pending(0, 0, None)
        return local_reader.pending(context.settings.inbox_dir)
    from databricks_app.ingest.inbox import volume_reader

    return volume_reader.pending(context.workspace, context.settings.volume_path)


def _judged(pending: Pending, context: DoctorContext) -> CheckResult:
    if pending.oldest_at is None:
        return ok("nothing waits")
    age = max(0.0, context.now() - pending.oldest_at.timestamp())
    says = f"{pending.events:,} events ({pending.bytes:,} bytes) wait, the oldest for {age:.0f} s"
    if age <= _limit_seconds(context.settings):
        return ok(says)
    return warning(says, "see the check loader, /readyz and the log: they say what keeps them")


def _limit_seconds(settings: Settings) -> float:
    """How old an event may be that waits; starting a warehouse takes longer than a local load."""
    if settings.store == "databricks":
        return freshness.stall_seconds(settings)
    return _LOCAL_SECONDS + 2 * settings.flush_interval_seconds
