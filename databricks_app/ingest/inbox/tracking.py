"""Find where an event is: in the inbox, or already a row of a table.

The Files API lists the volume without starting a warehouse. The tables are queried at most once:
the loader deletes an object only after its rows are committed, so an event that is in no object is
a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from databricks_app.databricks.volume_files import FileListing
from databricks_app.ingest.inbox import frames
from databricks_app.ingest.inbox.local_reader import segment_names
from databricks_app.ingest.inbox.volume_reader import INBOX, objects

Place = Literal["inbox", "row"]
LOOK_SECONDS = 2.0
# An event that was just stored is in one of the newest objects; older ones are not read.
_MOST_READ = 200
# Segments of up to 16 MiB.
_MOST_SEGMENTS = 20


def track(
    files: FileListing,
    volume: str,
    body: bytes,
    is_row: Callable[[], bool],
    *,
    seconds: float = 0.0,
    look_seconds: float = LOOK_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Place | None:
    """Find an event that was just acknowledged; None if it is neither stored nor loaded.

    Args:
        files: Lists and reads the volume.
        volume: `/Volumes/<catalog>/<schema>/<volume>`.
        body: The body of the event.
        is_row: Queries the tables; called at most once, and only if no object contains the event.
        seconds: How long to wait until the object of the event is deleted; 0 does not wait.
        look_seconds: Pause between two listings of that object's folder.
        monotonic: Clock, seconds.
        sleep: Waits for a number of seconds.
    """
    source = _object_of(files, volume, body)
    if source is not None:
        folder, _, name = source.rpartition("/")
        folder_path = f"{volume}/{INBOX}/{folder}"
        until = monotonic() + seconds
        while any(entry.name == name for entry in files.entries(folder_path)):
            if (left := until - monotonic()) <= 0:
                return "inbox"
            sleep(min(left, look_seconds))
    return "row" if is_row() else None


def track_in_folder(
    folder: Path,
    body: bytes,
    is_row: Callable[[], bool],
    *,
    seconds: float = 0.0,
    look_seconds: float = LOOK_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Place | None:
    """Find an event like `track`, in a local inbox.

    Raises:
        OSError: The folder cannot be read.
    """
    stem = _segment_of(folder, body)
    if stem is not None:
        until = monotonic() + seconds
        # Its name changes when it is closed, but not the beginning of its name.
        while any(folder.glob(f"{stem}*")):
            if (left := until - monotonic()) <= 0:
                return "inbox"
            sleep(min(left, look_seconds))
    return "row" if is_row() else None


def _segment_of(folder: Path, body: bytes) -> str | None:
    """Return time and token of the segment that contains an event; None without one."""
    newest = sorted(segment_names(folder), reverse=True)[:_MOST_SEGMENTS]
    for name, stem in newest:
        for found in (folder / name, *folder.glob(f"{stem}-*.seg")):
            try:
                content = found.read_bytes()
            except FileNotFoundError:  # closed or loaded meanwhile
                continue
            if body in content:
                return stem
            break
    return None


def _object_of(files: FileListing, volume: str, body: bytes) -> str | None:
    """Return the path under `inbox/` of the object that contains an event; None without one."""
    newest = sorted(objects(files, f"{volume}/{INBOX}"), reverse=True)[:_MOST_READ]
    for one in newest:
        try:
            content = files.get(f"{volume}/{INBOX}/{one.source}")
        except FileNotFoundError:  # loaded meanwhile
            continue
        for found in frames.scan(content, frames.seed(one.token)):
            if isinstance(found, frames.Frame) and found.record.body == body:
                return one.source
    return None
