"""The kills of `benchmarks.faults` with the inbox in a volume and a SQL warehouse.

Both are the double of `tests.doubles`, which runs in its own process and is never killed.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.crashes import loader_process
from benchmarks.harness.databricks_double import (
    DatabricksDouble,
    app,
    await_loaded,
    databricks_double,
)
from benchmarks.harness.events import KINDS, event, hash_of, record
from benchmarks.harness.kills import Outcome, kill_group, kill_processes

POINTS = {
    "loader.before_load": 1,
    "lake.after_stage": 4,
    "loader.after_stage": 1,
    "loader.before_commit": 1,
    "lake.before_raw_merge": 1,
    "lake.after_raw_merge": 1,
    "lake.before_typed_merge": 4,
    "lake.after_typed_merge": 4,
    "loader.before_delete": 1,
    "loader.after_delete": 1,
}
"""Crash points of a load; at each of their first visits, up to this number, a process is killed."""

_STAGED_ONLY = frozenset({"loader.after_stage:1", "loader.before_commit:1"})
_EVENTS = 30
_AGAIN = 5
_LOAD_SECONDS = 600.0
_DEATH_SECONDS = 300.0


def points(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill a loader between every two steps of a load, at each of its visits in turn."""
    every = [f"{name}:{nth}" for name, visits in POINTS.items() for nth in range(1, visits + 1)]
    places = []
    for number, place in enumerate(every):
        places.append(place)
        # After the third death with the same objects the loader would load their events one by one,
        # which takes a minute and is tested elsewhere. So every second death is followed by one
        # that leaves no objects behind.
        if number % 2:
            places.append("loader.after_delete:1")
    with _judging(outcome, folder) as double:
        while not outcome.is_done():
            for place in places:
                if place in _STAGED_ONLY or chance.random() < 0.5:
                    # The first loader after a death stages nothing, the next one does.
                    with loader_process(folder, **double.variables):
                        await_loaded(double, _LOAD_SECONDS)
                _offer(double, outcome, chance)
                with loader_process(folder, **double.variables, CIO_CRASH_POINT=place) as loader:
                    code = loader.wait(_DEATH_SECONDS)
                if code != -signal.SIGKILL:
                    raise SystemExit(f"the loader ended with {code} at {place}")
                outcome.where[place.partition(":")[0]] += 1
                outcome.kills += 1
                if outcome.is_done():
                    break
        with loader_process(folder, **double.variables):
            await_loaded(double, _LOAD_SECONDS)


def _offer(double: DatabricksDouble, outcome: Outcome, chance: random.Random) -> None:
    """Put new events into the volume, and a few that were sent before."""
    new = [f"P{outcome.kills}x{n}x{chance.getrandbits(32):x}" for n in range(_EVENTS)]
    again = chance.sample(sorted(outcome.sent), min(_AGAIN, len(outcome.sent)))
    # With all kinds each time: a load without one of them would not visit all crash points.
    kinds = {one: KINDS[int(one.split("x")[1]) % len(KINDS)] for one in new + again}
    double.put([record(event(one, kind, hash_of(one) % 2)) for one, kind in kinds.items()])
    outcome.sent.update(new)


def singles(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill web workers, their master and the loader of one group, under load."""
    with (
        _judging(outcome, folder) as double,
        app(double, folder / "app", CIO_WEB_WORKERS="2") as receiver,
    ):
        kill_processes(receiver, outcome, chance)
        await_loaded(double, _LOAD_SECONDS)


def groups(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill all processes at once, at random times under load; the next ones have an empty disk."""
    with _judging(outcome, folder) as double:
        while not outcome.is_done():
            with app(double, folder / f"app{outcome.kills}") as receiver:
                kill_group(receiver, outcome, chance)
        with app(double, folder / "last"):
            await_loaded(double, _LOAD_SECONDS)


@contextmanager
def _judging(outcome: Outcome, folder: Path) -> Iterator[DatabricksDouble]:
    """Run a double; at the end compare the acknowledged events with its tables."""
    with databricks_double(folder / "double") as double:
        yield double
        outcome.judge(double.found())
