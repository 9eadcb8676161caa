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

RUN_DIR = "CIO_RUN_DIR"
_WRITER = "writer.json"
_SUPERVISOR = "supervisor.json"

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
