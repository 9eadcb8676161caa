"""What the release before workspaces left behind: a data folder, and the answers of its views.

Not a test module. Run it in a checkout of that release to make the archive again; see
`tests/fixtures/earlier_release/README.md`. Until then it imports nothing that only the present
release has.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import request
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake import sql_dialect
from databricks_app.lake.arrow_columns import ArrowTable
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.local.query import LocalQuery
from databricks_app.simulator.events.traffic import Traffic, traffic

FIXTURES = Path(__file__).parents[1] / "fixtures" / "earlier_release"
ARCHIVE = FIXTURES / "data_folder.tar.xz"
CATALOG = FIXTURES / "catalog.sql"
# Differ from run to run, whatever the release.
_OF_A_RUN = frozenset({"received_at", "loaded_at", "batch_id"})
_NEW = frozenset({"workspace", "body_sha256"})
_TRAFFIC = Traffic(
    count=240, now=datetime(2026, 11, 20, tzinfo=UTC), days=3, seed=7, people=25, every_kind=True
)
_LOADS = 12
_LOADED, _PENDING = 180, 30
_ODD = (
    b"no JSON",
    b"\xff\xfe not text",
    b'{"event_id": "fax-1", "object_type": "fax", "metric": "sent", "timestamp": 1795000000}',
)
EVENTS = _TRAFFIC.count + len(_ODD)
"""How many different events there are in all."""

Answers = dict[str, list[dict[str, Any]]]


def unpack(folder: Path) -> Path:
    """Put the data folder into a folder, as `data`; beside it the files of `expected` and `later`.

    Returns:
        The data folder.
    """
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "data"


def catalog() -> list[str]:
    """The statements that made the tables and views of that release, in order."""
    lines = CATALOG.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return [one.strip() for one in f"{text}\n".split(";\n") if one.strip()]


def table_rows(data: Path) -> dict[str, ArrowTable]:
    """The rows of a data folder by table, with the columns of that release."""
    found = {}
    for table in sql_dialect.tables():
        names = [name for name in table.column_names if name not in _NEW]
        result = LocalQuery(data).run(f"SELECT {', '.join(names)} FROM {table.name}")
        rows = [dict(zip(names, row, strict=True)) for row in result.rows]
        schema = pa.schema([field for field in arrow_schema(table) if field.name in names])
        found[table.name] = pa.Table.from_pylist(rows, schema=schema)
    return found


def insert(name: str, path: str) -> str:
    """Append a staged file of that release's rows to a table."""
    columns = [one for one in sql_dialect.table(name).columns if one.name not in _NEW]
    schema = ", ".join(f"{column.name} {column.type}" for column in columns)
    return (
        f"INSERT INTO {name} SELECT * FROM "
        f"read_files('{path}', format => 'parquet', schema => '{schema}')"
    )


def pending(data: Path) -> list[Record]:
    """The events that were received and not loaded."""
    batches = SegmentReader(data / "inbox").batches(1 << 20, 1 << 30)
    return [record for batch in batches for record in batch.records]


def expected(folder: Path, moment: str) -> Answers:
    """What the views of that release gave.

    Args:
        folder: Where the archive was unpacked.
        moment: `loaded`, when the release was stopped; `complete`, after it had loaded what was
            pending and had received the events of `later`.
    """
    found: dict[str, Answers] = json.loads((folder / "expected.json").read_text())
    return {view: _without_classes(records) for view, records in found[moment].items()}


def in_the_present_release(given: Answers) -> Answers:
    """Answers of that release with the columns that are new in its views."""
    new = {"webhook_unrouted_events": {"workspace": "default", "body_sha256": None}}
    records = {
        view: [record | new.get(view, {"workspace": "default"}) for record in records]
        for view, records in given.items()
    }
    return {view: sorted(rows, key=_place) for view, rows in records.items()}


def later(folder: Path) -> list[bytes]:
    """Bodies to send to the folder: new events, and repetitions of stored ones."""
    return [line.encode() for line in (folder / "later.jsonl").read_text().splitlines()]


