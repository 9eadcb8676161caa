"""Measure a data folder with the code of one source tree, in a process of its own; prints JSON.

    PYTHONPATH=TREE python benchmarks/harness/year_measure.py loads FOLDER COUNT
    PYTHONPATH=TREE python benchmarks/harness/year_measure.py ask FOLDER COUNT SQL

Imports nothing that an earlier release lacks.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import structlog

from benchmarks.shapes import events, record, shapes
from databricks_app.events.decoding import read
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake

_BATCH_ROWS = 400


def loads(folder: Path, count: int) -> dict[str, object]:
    """Load batches of new events of today, as two seconds at 200 events a second are."""
    now = datetime.now(UTC)
    start = now.replace(hour=0, minute=0, second=0).timestamp()
    made = events(
        shapes(5000), start=start, seconds=60, count=count * _BATCH_ROWS, seed=time.time_ns()
    )
    began = time.time()
    lake = LocalLake(folder)
    lake.start()
    seconds = []
    for _ in range(count):
        now = datetime.now(UTC)
        readings = [read(record(one, now)) for one in islice(made, _BATCH_ROWS)]
        at = time.perf_counter()
        lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=now)
        seconds.append(time.perf_counter() - at)
    lake.close()
    written = [
        file.stat().st_size
        for file in folder.glob("tables/*/_delta_log/*.checkpoint.parquet")
        if file.stat().st_mtime >= began
    ]
    states = LocalQuery(folder).states()
    files = sum(state.files or 0 for state in states)
    return {"seconds": seconds, "checkpoint_bytes": sum(written), "files": files}


def ask(folder: Path, count: int, sql: str) -> dict[str, object]:
    """Ask the same several times, each in a fresh engine, as the command line does."""
    seconds, rows = [], []
    for _ in range(count):
        began = time.perf_counter()
        rows = LocalQuery(folder).run(sql).rows
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "rows": rows}


def main() -> None:
    """Read the command line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    task, folder, count, *rest = sys.argv[1:]
    found = ask if task == "ask" else loads
    print(json.dumps(found(Path(folder), int(count), *rest)))


if __name__ == "__main__":
    main()
