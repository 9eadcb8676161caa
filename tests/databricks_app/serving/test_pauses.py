"""Processes are paused under load: no client is reset, no event is lost or stored twice."""

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
    """All processes, like on a machine that is paused."""
    return sorted(receiver.all())


def pause(pids: list[int]) -> None:
    """Stop processes for a while (SIGSTOP, SIGCONT)."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE_SECONDS)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


def assert_faultless(receiver: Receiver, *tallies: Tally) -> None:
    """Check that clients got only 200 and 503, and that each 200 is in the tables once."""
    for tally in tallies:
        assert tally.kinds <= {"200", "503"}, tally.outcomes
        assert tally.slowest_seconds < ANSWERED_SECONDS
    data = receiver.folder / "data"
    wait_until(lambda: is_empty(data), 60)
    stored = found(data)
    acknowledged = {event_id for tally in tallies for event_id in tally.acknowledged}
    assert (stored.lost(acknowledged), stored.doubled) == (set(), 0)


def pause_under_load(folder: Path, whose: Callable[[Receiver], list[int]], times: int) -> None:
    """Pause processes again and again under load, from clients with and without keep-alive."""
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


@pytest.mark.parametrize(
    "whose",
    [worker, *(pytest.param(one, marks=pytest.mark.slow) for one in (Receiver.web, supervisor))],
)
@pytest.mark.slow
def test_clients_are_answered_after_a_pause(
    tmp_path: Path, whose: Callable[[Receiver], list[int]]
) -> None:
    """Of two seconds: requests that wait for the process are answered when it continues."""
    pause_under_load(tmp_path, whose, times=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("whose", PROCESSES)
def test_clients_are_answered_after_many_pauses(
    tmp_path: Path, whose: Callable[[Receiver], list[int]]
) -> None:
    """The same ten times."""
    pause_under_load(tmp_path, whose, times=10)


def stick_under_load(folder: Path, times: int) -> None:
    """Stop a worker for good, again and again; each time another one replaces it."""
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


@pytest.mark.slow
def test_a_stuck_worker_is_replaced_and_its_clients_are_answered(tmp_path: Path) -> None:
    """After about five seconds; the acceptor answers its clients 503."""
    stick_under_load(tmp_path, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stuck_workers_are_replaced_again_and_again(tmp_path: Path) -> None:
    """The same ten times."""
    stick_under_load(tmp_path, 10)
