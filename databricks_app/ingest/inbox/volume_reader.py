"""The inbox in a volume, for the loader, and the names and the content of its objects.

Every process that appends has a folder with a random name under `inbox/`. Each object has a unique
name, is put once, and contains frames (see `frames`):

    <time>-<token>-<events>-<bytes>.frames

`<time>` is 16 digits of microseconds, `<token>` the name of the process and a counter. Because of
`<events>` and `<bytes>` a listing is enough for an exact count. The Files API stores an object
completely or not at all.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import structlog

from databricks_app.databricks.volume_files import FileListing, Files
from databricks_app.databricks.workspace import WorkspaceError
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Batch, Pending, frames
from databricks_app.runtime.file_modes import make_private_folder

INBOX = "inbox"
QUARANTINE = "quarantine"
_NAME = re.compile(
    r"(?P<time>\d{16})-(?P<token>[0-9a-f]{16}-\d{8})-(?P<events>\d{1,9})-(?P<bytes>\d{1,12})\.frames"
)
_TRANSFERS = 8
_EMPTY_SECONDS = 600.0
_SILENT_SECONDS = 10.0
# Errors that can concern a single object. They must not stop the loading of the other objects.
_OF_ONE_OBJECT = frozenset({"refused", "busy"})

log = structlog.get_logger(__name__)

# The path of an object under `inbox/`, and its content.
_ReadObject = tuple[str, frames.FrameContents]


@dataclass(slots=True)
class Names:
    """Creates the unique names of one process's objects.

    Attributes:
        instance: Name of the process and of its folder.
        clock: Unix seconds.
    """

    clock: Callable[[], float] = time.time
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    _counter: Iterator[int] = field(default_factory=count)

    def frame(self, records: Iterable[Record]) -> tuple[str, bytes]:
        """Return the path under `inbox/` and the content of an object with these records."""
        token = f"{self.instance}-{next(self._counter):08d}"
        start = frames.seed(token)
        pieces = [frames.encode(record, start) for record in records]
        content = b"".join(piece for pair in pieces for piece in pair)
        moment = f"{int(self.clock() * 1e6):016d}"
        name = f"{moment}-{token}-{len(pieces)}-{len(content)}.frames"
        return f"{self.instance}/{name}", content


@dataclass(frozen=True, slots=True, order=True)
class StoredObject:
    """The facts in an object's name. Objects sort by time.

    Attributes:
        time: 16 digits of microseconds since 1970.
        source: Path under `inbox/`.
        events: Number of events.
        bytes: Size in bytes.
        token: The seed of the checksums, see `frames.seed`.
    """

    time: str
    source: str
    events: int
    bytes: int
    token: str

    @classmethod
    def at(cls, source: str) -> StoredObject | None:
        """Return the object with this path under `inbox/`; None if the name has another form."""
        fields = _NAME.fullmatch(source.rpartition("/")[2])
        if fields is None:
            return None
        sizes = int(fields["events"]), int(fields["bytes"])
        return cls(fields["time"], source, *sizes, fields["token"])


class ObjectReader:
    """A `Reader` of the objects of all processes.

    Attributes:
        folder: A local folder for the loader's note.
        unreadable: Objects that could not be read in the last pass. They stay pending.
    """

    unreadable: tuple[str, ...] = ()

    def __init__(
        self,
        files: Files,
        volume: str,
        folder: Path,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the inbox of a volume.

        Args:
            files: Files of the workspace.
            volume: `/Volumes/<catalog>/<schema>/<volume>`.
            folder: A local folder for the loader's note; created if missing.
            monotonic: Clock for ages, seconds.
        """
        make_private_folder(folder)
        self.folder = folder
        self._files = files
        self._volume = volume
        self._root = f"{volume}/{INBOX}"
        self._monotonic = monotonic
        self._empty_since: dict[str, float] = {}

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield whole objects in batches, oldest first, until none is left.

        A batch contains at least one object, so a large object can exceed the limits. Only the
        objects of one batch are in memory.

        Raises:
            WorkspaceError: The workspace cannot be used now.
        """
        self.unreadable = ()
        found = sorted(objects(self._files, self._root, self._delete_if_abandoned))
        with ThreadPoolExecutor(_TRANSFERS, "inbox-download") as pool:
            for group in _groups(found, max_rows, max_bytes):
                if batch := _batch(pool.map(self._read, group)):
                    yield batch
                del batch  # free its memory before the next one is read

    def batch_of(self, names: Sequence[str]) -> Batch | None:
        """Read these objects again; None if one is missing or cannot be read.

        Raises:
            WorkspaceError: The workspace cannot be used now.
        """
        wanted = [StoredObject.at(name) for name in names]
        found = [one for one in wanted if one is not None]
        with ThreadPoolExecutor(_TRANSFERS, "inbox-download") as pool:
            batch = _batch(pool.map(self._read, found))
        return batch if batch is not None and batch.sources == tuple(names) else None

    def delete(self, batch: Batch) -> None:
        """Delete the objects of a batch whose rows are durable in the tables.

        An object that cannot be deleted now stays, and does not stop the others. It is loaded
        again, which changes no table, and then deleted.

        Raises:
            WorkspaceError: The workspace cannot be used, or refuses to delete some of them.
        """
        paths = [f"{self._root}/{name}" for name in batch.sources]
        with ThreadPoolExecutor(_TRANSFERS, "inbox-delete") as pool:
            # `list` raises the first error that concerns all objects.
            errors = [one for one in list(pool.map(self._undeleted, paths)) if one is not None]
        for error in errors:
            if error.kind != "busy":
                raise error
        if errors:
            log.warning("objects_not_deleted", objects=len(errors), reason=str(errors[0]))

    def _undeleted(self, path: str) -> WorkspaceError | None:
        """Delete an object; return the error if only this object cannot be deleted."""
        try:
            self._files.delete(path)
        except WorkspaceError as error:
            if error.kind not in _OF_ONE_OBJECT:
                raise
            return error
        return None

    def pending(self) -> Pending:
        """Count events and bytes of all objects.

        Raises:
            WorkspaceError: The workspace cannot be used now.
        """
        return pending(self._files, self._volume)

    def _read(self, one: StoredObject) -> _ReadObject | None:
        """Read an object; None if it is deleted, or if only this object cannot be read."""
        try:
            data = self._files.get(f"{self._root}/{one.source}")
        except FileNotFoundError:
            return None  # the previous owner of the lease has loaded it
        except WorkspaceError as error:
            if error.kind not in _OF_ONE_OBJECT:
                raise
            self.unreadable += (one.source,)
            return None
        contents = frames.contents(data, frames.seed(one.token), one.events)
        for damage in contents.damage:
            name = f"{one.source.rpartition('/')[2]}.{damage.start}-{damage.end}"
            content = data[damage.start : damage.end]
            self._files.put(f"{self._volume}/{QUARANTINE}/{name}", content, overwrite=True)
        return one.source, contents

    def _delete_if_abandoned(self, name: str, objects: int) -> None:
        """Delete the folder of a process if it has been empty for `_EMPTY_SECONDS`."""
        if objects:
            self._empty_since.pop(name, None)
            return
        since = self._empty_since.setdefault(name, self._monotonic())
        if self._monotonic() - since < _EMPTY_SECONDS:
            return
        del self._empty_since[name]
        try:
            self._files.delete_folder(f"{self._root}/{name}")
        except WorkspaceError as error:
            # The folder is not empty: its process is alive and has just put an object.
            if error.kind != "refused":
                raise


class PendingWatch:
    """The last count of what is pending; a call does no I/O.

    A count lists the volume. That is slow and can fail, and a health check must not wait for it, so
    a thread does it.

    Attributes:
        has_counted: Whether a first count has succeeded.
    """

    def __init__(
        self,
        count: Callable[[], Pending],
        seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it; the first call starts the first count.

        Args:
            count: Counts what is pending.
            seconds: Least time between two counts.
            monotonic: Clock, seconds.
        """
        self._count = count
        self._seconds = seconds
        self._monotonic = monotonic
        self._last = Pending(0, 0, None)
        self._due_at = monotonic()
        self._counting = threading.Lock()
        self._began_at: float | None = None
        self._trouble: str | None = None
        self.has_counted = False

    def __call__(self) -> Pending:
        """Return the last count, and start another one if it is old."""
        if self._monotonic() >= self._due_at and self._counting.acquire(blocking=False):
            threading.Thread(target=self._run, name="inbox-pending", daemon=True).start()
        return self._last

    def trouble(self) -> str | None:
        """Return why the last count is out of date; None if it is not."""
        began = self._began_at
        if began is not None and self._monotonic() - began > _SILENT_SECONDS:
            return f"the volume has not answered for {self._monotonic() - began:.0f} s"
        return self._trouble

    def _run(self) -> None:
        self._began_at = self._monotonic()
        try:
            self._last = self._count()
            self._trouble, self.has_counted = None, True
        except WorkspaceError as error:
            self._trouble = str(error)
        finally:
            self._began_at = None
            self._due_at = self._monotonic() + self._seconds
            self._counting.release()


