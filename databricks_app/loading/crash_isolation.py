"""Find the event that crashes the loader, by loading its batch again in smaller and smaller parts.

Before a load, the loader writes a note with the names of the segments into the inbox. It deletes
the note after the segments. A new process that finds a note knows that the previous process died.
After three deaths in the same segments, it loads their events in parts, and splits every part in
which it dies. If a single event crashes it three times, it loads less of the event: first all of
it, then only the raw row, then only the bytes, in which nothing is left that an engine can fail on.

A load that stages many batches (see `staged_load`) notes the batch that is being staged, and no
segment during its commit. After a death in either, the next process stages nothing: it loads one
batch after the other until all are loaded, so that a death again belongs to one batch.

The note is only a hint. It is not synced. If it cannot be read or written, there is no note.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_app.events.decoding import RAW_COLUMNS, Reading, read
from databricks_app.events.envelope import UNDATED, digest_id
from databricks_app.lake.batch import CRASH, failed, unrouted_row
from databricks_app.runtime.file_modes import create_private_file

if TYPE_CHECKING:
    from databricks_app.events.record import Record
    from databricks_app.events.workspaces import WorkspaceNames

TOLERATED_DEATHS = 3
_NOTE = ".attempt.json"
# Four splits find one event among 16 ** 4 = 65,536, more than the largest batch.
_PARTS = 16


class Care(IntEnum):
    """How much of an event is loaded."""

    WHOLE = 0
    RAW_ALONE = 1
    BYTES_ALONE = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A range of the events of a batch.

    Attributes:
        start: Position of the first event.
        stop: Position after the last event.
        care: How much of each event is loaded; less than `WHOLE` only for a single event.
        deaths: How often the loader died in this part.
    """

    start: int
    stop: int
    care: Care = Care.WHOLE
    deaths: int = 0

    def after_death(self, *, is_whole_batch: bool) -> tuple[Part, ...]:
        """Return what to load instead of this part, after the loader died in it."""
        died = replace(self, deaths=self.deaths + 1)
        size = self.stop - self.start
        # A kill from outside (OOM, an admin) must not split a batch or isolate an event.
        if died.deaths < TOLERATED_DEATHS and (is_whole_batch or size <= 1):
            return (died,)
        if size <= 1:
            # After `BYTES_ALONE` comes `WHOLE` again: if even the bytes crash it, the event is not
            # the cause, and the real cause may end.
            return (Part(self.start, self.stop, Care((self.care + 1) % len(Care))),)
        step = -(-size // _PARTS)
        starts = range(self.start, self.stop, step)
        return tuple(Part(start, min(start + step, self.stop)) for start in starts)


@dataclass(slots=True)
class LoadAttempt:
    """The load of some segments and its progress.

    Attributes:
        sources: Names of the segments.
        events: Number of their events when the load began.
        parts: The parts that are not loaded yet, in order.
        is_loading: Whether the first part is being loaded now.
    """

    sources: tuple[str, ...]
    events: int
    parts: tuple[Part, ...]
    is_loading: bool = False

    @classmethod
    def of(cls, sources: tuple[str, ...], events: int) -> LoadAttempt:
        """Return an attempt with one part that contains all events."""
        return cls(sources, events, (Part(0, events),))

    @classmethod
    def from_json(cls, text: bytes) -> LoadAttempt:
        """Read a note.

        Raises:
            ValueError, KeyError, TypeError: The text is not a note.
        """
        note = json.loads(text)
        parts = (replace(Part(**one), care=Care(one["care"])) for one in note["parts"])
        return cls(tuple(note["sources"]), note["events"], tuple(parts), note["is_loading"])

    def note_death(self) -> None:
        """Replace the part in which the loader died."""
        died, *others = self.parts
        is_whole = (died.start, died.stop) == (0, self.events)
        # Put it at the end, so that good events are loaded first.
        self.parts = (*others, *died.after_death(is_whole_batch=is_whole))
        self.is_loading = False


@dataclass(slots=True)
class LoadAttempts:
    """The current attempt and its note in the inbox.

    Attributes:
        folder: The folder of the inbox.
        has_died: Whether the previous process died in a load, and the inbox has not been loaded
            since then.
    """

    folder: Path
    has_died: bool = field(default=False, init=False)
    _attempt: LoadAttempt | None = field(default=None, init=False)

    def begin(self) -> None:
        """Read the note of the previous process, if there is one."""
        try:
            self._attempt = LoadAttempt.from_json((self.folder / _NOTE).read_bytes())
            if self._attempt.is_loading:
                self._attempt.note_death()
                self._write()
            self.has_died = self._attempt.parts != (Part(0, self._attempt.events),)
        except (OSError, ValueError, KeyError, TypeError):
            self._attempt = None

    def unfinished(self) -> tuple[str, ...]:
        """Return the segments whose load has begun and not ended."""
        return self._attempt.sources if self._attempt else ()

    def parts(self, sources: tuple[str, ...], events: int) -> Iterator[Part]:
        """Yield the parts to load; asking for the next part means that the current one is loaded.

        Args:
            sources: Names of the segments.
            events: Number of their events.
        """
        # The note of another batch, e.g. because more segments are ready now, does not apply.
        attempt = self._attempt
        if attempt is None or (attempt.sources, attempt.events) != (sources, events):
            attempt = self._attempt = LoadAttempt.of(sources, events)
        while attempt.parts:
            attempt.is_loading = True
            self._write()
            yield attempt.parts[0]
            attempt.parts = attempt.parts[1:]

    def note(self, sources: tuple[str, ...], events: int) -> None:
        """Note that a batch is being staged.

        Args:
            sources: Names of the segments.
            events: Number of their events.
        """
        self._attempt = LoadAttempt.of(sources, events)
        self._attempt.is_loading = True
        self._write()

    def note_commit(self) -> None:
        """Note that what is staged is being committed."""
        self.note((), 0)

    def recover(self) -> None:
        """Note that all batches are loaded after a death: the next load is staged again."""
        self.has_died = False
        self.end()

    def pause(self) -> None:
        """Note that the process is alive although the current part is not loaded."""
        if self._attempt is not None and self._attempt.is_loading:
            self._attempt.is_loading = False
            self._write()

    def end(self) -> None:
        """Delete the note, after the segments of the attempt are deleted."""
        self._attempt = None
        with contextlib.suppress(OSError):
            (self.folder / _NOTE).unlink(missing_ok=True)

    def _write(self) -> None:
        if self._attempt is None:
            return
        new = self.folder / f"{_NOTE}.new"
        with contextlib.suppress(OSError):  # a load does not need its note
            with create_private_file(new) as file:
                file.write(json.dumps(asdict(self._attempt)).encode())
            new.replace(self.folder / _NOTE)


def readings(records: Sequence[Record], part: Part, workspaces: WorkspaceNames) -> list[Reading]:
    """Return the readings of a part's records, according to its `care`."""
    chosen = records[part.start : part.stop]
    if part.care is Care.BYTES_ALONE:
        return [bytes_alone(record, workspaces.of(record.key_fingerprint)) for record in chosen]
    found = [read(record, workspaces.of(record.key_fingerprint)) for record in chosen]
    return [raw_alone(one) for one in found] if part.care is Care.RAW_ALONE else found


def raw_alone(reading: Reading) -> Reading:
    """Return a reading with only its raw row."""
    return replace(reading, raw=unrouted_row(reading.raw, CRASH), table=None, typed=None)


def bytes_alone(record: Record, workspace: str) -> Reading:
    """Return a reading with only the bytes in its raw row; its id is the digest of the bytes."""
    event_id = digest_id(record.digest)
    raw: dict[str, object] = dict.fromkeys(column.name for column in RAW_COLUMNS)
    raw |= {
        "event_id": event_id,
        "event_date": UNDATED,
        "received_at": record.received_at,
        "workspace": workspace,
        "unrouted_reason": failed(CRASH),
        "key_fingerprint": record.key_fingerprint,
        "body": base64.b64encode(record.body).decode(),
        "body_encoding": "base64",
        "body_bytes": record.body_bytes,
        "body_sha256": record.digest,
    }
    return Reading(event_id, UNDATED, raw, None, None, ())
