"""Finds the event that kills the loader: loads the batch again, in smaller and smaller parts.

Before a load the loader notes in the inbox which segments it begins, and removes the note when
they are deleted. A new process that finds a note knows that the one before died. After three
deaths in the same segments their events are loaded in parts, each of which is split when the loader
dies in it. Of a single event that kills it again and again less and less is loaded: the whole, a
raw row alone, the bytes alone. In the last nothing is left on which an engine could fail.

The note is advisory: it is not synced, and one that cannot be written or read counts as none.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
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
_PARTS = 16


class Care(IntEnum):
    """How much of an event is taken."""

    WHOLE = 0
    RAW_ALONE = 1
    BYTES_ALONE = 2


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the events of a batch.

    Attributes:
        start: Position of the first.
        stop: Position after the last.
        care: How much of them is taken; less than all only of a single one.
        deaths: How often the loader died in them.
    """

    start: int
    stop: int
    care: Care = Care.WHOLE
    deaths: int = 0

    def after_death(self, *, is_whole_batch: bool) -> tuple[Part, ...]:
        """What to load instead, once the loader has died in this part."""
        died = replace(self, deaths=self.deaths + 1)
        size = self.stop - self.start
        # A kill from outside must neither split a batch nor condemn an event.
        if died.deaths < TOLERATED_DEATHS and (is_whole_batch or size <= 1):
            return (died,)
        if size <= 1:
            # Round and round: if even bytes kill it, it is not the event, and that may end.
            return (Part(self.start, self.stop, Care((self.care + 1) % len(Care))),)
        step = -(-size // _PARTS)
        starts = range(self.start, self.stop, step)
        return tuple(Part(start, min(start + step, self.stop)) for start in starts)


@dataclass(slots=True)
class LoadAttempt:
    """The load of some segments, and what it has come to.

    Attributes:
        sources: The segments.
        events: How many events they held when it began.
        parts: What is still to be loaded, next first.
        is_loading: Whether the first part is being loaded.
    """

    sources: tuple[str, ...]
    events: int
    parts: tuple[Part, ...]
    is_loading: bool = False

    @classmethod
    def of(cls, sources: tuple[str, ...], events: int) -> LoadAttempt:
        """Begin with everything at once."""
        return cls(sources, events, (Part(0, events),))

    @classmethod
    def from_json(cls, text: bytes) -> LoadAttempt:
        """Read a note.

        Raises:
            ValueError, KeyError, TypeError: It is none.
        """
        note = json.loads(text)
        parts = (replace(Part(**one), care=Care(one["care"])) for one in note["parts"])
        return cls(tuple(note["sources"]), note["events"], tuple(parts), note["is_loading"])

    def note_death(self) -> None:
        """Plan the part again in which the loader died."""
        died, *others = self.parts
        is_whole = (died.start, died.stop) == (0, self.events)
        # To the end: what is good is loaded first.
        self.parts = (*others, *died.after_death(is_whole_batch=is_whole))
        self.is_loading = False


@dataclass(slots=True)
class LoadAttempts:
    """The current attempt, and its note in the inbox.

    Attributes:
        folder: The inbox.
    """

    folder: Path
    _attempt: LoadAttempt | None = field(default=None, init=False)

    def begin(self) -> None:
        """Read what the process before has left."""
        try:
            self._attempt = LoadAttempt.from_json((self.folder / _NOTE).read_bytes())
            if self._attempt.is_loading:
                self._attempt.note_death()
                self._write()
        except (OSError, ValueError, KeyError, TypeError):
            self._attempt = None

    def unfinished(self) -> tuple[str, ...]:
        """The segments that were begun and not finished."""
        return self._attempt.sources if self._attempt else ()

    def parts(self, sources: tuple[str, ...], events: int) -> Iterator[Part]:
        """Yield what is to be loaded of these segments; each is done when the next is asked for."""
        attempt = self._attempt
        if attempt is None or (attempt.sources, attempt.events) != (sources, events):
            attempt = self._attempt = LoadAttempt.of(sources, events)
        while attempt.parts:
            attempt.is_loading = True
            self._write()
            yield attempt.parts[0]
            attempt.parts = attempt.parts[1:]

    def pause(self) -> None:
        """Note that the process runs, although the current part is not loaded."""
        if self._attempt is not None and self._attempt.is_loading:
            self._attempt.is_loading = False
            self._write()

    def end(self) -> None:
        """Remove the note: the segments of the attempt are deleted, or gone."""
        self._attempt = None
        with contextlib.suppress(OSError):
            (self.folder / _NOTE).unlink(missing_ok=True)

    def _write(self) -> None:
        if self._attempt is None:
            return
        made = self.folder / f"{_NOTE}.new"
        with contextlib.suppress(OSError):  # without a note the load is as good as ever
            with create_private_file(made) as file:
                file.write(json.dumps(asdict(self._attempt)).encode())
            made.replace(self.folder / _NOTE)


def readings(records: Sequence[Record], part: Part, workspaces: WorkspaceNames) -> list[Reading]:
    """Read the records of a part, with the care it asks for."""
    chosen = records[part.start : part.stop]
    if part.care is Care.BYTES_ALONE:
        return [bytes_alone(record, workspaces.of(record.key_fingerprint)) for record in chosen]
    found = [read(record, workspaces.of(record.key_fingerprint)) for record in chosen]
    return [raw_alone(one) for one in found] if part.care is Care.RAW_ALONE else found


def raw_alone(reading: Reading) -> Reading:
    """The reading as a raw row without a table."""
    return replace(reading, raw=unrouted_row(reading.raw, CRASH), table=None, typed=None)


def bytes_alone(record: Record, workspace: str) -> Reading:
    """A raw row of a record of which nothing is read; its id is the digest of its bytes."""
    digest = record.body_sha256 or hashlib.sha256(record.body).hexdigest()
    event_id = digest_id(digest)
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
        "body_sha256": digest,
    }
    return Reading(event_id, UNDATED, raw, None, None, ())
