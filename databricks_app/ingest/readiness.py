"""What `/readyz` says. Pure."""

from __future__ import annotations

from databricks_app.ingest.inbox import Pending
from databricks_app.runtime.status import LoaderStatus

_SILENT_SECONDS = 60.0


def _stale_words(requests: float, *, takes_stale: bool) -> str:
    number = f"{requests:.0f} rightly signed requests came outside the time window"
    if takes_stale:
        return f"{number} and were taken, as CIO_STALE_TIMESTAMPS says: check the clock here"
    return f"{number}: check the clock here; if it is right, set CIO_STALE_TIMESTAMPS=accept"


def _backlog_words(events: int, oldest: float, stall_seconds: float) -> str:
    return (
        f"{events} events wait to be loaded, the oldest for {oldest / 60:.0f} minutes; with this "
        f"CIO_FLUSH_INTERVAL_SECONDS {stall_seconds / 60:.0f} are in order: see the other "
        "problems, and the log of the loader"
    )


def readiness(
    *,
    trouble: str | None,
    pending: Pending | None,
    loader: LoaderStatus | None,
    processes: tuple[str, ...],
    unknown: tuple[str, ...],
    stale_requests: float,
    takes_stale: bool,
    stall_seconds: float,
    now: float,
) -> dict[str, object]:
    """Put together what `/readyz` says.

    `status` is `refusing` where the receiver would answer 503 now, `degraded` where something else
    needs a look, `ok` otherwise. Events that wait are a problem beyond `stall_seconds`; see
    `freshness`. `pending` is None if that is not known; `unknown` says what could not be read.
    """
    oldest = None
    if pending is not None and pending.oldest_at is not None:
        oldest = max(0.0, now - pending.oldest_at.timestamp())
    problems = [*unknown, *processes, *_loader_problems(loader, now)]
    if pending is not None and oldest is not None and oldest > stall_seconds:
        problems.append(_backlog_words(pending.events, oldest, stall_seconds))
    if stale_requests:
        problems.append(_stale_words(stale_requests, takes_stale=takes_stale))
    status = "degraded" if problems else "ok"
    if trouble is not None:
        status, problems = "refusing", [trouble, *problems]
    return {
        "status": status,
        "inbox_pending_events": None if pending is None else pending.events,
        "inbox_pending_bytes": None if pending is None else pending.bytes,
        "oldest_pending_seconds": None if oldest is None else round(oldest, 3),
        "last_load_at": loader.last_load_at if loader else None,
        "problems": problems,
    }


def _loader_problems(loader: LoaderStatus | None, now: float) -> tuple[str, ...]:
    if loader is None:
        return ("the loader has not reported yet: events are kept in the inbox",)
    if now - loader.at > _SILENT_SECONDS:
        silent = now - loader.at
        return (f"the loader has been silent for {silent:.0f} s: see its log", *loader.problems)
    return loader.problems
