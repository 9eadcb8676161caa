"""Processes that stand still under load: no client is reset, nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.exactly_once import found, is_empty
from benchmarks.harness.posting import Tally, posting
from benchmarks.harness.process_table import children, command, wait_until
from benchmarks.harness.receiver import Receiver, serving

PAUSE_SECONDS = 2.0
# Gunicorn misses the sign of life after 5 s, asks it to end, and kills it a second later.
REPLACED_SECONDS = 9.0
ANSWERED_SECONDS = 12.0
ALERTING = {"CIO_ALERT_URL": "http://127.0.0.1:9/nobody"}


def worker(receiver: Receiver) -> list[int]:
    """One of the two workers."""
    return receiver.workers()[:1]


def alerting(receiver: Receiver) -> list[int]:
    """The alerting process."""
    return [pid for pid in children(receiver.process.pid) if "operations.alerting" in command(pid)]


def supervisor(receiver: Receiver) -> list[int]:
    """The supervisor alone."""
    return [receiver.process.pid]


def everything(receiver: Receiver) -> list[int]:
    """All processes at once, as when a machine is paused."""
    return sorted(receiver.all())


def pause(pids: list[int]) -> None:
    """Let processes stand still for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE_SECONDS)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


def assert_faultless(receiver: Receiver, *tallies: Tally) -> None:
    """Check that clients saw 200 and 503 alone, and that each 200 stands once in the tables."""
    for tally in tallies:
        assert tally.kinds <= {"200", "503"}, tally.outcomes
        assert tally.slowest_seconds < ANSWERED_SECONDS
    data = receiver.folder / "data"
    wait_until(lambda: is_empty(data), 60)
    stored = found(data)
    acknowledged = {event_id for tally in tallies for event_id in tally.acknowledged}
    assert (stored.lost(acknowledged), stored.doubled) == (set(), 0)


def pause_under_load(folder: Path, whose: Callable[[Receiver], list[int]], times: int) -> None:
    """Pause processes again and again under clients that keep their connections and others."""
    with serving(folder, **ALERTING) as receiver:
        wait_until(lambda: bool(receiver.loader()) and bool(alerting(receiver)))
        with (
            posting(receiver, keep_alive=True, clients=4, pause_seconds=0.02) as kept,
            posting(receiver, keep_alive=False, clients=4, pause_seconds=0.02) as fresh,
        ):
            for _ in range(times):
                kept.wait_for(50)
                fresh.wait_for(50)
                pids = whose(receiver)
                assert pids
                pause(pids)
            kept.wait_for(50)
            fresh.wait_for(50)
            tallies = kept.stop(), fresh.stop()

        assert_faultless(receiver, *tallies)
        assert not receiver.logged("uncaught")


PROCESSES = (worker, Receiver.web, Receiver.loader, alerting, supervisor, everything)


@pytest.mark.parametrize("whose", [worker, Receiver.web, supervisor])
def test_clients_outlive_a_pause(tmp_path: Path, whose: Callable[[Receiver], list[int]]) -> None:
    """Two seconds: those who wait for the process are answered when it goes on."""
    pause_under_load(tmp_path, whose, times=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("whose", PROCESSES)
def test_clients_outlive_many_pauses(
    tmp_path: Path, whose: Callable[[Receiver], list[int]]
) -> None:
    """The same ten times."""
    pause_under_load(tmp_path, whose, times=10)


def stick_under_load(folder: Path, times: int) -> None:
    """Stop a worker for good, again and again; each time another one takes its place."""
    with serving(folder) as receiver:
        with (
            posting(receiver, keep_alive=True, clients=4, pause_seconds=0.02) as kept,
            posting(receiver, keep_alive=False, clients=4, pause_seconds=0.02) as fresh,
        ):
            for _ in range(times):
                kept.wait_for(50)
                fresh.wait_for(50)
                stuck = receiver.workers()[0]
                os.kill(stuck, signal.SIGSTOP)
                wait_until(lambda stuck=stuck: stuck not in receiver.workers(), REPLACED_SECONDS)
                wait_until(lambda: len(receiver.ready()) == 2)
            kept.wait_for(50)
            tallies = kept.stop(), fresh.stop()

        assert_faultless(receiver, *tallies)


def test_a_stuck_worker_is_replaced_and_its_clients_are_answered(tmp_path: Path) -> None:
    """About five seconds later; what it had is answered 503 by the acceptor."""
    stick_under_load(tmp_path, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stuck_workers_are_replaced_again_and_again(tmp_path: Path) -> None:
    """The same ten times."""
    stick_under_load(tmp_path, 10)
