"""A disk that fails, is full or is read-only: events are refused or kept, without manual repair."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.crashes import loader_process, problems
from benchmarks.harness.events import event, store
from benchmarks.harness.exactly_once import is_empty, raw_ids
from benchmarks.harness.kills import kill_master, kill_worker, reload
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import request, signed
from tests.support.disks import fill, small_disk, unwritable
from tests.support.exactly_once import assert_exactly_once
from tests.support.strace import needs_strace, strace

# A mount name space of the receiver's own, with little shared memory for its counters.
LITTLE_MEMORY = ("unshare", "-m", "sh", "-c")


def post(receiver: Receiver, *names: str, padding: int = 0) -> list[int]:
    """Send events one after the other; return the answers."""
    return [receiver.post(request(event(name, padding=padding))).status for name in names]


def acknowledged(names: Sequence[str], statuses: Sequence[int]) -> list[str]:
    """Return the events that were answered 200."""
    return [name for name, status in zip(names, statuses, strict=True) if status == 200]


def assert_loaded(receiver: Receiver, names: Sequence[str]) -> None:
    """Wait for an empty inbox; check that the tables have exactly these events."""
    data = receiver.folder / "data"
    wait_until(lambda: is_empty(data), 60)
    assert_exactly_once(data, names)


@needs_strace
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("fdatasync:error=EIO:when=1..3", id="failed sync"),
        pytest.param("writev:retval=10:when=1..3", id="short write", marks=pytest.mark.slow),
        pytest.param("writev:error=ENOSPC:when=1..3", id="full", marks=pytest.mark.slow),
        pytest.param("writev:error=EROFS:when=1..3", id="read-only", marks=pytest.mark.slow),
    ],
)
def test_an_event_that_the_inbox_cannot_store_is_refused(tmp_path: Path, fault: str) -> None:
    """Three times 503, then 200 without repair; only events with 200 are in the tables."""
    names = [f"e{n}" for n in range(5)]
    prefix = strace(tmp_path / "strace", fault.partition(":")[0], fault)
    variables = {"CIO_WEB_WORKERS": "1"}
    with serving(tmp_path, prefix=prefix, **variables) as receiver:
        statuses = post(receiver, *names)

        assert statuses == [503, 503, 503, 200, 200]
        assert_loaded(receiver, acknowledged(names, statuses))


@needs_strace
@pytest.mark.parametrize(
    "fault",
    [
        "fsync:error=EIO:when=40..41",
        pytest.param("fsync:error=ENOSPC:when=40..41", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_a_load_whose_sync_fails_is_repeated(tmp_path: Path, fault: str) -> None:
    """The segment stays until a sync has succeeded; no row is written twice."""
    data = tmp_path / "data"
    names = [f"e{n}" for n in range(20)]
    store(data, map(event, names))
    with loader_process(tmp_path, prefix=strace(tmp_path / "strace", "fsync", fault)):
        wait_until(lambda: "is repeated, nothing is lost" in problems(tmp_path), 60)
        wait_until(lambda: is_empty(data), 60)

    assert_exactly_once(data, names)


def test_a_full_disk_refuses_events_until_there_is_space(tmp_path: Path) -> None:
    """503 while it is full, then 200; the tables have exactly the events with 200, once."""
    inbox = tmp_path / "data/inbox"
    variables = {"CIO_INBOX_MAX_BYTES": str(1 << 30), "CIO_WEB_WORKERS": "1"}
    with (
        small_disk(inbox, "2m"),
        serving(tmp_path, **variables) as receiver,
    ):
        filler = inbox / "filler"
        names = [f"e{n}" for n in range(8)]
        statuses = post(receiver, *names[:2], padding=50_000)
        fill(filler)
        statuses += post(receiver, *names[2:6], padding=50_000)
        filler.unlink()
        wait_until(lambda: json.loads(readiness(receiver))["status"] != "refusing")
        statuses += post(receiver, *names[6:], padding=50_000)

        assert statuses[:2] == statuses[6:] == [200, 200]
        assert 503 in statuses[2:6]
        assert set(statuses) == {200, 503}
        assert_loaded(receiver, acknowledged(names, statuses))


@pytest.mark.slow
def test_the_inbox_leaves_space_on_its_disk_for_the_tables(tmp_path: Path) -> None:
    """Below the floor 503 with sizes, and waiting events are loaded; above it 200 again."""
    data = tmp_path / "data"
    variables = {"CIO_INBOX_FLOOR_BYTES": str(8 << 20), "CIO_WEB_WORKERS": "1"}
    with small_disk(data, "16m"), serving(tmp_path, **variables) as receiver:
        statuses = post(receiver, "before")
        (data / "filler").write_bytes(bytes(9 << 20))
        wait_until(lambda: json.loads(readiness(receiver))["status"] == "refusing")
        told = json.loads(readiness(receiver))
        statuses += post(receiver, "below")
        wait_until(lambda: is_empty(data))
        (data / "filler").unlink()
        wait_until(lambda: json.loads(readiness(receiver))["status"] != "refusing")
        statuses += post(receiver, "after")

        assert statuses == [200, 503, 200]
        assert "of 16.0 MiB free" in told["problems"][0]
        assert "leaves 8.0 MiB" in told["problems"][0]
        assert_loaded(receiver, ["before", "after"])
        receiver.stop()
        (begun,) = receiver.logged("request_refused")
        (ended,) = receiver.logged("request_refused_ended")
        assert begun["reason"] == ended["reason"] == "inbox_full"
        assert "leaves 8.0 MiB" in str(begun["problem"])


def readiness(receiver: Receiver) -> bytes:
    """Return the content of `/readyz`."""
    return receiver.page("/readyz").body


def test_a_full_disk_of_the_tables_delays_events_and_loses_none(tmp_path: Path) -> None:
    """The receiver accepts events, `/readyz` has the problem, and free space solves it."""
    tables = tmp_path / "data/tables"
    names = [f"e{n}" for n in range(4)]
    with small_disk(tables, "8m"), serving(tmp_path) as receiver:
        before = post(receiver, *names[:2])
        wait_until(lambda: is_empty(tmp_path / "data"))
        fill(tables / "filler")
        full = post(receiver, *names[2:])
        told: dict[str, Any] = {}

        def is_reported() -> bool:
            # Each worker makes its page once a second, so two requests can get different pages.
            told.update(json.loads(readiness(receiver)))
            return "nothing is lost" in str(told) and told["inbox_pending_events"] == 2

        wait_until(is_reported)
        (tables / "filler").unlink()

        assert before == full == [200, 200]
        assert told["status"] == "degraded"
        assert told["inbox_pending_events"] == 2
        assert_loaded(receiver, names)


@pytest.mark.slow
def test_read_only_folders_refuse_or_delay_events(tmp_path: Path) -> None:
    """A read-only inbox is answered 503; read-only tables are a problem in `/readyz`."""
    names = ["first", "no inbox", "no tables", "last"]
    log = tmp_path / "data/tables/webhook_raw_events/_delta_log"
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        statuses = post(receiver, "first")
        wait_until(lambda: is_empty(tmp_path / "data"))
        with unwritable(tmp_path / "data/inbox"):
            statuses += post(receiver, "no inbox")
        with unwritable(log):
            statuses += post(receiver, "no tables")
            wait_until(lambda: b"nothing is lost" in readiness(receiver))
        statuses += post(receiver, "last")

        assert statuses == [200, 503, 200, 200]
        assert_loaded(receiver, acknowledged(names, statuses))


@pytest.mark.parametrize("size", [pytest.param("16k", marks=pytest.mark.slow), "8m"])
def test_full_shared_memory_ends_no_process(tmp_path: Path, size: str) -> None:
    """If it is full at the start, the counters are on the disk; if later, they still fit."""
    script = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$0" "$@"'
    with small_disk(tmp_path / "probe", "1m"):
        pass  # skips where nothing may be mounted
    with serving(tmp_path, prefix=(*LITTLE_MEMORY, script)) as receiver:
        # The loader has its counters before it makes the tables.
        wait_until(lambda: (tmp_path / "data/tables/webhook_whatsapp_events").is_dir())
        fill(Path(f"/proc/{receiver.process.pid}/root/dev/shm/filler"))
        names = [f"e{n}" for n in range(40)]
        statuses = post(receiver, *names)

        assert statuses == [200] * 40
        assert_loaded(receiver, names)
        assert receiver.logged("child_ended") == []
        assert len(receiver.logged("web_worker_ready")) == 2
        assert bool(receiver.logged("run_folder_on_disk")) is (size == "16k")
        assert receiver.logged("metrics_not_shared") == []


@pytest.mark.parametrize(
    "trouble",
    [kill_worker, *(pytest.param(one, marks=pytest.mark.slow) for one in (kill_master, reload))],
)
@pytest.mark.slow
def test_processes_are_replaced_while_shared_memory_is_full(
    tmp_path: Path, trouble: Callable[[Receiver], None]
) -> None:
    """New processes serve although the run folder is full, and so do the old ones."""
    script = 'mount -t tmpfs -o size=8m tmpfs /dev/shm && exec "$0" "$@"'
    with small_disk(tmp_path / "probe", "1m"):
        pass  # skips where nothing may be mounted
    with serving(tmp_path, prefix=(*LITTLE_MEMORY, script)) as receiver:
        wait_until(lambda: (tmp_path / "data/tables/webhook_whatsapp_events").is_dir())
        fill(Path(f"/proc/{receiver.process.pid}/root/dev/shm/filler"))
        names = [f"e{n}" for n in range(20)]
        statuses = post(receiver, *names[:10])
        trouble(receiver)
        statuses += post(receiver, *names[10:])

        assert statuses == [200] * 20
        assert_loaded(receiver, names)


def test_a_large_body_without_space_on_the_disk_is_refused(tmp_path: Path) -> None:
    """Its first part is deleted with the request, so smaller events still have space."""
    sizes = {"too large": 20 << 20, "small": 100, "large": 1 << 20, "small again": 100}
    variables = {"CIO_INBOX_MAX_BYTES": str(1 << 30)}
    with small_disk(tmp_path / "data", "16m"), serving(tmp_path, **variables) as receiver:
        wait_until(lambda: (tmp_path / "data/tables/webhook_whatsapp_events").is_dir())
        statuses = [
            receiver.post(request(event(name, padding=size))).status for name, size in sizes.items()
        ]

        assert statuses == [503, 200, 200, 200]
        assert_loaded(receiver, [*sizes][1:])


@pytest.mark.parametrize("jump", [-86_400.0, pytest.param(86_400.0 * 365, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_jump_of_the_clock_changes_only_the_names_of_segments(
    tmp_path: Path, jump: float
) -> None:
    """Segments from before and after the jump are loaded; an event in both is one row."""
    store(tmp_path / "data", [event("before"), event("again")], clock=1_763_800_000.0)
    store(tmp_path / "data", [event("after"), event("again")], clock=1_763_800_000.0 + jump)
    with loader_process(tmp_path):
        wait_until(lambda: is_empty(tmp_path / "data"), 60)

    assert_exactly_once(tmp_path / "data", ["before", "again", "after"])


@pytest.mark.slow
def test_a_sender_whose_clock_differs_by_hours_is_refused(tmp_path: Path) -> None:
    """401 with a problem in `/readyz`, and 200 when the clocks agree again."""
    with serving(tmp_path) as receiver:
        stale = receiver.post(late(7200)).status
        told = readiness(receiver)
        good = post(receiver, "now")

        assert (stale, good) == (401, [200])
        assert b"check the clock" in told
        assert_loaded(receiver, ["now"])
    assert raw_ids(tmp_path / "data") == ["now"]


def late(seconds: int) -> bytes:
    """Return a request that was signed some seconds ago."""
    return request(event("stale"), signed(event("stale"), timestamp=int(time.time()) - seconds))
