"""The content of `/readyz`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from core.webhooks.diagnosis import SignatureFault
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.signature_faults import problems as signature_problems
from databricks_app.ingest.warnings import stale_advice, suspicion
from databricks_app.runtime import sender_pace
from databricks_app.runtime.sender_pace import CallSums
from databricks_app.runtime.status import LoaderStatus
from databricks_app.runtime.words import counted
from databricks_app.setting_table import StalePolicy

# The loader writes its status every 20 s at least, also while it waits.
_SILENT_SECONDS = 60.0


def readiness(
    *,
    trouble: str | None,
    pending: Pending | None,
    loader: LoaderStatus | None,
    processes: tuple[str, ...],
    unknown: tuple[str, ...],
    stale_requests: float,
    stale_policy: StalePolicy,
    expects_stale: bool,
    suspects: tuple[str, ...],
    verified_at: Mapping[str, float | None],
    signature_faults: tuple[SignatureFault, ...],
    stall_seconds: float,
    freshness_setting: str,
    calls: CallSums,
    now: float,
) -> dict[str, object]:
    """Return the content of `/readyz`.

    `status` is `refusing` if the receiver would answer 503 now, `degraded` if there is another
    problem, else `ok`.

    Args:
        trouble: Why the receiver would answer 503 now; None if it would not.
        pending: The events in the inbox; None if they could not be counted.
        loader: The last status of the loader; None if it has not written one.
        processes: Problems that the supervisor reports.
        unknown: What could not be read, and why.
        stale_requests: Signed requests with a timestamp outside the window.
        stale_policy: What happens to such requests.
        expects_stale: Whether `second_sight` accepts them at first sight now.
        suspects: Workspaces whose signing key may be wrong.
        signature_faults: Why signatures failed lately, see `SignatureDiagnosis.recent`.
        verified_at: By the fingerprint of an active key, when it last verified a request of
            Customer.io, Unix seconds; None: not since the start.
        stall_seconds: Events that wait longer are a problem, see `freshness`.
        freshness_setting: Name of the setting that decides how long events wait.
        calls: The calls of the sender in the last minute.
        now: Unix seconds.
    """
    oldest = None
    if pending is not None and pending.oldest_at is not None:
        oldest = max(0.0, now - pending.oldest_at.timestamp())
    problems = [*unknown, *processes, *_loader_problems(loader, now)]
    if suspects:
        problems.append(suspicion(suspects))
    # The words about the suspects say what to do about an unknown fault.
    known_faults = [one for one in signature_faults if one is not SignatureFault.UNKNOWN]
    problems.extend(signature_problems(known_faults))
    if pending is not None and oldest is not None and oldest > stall_seconds:
        problems.append(
            f"{counted(pending.events, '[event waits|events wait]')} to be loaded, the oldest for "
            f"{oldest / 60:.0f} minutes; "
            f"up to {stall_seconds / 60:.0f} minutes are normal with this {freshness_setting}: "
            "see the other problems and the log of the loader"
        )
    if stale_requests:
        problems.append(
            f"{counted(stale_requests, '[request|requests]')} with a valid signature had a "
            f"timestamp outside the time window{stale_advice(stale_policy, expects_stale)}"
        )
    status = "degraded" if problems else "ok"
    # First, because it is the reason for the answers that the sender gets now.
    if trouble is not None:
        status, problems = "refusing", [trouble, *problems]
    most = sender_pace.most_events(calls)
    return {
        "status": status,
        "inbox_pending_events": None if pending is None else pending.events,
        "inbox_pending_bytes": None if pending is None else pending.bytes,
        "oldest_pending_seconds": None if oldest is None else round(oldest, 3),
        "signature_faults": [one.value for one in signature_faults],
        "last_load_at": loader.last_load_at if loader else None,
        **_warehouse(loader),
        "verified_keys": {
            key: None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
            for key, at in verified_at.items()
        },
        # No problem by itself: every serial sender with a backlog waits for us.
        "sender": None if most is None else sender_pace.describe(most),
        "problems": problems,
    }


def _warehouse(loader: LoaderStatus | None) -> dict[str, object]:
    """Return how the loader uses the warehouse; nothing for a local store."""
    if loader is None or loader.warehouse is None:
        return {}
    return {
        "warehouse_seconds_today_estimate": loader.warehouse.seconds_today,
        "warehouse_seconds_ceiling": loader.warehouse.ceiling_seconds,
        "loads_within_seconds": loader.warehouse.wait_seconds,
        "last_look_at_inbox": loader.warehouse.waits_because,
    }


def _loader_problems(loader: LoaderStatus | None, now: float) -> tuple[str, ...]:
    if loader is None:
        return ("the loader has not reported yet: events are kept in the inbox",)
    silent = now - loader.at
    if silent > _SILENT_SECONDS:
        return (f"the loader has not reported for {silent:.0f} s: see its log", *loader.problems)
    return loader.problems
