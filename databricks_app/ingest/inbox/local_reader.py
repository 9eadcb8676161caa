"""The local inbox, for the loader: read closed and dead segments, oldest first.

The lock of the lake ensures that there is only one reader.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Batch, Pending, frames
from databricks_app.runtime.file_modes import create_private_file, make_private_folder
from databricks_app.runtime.folder_sync import sync_folder

QUARANTINE = "quarantine"
_NAME = re.compile(r"(?P<time>\d{16})-(?P<token>[0-9a-f]{16})(?:-(?P<events>\d+)\.seg|\.open)")
_NEW_SECONDS = 3600
_COUNT_TRIES = 10


@dataclass(slots=True)
class _BatchBuilder:
    names: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    bytes: int = 0
    damaged: int = 0
    torn: int = 0

    def has_room(self, events: int, length: int, max_rows: int, max_bytes: int) -> bool:
        return len(self.records) + events <= max_rows and self.bytes + length <= max_bytes

    def add(self, name: str, length: int, contents: frames.FrameContents) -> None:
        self.names.append(name)
        self.records += contents.records
        self.bytes += length
        self.damaged += contents.damaged
        self.torn += contents.torn

    def batch(self) -> Batch:
        return Batch(tuple(self.records), tuple(self.names), self.damaged, self.torn)


class SegmentReader:
    """A `Reader` of the folder that `LocalInbox` writes.

    Attributes:
        folder: The folder of the segments.
        unreadable: Segments that could not be read in the last pass. They stay pending.
    """

    unreadable: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        """Read this folder; create it if it is missing."""
        make_private_folder(folder)
        self.folder = folder

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield whole segments in batches, oldest first, until none is ready.

        A batch contains at least one segment, so a large segment can exceed the limits.
        """
        self.unreadable = ()
        self._close_dead()
        builder = _BatchBuilder()
        for name, events, length in self._closed_segments():
            if builder.names and not builder.has_room(events, length, max_rows, max_bytes):
                yield builder.batch()
                builder = _BatchBuilder()
            try:
                builder.add(name, length, self._read(name, events))
            except OSError:
                # It stays in the folder and is reported. Later segments are loaded.
                self.unreadable += (name,)
        if builder.names:
            yield builder.batch()

    def batch_of(self, names: Sequence[str]) -> Batch | None:
        """Read these segments again; None if one is missing or cannot be read."""
        builder = _BatchBuilder()
        try:
            for name in names:
                fields = _NAME.fullmatch(name)
                if fields is None or fields["events"] is None:
                    return None
                contents = self._read(name, int(fields["events"]))
                builder.add(name, _size(self.folder / name), contents)
        except OSError:
            return None
        return builder.batch()

    def delete(self, batch: Batch) -> None:
        """Delete the segments of a batch whose rows are durable in the tables."""
        for name in batch.sources:
            (self.folder / name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def pending(self) -> Pending:
        """Count events and bytes of all segments, including open ones."""
        return pending(self.folder)

    def _closed_segments(self) -> list[tuple[str, int, int]]:
        found = []
        for name, fields in _segments(self.folder):
            if fields["events"] is not None:
                try:
                    found.append((name, int(fields["events"]), _size(self.folder / name)))
                except OSError:
                    self.unreadable += (name,)
        # A name begins with the time, so this is the oldest first.
        return sorted(found)

    def _close_dead(self) -> None:
        for name, fields in _segments(self.folder):
            if fields["events"] is None:
                try:
                    self._close_if_dead(self.folder / name)
                except OSError:
                    self.unreadable += (name,)
        now = datetime.now(UTC).timestamp()
        for new in self.folder.glob(".*.new"):
            with contextlib.suppress(FileNotFoundError):  # renamed or deleted meanwhile
                if now - new.stat().st_mtime > _NEW_SECONDS:
                    new.unlink()

    def _close_if_dead(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The owner may have closed, and so renamed, the segment before we got the lock.
            if path.exists():
                # The last write of the dead process may not be on the disk yet.
                os.fsync(descriptor)
                self._close_segment(path)
        except BlockingIOError:
            return
        finally:
            os.close(descriptor)

    def _close_segment(self, path: Path) -> None:
        data = path.read_bytes()
        # The complete frames are all that was acknowledged; a torn end stays in the file, and
        # `_read` copies it to the quarantine.
        found = list(frames.scan(data, frames.seed(_token(path.name))))
        events = sum(isinstance(one, frames.Frame) for one in found)
        if found:
            path.rename(path.with_name(f"{path.stem}-{events}.seg"))
        else:
            path.unlink()
        sync_folder(self.folder)

    def _read(self, name: str, events: int) -> frames.FrameContents:
        """Read a segment, and copy its damaged bytes to the quarantine."""
        data = (self.folder / name).read_bytes()
        contents = frames.contents(data, frames.seed(_token(name)), events)
        # Copy before the load: the segment is deleted after it.
        for damage in contents.damage:
            self._quarantine(name, damage, data)
        return contents

    def _quarantine(self, name: str, damage: frames.Damage, data: bytes) -> None:
        folder = self.folder / QUARANTINE
        make_private_folder(folder)
        path = folder / f"{name}.{damage.start}-{damage.end}"
        with create_private_file(path) as file:
            file.write(data[damage.start : damage.end])
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)


def pending(folder: Path) -> Pending:
    """Count events and bytes of all segments of a folder. Changes nothing."""
    for _ in range(_COUNT_TRIES):
        counted, is_exact = _count(folder)
        if is_exact:
            break
    return counted


def _count(folder: Path) -> tuple[Pending, bool]:
    """Count, and return False as well if a segment was closed (renamed) during the count."""
    events = size = 0
    oldest: str | None = None
    is_exact = True
    for name, fields in _segments(folder):
        closed = fields["events"]
        try:
            size += _size(folder / name)
            if closed is not None:
                number = int(closed)
            else:
                number, _ = frames.count((folder / name).read_bytes())
        except FileNotFoundError:
            # A closed segment disappears when it is loaded. An open one was renamed: count again.
            is_exact = is_exact and closed is not None
            continue
        except OSError:
            continue  # the reader reports it
        events += number
        if number and (oldest is None or fields["time"] < oldest):
            oldest = fields["time"]
    oldest_at = None
    if oldest is not None:
        oldest_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(oldest))
    return Pending(events, size, oldest_at), is_exact


def segment_names(folder: Path) -> list[tuple[str, str]]:
    """Return the name of each segment, and the beginning of it that a close does not change."""
    return [(name, f"{fields['time']}-{fields['token']}") for name, fields in _segments(folder)]


def replay_segment(folder: Path, records: list[Record], *, name: str) -> None:
    """Write a closed segment of records to load again; it is durable on return.

    Args:
        folder: The inbox.
        records: At least one; at most as many as a segment may contain.
        name: `<time>-<token>`, as in the names of segments.
    """
    start = frames.seed(_token(f"{name}.open"))
    new = folder / f".{name}.new"
    with create_private_file(new) as file:
        for record in records:
            file.writelines(frames.encode(record, start))
        file.flush()
        os.fsync(file.fileno())
    new.rename(folder / f"{name}-{len(records)}.seg")
    sync_folder(folder)


def _segments(folder: Path) -> Iterator[tuple[str, re.Match[str]]]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        if (fields := _NAME.fullmatch(name)) is not None:
            yield name, fields


def _token(name: str) -> str:
    fields = _NAME.fullmatch(name)
    if fields is None:
        raise ValueError("not the name of a segment")
    return fields["token"]


def _size(path: Path) -> int:
    return path.stat().st_size
