"""The local inbox, for the receiver: group commit into a segment (write-ahead log).

Every web process owns one segment at a time, locked with `flock`. One committer thread takes all
waiting requests, writes their frames, calls `fdatasync` once and answers them. It does not delay a
request to form a group: a group is the requests that arrived during the previous sync.

Names in the folder (`<time>` is 16 digits of microseconds, `<token>` random):

    .<time>-<token>.new           being created; contains no acknowledged event
    <time>-<token>.open           written by the process that has its lock; dead if none has it
    <time>-<token>-<events>.seg   closed: complete and ready to load

After a short write or a failed sync, the segment is closed at its last good offset. Nothing after
that offset was acknowledged, and the state of those bytes on the disk is unknown.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from databricks_app.errors import InboxError, InboxFull
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import frames
from databricks_app.ingest.inbox.disk_faults import FULL, fault_of_folder, refused_folder
from databricks_app.ingest.inbox.room import InboxRoom
from databricks_app.ingest.inbox.waiting import STOPPING, WaitingQueue, WaitingRecords
from databricks_app.runtime.file_modes import make_private_folder
from databricks_app.runtime.folder_sync import sync_folder
from databricks_app.runtime.recurring import RecurringLog

CLOSE_BYTES = 16 << 20
CLOSE_EVENTS = 10_000
_GROUP_BYTES = 32 << 20
_GROUP_FRAMES = 500
_LARGE_BYTES = 1 << 20
# Buffers in one call of writev; Linux accepts at most 1,024 (IOV_MAX).
_PIECES = 1_000
HANGING_SECONDS = 3.0
_PROBE_BYTES = 64 << 10
_FAULT_SECONDS = 0.1
_SEGMENT_ADVICE = (
    "check the disk of CIO_DATA_DIR and the permissions of its folder inbox; nothing is lost, the "
    "loader treats the segment like that of a dead process"
)


class LocalInbox:
    """A `GroupAppender` that writes to a folder on a local disk. Create it after the fork.

    Attributes:
        groups: 1.
    """

    # The disk syncs one group at a time; requests that arrive meanwhile are the next group.
    groups = 1

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int | None = None,
        floor_bytes: int | None = None,
        close_seconds: float = 2.5,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        sync: Callable[[int], None] = os.fdatasync,
        recurring: RecurringLog | None = None,
    ) -> None:
        """Open the inbox.

        Args:
            folder: The folder of the segments; created if missing.
            max_bytes: Most bytes of segments of all processes; None: 80 % of the space that is
                free now.
            floor_bytes: Bytes of the disk to keep free for the tables; None: 10 % of the disk, at
                least 1 GiB.
            close_seconds: A segment is closed when its first record is this old.
            monotonic: Clock for ages, seconds.
            clock: Clock for file names, Unix seconds.
            sync: Makes the written bytes of a descriptor durable.
            recurring: Logs errors of the disk and of this class; a new one by default.
        """
        make_private_folder(folder)
        self._folder = folder
        self._close_seconds = close_seconds
        self._monotonic = monotonic
        self._clock = clock
        self._sync = sync
        self._recurring = recurring or RecurringLog()
        self._busy_since: float | None = None
        self._room = InboxRoom(folder, max_bytes, floor_bytes, monotonic)
        self._segment: _Segment | None = None
        self._queue = WaitingQueue(monotonic=monotonic)
        self._was_large = False
        self._is_done = False
        self._trouble: str | None = None
        self._committer = threading.Thread(target=self._run, name="inbox-committer", daemon=True)
        self._committer.start()

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Store a record; see `Appender.append`."""
        self._queue.append(record, deadline_seconds)

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Begin to store records; see `GroupAppender.submit`."""
        return self._queue.submit(records, done)

    def trouble(self) -> str | None:
        """Return why an append would fail now; after a failure, try the disk again."""
        if self._queue.is_closed:
            return STOPPING
        since = self._busy_since
        if since is not None and self._monotonic() - since > HANGING_SECONDS:
            return f"the disk of the inbox has not answered for {self._monotonic() - since:.0f} s"
        try:
            problem = self._room.problem(is_fresh=True) or refused_folder(self._folder)
        except OSError as error:
            return (
                f"the inbox folder {self._folder} cannot be read ({error.strerror}): create it "
                "again or mount its disk, and give the receiver's user access"
            )
        if problem is not None:
            return problem
        if self._trouble is not None and self._probe():
            self._trouble = None
        return self._trouble

    def close(self) -> None:
        """Refuse further records, finish the current ones and close the segment."""
        self._queue.close()
        self._committer.join()

    def _run(self) -> None:
        while not self._is_done:
            try:
                self._commit_next_group()
            except Exception as error:  # noqa: BLE001  # without this thread nothing is ever stored
                self._recurring.note_error("committer_failed", error)
                # The state of the segment is unknown, so write no more to it. Without its lock the
                # loader treats it like that of a dead process and reads its complete frames.
                segment, self._segment = self._segment, None
                if segment is not None:
                    segment.release()
                # When the inbox stops here, the requests that still wait were never acknowledged.
                self._is_done = self._queue.is_closed
                time.sleep(_FAULT_SECONDS)

    def _commit_next_group(self) -> None:
        group = self._next_group()
        if group:
            self._commit(group)
        segment = self._segment
        if segment is not None and self._must_close(segment):
            self._segment = None
            self._close_segment(segment)
        self._is_done = self._queue.is_closed and not group and self._segment is None

    def _next_group(self) -> list[WaitingRecords]:
        queue = self._queue
        with queue.changed:
            if not queue.waiting and not queue.is_closed:
                seconds = None
                if self._segment is not None:
                    close_at = self._segment.opened + self._close_seconds
                    seconds = max(0.0, close_at - self._monotonic())
                queue.changed.wait(seconds)
            # Groups of large and of small bodies alternate, so that a small body waits for at most
            # one group of large ones.
            turn = [one for one in queue.waiting if _is_large(one) is not self._was_large]
            group = _group(turn or queue.waiting)
            if group:
                self._was_large = _is_large(group[0])
                queue.take(group)
        return group

    def _must_close(self, segment: _Segment) -> bool:
        return (
            self._queue.is_closed
            or segment.good_offset >= CLOSE_BYTES
            or segment.events >= CLOSE_EVENTS
            or self._monotonic() - segment.opened >= self._close_seconds
        )

    def _commit(self, group: list[WaitingRecords]) -> None:
        error: InboxError | None = None
        self._busy_since = self._monotonic()
        try:
            self._store([record for waiting in group for record in waiting.records])
            self._trouble = None
        except OSError as cause:
            text = fault_of_folder(self._folder, cause)
            error = InboxFull(text) if cause.errno in FULL else InboxError(text)
        except InboxError as cause:
            error = cause
        except Exception as cause:  # noqa: BLE001  # refuse this group; the next one may succeed
            self._recurring.note_error("storing_failed", cause)
            error = InboxError(f"storing failed: {type(cause).__name__}")
        self._busy_since = None
        if error is not None:
            self._trouble = str(error)
        self._queue.answer(group, error)

    def _store(self, records: list[Record]) -> None:
        if problem := self._room.problem():
            raise InboxFull(problem)
        segment = self._segment
        if segment is None:
            name = f"{int(self._clock() * 1e6):016d}-{secrets.token_hex(8)}"
            segment = _Segment.create(self._folder, name, self._monotonic(), self._sync)
            self._segment = segment
        try:
            segment.write(records)
        except BaseException:
            # After a failed write or sync the file must not be continued: the kernel may have
            # dropped the bytes, and a later sync would not report it.
            self._segment = None
            self._close_segment(segment)
            raise
        self._room.take(segment.last_write)

    def _close_segment(self, segment: _Segment) -> None:
        # A segment that cannot be closed stays as it is. `release` frees its lock, and the loader
        # treats an unlocked segment as dead.
        try:
            segment.close()
        except OSError as error:
            problem = os.strerror(error.errno or errno.EIO)
            self._recurring.note("segment_not_closed", problem, {"advice": _SEGMENT_ADVICE})
        finally:
            segment.release()

    def _probe(self) -> bool:
        """Return whether the disk stores a small file."""
        path = self._folder / f".{int(self._clock() * 1e6):016d}-probe.new"
        try:
            with path.open("xb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
                os.fdatasync(file.fileno())
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return True


class _Segment:
    """An open segment: a locked file, with the number of its durable bytes and records."""

    def __init__(
        self,
        folder: Path,
        name: str,
        descriptor: int,
        opened: float,
        sync: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._sync = sync
        self._name = name
        self._descriptor = descriptor
        self._seed = frames.seed(name.rpartition("-")[2])
        self.opened = opened
        self.good_offset = 0
        self.last_write = 0
        self.events = 0

    @classmethod
    def create(
        cls, folder: Path, name: str, opened: float, sync: Callable[[int], None]
    ) -> _Segment:
        """Create a segment and lock it."""
        new = folder / f".{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600)
        try:
            # Lock before the rename: the loader takes an unlocked `.open` file for a dead segment.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(folder / f"{name}.open")
            sync_folder(folder)
        except OSError:
            os.close(descriptor)
            raise
        return cls(folder, name, descriptor, opened, sync)

    def write(self, records: list[Record]) -> None:
        """Append records and make them durable.

        Raises:
            OSError: None of these records is acknowledged.
        """
        pieces = [piece for record in records for piece in frames.encode(record, self._seed)]
        size = sum(map(len, pieces))
        written = 0
        for first in range(0, len(pieces), _PIECES):
            written += os.writev(self._descriptor, pieces[first : first + _PIECES])
        # The kernel writes less than it was given if the disk becomes full during the call.
        if written != size:
            raise OSError(errno.ENOSPC, "short write")
        self._sync(self._descriptor)
        self.good_offset += size
        self.last_write = size
        self.events += len(records)

    def close(self) -> None:
        """Cut the bytes that may not be durable, and give the segment its final name."""
        path = self._folder / f"{self._name}.open"
        # Cut before the rename: all bytes of a closed segment count as acknowledged.
        if os.fstat(self._descriptor).st_size != self.good_offset:
            os.ftruncate(self._descriptor, self.good_offset)
        if self.events:
            path.rename(self._folder / f"{self._name}-{self.events}.seg")
        else:
            path.unlink()
        sync_folder(self._folder)

    def release(self) -> None:
        """Close the file, which frees its lock."""
        os.close(self._descriptor)


def _is_large(waiting: WaitingRecords) -> bool:
    """Return whether these records keep the disk busy for long."""
    return waiting.size > _LARGE_BYTES


def _group(waiting: list[WaitingRecords]) -> list[WaitingRecords]:
    """Return the first of the waiting records, as many as one group may contain."""
    size = count = 0
    for number, one in enumerate(waiting):
        size += one.size
        count += len(one.records)
        if number and (size > _GROUP_BYTES or count > _GROUP_FRAMES):
            return waiting[:number]
    return waiting
