"""Kill or reload the processes of a running receiver, and count lost and duplicated events."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.harness.exactly_once import Found
from benchmarks.harness.posting import Tally, posting
from benchmarks.harness.process_table import is_zombie, wait_until
from benchmarks.harness.receiver import Receiver


@dataclass
class Outcome:
    """The results of many kills.

    Attributes:
        end: When to stop, by the clock of `time.perf_counter`.
        cycles: How often to kill.
        kills: How often something was killed.
        seconds: Duration of the run.
        sent: Ids of the acknowledged events.
        lost: Number of acknowledged events that are in no table.
        doubled: Number of duplicates and of differences that `ciolake verify` finds.
        answers: Answers to the senders, by outcome.
        where: Kills by crash point or kind of process.
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
        """Return whether there were enough kills, or the time is over."""
        return self.kills >= self.cycles or time.perf_counter() >= self.end

    def count(self, tally: Tally) -> None:
        """Add the answers that clients got."""
        self.sent.update(tally.acknowledged)
        self.answers.update(tally.outcomes)

    def judge(self, found: Found) -> None:
        """Compare the acknowledged events with the tables."""
        self.lost, self.doubled = len(found.lost(self.sent)), found.doubled


def ready(receiver: Receiver) -> int:
    """Return how many web processes have been ready so far."""
    return len(receiver.logged("web_worker_ready"))


def kill_worker(receiver: Receiver) -> None:
    """Kill a web process and wait for its successor."""
    before = ready(receiver)
    os.kill(receiver.workers()[0], signal.SIGKILL)
    wait_until(lambda: ready(receiver) > before)


def kill_master(receiver: Receiver) -> None:
    """Kill gunicorn's master; wait for its successor and until its orphaned workers have ended."""
    before, orphans = ready(receiver), receiver.workers()
    os.kill(receiver.web()[0], signal.SIGKILL)
    wait_until(lambda: ready(receiver) > before + 1)
    wait_until(lambda: all(is_zombie(pid) for pid in orphans))


def kill_loader(receiver: Receiver) -> None:
    """Kill the loader and wait for its successor."""
    wait_until(lambda: bool(receiver.loader()))
    before = receiver.loader()
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: bool(set(receiver.loader()) - set(before)))


def reload(receiver: Receiver) -> None:
    """Reload, and wait until all earlier processes have ended."""
    before, old = ready(receiver), [*receiver.workers(), *receiver.web(), *receiver.loader()]
    receiver.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ready(receiver) > before + 1)
    wait_until(lambda: all(is_zombie(pid) for pid in old))


def kill_processes(receiver: Receiver, outcome: Outcome, chance: random.Random) -> None:
    """Kill one process after the other while clients post, until the outcome is done."""
    killers = (kill_worker, kill_loader, kill_master)
    with posting(receiver, keep_alive=True, clients=4, pause_seconds=0.05) as clients:
        while not outcome.is_done():
            kill = chance.choices(killers, (5, 4, 1))[0]
            kill(receiver)
            outcome.where[kill.__name__] += 1
            outcome.kills += 1
        outcome.count(clients.stop())


def kill_group(receiver: Receiver, outcome: Outcome, chance: random.Random) -> None:
    """Kill all processes at once, at a random moment while clients post."""
    with posting(receiver, keep_alive=True, clients=4, pause_seconds=0.02) as clients:
        clients.wait_for(20)
        time.sleep(chance.uniform(0.0, 1.5))
        os.killpg(receiver.process.pid, signal.SIGKILL)
        receiver.process.wait()
        outcome.kills += 1
        outcome.count(clients.stop())