def pending(files: Files, volume: str) -> Pending:
    """Count events and bytes of all objects of a volume's inbox.

    Raises:
        WorkspaceError: The workspace cannot be used now.
    """
    found = list(objects(files, f"{volume}/{INBOX}"))
    oldest = min((one.time for one in found), default=None)
    moment = None
    if oldest is not None:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(oldest))
    return Pending(sum(one.events for one in found), sum(one.bytes for one in found), moment)


def put_replay(files: Files, volume: str, records: Sequence[Record]) -> None:
    """Put records to load again into the inbox; they are durable on return.

    Raises:
        WorkspaceError: The put failed, or its result is unknown.
    """
    path, content = Names().frame(records)
    files.put(f"{volume}/{INBOX}/{path}", content, overwrite=True)


def objects(
    files: FileListing, root: str, note: Callable[[str, int], None] = lambda _name, _objects: None
) -> Iterator[StoredObject]:
    """Yield every object of the inbox; call `note` with each folder and its number of entries."""
    for folder in list(files.entries(root)):
        if not folder.is_folder:
            continue
        number = 0
        for entry in files.entries(f"{root}/{folder.name}"):
            number += 1
            if (one := StoredObject.at(f"{folder.name}/{entry.name}")) is not None:
                yield one
        note(folder.name, number)


def _groups(
    found: list[StoredObject], max_rows: int, max_bytes: int
) -> Iterator[list[StoredObject]]:
    group: list[StoredObject] = []
    events = size = 0
    for one in found:
        if group and (events + one.events > max_rows or size + one.bytes > max_bytes):
            yield group
            group, events, size = [], 0, 0
        group.append(one)
        events += one.events
        size += one.bytes
    if group:
        yield group


def _batch(read: Iterable[_ReadObject | None]) -> Batch | None:
    there = [one for one in read if one is not None]
    if not there:
        return None
    return Batch(
        records=tuple(record for _, contents in there for record in contents.records),
        sources=tuple(source for source, _ in there),
        # A put is complete or absent, so a broken end is damage here, never an unfinished write.
        damaged=sum(contents.damaged + contents.torn for _, contents in there),
    )
