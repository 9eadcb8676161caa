"""The time of a batch of late events into a large table, compared with a small one."""

from __future__ import annotations

import cProfile
import io
import pstats
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.shapes import Made, events, record, shapes
from databricks_app.events.decoding import Reading, read
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.arrow_columns import ArrowTable
from databricks_app.lake.batch import prepare
from databricks_app.lake.local.fsync import fsync
from databricks_app.lake.local.maintenance import Policy, Upkeep
from databricks_app.lake.local.merge_plan import MergeLimits
from databricks_app.lake.local.open import open_table
from databricks_app.lake.local.store import LocalLake, definitions

BATCH_ROWS = 1000
_DAYS, _DAY = 30, 86_400
_REPEATED = BATCH_ROWS // 10
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Compact each day into as few files as possible, as maintenance does in the end.
_TIDY = Policy(checkpoint_every=1, limits=MergeLimits(compact_files=2))
_PROFILED = 14


def run(plan: Plan) -> Section:
    """Make both tables, then load the same batches into them alternately."""
    around = Surroundings()
    base, copies = plan.pick(100_000, 2000), plan.pick(50, 3)
    stored = list(_month(base, seed=0))
    small = _lake(plan.folder / "small", stored, copies=1)
    large = _lake(plan.folder / "large", stored, copies=copies)
    found: dict[str, list[float]] = {"small": [], "large": []}
    for turn in range(plan.rounds + 1):
        around.look()
        batch = _batch(stored, turn)
        seconds = {"small": _load(small, batch), "large": _load(large, batch)}
        for name in found if turn else ():  # the first batch also opens the files: not counted
            found[name].append(seconds[name])
    profile = cProfile.Profile()
    profile.runcall(_load, large, _batch(stored, plan.rounds + 1))
    small.close()
    large.close()
    lines = _lines(found, (base, base * copies), profile)
    return Section("merge", "A late batch into a large table", lines, around)


def _month(count: int, seed: int) -> Iterator[Made]:
    """Make events of the last 30 days."""
    seconds = _DAYS * _DAY
    start = time.time() - seconds
    return events(shapes(5000), start=start, seconds=seconds, count=count, seed=seed)


def _batch(stored: list[Made], turn: int) -> list[Reading]:
    """Make a batch over all days: nine tenths new events, one tenth duplicates."""
    step = len(stored) // _REPEATED
    made = [
        *_month(BATCH_ROWS - _REPEATED, seed=turn + 1),
        *stored[turn % step :: step][:_REPEATED],
    ]
    return _readings(made)


def _readings(made: list[Made]) -> list[Reading]:
    now = datetime.now(UTC)
    return [read(record(one, now)) for one in made]


def _lake(data_dir: Path, stored: list[Made], *, copies: int) -> LocalLake:
    """Make tables with some events, and with further copies of them that have other ids."""
    stamps = {"loaded_at": datetime.now(UTC), "batch_id": "the month"}
    schemas = {one.name: one.schema for one in definitions()}
    prepared = prepare(_readings(stored), schemas, stamps)
    offered = {RAW_TABLE: prepared.raw, **prepared.typed}
    for definition in definitions():
        opened = open_table(data_dir, definition, Policy().table_properties(), fsync)
        rows = offered.get(definition.name)
        if rows is not None:
            for copy in range(copies):
                opened.handle.append(_renamed(rows, copy))
            opened.handle.sync()
            opened.handle.reopen()
            upkeep = Upkeep(opened.handle, _TIDY, opened.checkpointed_version)
            upkeep.run()
            while upkeep.chores:
                upkeep.do_chore()
    lake = LocalLake(data_dir)
    lake.start()
    return lake


def _renamed(rows: ArrowTable, copy: int) -> ArrowTable:
    """Return a copy of the rows with its own ids; copy 0 keeps the ids."""
    if not copy:
        return rows
    ids = pc.utf8_slice_codeunits(rows.column("event_id"), 0, 24)
    end = pa.scalar(f"{_DIGITS[copy // 32]}{_DIGITS[copy % 32]}")
    ids = pc.binary_join_element_wise(ids, end, "")
    return rows.set_column(0, rows.schema.field(0), ids)


def _load(lake: LocalLake, batch: list[Reading]) -> float:
    started = time.perf_counter()
    report = lake.load(batch, batch_id=uuid.uuid4().hex, loaded_at=datetime.now(UTC))
    seconds = time.perf_counter() - started
    if report.inserted[RAW_TABLE] != BATCH_ROWS - _REPEATED:
        raise RuntimeError("the number of inserted rows is not that of the new events")
    return seconds


def _lines(
    found: dict[str, list[float]], sizes: tuple[int, int], profile: cProfile.Profile
) -> list[str]:
    ratios = [large / small for small, large in zip(*found.values(), strict=True)]
    rows = [
        (f"{size:,}", spread(one * 1e3 for one in seconds))
        for size, seconds in zip(sizes, found.values(), strict=True)
    ]
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(_PROFILED)
    profile_lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    return [
        f"{BATCH_ROWS:,} events over {_DAYS} days, {_REPEATED} of them stored already, through "
        "`LocalLake.load`, durable, raw and typed tables, upkeep as in service. Rows in the raw "
        f"table, each once more in a typed one; every day in as few files as upkeep makes. "
        f"{len(ratios)} rounds in turns. Goal: 4 x. Median (range).",
        "",
        *table(("rows", "ms a batch"), [*rows, ("ratio", spread(ratios, 2))]),
        "",
        "One batch into the large table (cProfile, time in the function itself):",
        "",
        "```",
        *profile_lines,
        "```",
    ]
