"""The time from when an event is due to when its rows can be queried."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.outcome import Plan, Section, Surroundings, percentile, spread, table
from benchmarks.processes import await_empty_inbox, reported, schedule, serving

RATE = 200.0
_LOOK_SECONDS = 0.02
_LONGEST_SECONDS = 30.0


class Watch:
    """Records when rows appear: a row can be queried when its commit is in the Delta log.

    Attributes:
        seen: For each event, when its last row appeared, in Unix seconds.
    """

    def __init__(self, tables: Path) -> None:
        self.seen: dict[str, float] = {}
        self._tables = tables
        self._read: set[Path] = set()

    def look(self) -> None:
        """Read the new commits."""
        for entry in self._tables.glob("*/_delta_log/*.json"):
            if entry not in self._read:
                self._read.add(entry)
                at = entry.stat().st_ctime  # when the commit file was renamed to its final name
                for path in _added(entry):
                    # ParquetFile, not read_table: that would take the folder `event_date=...` for
                    # a partition.
                    for event_id in pq.ParquetFile(path).read(["event_id"]).column(0).to_pylist():
                        self.seen[event_id] = max(at, self.seen.get(event_id, 0.0))


def _added(entry: Path) -> list[Path]:
    actions = map(json.loads, entry.read_text().splitlines())
    return [
        entry.parents[1] / action["add"]["path"]
        for action in actions
        if action.get("add", {}).get("dataChange")
    ]


def run(plan: Plan) -> Section:
    """Post at a steady rate and wait for the rows."""
    around = Surroundings()
    seconds = plan.pick(20, 2)
    delays = []
    for turn in range(plan.rounds):
        around.look()
        delays.append(_round(plan, turn, seconds))
    rows = [
        (name, spread((percentile(one, share) for one in delays), 2))
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("slowest", 1.0))
    ]
    lines = [
        f"`ciolake serve`, default settings, {RATE:g} events/s for {seconds:g} s, "
        f"{plan.rounds} rounds. From when an event is due at the client to the commit of its last "
        "row (raw and typed), in seconds. Goal: p95 5 s. Median (range).",
        "",
        *table(("", "seconds"), rows),
    ]
    return Section("freshness", "Event to queryable row", lines, around)


def _round(plan: Plan, turn: int, seconds: float) -> list[float]:
    journal = plan.folder / "journal"
    with serving(plan.folder / f"fresh-{turn}") as server:
        await_empty_inbox(server)
        watch = Watch(server.folder / "data" / "tables")
        client = schedule(server, rate=RATE, seconds=seconds, connections=64, journal=journal)
        while client.poll() is None:
            watch.look()
            time.sleep(_LOOK_SECONDS)
        reported(client)
        lines = [line.split() for line in journal.read_text().splitlines()]
        due = {event_id: float(at) for event_id, at in lines}
        deadline = time.monotonic() + _LONGEST_SECONDS
        while due.keys() - watch.seen.keys() and time.monotonic() < deadline:
            watch.look()
            time.sleep(_LOOK_SECONDS)
        # The typed rows are committed after the raw ones.
        time.sleep(1)
        watch.look()
    missing = due.keys() - watch.seen.keys()
    if missing or not due:
        raise RuntimeError(f"{len(missing)} of {len(due)} events are not in the tables")
    return [watch.seen[event_id] - at for event_id, at in due.items()]
