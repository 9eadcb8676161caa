"""How fast the loader stages and commits a large load, and how much memory that needs.

The warehouse is a stub that counts the rows of the staged files and inserts nothing, so the time is
the loader's own. The volume and the inbox are in a local folder.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from benchmarks.harness.events import KINDS, event, record
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import peak_megabytes
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_sessions import Statements
from databricks_app.ingest.inbox.local_reader import SegmentReader, replay_segment
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.store import Place, WarehouseLake
from databricks_app.loading import memory
from databricks_app.loading.loader import Loader
from databricks_app.runtime.metrics import Metrics

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import FileEntry

_SEGMENT = 5_000
_VOLUME = "/Volumes/main/cio/events"
_SIZES = {400: 200_000, 16_000: 20_000}
# Folder, start of the name, and one number or a set of them.
_STAGED = re.compile(r"read_files\('[^']*/([^'/]+?)\.\{?([\d,]+)\}?\.parquet'")

Measured = dict[str, float]


def run(plan: Plan) -> Section:
    """Measure small and large events."""
    around = Surroundings()
    found: dict[tuple[int, int], list[Measured]] = {}
    for turn in range(plan.rounds):
        around.look()
        for padding, events in _SIZES.items():
            size = plan.pick(events, 1_000)
            one = measured(plan.folder / f"{turn}-{padding}", size, padding)
            found.setdefault((size, padding), []).append(one)
    heads = ("events", "bytes of content", "events/s", "CPU s", "MERGEs", "most memory, MB")
    rows = [
        (
            f"{events:,}",
            f"{padding:,}",
            spread(one["events"] / one["seconds"] for one in runs),
            spread((one["cpu_seconds"] for one in runs), 1),
            spread(one["MERGE"] for one in runs),
            spread(one["megabytes"] for one in runs),
        )
        for (events, padding), runs in found.items()
    ]
    lines = [
        "One drain of the loader over events of six kinds (four typed tables), in a process "
        "of its own; inbox and volume are a local folder, and the warehouse is a stub that takes "
        "no time. Median (range). Goal: 700 MB.",
        "",
        *table(heads, rows),
    ]
    return Section("staging", "Staging a large load for a warehouse", lines, around)


def measured(folder: Path, events: int, padding: int) -> Measured:
    """Fill an inbox, let a loader in its own process empty it, and return its figures."""
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    for start in range(0, events, _SEGMENT):
        numbers = range(start, min(events, start + _SEGMENT))
        bodies = (event(f"L{n}", KINDS[n % len(KINDS)], padding=padding) for n in numbers)
        replay_segment(inbox, [record(one) for one in bodies], name=f"{start:016d}-{start:016x}")
    command = [sys.executable, "-m", "benchmarks.staging", str(folder)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]), events=events)


class _Volume:
    """The files of a volume in a folder; only what the loader calls."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def local(self, path: str) -> Path:
        """Return where a file is."""
        return self._root / path.lstrip("/")

    def put(self, path: str, content: bytes, *, overwrite: bool, seconds: float = 0) -> None:  # noqa: ARG002  # of the protocol
        """Store a file."""
        self.local(path).parent.mkdir(parents=True, exist_ok=True)
        with self.local(path).open("wb" if overwrite else "xb") as file:
            file.write(content)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return self.local(path).read_bytes()

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        return sorted(one.name for one in self.local(folder).glob("*"))

    def entries(self, _folder: str) -> Iterator[FileEntry]:
        """Yield nothing: the inbox is not in the volume."""
        return iter(())

    def delete(self, path: str) -> None:
        """Delete a file."""
        self.local(path).unlink(missing_ok=True)

    def delete_folder(self, path: str) -> None:
        """Delete an empty folder."""
        self.local(path).rmdir()


class _Session:
    """A session, and its own cursor, of a warehouse that has all tables and keeps no row."""

    def __init__(self, files: _Volume, ran: Counter[str]) -> None:
        self._files, self._ran = files, ran
        self.description: list[tuple[str, str]] = []
        self._rows: list[tuple[Any, ...]] = []

    def cursor(self) -> _Session:
        """One is enough."""
        return self

    def execute(self, sql: str, _parameters: Mapping[str, object] | None = None) -> None:
        """Answer what the loader asks for."""
        self._ran[sql.split(maxsplit=1)[0]] += 1
        self.description, self._rows = [("a", "string"), ("b", "string")], []
        if staged := _STAGED.search(sql):
            start, numbers = staged.groups()
            folder = self._files.local(f"{_VOLUME}/staging")
            files = [folder / f"{start}.{number}.parquet" for number in numbers.split(",")]
            self.description = [("num_inserted_rows", "bigint")]
            self._rows = [(sum(pq.read_metadata(one).num_rows for one in files),)]
        elif "information_schema" in sql:
            self._rows = [
                (one.name, name) for one in sql_dialect.tables() for name in one.column_names
            ]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._rows

    def cancel(self) -> None:
        """Nothing runs long here."""

    def close(self) -> None:
        """End."""


def _load(folder: Path) -> Measured:
    memory.prepare()
    ran: Counter[str] = Counter()
    files = _Volume(folder / "volume")
    statements = Statements(lambda: _Session(files, ran), CallTimeout())
    lease, place = Lease(files, f"{_VOLUME}/lease", owner="here"), Place("cio", _VOLUME)
    lake = WarehouseLake(statements, files, lease, place, views=())
    reader = SegmentReader(folder / "inbox")
    loader = Loader(reader, lake, Metrics(), 1.0, lambda _status: None)
    lake.start()
    ran.clear()
    started, cpu = time.perf_counter(), time.process_time()
    loader.drain()
    figures: Measured = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "left": reader.pending().events,
    }
    lake.close()
    return figures | ran | {"megabytes": peak_megabytes("self")}


if __name__ == "__main__":
    print(json.dumps(_load(Path(sys.argv[1]))))  # the parent process reads it
