"""The checks of the local store: its folder, its disk, its loader, its tables."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_app.errors import SettingsError
from databricks_app.ingest.inbox.filesystem import MOUNTS, filesystem_of, refuse_network_folder
from databricks_app.ingest.inbox.room import floor_bytes, floor_words, shown_bytes
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.operations.doctor.schema_diff import compare

if TYPE_CHECKING:
    from deltalake import Field

_FEW_BYTES = 1 << 30
_NO_BYTES = 64 << 20
_NEAR_FLOOR = 1.5
_COMMITS = 3


def folder(context: DoctorContext) -> CheckResult:
    """Check that the data folder can be written, or created."""
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
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"probe")
    except OSError as error:
        fix = (
            "give the receiver's user the right to write there (chown), or set CIO_DATA_DIR to "
            "another folder"
        )
        return failure(f"the folder {path} cannot be written ({error.strerror})", fix)
    return ok(f"the folder {path} can be written")


def disk(context: DoctorContext) -> CheckResult:
    """Check that the disk has more free space than is reserved for the tables."""
    usage = shutil.disk_usage(_existing(context.settings.data_dir))
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
    except SettingsError as error:
        return failure(str(error), "set CIO_DATA_DIR to a folder on a local disk")
    return ok(f"{path} is on a local file system ({filesystem_of(path, mounts)})")


def loader(context: DoctorContext) -> CheckResult:
    """Check that a loader holds the lock of the tables."""
    from databricks_app.lake.local.lock import is_held

    try:
        is_loading = is_held(context.settings.data_dir / "tables")
    except OSError as error:
        return failure(
            f"the lock of the tables cannot be read ({error.strerror})", "see the check folder"
        )
    if is_loading:
        return ok("a loader runs: it holds the lock of the tables")
    return warning("no loader is running: events stay in the inbox", "start `ciolake serve`")


def commits(context: DoctorContext) -> CheckResult:
    """Check that the newest commits of every table can be read and their files exist."""
    found = sorted((context.settings.data_dir / "tables").glob("*/_delta_log"))
    broken = [words for log in found for words in _broken(log.parent)]
    if broken:
        return failure(
            "; ".join(broken),
            "restart `ciolake serve`: it sets commits aside that a power cut damaged and loads the "
            "events again; otherwise its log says what to restore",
        )
    if not found:
        return ok("there are no tables yet")
    return ok(f"the newest commits of {len(found)} tables are complete")


def _broken(table: Path) -> list[str]:
    from databricks_app.lake.local.fsync import LOG, read_commit

    versions = sorted(
        int(file.stem) for file in (table / LOG).glob("*.json") if file.stem.isdecimal()
    )
    removed: set[str] = set()
    broken = []
    # Newest first: a file may be missing if a later commit removed it.
    for version in reversed(versions[-_COMMITS:]):
        try:
            commit = read_commit(table, version)
        except (OSError, ValueError, KeyError):
            broken.append(f"{table.name}: the log entry of version {version} cannot be read")
            continue
        removed.update(commit.removed)
        broken += [
            f"{table.name}: a data file of version {version} is missing or truncated"
            for file in commit.added
            if file.path not in removed and _size(table / file.path) != file.size
        ]
    return broken


def files(context: DoctorContext) -> CheckResult:
    """Check that every data file in the tables' logs exists and has the right size."""
    from databricks_app.lake.local.data_files import data_files

    found = sorted((context.settings.data_dir / "tables").glob("*/_delta_log"))
    named = [(log.parent.name, data_files(log.parent)) for log in found]
    bad = [(name, [one for one in all_ if one.fault]) for name, all_ in named]
    says = [
        f"{name}: {len(some)} data files with {sum(one.rows for one in some):,} events are missing "
        f"or truncated, the first is {min(one.path for one in some)}"
        for name, some in bad
        if some
    ]
    if says:
        return failure(
            "; ".join(says),
            "restore them from a backup; `ciolake verify` lists all of them and compares the other "
            "files",
        )
    number = sum(len(all_) for _, all_ in named)
    if not number:
        return ok("the tables have no data files yet")
    return ok(f"all {number:,} data files of {len(named)} tables exist and have the right size")


def tables(context: DoctorContext) -> CheckResult:
    """Check that every table has the columns and types of `sql/`."""
    from deltalake import DeltaTable, Schema

    from databricks_app.lake.local.store import definitions

    wanted, found = {}, {}
    for one in definitions():
        fields = Schema.from_arrow(one.schema).fields
        wanted[one.name] = {each.name: _spelled(each) for each in fields}
        path = context.settings.data_dir / "tables" / one.name
        if DeltaTable.is_deltatable(str(path)):
            fields = DeltaTable(path).schema().fields
            found[one.name] = {each.name: _spelled(each) for each in fields}
    differences = compare(wanted, found)
    if differences.is_empty:
        return warning("there are no tables yet", "start `ciolake serve`, which creates the tables")
    if lines := differences.lines():
        fix = "restart `ciolake serve`, which creates missing tables and columns"
        if differences.types:
            fix = (
                f"move {', '.join(differences.types)} out of the folder, then restart `ciolake "
                "serve`, which creates them again"
            )
        return failure("; ".join(lines), fix)
    return ok(f"{len(found)} tables match sql/")


def properties(context: DoctorContext) -> CheckResult:
    """Check that the tables have the properties that leave clean-up of the log to the loader."""
    from deltalake import DeltaTable

    from databricks_app.lake.local.maintenance import Policy

    wanted = Policy().table_properties()
    found = sorted((context.settings.data_dir / "tables").glob("*/_delta_log"))
    if not found:
        return skipped("there are no tables yet")
    other = []
    for log in found:
        have = DeltaTable(log.parent).metadata().configuration
        names = sorted(name for name, value in wanted.items() if have.get(name) != value)
        other += [f"{log.parent.name} lacks {', '.join(names)}"] if names else []
    if other:
        return warning("; ".join(other), "restart `ciolake serve`, which sets them")
    # No isolation level here, unlike on Databricks: the lock allows one loader at a time.
    return ok(f"{len(found)} tables have the right table properties")


def _spelled(field: Field) -> str:
    """Return the type of a column, such as `long`."""
    return field.type.to_json().strip('"')


def _existing(path: Path) -> Path:
    """Return the path, or its nearest parent that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def _size(file: Path) -> int:
    """Return the size in bytes; -1 if the file cannot be read."""
    try:
        return file.stat().st_size
    except OSError:
        return -1
