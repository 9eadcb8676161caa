"""Where one event is: in the inbox of a volume, or a row already.

The volume is asked through the Files API, which wakes no warehouse. The tables are asked at most
once: a loader removes an object after its rows are committed, so who finds no object finds the row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from databricks_app.databricks.volume_files import FileListing
from databricks_app.ingest.inbox import frames
from databricks_app.ingest.inbox.volume_reader import INBOX, objects

Place = Literal["inbox", "row"]
LOOK_SECONDS = 2.0
# An event that was just stored is in one of the newest objects.
_MOST_READ = 200


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
        files: The volume's.
        volume: `/Volumes/<catalog>/<schema>/<volume>`.
        body: The event's.
        is_row: Asks the tables for it; called once at most, and only if no object holds it.
        seconds: How long to wait until an object that holds it is gone; 0 only looks.
        look_seconds: Between two looks at that object's folder.
        monotonic: Seconds.
        sleep: Lets that many seconds pass.
    """
    source = _holding(files, volume, body)
    if source is not None:
        until = monotonic() + seconds
        while _is_there(files, volume, source):
            if (left := until - monotonic()) <= 0:
                return "inbox"
            sleep(min(left, look_seconds))
    return "row" if is_row() else None


def _holding(files: FileListing, volume: str, body: bytes) -> str | None:
    """Path under `inbox/` of an object that holds an event; None if none does."""
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


def _is_there(files: FileListing, volume: str, source: str) -> bool:
    folder, _, name = source.rpartition("/")
    return any(entry.name == name for entry in files.entries(f"{volume}/{INBOX}/{folder}"))
