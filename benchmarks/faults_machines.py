"""The kills of `benchmarks.faults` with two machines: local inboxes, and one SQL warehouse.

Each machine has a data folder, a receiver and a loader of its own; the loaders take turns with the
lease. The warehouse is the double of `tests.doubles`, which is never killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults_databricks import POINTS
from benchmarks.harness.crashes import loader_process
from benchmarks.harness.databricks_double import DatabricksDouble, app, databricks_double
from benchmarks.harness.events import KINDS, event, hash_of, store
from benchmarks.harness.kills import Outcome, kill_loader, kill_master, kill_worker
from benchmarks.harness.posting import Clients, posting
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver
from databricks_app.ingest.inbox.local_reader import pending

LOCAL_INBOX = {"CIO_INBOX": "local"}

_EVENTS = 20
_SHARED = 5
# More than the 346 s after which the lease of a dead machine is taken over.
_LOAD_SECONDS = 600.0
_DEATH_SECONDS = 300.0


def points(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill the loader of one machine between two steps of a load, while the other one loads."""
    places = [f"{name}:{nth}" for name, visits in POINTS.items() for nth in range(1, visits + 1)]
    chance.shuffle(places)
    machines = _machines(folder)
    with _judging(outcome, folder) as double:
        variables = double.variables | LOCAL_INBOX
        while not outcome.is_done():
            for number, place in enumerate(places):
                victim, other = machines if number % 2 else machines[::-1]
                _offer(machines, outcome, chance)
                with loader_process(other, **variables):
                    _kill_at(place, victim, outcome, variables)
                if outcome.is_done():
                    break
        _load_the_rest(machines, variables)


def _kill_at(place: str, victim: Path, outcome: Outcome, variables: dict[str, str]) -> None:
    """Run a loader until it dies at a crash point."""
    with loader_process(victim, **variables, CIO_CRASH_POINT=place) as loader:
        code = loader.wait(_DEATH_SECONDS)
    if code != -signal.SIGKILL:
        raise SystemExit(f"the loader ended with {code} at {place}")
    outcome.where[place.partition(":")[0]] += 1
    outcome.kills += 1


def singles(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill web workers, masters and loaders of both machines, at random moments under load."""
    kills = (kill_worker, kill_loader, kill_master)
    with (
        _judging(outcome, folder) as double,
        _receiver(double, folder / "one") as one,
        _receiver(double, folder / "two") as two,
        _posting_to(one) as first,
        _posting_to(two) as second,
    ):
        while not outcome.is_done():
            kill = chance.choices(kills, (3, 6, 1))[0]
            time.sleep(chance.uniform(0.0, 0.5))
            kill(chance.choice((one, two)))
            outcome.where[kill.__name__] += 1
            outcome.kills += 1
        for clients in (first, second):
            outcome.count(clients.stop())
        _await_empty(folder / "one", folder / "two")


def groups(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill all processes of one machine at random moments, while the other one goes on."""
    with (
        _judging(outcome, folder) as double,
        _receiver(double, folder / "one") as one,
        _posting_to(one) as clients,
    ):
        while not outcome.is_done():
            (folder / "two/stderr").unlink(missing_ok=True)
            with _receiver(double, folder / "two") as two, _posting_to(two) as others:
                others.wait_for(10)
                time.sleep(chance.uniform(0.0, 1.5))
                os.killpg(two.process.pid, signal.SIGKILL)
                two.process.wait()
                outcome.kills += 1
                outcome.count(others.stop())
        outcome.count(clients.stop())
        (folder / "two/stderr").unlink(missing_ok=True)
        with _receiver(double, folder / "two"):
            _await_empty(folder / "one", folder / "two")


def _machines(folder: Path) -> tuple[Path, Path]:
    machines = (folder / "one", folder / "two")
    for machine in machines:
        (machine / "data").mkdir(parents=True, exist_ok=True)
    return machines


def _offer(machines: tuple[Path, Path], outcome: Outcome, chance: random.Random) -> None:
    """Put new events into both inboxes: some into both, and some that were sent before."""
    again = chance.sample(sorted(outcome.sent), min(_SHARED, len(outcome.sent)))
    shared = [f"S{outcome.kills}x{n}x{chance.getrandbits(32):x}" for n in range(_SHARED)]
    for number, machine in enumerate(machines):
        tag = f"M{number}k{outcome.kills}"
        own = [f"{tag}x{n}x{chance.getrandbits(32):x}" for n in range(_EVENTS)]
        # With all kinds each time: a load without one of them would not visit all crash points.
        kinds = {one: KINDS[int(one.split("x")[1]) % len(KINDS)] for one in (*own, *shared, *again)}
        bodies = [event(one, kind, hash_of(one) % 2) for one, kind in kinds.items()]
        store(machine / "data", bodies)
        outcome.sent.update(own)
    outcome.sent.update(shared)


def _load_the_rest(machines: tuple[Path, Path], variables: dict[str, str]) -> None:
    with contextlib.ExitStack() as running:
        for machine in machines:
            running.enter_context(loader_process(machine, **variables))
        _await_empty(*machines)


def _await_empty(*machines: Path) -> None:
    """Wait until everything in both inboxes is in the tables."""
    wait_until(
        lambda: not any(pending(machine / "data/inbox").events for machine in machines),
        _LOAD_SECONDS,
        0.1,
    )


@contextmanager
def _receiver(double: DatabricksDouble, folder: Path) -> Iterator[Receiver]:
    # Two web processes: `kill_master` waits for both.
    with app(double, folder, CIO_WEB_WORKERS="2", **LOCAL_INBOX) as receiver:
        yield receiver


@contextmanager
def _posting_to(receiver: Receiver) -> Iterator[Clients]:
    with posting(receiver, keep_alive=True, clients=2, pause_seconds=0.1) as clients:
        yield clients


@contextmanager
def _judging(outcome: Outcome, folder: Path) -> Iterator[DatabricksDouble]:
    """Run a double; at the end compare the acknowledged events with its tables."""
    with databricks_double(folder / "double") as double:
        yield double
        outcome.judge(double.found())