def answers(query: LocalQuery) -> Answers:
    """All rows of each view, ordered, without what differs from run to run."""
    found = {}
    for view in sql_dialect.views():
        result = query.run(f"SELECT * FROM {view.name}")
        found[view.name] = comparable(result.names, result.rows)
    return found


def comparable(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[dict[str, Any]]:
    """Rows of a view, as JSON has them; see `_without_classes`."""
    records = [
        {name: value for name, value in zip(names, row, strict=True) if name not in _OF_A_RUN}
        for row in rows
    ]
    plain: list[dict[str, Any]] = json.loads(json.dumps(records, default=str))
    return _without_classes(plain)


def _without_classes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up the classes of failure: the present release sorts failure texts in another way."""
    if not records or "failure_class" not in records[0]:
        return sorted(records, key=_place)
    # Distinct counts cannot be added up.
    left_out = {"failure_class", "deliveries", "people", "campaigns", "example_message"}
    summed = {"events", "first_event_at", "last_event_at"}
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        groups[_place({n: record[n] for n in record if n not in left_out | summed})].append(record)
    added = [
        json.loads(key)
        | {
            "events": sum(one["events"] for one in group),
            "first_event_at": min(one["first_event_at"] or "" for one in group),
            "last_event_at": max(one["last_event_at"] or "" for one in group),
        }
        for key, group in groups.items()
    ]
    return sorted(added, key=_place)


def _place(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def post(receiver: Receiver, bodies: Sequence[bytes]) -> None:
    """Send events one after the other."""
    with receiver.connect() as wire:
        for body in bodies:
            assert wire.send(request(body)).answer().status == 200


def raw_rows(data: Path) -> int:
    """How many events are loaded."""
    return int(str(LocalQuery(data).run("SELECT count(*) FROM webhook_raw_events").rows[0][0]))


def _make(folder: Path) -> None:
    bodies = [json.dumps(event).encode() for event in traffic(_TRAFFIC)]
    loaded, pending = bodies[:_LOADED], bodies[_LOADED : _LOADED + _PENDING]
    new = bodies[_LOADED + _PENDING :]
    repeated = [*loaded[::30], *pending[::10]]
    data = folder / "data"
    _load(folder, [*loaded, *_ODD], _LOADS)
    found = {"loaded": answers(LocalQuery(data))}
    _leave_pending(folder, pending)
    with tempfile.TemporaryDirectory() as other:
        shutil.copytree(data, Path(other) / "data")
        with serving(Path(other), CIO_WEB_WORKERS="1") as receiver:
            post(receiver, [*new, *repeated])
            wait_until(lambda: raw_rows(Path(other) / "data") == EVENTS)
        found["complete"] = answers(LocalQuery(Path(other) / "data"))
    (folder / "expected.json").write_text(json.dumps(found))
    (folder / "later.jsonl").write_bytes(b"\n".join([*new, *repeated]))
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for name in ("data", "expected.json", "later.jsonl"):
            archive.add(folder / name, name, filter=_of_nobody)


def _load(folder: Path, bodies: Sequence[bytes], loads: int) -> None:
    """Load in so many batches, each a commit of the raw table."""
    with serving(folder, CIO_WEB_WORKERS="1", CIO_FLUSH_INTERVAL_SECONDS="0.2") as receiver:
        for place in range(loads):
            post(receiver, bodies[place::loads])
            count = sum(len(bodies[one::loads]) for one in range(place + 1))
            wait_until(lambda count=count: raw_rows(folder / "data") == count)
        receiver.stop()


def _leave_pending(folder: Path, bodies: Sequence[bytes]) -> None:
    """Receive events and be killed before they are loaded."""
    with serving(folder, CIO_WEB_WORKERS="1", CIO_FLUSH_INTERVAL_SECONDS="600") as receiver:
        post(receiver, bodies)
        for pid in receiver.all():
            os.kill(pid, signal.SIGKILL)


def _of_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    FIXTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        _make(Path(work))
    CATALOG.write_text(
        "\n".join(
            statement.sql.strip() + ("" if statement.sql.strip().endswith(";") else ";")
            for kind in ("tables", "views")
            for statement in sql_dialect.statements(kind)
        )
        + "\n"
    )
    sys.stdout.write(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes\n")
