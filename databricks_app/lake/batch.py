"""The parts of a load that all engines share: distinct events, groups of dates, rejected rows.

Pure: writes nothing, reads no clock. Imports pyarrow only through `lake.arrow_columns`.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
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
"""Error name of an event that crashes the process that loads it."""

# After so many refusals without one success the cause is not in single rows.
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
        """Count the rows that were offered to a table and, by metric, those that were inserted."""
        inserted = sum(metrics.values())
        self.by_metric.update({(table, metric): rows for metric, rows in metrics.items()})
        self.inserted[table] += inserted
        self.duplicates[table] += offered - inserted - refused

    def reject(self, errors: Iterable[str]) -> None:
        """Count rejected rows by the name of the error type."""
        self.rejected.update(map(failed, errors))

    def report(self, seconds: float) -> LoadReport:
        """Return the counts so far, without zeros."""
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
    """Rows of one group of dates. Every value has the type of its column.

    Attributes:
        raw: One raw row for each event.
        typed: The rows of each typed table.
        unrouted: Reason for each event whose row in `raw` names no table.
        rejected: Name of the error type for each event that could not be converted unchanged.
    """

    raw: ArrowTable
    typed: Mapping[str, ArrowTable]
    unrouted: Mapping[Key, str]
    rejected: Mapping[Key, str]


def failed(error: str) -> str:
    """Return the `unrouted_reason` of a rejected row, from the name of the error type."""
    return f"load_failed:{error}"


def crashes_loader(reading: Reading) -> bool:
    """Whether an event crashed the loader before. It gets a raw row only, in every case."""
    return reading.raw["unrouted_reason"] == failed(CRASH)


def key(reading: Reading) -> Key:
    """Return the key of a reading: the same in its raw row and its typed row."""
    return (reading.event_id, reading.event_date)


def distinct(readings: Iterable[Reading], counts: LoadCounts) -> list[Reading]:
    """Return the readings without repetitions; count these as duplicates.

    If different events have the same key, all of them are returned; see `conflicting`.
    """
    by_key: dict[Key, list[Reading]] = {}
    for reading in readings:
        events = by_key.setdefault(key(reading), [])
        first = next(
            (
                one
                for one in events
                if is_repeated(reading, one.raw.get("body_sha256"), partial(raw_body, one.raw))
            ),
            None,
        )
        if first is None:
            events.append(reading)
            continue
        counts.duplicates[RAW_TABLE] += 1
        if first.table is not None:
            counts.duplicates[first.table] += 1
    return [one for events in by_key.values() for one in events]


def is_repeated(reading: Reading, sha256: object, body: Callable[[], bytes]) -> bool:
    """Whether a reading is the same event as an earlier one with the same key.

    Args:
        reading: The later one.
        sha256: Digest of the whole earlier body; None if it is not known.
        body: Returns the earlier body.
    """
    own = reading.raw.get("body_sha256")
    # An id that is the digest of the body cannot be the id of another body.
    if own is not None and (own == sha256 or digest_id(str(own)) == reading.event_id):
        return True
    return is_same_event(raw_body(reading.raw), body())


def conflicting(reading: Reading) -> Reading:
    """Make the raw row of an event whose key belongs to another event: its id is its digest."""
    event_id = digest_id(digest(reading.raw))
    raw = reading.raw | {
        "event_id": event_id,
        "target_table": None,
        "unrouted_reason": str(UnroutedReason.KEY_CONFLICT),
    }
    return replace(reading, event_id=event_id, raw=raw, table=None, typed=None)


def date_groups(readings: Iterable[Reading], dates_at_most: int) -> Iterator[list[Reading]]:
    """Yield the readings in groups of at most so many dates, oldest first."""
    # The dates of a group limit how much is read to find duplicates, and how many files are open.
    by_date: defaultdict[date, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_date[reading.event_date].append(reading)
    dates = sorted(by_date)
    for start in range(0, len(dates), dates_at_most):
        yield [one for day in dates[start : start + dates_at_most] for one in by_date[day]]


def prepare(
    readings: Sequence[Reading], schemas: Mapping[str, ArrowSchema], stamps: Row
) -> Prepared:
    """Convert distinct readings to rows.

    If the typed row of an event does not fit, its raw row names no table. If the raw row does not
    fit, it is replaced by `minimal_row`.
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
    refused = {key(readings[position]): error for position, error in built.refused.items()}
    if refused:
        for position, error in built.refused.items():
            rows[position] = minimal_row(readings[position], error, columns, stamps)
        built = build(rows, schemas[RAW_TABLE], stamps)
        typed = {name: without(table, refused.keys()) for name, table in typed.items()}
    unrouted = {
        key(reading): str(row["unrouted_reason"])
        for reading, row in zip(readings, rows, strict=True)
        if row["target_table"] is None
    }
    return Prepared(built.table, typed, unrouted, rejected | refused)


