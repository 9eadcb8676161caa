"""The kills of `benchmarks.faults` with the local inbox and local tables."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from benchmarks.harness.crashes import BUSY, run_loader
from benchmarks.harness.events import KINDS, event, hash_of, record, store
from benchmarks.harness.exactly_once import found
from benchmarks.harness.kills import Outcome, kill_group, kill_processes
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from databricks_app.ingest.inbox.local_reader import pending, replay_segment
from databricks_app.lake.local.maintenance import Policy

POINTS = {
    "loader.before_load": 1,
    "lake.before_raw_append": 2,
    "lake.after_raw_append": 2,
    "lake.after_raw_sync": 2,
    "lake.before_typed_append": 4,
    "lake.after_typed_append": 4,
    "lake.after_typed_sync": 4,
    "loader.before_delete": 1,
    "loader.after_delete": 1,
    "lake.after_merge": 2,
    "lake.after_compact": 2,
    "lake.after_compact_sync": 2,
    "lake.after_checkpoint": 4,
    "lake.after_checkpoint_sync": 4,
    "lake.after_log_cleanup": 4,
    "lake.after_vacuum": 2,
}
"""Crash points; at each of their first visits, up to this number, a process is killed."""

_EVENTS = 30
_SEGMENT = 10_000


def points(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill a loader between every two steps of a load, at each of its visits in turn."""
    places = [f"{name}:{nth}" for name, most in POINTS.items() for nth in range(1, most + 1)]
    while not outcome.is_done():
        for place in places:
            new = [f"P{outcome.kills}x{n}x{chance.getrandbits(32):x}" for n in range(_EVENTS)]
            again = chance.sample(sorted(outcome.sent), min(5, len(outcome.sent)))
            kinds = {one: KINDS[hash_of(one) % len(KINDS)] for one in new + again}
            store(folder, [event(one, kind, hash_of(one) % 2) for one, kind in kinds.items()])
            outcome.sent.update(new)
            code = run_loader(folder, place, policy_for(place))
            if code not in (0, -signal.SIGKILL):
                raise SystemExit(f"the loader ended with {code} at {place}")
            outcome.where[place.partition(":")[0]] += code != 0
            outcome.kills += code != 0
            if outcome.is_done():
                break
    run_loader(folder)
    outcome.judge(found(folder))


def policy_for(place: str) -> Policy | None:
    """Return a policy with all maintenance at every load, if the crash point is within it."""
    words = ("merge", "compact", "checkpoint", "cleanup", "vacuum")
    return BUSY if any(word in place for word in words) else None


def singles(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill web workers, their master and the loader of one group, under load."""
    with serving(folder) as receiver:
        kill_processes(receiver, outcome, chance)
        await_empty(receiver)
    outcome.judge(found(folder / "data"))


def groups(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill all processes at once, at random moments under load."""
    while not outcome.is_done():
        (folder / "stderr").unlink(missing_ok=True)
        with serving(folder) as receiver:
            kill_group(receiver, outcome, chance)
    (folder / "stderr").unlink(missing_ok=True)
    with serving(folder) as receiver:
        await_empty(receiver)
    outcome.judge(found(folder / "data"))


def await_empty(receiver: Receiver) -> None:
    """Wait until everything is in the tables."""
    wait_until(lambda: not pending(receiver.folder / "data/inbox").events, 600)


def week(folder: Path, events: int) -> list[str]:
    """Let the inbox grow without a loader, then load it all."""
    started = time.perf_counter()
    for start in range(0, events, _SEGMENT):
        records = [
            record(event(f"W{n}", KINDS[n % len(KINDS)])) for n in range(start, start + _SEGMENT)
        ]
        inbox = folder / "inbox"
        inbox.mkdir(exist_ok=True)
        replay_segment(inbox, records, name=f"{1_763_800_000_000_000 + start:016d}-{start:016x}")
    waiting = pending(folder / "inbox")
    grown = time.perf_counter()
    code = run_loader(folder)
    loaded = time.perf_counter()
    stored = found(folder)
    is_right = code == 0 and len(stored.ids) == events and not stored.doubled
    return [
        f"- A week without a loader: {waiting.events:,} events in {events // _SEGMENT} segments, "
        f"{waiting.bytes / 2**20:,.0f} MiB, written in {grown - started:.0f} s; one loader then "
        f"loaded them in {loaded - grown:.0f} s ({events / (loaded - grown):,.0f} events/s): "
        + ("each is there exactly once." if is_right else "NOT each is there exactly once.")
    ]
