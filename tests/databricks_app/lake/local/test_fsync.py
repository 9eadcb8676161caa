"""What is synced before a load returns, and in which order."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from databricks_app.lake.local.fsync import fsync, read_commit, sync_commits
from databricks_app.lake.local.maintenance import Policy
from tests.support.lake_events import EMAIL, RAW, event, lake_in, load
from tests.support.paths import ROOT


def test_load_syncs_files_then_folders_then_the_log(tmp_path: Path) -> None:
    """Raw is durable before the typed write begins; files are durable before their log entry."""
    synced: list[str] = []

    def sync(path: Path) -> None:
        fsync(path)
        name = os.path.relpath(path, tmp_path)  # the start syncs what is above, too
        synced.append(re.sub(r"part-[^/]*", "FILE", name).replace("event_date=", ""))

    lake = lake_in(tmp_path, sync=sync)
    lake.start()
    synced.clear()
    load(lake, event("a"))
    lake.close()

    assert synced == [
        f"tables/{table}{rest}"
        for table in (RAW, EMAIL)
        for rest in (
            "/2026-11-22/FILE",
            "/2026-11-22",
            "",
            "/_delta_log/00000000000000000001.json",
            "/_delta_log",
        )
    ]


def test_upkeep_syncs_the_checkpoint_before_it_deletes_log_entries(tmp_path: Path) -> None:
    """First the checkpoint, the file that names it, and the folder; then the clean-up."""
    seen: list[tuple[str, bool]] = []
    log = tmp_path / "tables" / RAW / "_delta_log"

    def sync(path: Path) -> None:
        if path.parent == log and not path.name.endswith(".json"):
            seen.append((path.name, (log / f"{0:020}.json").exists()))

    policy = Policy(checkpoint_every=2, checkpoint_every_at_most=2, retention=timedelta(0))
    lake = lake_in(tmp_path, sync=sync, policy=policy)
    lake.start()
    load(lake, event("a"))
    lake.close()

    assert seen == [(f"{1:020}.checkpoint.parquet", True), ("_last_checkpoint", True)]
    assert not (log / f"{0:020}.json").exists()


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_load_really_calls_fsync(tmp_path: Path) -> None:
    """The system calls show the syncs after each rename or link of the engine."""
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from tests.support.lake_events import *\n"
        "lake = lake_in(pathlib.Path(sys.argv[2])); lake.start()\n"
        "load(lake, event('a')); lake.close()\n"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,linkat", "-o", str(trace), sys.executable]
    command += ["-c", code, str(ROOT), str(tmp_path / "data")]

    traced = subprocess.run(command, check=False, capture_output=True, text=True)
    if "ptrace" in traced.stderr:
        pytest.skip("tracing is not allowed here")

    calls = re.findall(r"(fsync\(\d+<[^>]*|linkat\([^,]*, \"[^\"]*)", trace.read_text())
    entry = f"{RAW}/_delta_log/00000000000000000001.json"
    committed = next(n for n, call in enumerate(calls) if call.startswith("link") and entry in call)
    after = [call.rsplit("/", 1)[-1] for call in calls[committed + 1 : committed + 6]]
    assert [re.sub("^part-.*", "FILE", name) for name in after] == [
        "FILE",
        "event_date=2026-11-22",
        RAW,
        "00000000000000000001.json",
        "_delta_log",
    ]


@pytest.mark.parametrize("text", ["", "\n", "[]\n", "1", '{"add": ', "\0\0"])
def test_read_commit_refuses_invalid_log_entries(tmp_path: Path, text: str) -> None:
    """A power cut can leave an empty entry, which the engine reads as a commit."""
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / f"{3:020}.json").write_text(text)

    with pytest.raises(ValueError, match=r"empty|Expecting"):
        read_commit(tmp_path, 3)


def test_sync_commits_skips_files_that_a_later_commit_removed(tmp_path: Path) -> None:
    """A replaced file may be deleted already; every other file must exist."""
    log = tmp_path / "_delta_log"
    log.mkdir()
    add = {"add": {"path": "d/old%20one", "size": 1}}
    (log / f"{0:020}.json").write_text(json.dumps(add))
    (log / f"{1:020}.json").write_text(json.dumps({"remove": {"path": "d/old%20one"}}))
    commits = [read_commit(tmp_path, version) for version in (0, 1)]

    sync_commits(tmp_path, commits)
    with pytest.raises(OSError, match="No such file") as missing:
        sync_commits(tmp_path, commits[:1])

    assert missing.value.errno == errno.ENOENT
