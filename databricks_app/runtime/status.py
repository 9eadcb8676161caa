"""Health of the processes: small files in the run folder, which the other processes read.

`ciolake serve` makes the run folder, outside the data disk, and sets CIO_RUN_DIR. Without it (a
bare WSGI server) the health of the loader is unknown; `/readyz` says so.
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

# Its name is also needed below this room, by the call budget.
from databricks_app.setting_values import RUN_DIR as RUN_DIR

# The name of earlier versions: after an upgrade, old and new processes read each other's files.
_LOADER = "writer.json"
_SUPERVISOR = "supervisor.json"

log = structlog.get_logger(__name__)

# Errors of a file that is missing or not ours: the receiver continues without it.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class WarehouseStatus:
    """How the loader uses the warehouse.

    Attributes:
        seconds_today: Seconds that it ran for the loader in this UTC day, an estimate.
        ceiling_seconds: CIO_WAREHOUSE_DAILY_SECONDS; None if there is no ceiling.
        waits_because: Why the last look at the inbox led to a load, or did not, in words.
        wait_seconds: How old an event may become now until it is a row.
    """

    seconds_today: float
    ceiling_seconds: float | None = None
    waits_because: str | None = None
    wait_seconds: float = 0.0

    @property
    def is_over_ceiling(self) -> bool:
        """Whether the seconds of the day are used up."""
        return self.ceiling_seconds is not None and self.seconds_today >= self.ceiling_seconds


@dataclass(frozen=True, slots=True)
class LoaderStatus:
    """The newest status of the loader.

    Attributes:
        at: When it was written, Unix seconds.
        last_load_at: When rows were last made durable, ISO 8601 UTC; None if not since its start.
        problems: Texts for an admin.
        pending_events: Number of stored events that were not loaded at the last count; None
            before the first count.
        oldest_pending_at: When the oldest of them was received, ISO 8601 UTC; None if there is
            none.
        warehouse: Its use of the warehouse; None for a local store.
    """

    at: float
    last_load_at: str | None = None
    problems: tuple[str, ...] = field(default=())
    pending_events: int | None = None
    oldest_pending_at: str | None = None
    warehouse: WarehouseStatus | None = None


def over_ceiling(warehouse: WarehouseStatus) -> str:
    """Return the problem of a warehouse that ran for too long today, with what to do."""
    return (
        f"the warehouse has run for about {warehouse.seconds_today:.0f} s for the loader today "
        f"(UTC), and CIO_WAREHOUSE_DAILY_SECONDS is {warehouse.ceiling_seconds:.0f}: until the day "
        "ends, events are loaded only once an hour or when the inbox is half full. Nothing is "
        "lost. Raise CIO_FRESHNESS_SECONDS, lower the auto-stop of the warehouse, or raise the "
        "ceiling"
    )


def run_dir() -> Path | None:
    """Return the run folder, if this process has one."""
    name = os.environ.get(RUN_DIR)
    return Path(name) if name else None


def write(folder: Path, status: LoaderStatus) -> None:
    """Replace the status of the loader."""
    _replace(folder / _LOADER, asdict(status))


def write_problems(folder: Path, problems: tuple[str, ...]) -> None:
    """Replace the problems of the supervisor's children."""
    _replace(folder / _SUPERVISOR, {"problems": problems})


def _replace(path: Path, content: Mapping[str, object]) -> None:
    """Write a file atomically: a reader sees the old or the new content."""
    made: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            made = Path(file.name)
            json.dump(content, file)
        made.replace(path)
    except OSError as error:
        # For example no room in shared memory. No process stops because of that.
        log.warning("status_not_written", error=type(error).__name__)
        if made is not None:
            with contextlib.suppress(OSError):
                made.unlink(missing_ok=True)


def read(folder: Path | None) -> LoaderStatus | None:
    """Return the newest status of the loader; None if there is none."""
    if folder is None:
        return None
    try:
        content = json.loads((folder / _LOADER).read_text())
        return LoaderStatus(
            float(content["at"]),
            content["last_load_at"],
            tuple(content["problems"]),
            content.get("pending_events"),  # a loader of an earlier version does not write it
            content.get("oldest_pending_at"),
            WarehouseStatus(**warehouse) if (warehouse := content.get("warehouse")) else None,
        )
    except _UNREADABLE:
        return None


def unreadable(folder: Path | None) -> str | None:
    """Return why the run folder cannot be read; None if it can, or if there is none."""
    if folder is None:
        return None
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        return (
            f"the run folder {folder} cannot be read ({error.strerror}): the state of the loader "
            "and the other processes is unknown; restart `ciolake serve`"
        )
    return None


def read_problems(folder: Path | None) -> tuple[str, ...]:
    """Return the newest problems of the supervisor's children; none if there is no file."""
    if folder is None:
        return ()
    try:
        return tuple(json.loads((folder / _SUPERVISOR).read_text())["problems"])
    except _UNREADABLE:
        return ()
