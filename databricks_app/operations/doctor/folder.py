"""The checks of the local store and of the local inbox: folders, disk, loader."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import httpx2

from databricks_app.errors import SettingsError
from databricks_app.ingest.inbox.disk_faults import fault_of_folder
from databricks_app.ingest.inbox.filesystem import (
    MOUNTS,
    filesystem_of,
    refuse_lost_folder,
    refuse_network_folder,
)
from databricks_app.ingest.inbox.room import floor_bytes, floor_words, shown_bytes
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.endpoint import counts
from databricks_app.operations.doctor.result import CheckResult, failure, ok, warning

_FEW_BYTES = 1 << 30
_NO_BYTES = 64 << 20
_FEW_INODES = 1000
_NEAR_FLOOR = 1.5
# As in `/readyz`: the loader reports every 20 s at least.
_SILENT_SECONDS = 60.0


def folder(context: DoctorContext) -> CheckResult:
    """Check that the data folder, the inbox and the tables can be written, or created."""
    path = context.settings.data_dir
    if not path.exists():
        parent = _existing(path)
        if os.access(parent, os.W_OK | os.X_OK):
            return warning(
                f"the folder {path} does not exist yet", "start `ciolake serve`, which creates it"
            )
        return failure(
            f"the folder {path} cannot be created, because {parent} is not writable",
            f"make {parent} writable",
        )
    # The receiver writes into the inbox, the loader into the tables; each may have another owner.
    folders = (path, context.settings.inbox_dir, path / "tables")
    faults = [fault for one in folders if one.exists() and (fault := _fault_of_writing(one))]
    if faults:
        says, _, fix = faults[0].partition(": ")
        return failure(says, fix)
    return ok(f"the folder {path} can be written, with its inbox and its tables")


def _fault_of_writing(folder: Path) -> str | None:
    """Write a small file with a name and remove it; return what is wrong, then what to do."""
    try:
        with tempfile.NamedTemporaryFile(
            buffering=0, dir=folder, prefix=".doctor-", suffix=".new"
        ) as file:
            file.write(b"probe")
    except OSError as error:
        return fault_of_folder(folder, error)
    return None


def disk(context: DoctorContext) -> CheckResult:
    """Check that the disk has more free space than is reserved for the tables."""
    path = _existing(context.settings.inbox_dir)
    usage = shutil.disk_usage(path)
    inodes = os.statvfs(path)
    # Some file systems have no such limit, and report 0 of 0.
    if inodes.f_files and inodes.f_favail < _FEW_INODES:
        return failure(
            f"the disk has room for {inodes.f_favail:,} more files of {inodes.f_files:,}, though "
            f"{shown_bytes(usage.free)} are free",
            "delete small files on that disk (`df -i` shows the number), or move CIO_DATA_DIR",
        )
    return judged_room(usage.free, usage.total, context.settings.inbox_floor_bytes)


def judged_room(free: int, total: int, chosen_floor: int | None) -> CheckResult:
    """Return the result for a disk with so many free bytes of a total.

    Args:
        free: Bytes.
        total: Bytes.
        chosen_floor: CIO_INBOX_FLOOR_BYTES; None: the default.
    """
    floor = floor_bytes(total, chosen_floor)
    if free < floor:
        return failure(
            floor_words(free, total, floor),
            "do that now: until then the receiver answers 503, and Customer.io sends the events "
            "again later",
        )
    says = (
        f"{shown_bytes(free)} of {shown_bytes(total)} are free; {shown_bytes(floor)} of that are "
        "reserved for the tables"
    )
    fix = (
        "free disk space, or move CIO_DATA_DIR to a larger disk; when only the reserve is left, "
        "the receiver answers 503"
    )
    if free < _NO_BYTES:
        return failure(says, fix)
    few = max(floor * _NEAR_FLOOR, min(_FEW_BYTES, total / 10))
    return warning(says, fix) if free < few else ok(says)


def filesystem(context: DoctorContext, mounts: Path = MOUNTS) -> CheckResult:
    """Check that the data folder is on a local disk, not on a network file system."""
    path = _existing(context.settings.data_dir)
    try:
        refuse_network_folder(path, mounts)
        if context.workspace is not None:
            refuse_lost_folder(_existing(context.settings.inbox_dir), mounts)
    except SettingsError as error:
        return failure(str(error), "set CIO_DATA_DIR to a folder on a local disk that lasts")
    return ok(f"{path} is on a local file system ({filesystem_of(path, mounts)})")


def loader(context: DoctorContext) -> CheckResult:
    """Check that a loader holds the lock of the tables, and reports."""
    from databricks_app.lake.local.lock import is_held

    try:
        is_loading = is_held(context.settings.data_dir / "tables")
    except OSError as error:
        return failure(
            f"the lock of the tables cannot be read ({error.strerror})", "see the check folder"
        )
    if is_loading:
        silent = _silent_seconds(context)
        if silent <= _SILENT_SECONDS:
            return ok("a loader runs: it holds the lock of the tables")
        return failure(
            f"the loader holds the lock of the tables and has not reported for {silent:.0f} s: it "
            "hangs, and events stay in the inbox",
            "see what it waits for (`ps`: T is stopped, D waits for a disk), and kill it: `ciolake "
            "serve` starts another one, and nothing is lost",
        )
    return warning("no loader is running: events stay in the inbox", "start `ciolake serve`")


def _silent_seconds(context: DoctorContext) -> float:
    """Return for how long the loader has not reported to the receiver; 0 if that is unknown."""
    if context.destination is None:
        return 0.0
    try:
        found = counts(context, "ciolake_writer_silent_seconds")
    except httpx2.HTTPError:
        return 0.0
    return max((value for _, value in found), default=0.0)


def _existing(path: Path) -> Path:
    """Return the path, or its nearest parent that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())
