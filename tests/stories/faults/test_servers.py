"""Two servers with one folder, paused loaders, many reloads, and a long time without a loader."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.harness.crashes import loader_process, problems, run_loader
from benchmarks.harness.events import KINDS, event, record, store
from benchmarks.harness.exactly_once import is_empty, raw_ids, verdict
from benchmarks.harness.posting import posting
from benchmarks.harness.process_table import command, is_zombie, wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import request
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader, pending
from tests.support.exactly_once import assert_exactly_once

RELOADS = 20
BACKLOG = 20_000


def test_two_servers_on_one_folder_load_everything_once(tmp_path: Path) -> None:
    """One loader loads for both receivers; the other reports why it waits, and takes over."""
    data = tmp_path / "data"
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    shared = {"CIO_DATA_DIR": str(data), "CIO_WEB_WORKERS": "1"}
    with serving(folders[0], **shared) as one:
        wait_until(lambda: (data / "tables/.lock").exists())
        with serving(folders[1], **shared) as two:
            both = [
                server.post(request(event(name))).status
                for name in ("same", "other")
                for server in (one, two)
            ]
            wait_until(lambda: bool(two.logged("load_failed")))
            wait_until(lambda: is_empty(data), 60)
            before = raw_ids(data)
            one.stop()
            after = two.post(request(event("after"))).status
            wait_until(lambda: is_empty(data), 60)

    assert both == [200] * 4
    assert (before, after) == (["other", "same"], 200)
    assert_exactly_once(data, ["same", "other", "after"])


@pytest.mark.slow
def test_a_paused_loader_keeps_its_lock_and_continues(tmp_path: Path) -> None:
    """Another loader waits meanwhile; afterwards no event is loaded twice."""
    data, other = tmp_path / "data", tmp_path / "other"
    other.mkdir()
    names = [f"e{n}" for n in range(3000)]
    store(data, map(event, names[:1000]))
    with loader_process(tmp_path) as paused:
        wait_until(lambda: any((data / "tables").glob("*/_delta_log/*1.json")), 60)
        os.kill(paused.pid, signal.SIGSTOP)
        store(data, map(event, names[500:2000]))
        with loader_process(other, CIO_DATA_DIR=str(data)):
            wait_until(lambda: f"Process {paused.pid} already loads" in problems(other))
            os.kill(paused.pid, signal.SIGCONT)
            wait_until(lambda: is_empty(data), 60)
            paused.terminate()
            paused.wait(20)
            store(data, map(event, names[1500:]))
            wait_until(lambda: is_empty(data), 60)

    assert_exactly_once(data, names)


@pytest.mark.slow
def test_the_inbox_grows_without_a_loader_and_is_loaded_afterwards(tmp_path: Path) -> None:
    """Every event is stored; one loader then loads the backlog, each event once."""
    names = [f"e{n}" for n in range(BACKLOG)]
    store(tmp_path, (event(name, KINDS[n % len(KINDS)]) for n, name in enumerate(names)))
    waiting = pending(tmp_path / "inbox")

    code = run_loader(tmp_path)

    assert (waiting.events, code) == (BACKLOG, 0)
    assert_exactly_once(tmp_path, names)


@pytest.mark.slow
def test_the_receiver_accepts_events_while_the_loader_cannot_start(tmp_path: Path) -> None:
    """A loader that dies at every start loses no event and no answer."""
    with serving(tmp_path, CIO_CRASH_POINT="lake.after_create") as receiver:
        for n in range(3):
            assert receiver.post(request(event(f"e{n}"))).status == 200
        wait_until(lambda: len(receiver.logged("child_ended")) >= 2)
        assert receiver.post(request(event("e3"))).status == 200
    with serving(tmp_path) as receiver:
        wait_until(lambda: is_empty(tmp_path / "data"), 60)

    assert_exactly_once(tmp_path / "data", [f"e{n}" for n in range(4)])


def test_two_segments_of_the_same_microsecond_are_both_read(tmp_path: Path) -> None:
    """Two processes do not overwrite each other's segment."""
    inboxes = [LocalInbox(tmp_path / "inbox", clock=lambda: 1.0) for _ in range(2)]
    for number, inbox in enumerate(inboxes):
        inbox.append(record(event(f"e{number}")), 5)
        inbox.close()

    (batch,) = SegmentReader(tmp_path / "inbox").batches(10, 1 << 20)

    assert len(batch.records) == len(batch.sources) == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_reloads_under_load_reset_no_connection(tmp_path: Path) -> None:
    """Every answer is 200 or 503, and an event with 200 is stored once."""
    with serving(tmp_path) as receiver:
        with (
            posting(receiver, keep_alive=True, clients=8) as kept,
            posting(receiver, keep_alive=False, clients=8) as fresh,
        ):
            for _ in range(RELOADS):
                kept.wait_for(50)
                fresh.wait_for(50)
                before, old = len(receiver.logged("web_worker_ready")), receiver.workers()
                receiver.process.send_signal(signal.SIGHUP)
                wait_until(
                    lambda before=before: len(receiver.logged("web_worker_ready")) > before + 1
                )
                wait_until(lambda old=old: all(is_zombie(pid) or not command(pid) for pid in old))
            tallies = [kept.stop(), fresh.stop()]
        wait_until(lambda: is_empty(tmp_path / "data"), 200)

    for tally in tallies:
        assert tally.kinds <= {"200", "503"}, tally.outcomes
    ids = raw_ids(tmp_path / "data")
    assert len(ids) == len(set(ids))
    assert set(tallies[0].acknowledged + tallies[1].acknowledged) <= set(ids)
    assert verdict(tmp_path / "data").differences == ()
