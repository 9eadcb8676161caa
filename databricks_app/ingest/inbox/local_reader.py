"""The loader's side of the local inbox: closed and dead segments, oldest first.

There is one reader at a time; the lake's lock sees to that.
"""

from __future__ import annotations

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
_LOOKS = 10


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
    """A `Reader` over the folder that `LocalInbox` writes.

    Attributes:
        folder: Where they lie.
        unreadable: Segments that the disk would not give in the last pass; they stay pending.
    """

    unreadable: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        """Read this folder; made if missing."""
        make_private_folder(folder)
        self.folder = folder

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield whole segments in batches, oldest first, until none is ready.

        A batch holds at least one segment, so that it can exceed the limits by one.
        """
        self.unreadable = ()
        self._close_dead()
        gathered = _BatchBuilder()
        for name, events, length in self._closed_segments():
            if gathered.names and not gathered.has_room(events, length, max_rows, max_bytes):
                yield gathered.batch()
                gathered = _BatchBuilder()
            try:
                gathered.add(name, length, self._read(name, events))
            except OSError:
                # It stays where it is, is reported, and holds up nothing behind it.
                self.unreadable += (name,)
        if gathered.names:
            yield gathered.batch()

    def batch_of(self, names: Sequence[str]) -> Batch | None:
        """Read these segments once more; None unless all are there and can be read."""
        gathered = _BatchBuilder()
        try:
            for name in names:
                fields = _NAME.fullmatch(name)
                if fields is None or fields["events"] is None:
                    return None
                contents = self._read(name, int(fields["events"]))
                gathered.add(name, _size(self.folder / name), contents)
        except OSError:
            return None
        return gathered.batch()

    def delete(self, batch: Batch) -> None:
        """Remove the segments of a batch whose rows are durable in the tables."""
        for name in batch.sources:
            (self.folder / name).unlink(missing_ok=True)
        sync_folder(self.folder)

    def pending(self) -> Pending:
        """Count events and bytes of all segments, those being written included."""
        return pending(self.folder)

    def _closed_segments(self) -> list[tuple[str, int, int]]:
        found = []
        for name, fields in _segments(self.folder):
            if fields["events"] is not None:
                try:
                    found.append((name, int(fields["events"]), _size(self.folder / name)))
                except OSError:
                    self.unreadable += (name,)
        return sorted(found)

    def _close_dead(self) -> None:
        for name, fields in _segments(self.folder):
            if fields["events"] is None:
                try:
                    self._close_if_dead(self.folder / name)
                except OSError:
                    self.unreadable += (name,)
        for left in self.folder.glob(".*.new"):
            if _age_seconds(left) > _NEW_SECONDS:
                left.unlink(missing_ok=True)

    def _close_if_dead(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                # What the process wrote last may not have reached the disk.
                os.fsync(descriptor)
                self._close_segment(path)
        except BlockingIOError:
            return
        finally:
            os.close(descriptor)

    def _close_segment(self, path: Path) -> None:
        data = path.read_bytes()
        found = list(frames.scan(data, frames.seed(_token(path.name))))
        events = sum(isinstance(one, frames.Frame) for one in found)
        if found:
            path.rename(path.with_name(f"{path.stem}-{events}.seg"))
        else:
            path.unlink()
        sync_folder(self.folder)

    def _read(self, name: str, events: int) -> frames.FrameContents:
        """Read a segment; damaged bytes are copied to the quarantine before anything is loaded."""
        data = (self.folder / name).read_bytes()
        contents = frames.contents(data, frames.seed(_token(name)), events)
        for damage in contents.damage:
            self._keep_aside(name, damage, data)
        return contents

    def _keep_aside(self, name: str, damage: frames.Damage, data: bytes) -> None:
        folder = self.folder / QUARANTINE
        make_private_folder(folder)
        path = folder / f"{name}.{damage.start}-{damage.end}"
        with create_private_file(path) as file:
            file.write(data[damage.start : damage.end])
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)


def pending(folder: Path) -> Pending:
    """Count events and bytes of all segments of a folder without changing anything."""
    for _ in range(_LOOKS):
        counted, is_whole = _count(folder)
        if is_whole:
            break
    return counted


def _count(folder: Path) -> tuple[Pending, bool]:
    """Count, and say whether no segment was closed, and so renamed, behind our back."""
    events = size = 0
    oldest: str | None = None
    is_whole = True
    for name, fields in _segments(folder):
        closed = fields["events"]
        try:
            size += _size(folder / name)
            number = int(closed) if closed is not None else _count_open(folder / name)
        except FileNotFoundError:
            is_whole = is_whole and closed is not None
            continue
        except OSError:
            continue  # the reader reports it
        events += number
        if number and (oldest is None or fields["time"] < oldest):
            oldest = fields["time"]
    return Pending(events, size, None if oldest is None else _moment(oldest)), is_whole


def replay_segment(folder: Path, records: list[Record], *, name: str) -> None:
    """Write a closed segment of records that are to be read again; durable on return.

    Args:
        folder: The inbox.
        records: At most what a segment holds; must not be empty.
        name: `<time>-<token>` as in the folder's names.
    """
    start = frames.seed(_token(f"{name}.open"))
    made = folder / f".{name}.new"
    with create_private_file(made) as file:
        for record in records:
            file.writelines(frames.encode(record, start))
        file.flush()
        os.fsync(file.fileno())
    made.rename(folder / f"{name}-{len(records)}.seg")
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


def _count_open(path: Path) -> int:
    return frames.count(path.read_bytes())[0]


def _size(path: Path) -> int:
    return path.stat().st_size


def _age_seconds(path: Path) -> float:
    try:
        return datetime.now(UTC).timestamp() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _moment(time: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(time))
