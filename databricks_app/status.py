"""What the processes tell each other about their health: small files in the run folder.

The run folder is made by `ciolake serve`, outside the data disk, and named by CIO_RUN_DIR. Without
it (a bare WSGI server) nothing is known of a writer, and that is said.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from databricks_app.inbox import Pending

RUN_DIR = "CIO_RUN_DIR"
_WRITER = "writer.json"
_SUPERVISOR = "supervisor.json"
_SILENT_SECONDS = 60.0

log = structlog.get_logger(__name__)

# What a file says that is not there, or that is not one of ours: it must not close the door.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """What the writer last said.

    Attributes:
        at: When it said so, Unix seconds.
        last_load_at: When rows were last made durable, ISO 8601 UTC; None if not since its start.
        problems: In words an admin understands.
    """

    at: float
    last_load_at: str | None = None
    problems: tuple[str, ...] = field(default=())


def run_dir() -> Path | None:
    """Return the run folder, if this process has one."""
    name = os.environ.get(RUN_DIR)
    return Path(name) if name else None


def tell(folder: Path, status: WriterStatus) -> None:
    """Replace what the writer said."""
    _replace(folder / _WRITER, asdict(status))


def tell_problems(folder: Path, problems: tuple[str, ...]) -> None:
    """Replace what the supervisor said of its children."""
    _replace(folder / _SUPERVISOR, {"problems": problems})


def _replace(path: Path, said: Mapping[str, object]) -> None:
    """Write a file that a reader sees before or after, never in part.

    What cannot be told, as where the memory behind the folder is full, ends nobody's work.
    """
    made: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            made = Path(file.name)
            json.dump(said, file)
        made.replace(path)
    except OSError as error:
        log.warning("status_not_told", error=type(error).__name__)
        if made is not None:
            with contextlib.suppress(OSError):
                made.unlink(missing_ok=True)


def heard(folder: Path | None) -> WriterStatus | None:
    """Return what the writer last said, or None."""
    if folder is None:
        return None
    try:
        said = json.loads((folder / _WRITER).read_text())
        return WriterStatus(float(said["at"]), said["last_load_at"], tuple(said["problems"]))
    except _UNREADABLE:
        return None


def supervisor_problems(folder: Path | None) -> tuple[str, ...]:
    """Return what the supervisor last said of its children; nothing if there is none."""
    if folder is None:
        return ()
    try:
        return tuple(json.loads((folder / _SUPERVISOR).read_text())["problems"])
    except _UNREADABLE:
        return ()


def _stale_words(requests: float, *, takes_stale: bool) -> str:
    number = f"{requests:.0f} rightly signed requests came outside the time window"
    if takes_stale:
        return f"{number} and were taken, as CIO_STALE_TIMESTAMPS says: check the clock here"
    return f"{number}: check the clock here; if it is right, set CIO_STALE_TIMESTAMPS=accept"


def _backlog_words(events: int, oldest: float, stall_seconds: float) -> str:
    return (
        f"{events} events wait to be loaded, the oldest for {oldest / 60:.0f} minutes; with this "
        f"CIO_FLUSH_INTERVAL_SECONDS {stall_seconds / 60:.0f} are in order: see the other "
        "problems, and the log of the process that loads (writer)"
    )


def readiness(
    *,
    trouble: str | None,
    pending: Pending,
    writer: WriterStatus | None,
    processes: tuple[str, ...],
    stale_requests: float,
    takes_stale: bool,
    stall_seconds: float,
    now: float,
) -> dict[str, object]:
    """Put together what `/readyz` says.

    `status` is `refusing` where the door would answer 503 now, `degraded` where something else
    needs a look, `ok` otherwise. Events that wait are a problem beyond `stall_seconds`; see
    `freshness`.
    """
    oldest = None if pending.oldest_at is None else max(0.0, now - pending.oldest_at.timestamp())
    problems = [*processes, *_writer_problems(writer, now)]
    if oldest is not None and oldest > stall_seconds:
        problems.append(_backlog_words(pending.events, oldest, stall_seconds))
    if stale_requests:
        problems.append(_stale_words(stale_requests, takes_stale=takes_stale))
    status = "degraded" if problems else "ok"
    if trouble is not None:
        status, problems = "refusing", [trouble, *problems]
    return {
        "status": status,
        "inbox_pending_events": pending.events,
        "inbox_pending_bytes": pending.bytes,
        "oldest_pending_seconds": None if oldest is None else round(oldest, 3),
        "last_load_at": writer.last_load_at if writer else None,
        "problems": problems,
    }


def _writer_problems(writer: WriterStatus | None, now: float) -> tuple[str, ...]:
    if writer is None:
        return ("the writer has not reported yet: events are kept in the inbox",)
    if now - writer.at > _SILENT_SECONDS:
        silent = now - writer.at
        return (f"the writer has been silent for {silent:.0f} s: see its log", *writer.problems)
    return writer.problems
