"""Kill it a thousand times and count what is lost or doubled.

    python -m benchmarks.faults --cycles 1000            700 between two steps of a load,
                                                         200 single processes, 100 whole groups
    python -m benchmarks.faults --cycles 100 --parts groups
    python -m benchmarks.faults --minutes 10             as many of them as fit, for each part
    python -m benchmarks.faults --store databricks       into the double of a workspace
    python -m benchmarks.faults --week                   1,000,000 events without a writer

Prints Markdown for RESULTS.md. Exit code 1 if anything was lost, doubled or told wrongly.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from benchmarks.outcome import machine
from databricks_app.ingest.inbox.local_reader import pending, replay_segment
from databricks_app.lake.local.maintenance import Policy
from databricks_app.settings import Store
from tests.support.crashes import BUSY, KINDS, body, carry, raw_ids, record, store, verdict
from tests.support.receiver import Receiver, flooding, serving, wait_until

POINTS = {
    "writer.before_load": 1,
    "lake.before_raw_append": 2,
    "lake.after_raw_append": 2,
    "lake.after_raw_sync": 2,
    "lake.before_typed_append": 4,
    "lake.after_typed_append": 4,
    "lake.after_typed_sync": 4,
    "writer.before_forget": 1,
    "writer.after_forget": 1,
    "lake.after_compact": 2,
    "lake.after_compact_sync": 2,
    "lake.after_checkpoint": 4,
    "lake.after_checkpoint_sync": 4,
    "lake.after_log_cleanup": 4,
    "lake.after_vacuum": 2,
}
"""Fault points, and at how many of their visits to die."""

SHARES = {"points": 0.7, "singles": 0.2, "groups": 0.1}
_EVENTS = 30
_WEEK = 1_000_000
_SEGMENT = 10_000
_ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Outcome:
    """What came of one part.

    Attributes:
        end: When to stop, by the clock of `time.perf_counter`.
        cycles: How often to kill.
        kills: How often something was killed.
        seconds: All of it.
        sent: Ids of acknowledged events.
        lost: How many of them are in no table.
        doubled: Differences that `ciolake verify` finds, repeated ids among them.
        answers: What senders saw.
        where: Kills by place.
    """

    end: float
    cycles: int
    kills: int = 0
    seconds: float = 0.0
    sent: set[str] = field(default_factory=set)
    lost: int = 0
    doubled: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)

    def is_done(self) -> bool:
        """Whether it was killed often enough, or the time is over."""
        return self.kills >= self.cycles or time.perf_counter() >= self.end

    def settle(self, data: Path) -> None:
        """Compare what was acknowledged with the tables."""
        ids = raw_ids(data)
        self.lost = len(self.sent - set(ids))
        self.doubled = len(ids) - len(set(ids)) + len(verdict(data).differences)


Run = Callable[[Outcome, Path, random.Random], None]


def points(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill a writer between every two steps of a load, at each of its visits in turn."""
    places = [f"{name}:{nth}" for name, most in POINTS.items() for nth in range(1, most + 1)]
    while not outcome.is_done():
        for place in places:
            new = [f"P{outcome.kills}x{n}x{chance.getrandbits(32):x}" for n in range(_EVENTS)]
            again = chance.sample(sorted(outcome.sent), min(5, len(outcome.sent)))
            kinds = {one: KINDS[hash_of(one) % len(KINDS)] for one in new + again}
            store(folder, [body(one, kind, hash_of(one) % 2) for one, kind in kinds.items()])
            outcome.sent.update(new)
            code = carry(folder, place, policy_for(place))
            if code not in (0, -signal.SIGKILL):
                raise SystemExit(f"the writer ended with {code} at {place}")
            outcome.where[place.partition(":")[0]] += code != 0
            outcome.kills += code != 0
            if outcome.is_done():
                break
    carry(folder)
    outcome.settle(folder)


def policy_for(place: str) -> Policy | None:
    """Do all upkeep at every load where the place is within it."""
    is_upkeep = any(word in place for word in ("compact", "checkpoint", "cleanup", "vacuum"))
    return BUSY if is_upkeep else None


def hash_of(event_id: str) -> int:
    """Return a number that is the same whenever an event is sent."""
    return sum(event_id.encode())


