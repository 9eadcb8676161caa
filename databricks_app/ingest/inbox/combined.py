"""The local inbox together with the inbox of the volume, for a loader.

An installation that changes CIO_INBOX leaves events in the other inbox. With `CIO_INBOX=local` the
loader reads both. With `CIO_INBOX=volume` only the owner of the lease reads the volume, so each
instance moves the events of its own folder into the volume.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from databricks_app.databricks.volume_files import Files
from databricks_app.ingest.inbox import Batch, Pending
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.ingest.inbox.volume_reader import INBOX, Names, ObjectReader
from databricks_app.runtime.file_modes import create_private_file
from databricks_app.runtime.folder_sync import sync_folder

MOVED_EVENTS = 2_000
MOVED_BYTES = 4 << 20
# Names the volume whose tables the segments of this folder belong to.
_VOLUME_NOTE = ".volume"


@dataclass(frozen=True, slots=True)
class CombinedReader:
    """A `Reader` of a folder, then of a volume.

    Attributes:
        local: The inbox of this machine.
        remote: The inbox of the volume; the loader needs the lease for it.
    """

    local: SegmentReader
    remote: ObjectReader

    @property
    def folder(self) -> Path:
        """The folder of the local inbox."""
        return self.local.folder

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of segments and objects that could not be read in the last pass."""
        return self.local.unreadable + self.remote.unreadable

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield the batches of the folder, then those of the volume."""
        yield from self.local.batches(max_rows, max_bytes)
        yield from self.remote.batches(max_rows, max_bytes)

    def batch_of(self, names: Sequence[str]) -> Batch | None:
        """Read these segments or objects again; None if one is missing or cannot be read."""
        return self._reader_of(names).batch_of(names)

    def delete(self, batch: Batch) -> None:
        """Delete a batch whose rows are durable in the tables."""
        self._reader_of(batch.sources).delete(batch)

    def pending(self) -> Pending:
        """Count the events of both."""
        return added(self.local.pending(), self.remote.pending())

    def _reader_of(self, names: Sequence[str]) -> SegmentReader | ObjectReader:
        # An object's name is a path below the inbox; a segment's has no folder.
        return self.remote if "/" in names[0] else self.local


def added(one: Pending, other: Pending) -> Pending:
    """Return the sum of two counts."""
    moments = [at for at in (one.oldest_at, other.oldest_at) if at is not None]
    return Pending(one.events + other.events, one.bytes + other.bytes, min(moments, default=None))


def note_volume(folder: Path, volume: str) -> None:
    """Note in a local inbox which volume's tables its events belong to.

    Raises:
        OSError: The folder cannot be written.
    """
    if noted_volume(folder) != volume:
        new = folder / f"{_VOLUME_NOTE}.new"
        with create_private_file(new) as file:
            file.write(volume.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / _VOLUME_NOTE)
        sync_folder(folder)


def noted_volume(folder: Path) -> str | None:
    """Return which volume's tables the events of a local inbox belong to; None if there is no note.

    Raises:
        OSError: The note cannot be read.
    """
    try:
        return (folder / _VOLUME_NOTE).read_text("utf-8")
    except FileNotFoundError:
        return None


def move_segments(reader: SegmentReader, files: Files, volume: str) -> int:
    """Move the events of a local inbox into a volume, and return how many there were.

    Segments that a process still writes are left for the next call. If this process dies between
    the put and the deletion, the events are moved again, which changes no table.

    Raises:
        WorkspaceError: The volume cannot be used now. Nothing is lost; call it again.
        OSError: The folder cannot be read or written.
    """
    names = Names()
    moved = 0
    for batch in reader.batches(MOVED_EVENTS, MOVED_BYTES):
        if batch.records:
            path, content = names.frame(batch.records)
            files.put(f"{volume}/{INBOX}/{path}", content, overwrite=True)
        reader.delete(batch)
        moved += len(batch.records)
    return moved
