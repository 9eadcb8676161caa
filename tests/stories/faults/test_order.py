"""The order of writes and syncs, from the system calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.crashes import loader_process
from benchmarks.harness.events import event, store
from benchmarks.harness.exactly_once import is_empty
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import request
from tests.support.paths import ROOT
from tests.support.strace import SystemCall, calls, last_ended, needs_strace, strace

NAMING = ("rename", "renameat", "renameat2", "link", "linkat", "openat")
ANSWERS = "write,writev,sendto,sendmsg"
CHANGES = "fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,link,linkat,openat"
SCRIPT = """
import sys
from pathlib import Path
from tests.support.lake_events import event, lake_in, load
from benchmarks.harness.crashes import BUSY
lake = lake_in(Path(sys.argv[1]), policy=BUSY)
lake.start()
for number in range(4):
    load(lake, event(f"e{number}"))
lake.close()
"""


def named(found: list[SystemCall], folder: Path) -> dict[str, int]:
    """Return the files that were created in a folder, and the line at which each got its name."""
    return {
        one.paths[-1]: one.ended
        for one in found
        if one.name in NAMING
        and one.is_good
        and one.paths
        and (one.name != "openat" or "O_CREAT" in one.arguments)
        and one.paths[-1].startswith(str(folder))
    }


@needs_strace
def test_the_frame_is_synced_before_the_answer_is_sent(tmp_path: Path) -> None:
    """First the name of the segment is durable, then write, `fdatasync`, and then the 200."""
    log = tmp_path / "strace"
    traced = "write,writev,fdatasync,fsync,sendto,sendmsg,rename"
    variables = {"CIO_WEB_WORKERS": "1"}
    with serving(tmp_path, prefix=strace(log, traced), **variables) as receiver:
        answer = receiver.post(request(event("traced")))
        receiver.stop()

    found = calls(log)
    (sent,) = [one for one in found if "HTTP/1.1 200" in one.arguments]
    (written,) = [one for one in found if one.name == "writev" and "CIO1" in one.arguments]
    (segment,) = written.paths
    synced = last_ended(found, "fdatasync", segment, sent.began)
    assert answer.status == 200
    assert synced is not None
    assert written.ended < synced.began
    assert last_ended(found, "fsync", str(Path(segment).parent), written.began) is not None


def unnamed(found: list[SystemCall], data: Path, before: int) -> list[str]:
    """Return the folders, created before a line, whose parent folders were not synced then."""
    made = [
        one
        for one in found
        if one.name.startswith("mkdir") and one.is_good and one.paths and one.ended < before
    ]
    left = []
    for one in made:
        path = Path(one.paths[-1])
        synced = last_ended(found, "fsync", str(path.parent), before)
        if path.is_relative_to(data) and (synced is None or synced.began < one.ended):
            left.append(str(path))
    return left


@needs_strace
def test_new_folders_have_durable_names_before_their_content_counts(tmp_path: Path) -> None:
    """Inbox and data folder before the first 200; tables and days before a segment is deleted."""
    log = tmp_path / "strace"
    traced = f"{CHANGES},mkdir,mkdirat,{ANSWERS}"
    # Absolute, so that the log has whole paths.
    variables = {"CIO_WEB_WORKERS": "1", "CIO_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path, prefix=strace(log, traced), **variables) as receiver:
        answer = receiver.post(request(event("first")))
        wait_until(lambda: is_empty(tmp_path / "data"), 60)
        receiver.stop()

    found = calls(log)
    data = tmp_path / "data"
    (sent,) = [one for one in found if "HTTP/1.1 200" in one.arguments]
    (removed,) = [
        one for one in found if one.name.startswith("unlink") and ".seg" in str(one.paths)
    ]
    folders = [path for path in data.rglob("*") if path.is_dir()]
    made = {one.paths[-1] for one in found if one.name.startswith("mkdir") and one.paths}
    assert answer.status == 200
    assert {str(one) for one in (data, *folders)} <= made
    assert [one for one in unnamed(found, data, sent.began) if "/tables" not in one] == []
    assert unnamed(found, data, removed.began) == []


@needs_strace
@pytest.mark.slow
def test_the_quarantine_has_a_durable_name_before_its_segment_is_deleted(tmp_path: Path) -> None:
    """Otherwise a loss of power could lose the damaged bytes."""
    data, log = tmp_path / "data", tmp_path / "strace"
    store(data, [event("a"), event("b")])
    (segment,) = (data / "inbox").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[-10] ^= 1
    segment.write_bytes(content)
    with loader_process(tmp_path, prefix=strace(log, f"{CHANGES},mkdir,mkdirat")):
        wait_until(lambda: is_empty(data), 60)

    found = calls(log)
    (removed,) = [one for one in found if one.name == "unlink" and ".seg" in str(one.paths)]
    (made,) = [
        one
        for one in found
        if one.name == "mkdir" and one.is_good and one.paths[-1].endswith("inbox/quarantine")
    ]
    (began,) = [one for one in found if one.name == "openat" and "/quarantine/" in str(one.paths)]
    named = last_ended(found, "fsync", str(data / "inbox"), removed.began)
    assert named is not None
    assert made.ended < named.began
    assert list((data / "inbox/quarantine").iterdir())
    assert began.ended < removed.began


@needs_strace
@pytest.mark.slow
def test_existing_folders_are_synced_before_the_first_answer(tmp_path: Path) -> None:
    """The process that created them may have died before it synced them."""
    (tmp_path / "data/inbox").mkdir(parents=True)
    log = tmp_path / "strace"
    with serving(tmp_path, prefix=strace(log, f"fsync,{ANSWERS}"), CIO_WEB_WORKERS="1") as receiver:
        receiver.post(request(event("first")))
        receiver.stop()

    found = calls(log)
    (sent,) = [one for one in found if "HTTP/1.1 200" in one.arguments]
    for parent in (tmp_path / "data", tmp_path):
        assert last_ended(found, "fsync", str(parent), sent.began) is not None, parent


@needs_strace
def test_tables_are_synced_before_a_segment_is_deleted(tmp_path: Path) -> None:
    """Each Parquet file, each log entry, and their folders, also new ones."""
    data, log = tmp_path / "data", tmp_path / "strace"
    store(data, [event("a"), event("b", "sms/sent", 1)])
    with loader_process(tmp_path, prefix=strace(log, CHANGES)):
        wait_until(lambda: is_empty(data), 60)

    found = calls(log)
    (removed,) = [
        one for one in found if one.name.startswith("unlink") and ".seg" in str(one.paths)
    ]
    tables = data / "tables"
    kept = [
        path
        for path in tables.rglob("*")
        if path.suffix in (".parquet", ".json") and path.name != "_last_checkpoint"
    ]
    made = named(found, tables)
    assert len(kept) >= 13  # nine definitions, two raw files or more, two typed ones, their commits
    for path in kept:
        synced = last_ended(found, "fsync|fdatasync", str(path), removed.began)
        assert synced is not None, path
        folder = last_ended(found, "fsync", str(path.parent), removed.began)
        assert folder is not None, path.parent
        assert folder.began > made[str(path)], path
    for folder_path in {path.parent for path in kept if path.suffix == ".parquet"}:
        table = last_ended(found, "fsync", str(folder_path.parent), removed.began)
        assert table is not None, folder_path


@needs_strace
def test_data_files_are_synced_before_the_log_entry_that_names_them(tmp_path: Path) -> None:
    """So a durable log entry never names a data file that is not durable."""
    data, log = tmp_path / "data", tmp_path / "strace"
    store(data, [event("a")])
    with loader_process(tmp_path, prefix=strace(log, CHANGES)):
        wait_until(lambda: is_empty(data), 60)

    found = calls(log)
    for file in (data / "tables").rglob("*.parquet"):
        entry = file.parents[1] / "_delta_log" / f"{1:020}.json"
        data_synced = last_ended(found, "fsync", str(file), 1 << 60)
        entry_synced = last_ended(found, "fsync", str(entry), 1 << 60)
        assert data_synced is not None
        assert entry_synced is not None
        assert data_synced.ended < entry_synced.began


@needs_strace
@pytest.mark.slow
def test_a_log_is_cleaned_up_only_after_a_synced_checkpoint(tmp_path: Path) -> None:
    """A log entry is deleted only if a durable checkpoint has its content."""
    log = tmp_path / "strace"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*strace(log, CHANGES), sys.executable, script, tmp_path],
        env=environ,
        check=True,
    )

    found = calls(log)
    removed = [
        one
        for one in found
        if one.name.startswith("unlink")
        and "_delta_log" in one.arguments
        and one.arguments.rstrip('"').endswith(".json")
        and one.is_good
    ]
    assert removed
    for one in removed:
        path = Path(one.paths[-1])
        checkpoints = [
            (other, Path(file))
            for other in found
            for file in other.paths
            if other.name == "fsync"
            and other.ended < one.began
            and file.endswith(".checkpoint.parquet")
            and Path(file).parent == path.parent
            and int(Path(file).name[:20]) >= int(path.name[:20])
        ]
        assert checkpoints, path
        named_again = last_ended(found, "fsync", str(path.parent), one.began)
        assert named_again is not None
        assert named_again.began > checkpoints[0][0].ended
