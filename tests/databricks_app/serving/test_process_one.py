"""The supervisor as process 1 of a container: every process is reaped, and its counts stay."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.harness.events import event
from benchmarks.harness.kills import kill_master, kill_worker
from benchmarks.harness.posting import posting
from benchmarks.harness.process_table import children, command, is_zombie, wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, request

PAGE_SECONDS = 2.5
# PR_SET_CHILD_SUBREAPER of prctl(2) stays through an exec.
SUBREAPER = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def accepted(seen: dict[str, float]) -> float:
    """Return how many events were answered 200, with any key."""
    return sum(value for name, value in seen.items() if "accepted_events_total" in name)


def samples(receiver: Receiver) -> dict[str, float]:
    """Scrape once; return every count by its text."""
    text = receiver.page("/metrics").body.decode()
    return {
        f"{sample.name}{sample.labels}": sample.value
        for family in text_string_to_metric_families(text)
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


def decreased(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the counts that are smaller than before, or missing."""
    return {name: value for name, value in before.items() if after.get(name, 0.0) < value}


def zombies(supervisor: int) -> list[int]:
    """Return the children that wait to be reaped."""
    return [pid for pid in children(supervisor) if is_zombie(pid)]


@pytest.mark.slow
def test_orphans_of_a_killed_child_are_reaped(tmp_path: Path) -> None:
    """The workers of a killed master become the supervisor's children, and none stays a zombie."""
    with serving(tmp_path, prefix=[sys.executable, "-c", SUBREAPER]) as receiver:
        orphans = receiver.workers()
        kill_master(receiver)

        wait_until(lambda: {line["pid"] for line in receiver.logged("orphan_reaped")} >= {*orphans})
        assert zombies(receiver.process.pid) == []
        assert receiver.stop() == 0


@contextlib.contextmanager
def in_a_container(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a receiver as process 1 of a process namespace; yield it and its process id outside."""
    own = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    try:
        allowed = subprocess.run([*own, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare (Debian: util-linux) is missing")
    if allowed.returncode:
        pytest.skip("this user may not make a process namespace")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*own, sys.executable, "-m", "databricks_app", "serve"],
            cwd=folder,
            env=environ | {"PORT": "0", "CIO_WEBHOOK_SIGNING_KEYS": KEY},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: bool(children(process.pid)))
        yield process, children(process.pid)[0]
    finally:
        process.kill()
        process.wait()


def test_process_one_of_a_container_reaps_all_and_stops_gracefully(tmp_path: Path) -> None:
    """Masters are killed, their workers are reaped, and SIGTERM works."""

    def masters(supervisor: int) -> list[int]:
        return [pid for pid in children(supervisor) if "serving.server" in command(pid)]

    def log() -> str:
        return (tmp_path / "log").read_text()

    with in_a_container(tmp_path) as (process, supervisor):
        for kills in range(1, 3):
            wait_until(lambda kills=kills: log().count('"web_worker_ready"') >= 2 * kills)
            os.kill(masters(supervisor)[0], signal.SIGKILL)
            wait_until(lambda kills=kills: log().count('"orphan_reaped"') >= 2 * kills)
        wait_until(lambda: log().count('"web_worker_ready"') >= 6)

        assert zombies(supervisor) == []
        os.kill(supervisor, signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_counts_never_decrease_while_workers_are_killed(tmp_path: Path) -> None:
    """Scraped under load, with workers and masters killed.

    Each worker has a page of its own, up to two seconds old: scrapes are further apart than that.
    """
    with serving(tmp_path, CIO_FLUSH_INTERVAL_SECONDS="3600") as receiver:
        ending = threading.Event()
        seen: list[dict[str, float]] = []

        def scrape() -> None:
            while not ending.wait(PAGE_SECONDS):
                with contextlib.suppress(ConnectionError, KeyError):
                    seen.append(samples(receiver))

        scraping = threading.Thread(target=scrape)
        scraping.start()
        try:
            with posting(receiver, keep_alive=True, clients=2) as clients:
                for kill in (kill_worker, kill_master, kill_worker, kill_master):
                    clients.wait_for(50)
                    kill(receiver)
                    time.sleep(PAGE_SECONDS)
                tally = clients.stop()
        finally:
            ending.set()
            scraping.join()
        time.sleep(PAGE_SECONDS)
        wait_until(lambda: accepted(samples(receiver)) >= len(tally.acknowledged))
        seen = [one for one in [*seen, samples(receiver)] if one]  # a killed worker gave a 503

        for before, after in pairwise(seen):
            assert decreased(before, after) == {}
        assert len(seen) > 2


def test_files_of_dead_web_processes_are_removed_at_once(tmp_path: Path) -> None:
    """Their ready files and the files of their counts."""
    with serving(tmp_path) as receiver:
        assert receiver.run_folder is not None
        folder = receiver.run_folder
        dead = receiver.web()[0]
        receiver.post(request(event("counted")))
        before = samples(receiver)
        kill_master(receiver)
        kill_master(receiver)

        wait_until(lambda: not list(folder.glob(f"web-ready-{dead}-*")))
        wait_until(lambda: not list((folder / "metrics").glob(f"*_{dead}-*.db")))
        after = samples(receiver)
        assert decreased(before, after) == {}
