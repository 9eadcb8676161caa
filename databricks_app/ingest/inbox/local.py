"""The receiver's side of the inbox over local files: group commit into a segment of our own.

Every web process owns one segment at a time, held by `flock`. One committer thread takes all
requests that wait, writes their frames, calls `fdatasync` once and answers them. There is no
linger: the group is whatever came while the disk was busy with the one before.

Names in the folder (`<time>` is 16 digits of microseconds, `<token>` random):

    .<time>-<token>.new           being made; nothing acknowledged is in it
    <time>-<token>.open           written by the process that holds its lock; dead if none does
    <time>-<token>-<events>.seg   closed: complete, to be loaded

After a short write or a failed sync a segment is abandoned at its last good offset: what the disk
did with the rest is unknown, and nothing of it was acknowledged.
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
_PIECES = 1_000  # a call; the kernel takes 1,024
HANGING_SECONDS = 3.0
_PROBE_BYTES = 64 << 10
_FAULT_SECONDS = 0.1
_SEGMENT_ADVICE = (
    "check the disk of CIO_DATA_DIR and the permissions of its folder inbox; nothing is lost, the "
    "loader takes the segment as one of a dead process"
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LocalInbox:
    """A `GroupAppender` over a folder of a local disk. Make it after the process has forked.

    Attributes:
        groups: One: what arrives while the disk syncs is the next.
    """

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
            folder: Where segments lie; made if missing.
            max_bytes: Most bytes of segments, of all processes; None: 80 % of what is free now.
            floor_bytes: What the disk keeps free for the tables; None: 10 % of it, 1 GiB at least.
            close_seconds: A segment is handed to the loader when its first record is this old.
            monotonic: Clock of ages.
            clock: Clock of names, Unix seconds.
            sync: Makes what was written to a descriptor durable.
            recurring: Logs faults of the disk and of this class; one of its own if left out.
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
        """Say why an append would fail now; tries the disk again where the last one failed."""
        if self._queue.is_closed:
            return STOPPING
        since = self._busy_since
        if since is not None and self._monotonic() - since > HANGING_SECONDS:
            return f"the disk of the inbox has not answered for {self._monotonic() - since:.0f} s"
        try:
            problem = self._room.problem(is_fresh=True)
        except OSError as error:
            return (
                f"the inbox folder {self._folder} cannot be read ({error.strerror}): make it "
                "again, or mount its disk, for the receiver's user"
            )
        if problem is not None:
            return problem
        if self._trouble is not None and self._probe():
            self._trouble = None
        return self._trouble

    def close(self) -> None:
        """Refuse further records, finish those under way and hand over the segment."""
        self._queue.close()
        self._committer.join()

    def _run(self) -> None:
        while not self._is_done:
            try:
                self._turn()
            except Exception as fault:  # noqa: BLE001  # without this thread nothing is ever stored
                # Nothing more is written into the segment, of which the state is unknown. Its
                # whole frames count: the loader takes it as one of a dead process.
                self._recurring.note_error("committer_failed", fault)
                self._abandon()
                # Who still waits then was never acknowledged.
                self._is_done = self._queue.is_closed
                time.sleep(_FAULT_SECONDS)

    def _turn(self) -> None:
        group = self._next_group()
        if group:
            self._commit(group)
        segment = self._segment
        if segment is not None and self._is_ripe(segment):
            self._segment = None
            self._hand_over(segment)
        self._is_done = self._queue.is_closed and not group and self._segment is None

    def _abandon(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.release()

    def _next_group(self) -> list[WaitingRecords]:
        queue = self._queue
        with queue.changed:
            if not queue.waiting and not queue.is_closed:
                queue.changed.wait(self._seconds_to_close())
            # Large bodies take turns with the others, which so wait for one group of them at most.
            turn = [one for one in queue.waiting if _is_large(one) is not self._was_large]
            group = _group(turn or queue.waiting)
            if group:
                self._was_large = _is_large(group[0])
                queue.take(group)
        return group

    def _seconds_to_close(self) -> float | None:
        if self._segment is None:
            return None
        return max(0.0, self._segment.opened + self._close_seconds - self._monotonic())

    def _is_ripe(self, segment: _Segment) -> bool:
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
        except OSError as fault:
            full = fault.errno in _FULL
            words = f"the disk of the inbox refused: {os.strerror(fault.errno or errno.EIO)}"
            error = InboxFull(words) if full else InboxError(words)
        except InboxError as fault:
            error = fault
        except Exception as fault:  # noqa: BLE001  # the group is refused, the next one may do
            self._recurring.note_error("storing_failed", fault)
            error = InboxError(f"storing failed: {type(fault).__name__}")
        self._busy_since = None
        if error is not None:
            self._trouble = str(error)
        self._queue.answer(group, error)

    def _store(self, records: list[Record]) -> None:
        if problem := self._room.problem():
            raise InboxFull(problem)
        segment = self._segment
        if segment is None:
            segment = self._segment = self._open()
        try:
            segment.write(records)
        except BaseException:
            self._segment = None
            self._hand_over(segment)
            raise
        self._room.take(segment.last_write)

    def _open(self) -> _Segment:
        name = f"{int(self._clock() * 1e6):016d}-{secrets.token_hex(8)}"
        return _Segment.create(self._folder, name, self._monotonic(), self._sync)

    def _hand_over(self, segment: _Segment) -> None:
        # A segment that cannot be closed is left behind: its lock goes with the descriptor, and
        # the loader takes an unlocked segment for a dead one.
        try:
            segment.close()
        except OSError as error:
            problem = os.strerror(error.errno or errno.EIO)
            self._recurring.note("segment_not_closed", problem, {"advice": _SEGMENT_ADVICE})
        finally:
            segment.release()

    def _probe(self) -> bool:
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
    """An open segment: a locked file, how much of it is durable, and how many records that is."""

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
        """Make a segment; it is locked before it has the name that others look for."""
        made = folder / f".{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(made, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made.rename(folder / f"{name}.open")
            sync_folder(folder)
        except OSError:
            os.close(descriptor)
            raise
        return cls(folder, name, descriptor, opened, sync)

    def write(self, records: list[Record]) -> None:
        """Append records and make them durable.

        Raises:
            OSError: Nothing of this group counts.
        """
        pieces = [piece for record in records for piece in frames.encode(record, self._seed)]
        size = sum(map(len, pieces))
        written = 0
        for first in range(0, len(pieces), _PIECES):
            written += os.writev(self._descriptor, pieces[first : first + _PIECES])
        if written != size:
            raise OSError(errno.ENOSPC, "short write")
        self._sync(self._descriptor)
        self.good_offset += size
        self.last_write = size
        self.events += len(records)

    def close(self) -> None:
        """Cut what is not known to be durable and give the segment its final name."""
        path = self._folder / f"{self._name}.open"
        if os.fstat(self._descriptor).st_size != self.good_offset:
            os.ftruncate(self._descriptor, self.good_offset)
        if self.events:
            path.rename(self._folder / f"{self._name}-{self.events}.seg")
        else:
            path.unlink()
        sync_folder(self._folder)

    def release(self) -> None:
        """Give up the file and its lock."""
        os.close(self._descriptor)


def _is_large(waiting: WaitingRecords) -> bool:
    """Whether the disk takes so long for them that others should not wait for several such."""
    return waiting.size > _LARGE_BYTES


def _group(waiting: list[WaitingRecords]) -> list[WaitingRecords]:
    """Return the first ones, as many as are made durable at once."""
    size = count = 0
    for number, one in enumerate(waiting):
        size += one.size
        count += len(one.records)
        if number and (size > _GROUP_BYTES or count > _GROUP_FRAMES):
            return waiting[:number]
    return waiting
