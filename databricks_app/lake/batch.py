"""What a load is made of, whatever the engine: distinct events, few dates at a time, rejected rows.

Pure: writes nothing, reads no clock. Imports pyarrow through `lake.arrow_columns` alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from databricks_app.errors import ValueRefused
from databricks_app.events.envelope import UnroutedReason, digest_id
from databricks_app.events.identity import is_same_event
from databricks_app.events.workspaces import DEFAULT
from databricks_app.lake import RAW_TABLE, LoadReport
from databricks_app.lake.arrow_columns import ArrowSchema, ArrowTable, Row, build

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading

Key = tuple[str, date]

CRASH = "crash"
"""The error of an event that ends the process that loads it."""

# So many refusals without one success are no matter of single rows.
_HOPELESS_ATTEMPTS = 512


@dataclass(slots=True)
class LoadCounts:
    """The counts of one load while it runs; see `LoadReport`."""

    inserted: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    unrouted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    by_metric: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def add(
        self, table: str, offered: int, metrics: Mapping[str | None, int], refused: int = 0
    ) -> None:
        """Count rows that were offered to a table, and by metric those that it took."""
        inserted = sum(metrics.values())
        self.by_metric.update({(table, metric): rows for metric, rows in metrics.items()})
        self.inserted[table] += inserted
        self.duplicates[table] += offered - inserted - refused

    def reject(self, errors: Iterable[str]) -> None:
        """Count rows that cannot be loaded, by the name of the error's type."""
        self.rejected.update(map(failed, errors))

    def report(self, seconds: float) -> LoadReport:
        """The counts so far, without zeros."""
        return LoadReport(
            inserted=dict(+self.inserted),
            duplicates=dict(+self.duplicates),
            unrouted=dict(+self.unrouted),
            rejected=dict(+self.rejected),
            seconds=seconds,
            by_metric=dict(+self.by_metric),
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows of one group of dates, every value of its column's type.

    Attributes:
        raw: One raw row for each event.
        typed: The rows of each typed table.
        unrouted: Reason of each event that `raw` holds without a table.
        rejected: Name of the error's type for each event that could not stay as it was.
    """

    raw: ArrowTable
    typed: Mapping[str, ArrowTable]
    unrouted: Mapping[Key, str]
    rejected: Mapping[Key, str]


def failed(error: str) -> str:
    """The `unrouted_reason` of an event that cannot be loaded, from the error's type."""
    return f"load_failed:{error}"


def is_condemned(reading: Reading) -> bool:
    """Whether nothing but a raw row may be made of a reading, whatever the raw table holds."""
    return reading.raw["unrouted_reason"] == failed(CRASH)


def key(reading: Reading) -> Key:
    """The key of both rows of a reading."""
    return (reading.event_id, reading.event_date)


def distinct(readings: Iterable[Reading], counts: LoadCounts) -> list[Reading]:
    """The readings without repetitions, which are counted as duplicates of their tables.

    Different events with one key are all among them; see `conflicting`.
    """
    by_key: dict[Key, list[Reading]] = {}
    for reading in readings:
        events = by_key.setdefault(key(reading), [])
        first = next((one for one in events if _is_repeated(reading, one)), None)
        if first is None:
            events.append(reading)
            continue
        counts.duplicates[RAW_TABLE] += 1
        if first.table is not None:
            counts.duplicates[first.table] += 1
    return [one for events in by_key.values() for one in events]


def is_repeated(reading: Reading, sha256: object, body: Callable[[], bytes]) -> bool:
    """Whether a reading is the same event as another one with its key.

    Args:
        reading: What came later.
        sha256: Digest of the other one's whole body; None if it is not known.
        body: Gives the other one's body.
    """
    own = reading.raw.get("body_sha256")
    # An id that is the digest of the body is the id of nothing else.
    if own is not None and (own == sha256 or digest_id(str(own)) == reading.event_id):
        return True
    return is_same_event(raw_body(reading.raw), body())


def _is_repeated(reading: Reading, earlier: Reading) -> bool:
    return is_repeated(reading, earlier.raw.get("body_sha256"), lambda: raw_body(earlier.raw))


def conflicting(reading: Reading) -> Reading:
    """The raw row of an event whose key another event has; its id is the digest of its body."""
    digest = reading.raw.get("body_sha256") or hashlib.sha256(raw_body(reading.raw)).hexdigest()
    event_id = digest_id(str(digest))
    raw = reading.raw | {
        "event_id": event_id,
        "target_table": None,
        "unrouted_reason": str(UnroutedReason.KEY_CONFLICT),
    }
    return replace(reading, event_id=event_id, raw=raw, table=None, typed=None)


def date_groups(readings: Iterable[Reading], dates_at_most: int) -> Iterator[list[Reading]]:
    """The readings in groups of few dates, oldest first.

    What is read to find duplicates, and the files that are open for writing, are bounded by them.
    """
    by_date: defaultdict[date, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_date[reading.event_date].append(reading)
    dates = sorted(by_date)
    for start in range(0, len(dates), dates_at_most):
        yield [one for day in dates[start : start + dates_at_most] for one in by_date[day]]


def prepare(
    readings: Sequence[Reading], schemas: Mapping[str, ArrowSchema], stamps: Row
) -> Prepared:
    """Make the rows of distinct readings.

    An event whose typed row cannot be made becomes a raw row without a table; one whose raw row
    cannot be made becomes a raw row with its body in base64 and little else.
    """
    typed, rejected = prepare_typed(readings, schemas, stamps)
    rows = [
        unrouted_row(reading.raw, rejected[key(reading)])
        if key(reading) in rejected
        else reading.raw
        for reading in readings
    ]
    built = build(rows, schemas[RAW_TABLE], stamps)
    columns = [name for name in schemas[RAW_TABLE].names if name not in stamps]
    lost = {key(readings[position]): error for position, error in built.refused.items()}
    if lost:
        for position, error in built.refused.items():
            rows[position] = minimal_row(readings[position], error, columns, stamps)
        built = build(rows, schemas[RAW_TABLE], stamps)
        typed = {name: without(table, lost.keys()) for name, table in typed.items()}
    unrouted = {
        key(reading): str(row["unrouted_reason"])
        for reading, row in zip(readings, rows, strict=True)
        if row["target_table"] is None
    }
    return Prepared(built.table, typed, unrouted, rejected | lost)


def prepare_typed(
    readings: Iterable[Reading], schemas: Mapping[str, ArrowSchema], stamps: Row
) -> tuple[dict[str, ArrowTable], dict[Key, str]]:
    """The typed rows of readings by table, and the events whose row cannot be made."""
    by_table: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.table is not None:
            by_table[reading.table].append(reading)
    tables: dict[str, ArrowTable] = {}
    rejected: dict[Key, str] = {}
    for name, members in by_table.items():
        built = build([reading.typed or {} for reading in members], schemas[name], stamps)
        tables[name] = built.table
        for position, error in built.refused.items():
            rejected[key(members[position])] = error
    return tables, rejected


def unrouted_row(row: Row, error: str) -> dict[str, object]:
    """The raw row of an event that cannot be loaded as it is."""
    return {**row, "target_table": None, "unrouted_reason": failed(error)}


def minimal_row(
    reading: Reading, error: str, columns: Iterable[str], stamps: Row
) -> dict[str, object]:
    """A raw row that always fits: key, body in base64, reason."""
    raw = reading.raw
    received_at = raw.get("received_at")
    is_time = isinstance(received_at, datetime) and received_at.utcoffset() is not None
    workspace = raw.get("workspace")
    body = raw_body(raw)
    digest = raw.get("body_sha256")
    if not isinstance(digest, str):
        digest = hashlib.sha256(body).hexdigest()
    return unrouted_row(dict.fromkeys(columns), error) | {
        "event_id": _event_id(reading.event_id, body),
        "event_date": reading.event_date,
        "received_at": received_at if is_time else stamps["loaded_at"],
        "workspace": workspace if isinstance(workspace, str) else DEFAULT,
        "body": base64.b64encode(body).decode(),
        "body_encoding": "base64",
        "body_bytes": len(body),
        "body_sha256": digest,
    }


def _event_id(event_id: str, body: bytes) -> str:
    try:
        event_id.encode()
    except UnicodeEncodeError:
        return digest_id(hashlib.sha256(body).hexdigest())
    return event_id


def raw_body(raw: Row) -> bytes:
    """The bytes of a raw row's body; none if it holds no text."""
    text = raw.get("body")
    if not isinstance(text, str):
        return text if isinstance(text, bytes) else b""
    return stored_body(text, raw.get("body_encoding"))


def stored_body(text: str, encoding: object) -> bytes:
    """The bytes behind the raw table's columns `body` and `body_encoding`."""
    if encoding == "base64":
        with suppress(ValueError):  # it says so and is not
            return base64.b64decode(text)
    return text.encode("utf-8", "surrogatepass")


def keys(table: ArrowTable) -> list[Key]:
    """The keys of an Arrow table's rows, in order."""
    columns = (table.column(name).to_pylist() for name in ("event_id", "event_date"))
    return list(zip(*columns, strict=True))


def without(table: ArrowTable, dropped: Iterable[Key]) -> ArrowTable:
    """The rows of an Arrow table whose key is not among these."""
    gone = set(dropped)
    return table.filter([one not in gone for one in keys(table)])


def bisect(rows: int, attempt: Callable[[int, int], None]) -> dict[int, str]:
    """Write all rows but those that are refused, and name these.

    Args:
        rows: How many there are.
        attempt: Writes the rows from start to before stop, or raises `ValueRefused`.

    Returns:
        Position of each refused row, to the name of the error's type.

    Raises:
        ValueRefused: Nothing at all can be written: not a matter of single rows.
    """
    refused: dict[int, str] = {}
    waiting = deque([(0, rows)] if rows else [])
    failures = successes = 0
    # Largest pieces first: the good majority is written early and proves the storage sound.
    while waiting:
        start, stop = waiting.popleft()
        try:
            attempt(start, stop)
            successes += 1
        except ValueRefused as refusal:
            failures += 1
            if failures > _HOPELESS_ATTEMPTS and not successes:
                raise
            if stop - start == 1:
                refused[start] = refusal.error
            else:
                middle = (start + stop) // 2
                waiting += [(start, middle), (middle, stop)]
    return refused