def prepare_typed(
    readings: Iterable[Reading], schemas: Mapping[str, ArrowSchema], stamps: Row
) -> tuple[dict[str, ArrowTable], dict[Key, str]]:
    """Return the typed rows by table, and the error of each event whose row does not fit."""
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
    """Return a raw row that names no table, with the error as the reason."""
    return {**row, "target_table": None, "unrouted_reason": failed(error)}


def minimal_row(
    reading: Reading, error: str, columns: Iterable[str], stamps: Row
) -> dict[str, object]:
    """Make a raw row that fits every table: key, body in base64, reason."""
    raw = reading.raw
    received_at = raw.get("received_at")
    is_time = isinstance(received_at, datetime) and received_at.utcoffset() is not None
    workspace = raw.get("workspace")
    body = raw_body(raw)
    event_id = reading.event_id
    try:
        event_id.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no engine stores
        event_id = digest_id(hashlib.sha256(body).hexdigest())
    return unrouted_row(dict.fromkeys(columns), error) | {
        "event_id": event_id,
        "event_date": reading.event_date,
        "received_at": received_at if is_time else stamps["loaded_at"],
        "workspace": workspace if isinstance(workspace, str) else DEFAULT,
        "body": base64.b64encode(body).decode(),
        "body_encoding": "base64",
        "body_bytes": len(body),
        "body_sha256": digest(raw),
    }


def digest(raw: Row) -> str:
    """Return the digest of a raw row's whole body."""
    known = raw.get("body_sha256")
    return known if isinstance(known, str) else hashlib.sha256(raw_body(raw)).hexdigest()


def raw_body(raw: Row) -> bytes:
    """Return the body of a raw row as bytes; empty if the row has none."""
    text = raw.get("body")
    if not isinstance(text, str):
        return text if isinstance(text, bytes) else b""
    return stored_body(text, raw.get("body_encoding"))


def stored_body(text: str, encoding: object) -> bytes:
    """Return the bytes that the columns `body` and `body_encoding` of the raw table stand for."""
    if encoding == "base64":
        with suppress(ValueError):  # the text is not base64
            return base64.b64decode(text)
    return text.encode("utf-8", "surrogatepass")


def keys(table: ArrowTable) -> list[Key]:
    """Return the keys of the rows, in order."""
    columns = (table.column(name).to_pylist() for name in ("event_id", "event_date"))
    return list(zip(*columns, strict=True))


def without(table: ArrowTable, dropped: Iterable[Key]) -> ArrowTable:
    """Return the rows without those that have one of these keys."""
    gone = set(dropped)
    return table.filter([one not in gone for one in keys(table)])


def bisect(rows: int, attempt: Callable[[int, int], None]) -> dict[int, str]:
    """Write all rows that the engine accepts, and find the rejected rows by bisection.

    Args:
        rows: Number of rows.
        attempt: Writes the rows from start (inclusive) to stop (exclusive), or raises
            `ValueRefused`.

    Returns:
        Position of each refused row, with the name of the error type.

    Raises:
        ValueRefused: No row at all can be written, so the cause is not in single rows.
    """
    refused: dict[int, str] = {}
    waiting = deque([(0, rows)] if rows else [])
    failures = successes = 0
    # Largest pieces first: most rows are good, are written early and show that the storage works.
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
