"""Folders that cannot be written and full disks: which, why, and the right one of two fixes.

The receiver is a real one, so its own words are judged too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.databricks_double import readiness
from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import request
from databricks_app.ingest.inbox.local import LocalInbox
from tests.support.disks import fill, small_disk, unwritable
from tests.support.doctoring import context_of, found, wrong


def test_an_unwritable_inbox_is_named_with_the_right_to_give(tmp_path: Path) -> None:
    """By the check of the folders, by the canary and by `/readyz`; the disk is well."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        inbox = tmp_path / "data/inbox"
        wait_until(lambda: readiness(receiver)["status"] == "ok")
        with unwritable(inbox):
            results = wrong(context_of(tmp_path / "data", receiver.url))

    assert results["folder"].state == "failure"
    assert str(inbox) in results["folder"].says
    for name in ("folder", "canary"):
        assert "chown" in results[name].fix
    assert str(inbox) in results["canary"].says
    assert "disk" not in results


@pytest.mark.parametrize("name", ["inbox", "tables"])
def test_every_folder_that_is_written_is_checked(tmp_path: Path, name: str) -> None:
    """The folder above them may have another owner."""
    (tmp_path / name).mkdir()
    with unwritable(tmp_path / name):
        result = found(context_of(tmp_path), "folder")

    assert result.state == "failure"
    assert str(tmp_path / name) in result.says
    assert not list(tmp_path.glob("**/.doctor*"))


@pytest.mark.slow
def test_a_full_disk_is_told_as_that(tmp_path: Path) -> None:
    """Free space, not rights, by every check that meets it."""
    with small_disk(tmp_path / "data", "8m"), serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        wait_until(lambda: readiness(receiver)["status"] == "ok")
        fill(tmp_path / "data/filler")
        assert receiver.post(request(event("e", padding=10_000))).status == 503
        wait_until(lambda: readiness(receiver)["status"] == "refusing")
        results = wrong(context_of(tmp_path / "data", receiver.url, CIO_INBOX_FLOOR_BYTES="0"))

    for name in ("disk", "folder", "ready", "canary"):
        assert results[name].state == "failure", name
        assert "chown" not in results[name].fix, name
        assert "free" in results[name].says + results[name].fix, name
    assert "No space left on device" in results["canary"].says


def test_a_disk_without_room_for_more_files_is_told(tmp_path: Path) -> None:
    """It is full although bytes are free."""
    with small_disk(tmp_path / "data", "64m,nr_inodes=20"):
        result = found(context_of(tmp_path / "data", CIO_INBOX_FLOOR_BYTES="0"), "disk")

    assert result.state == "failure"
    assert "df -i" in result.fix


def test_an_inbox_without_the_right_to_write_is_trouble_before_the_first_event(
    tmp_path: Path,
) -> None:
    """`/readyz` does not wait for a refused event to say so."""
    inbox = LocalInbox(tmp_path / "inbox", floor_bytes=0)
    with unwritable(tmp_path / "inbox"):
        trouble = inbox.trouble() or ""
    assert inbox.trouble() is None
    inbox.close()

    assert "chown" in trouble
    assert str(tmp_path / "inbox") in trouble
