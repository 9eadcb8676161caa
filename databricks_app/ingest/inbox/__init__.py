"""Durable acknowledgement: what the receiver appends to and the loader takes from.

Two sides, so that another store is another implementation:

- `Appender`, used by every web process: `append` returns when the record is durable.
  `GroupAppender` is one that also takes a group from an event loop, which cannot wait.
- `Reader`, used by the one loader: `batches`, `delete`, `pending`, and what it needs to go on with
  the batch that a process died in.

`frames` is the format on disk, `waiting` the queue of what is not durable yet. `local` and
`local_reader` are the two sides over local files, `volume` and `volume_reader` over a volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from databricks_app.errors import InboxError
from databricks_app.events.record import Record


@dataclass(frozen=True, slots=True)
class Pending:
    """What is durable and not yet in the tables.

    Attributes:
        events: Number of events, exact.
        bytes: Their size on disk.
        oldest_at: When the oldest of them was received, UTC; None if there is none.
    """

    events: int
    bytes: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to load together and to delete together.

    Attributes:
        records: In the order of their receipt.
        sources: Names of the segments that hold them.
        damaged: Stretches of bytes that no record could be read from; kept aside by the reader.
        torn: Bytes of unfinished writes, never acknowledged.
    """

    records: tuple[Record, ...]
    sources: tuple[str, ...]
    damaged: int = 0
    torn: int = 0


class Appender(Protocol):
    """The receiver's side."""

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Store a record; return when it would survive a power cut.

        Raises:
            InboxFull: There is no room.
            InboxTimeout: The deadline passed first; the record may be stored all the same.
            InboxClosed: The process is stopping.
            InboxError: The disk refused.
        """
        ...

    def trouble(self) -> str | None:
        """Say in words why an append would fail now; None if it would not."""
        ...

    def close(self) -> None:
        """Refuse further records, finish those under way and close the segment."""
        ...


@runtime_checkable
class GroupAppender(Protocol):
    """What an `Appender` may offer besides: no thread waits while records become durable.

    Attributes:
        groups: How many groups of one event loop are worth having under way at once.
    """

    groups: int

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Begin to store records, all or none of which count; return without waiting.

        Args:
            records: Neither empty nor changed later.
            done: Called once, from any thread, when they would survive a power cut, or with the
                reason why they are not stored. Must neither raise nor wait.

        Returns:
            Takes them back; False if they are being written or `done` was called. Where it
            returns True `done` is not called.

        Raises:
            InboxClosed: The process is stopping; `done` is not called.
        """
        ...


class Reader(Protocol):
    """The loader's side."""

    @property
    def folder(self) -> Path:
        """A local folder, where the loader keeps its note."""
        ...

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of what could not be read in the last pass; it stays pending."""
        ...

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield what is ready now, oldest first, until nothing is left."""
        ...

    def batch_of(self, names: Sequence[str]) -> Batch | None:
        """Read these sources of a batch once more; None unless all are there and can be read."""
        ...

    def delete(self, batch: Batch) -> None:
        """Remove a batch whose rows are durable elsewhere."""
        ...

    def pending(self) -> Pending:
        """Count what is stored and not yet deleted."""
        ...