def singles(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill web workers, their master and the writer of one group, under load."""
    killers: list[Callable[[Receiver], None]] = [kill_worker, kill_writer, kill_master]
    with serving(folder) as receiver:
        with flooding(receiver, keep_alive=True, clients=4, pause_seconds=0.05) as flood:
            while not outcome.is_done():
                kill = chance.choices(killers, (5, 4, 1))[0]
                kill(receiver)
                outcome.where[kill.__name__] += 1
                outcome.kills += 1
            tally = flood.stop()
        await_empty(receiver)
    outcome.answers, outcome.sent = tally.outcomes, set(tally.acknowledged)
    outcome.settle(folder / "data")


def kill_worker(receiver: Receiver) -> None:
    """Kill a web process and wait for its successor."""
    before = ready(receiver)
    os.kill(receiver.workers()[0], signal.SIGKILL)
    wait_until(lambda: ready(receiver) > before)


def kill_master(receiver: Receiver) -> None:
    """Kill the web server's master and wait for its successor's workers."""
    before = ready(receiver)
    os.kill(receiver.web()[0], signal.SIGKILL)
    wait_until(lambda: ready(receiver) > before + 1)


def kill_writer(receiver: Receiver) -> None:
    """Kill the writer and wait for its successor."""
    wait_until(lambda: bool(receiver.writer()))
    before = receiver.writer()
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: bool(set(receiver.writer()) - set(before)))


def ready(receiver: Receiver) -> int:
    """Return how many web processes have been ready so far."""
    return len(receiver.logged("web_worker_ready"))


def groups(outcome: Outcome, folder: Path, chance: random.Random) -> None:
    """Kill all processes at once, at random moments under load."""
    while not outcome.is_done():
        (folder / "stderr").unlink(missing_ok=True)
        with (
            serving(folder) as receiver,
            flooding(receiver, keep_alive=True, clients=4, pause_seconds=0.02) as flood,
        ):
            flood.wait_for(20)
            time.sleep(chance.uniform(0.0, 1.5))
            os.killpg(receiver.process.pid, signal.SIGKILL)
            receiver.process.wait()
            tally = flood.stop()
        outcome.kills += 1
        outcome.sent.update(tally.acknowledged)
        outcome.answers.update(tally.outcomes)
    (folder / "stderr").unlink(missing_ok=True)
    with serving(folder) as receiver:
        await_empty(receiver)
    outcome.settle(folder / "data")


def await_empty(receiver: Receiver) -> None:
    """Wait until everything is in the tables."""
    wait_until(lambda: not pending(receiver.folder / "data/inbox").events, 600)


def week(folder: Path, events: int) -> list[str]:
    """Let the inbox grow without a writer, then load it all."""
    began = time.perf_counter()
    for start in range(0, events, _SEGMENT):
        records = [
            record(body(f"W{n}", KINDS[n % len(KINDS)])) for n in range(start, start + _SEGMENT)
        ]
        inbox = folder / "inbox"
        inbox.mkdir(exist_ok=True)
        replay_segment(inbox, records, name=f"{1_763_800_000_000_000 + start:016d}-{start:016x}")
    waiting = pending(folder / "inbox")
    grown = time.perf_counter()
    code = carry(folder)
    loaded = time.perf_counter()
    ids = raw_ids(folder)
    is_right = code == 0 and len(ids) == len(set(ids)) == events and not verdict(folder).differences
    return [
        f"- A week without a writer: {waiting.events:,} events in {events // _SEGMENT} segments, "
        f"{waiting.bytes / 2**20:,.0f} MiB, written in {grown - began:.0f} s; one writer then "
        f"loaded them in {loaded - grown:.0f} s ({events / (loaded - grown):,.0f} events/s): "
        + ("each stands exactly once." if is_right else "NOT each stands exactly once.")
    ]


def _runs(store: Store) -> dict[str, Run]:
    """Return the parts, as they are done where events are kept."""
    if store == "databricks":
        from benchmarks import faults_databricks as parts  # it needs what is above

        return {"points": parts.points, "singles": parts.singles, "groups": parts.groups}
    return {"points": points, "singles": singles, "groups": groups}


def lines(name: str, outcome: Outcome) -> Iterable[str]:
    """Say what came of a part."""
    where = ", ".join(f"{place} {times}" for place, times in sorted(outcome.where.items()))
    answers = ", ".join(f"{one} {times:,}" for one, times in sorted(outcome.answers.items()))
    yield (
        f"- {name}: {outcome.kills:,} kills in {outcome.seconds:,.0f} s; {len(outcome.sent):,} "
        f"acknowledged events: {outcome.lost} lost, {outcome.doubled} doubled."
        + (f" Where: {where}." if where else "")
        + (f" Senders saw: {answers}." if answers else "")
    )


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--parts", nargs="+", choices=[*SHARES], default=[*SHARES])
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--store", choices=get_args(Store), default="local")
    parser.add_argument("--week", action="store_true")
    chosen = parser.parse_args()
    runs = _runs(chosen.store)
    whole = sum(SHARES[name] for name in chosen.parts)
    is_bad = False
    with tempfile.TemporaryDirectory(prefix="ciolake-faults-") as parent:
        if chosen.week:
            said = week(Path(parent), _WEEK)
            is_bad = "NOT" in said[0]
            print("\n".join(said), flush=True)
            runs = {}
        for name in [name for name in chosen.parts if name in runs]:
            folder = Path(parent) / name
            folder.mkdir()
            cycles = round(chosen.cycles * SHARES[name] / whole)
            began = time.perf_counter()
            outcome = Outcome(began + chosen.minutes * 60, cycles)
            runs[name](outcome, folder, random.Random(chosen.seed))  # noqa: S311  # no secret
            outcome.seconds = time.perf_counter() - began
            is_bad |= bool(outcome.lost or outcome.doubled)
            print("\n".join(lines(name, outcome)), flush=True)
            shutil.rmtree(folder)
        print(f"\n{machine(Path(parent))}")
    return int(is_bad)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(_ROOT)
    sys.exit(main())
