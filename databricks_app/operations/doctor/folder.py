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
    """The data folder is there and takes a file, or can be made."""
    path = context.settings.data_dir
    if not path.exists():
        parent = _existing(path)
        if os.access(parent, os.W_OK | os.X_OK):
            return warning(f"{path} does not exist yet", "`ciolake serve` makes it at its start")
        return failure(f"{path} cannot be made in {parent}", f"make {parent} writable")
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"probe")
    except OSError as error:
        fix = f"let the receiver's user write there: chown, or another CIO_DATA_DIR than {path}"
        return failure(f"{path} cannot be written ({error.strerror})", fix)
    return ok(f"{path} can be written")


def disk(context: DoctorContext) -> CheckResult:
    """There is room left, more than the inbox must leave to the tables."""
    usage = shutil.disk_usage(_existing(context.settings.data_dir))
    return judged_room(usage.free, usage.total, context.settings.inbox_floor_bytes)


def judged_room(free: int, total: int, chosen_floor: int | None) -> CheckResult:
    """Judge so many bytes that are left of a disk, of which the inbox leaves some free."""
    floor = floor_bytes(total, chosen_floor)
    if free < floor:
        return failure(
            floor_words(free, total, floor),
            "do so: until then the receiver answers 503, and Customer.io sends again",
        )
    says = (
        f"{shown_bytes(free)} of {shown_bytes(total)} are free; the inbox leaves "
        f"{shown_bytes(floor)} to the tables"
    )
    fix = "make room, or move CIO_DATA_DIR to a larger disk; with less the receiver answers 503"
    if free < _NO_BYTES:
        return failure(says, fix)
    few = max(floor * _NEAR_FLOOR, min(_FEW_BYTES, total / 10))
    return warning(says, fix) if free < few else ok(says)


def filesystem(context: DoctorContext, mounts: Path = MOUNTS) -> CheckResult:
    """The folder lies on a local disk."""
    path = _existing(context.settings.data_dir)
    try:
        refuse_network_folder(path, mounts)
    except SettingsError as error:
        return failure(str(error), "set CIO_DATA_DIR to a folder on a local disk")
    return ok(f"{path} lies on {filesystem_of(path, mounts)}")


def loader(context: DoctorContext) -> CheckResult:
    """Somebody holds the lock of the tables."""
    from databricks_app.lake.local.lock import is_held

    try:
        is_loading = is_held(context.settings.data_dir / "tables")
    except OSError as error:
        return failure(f"the lock cannot be read ({error.strerror})", "see the check folder")
    if is_loading:
        return ok("a loader has the lock of the tables")
    return warning("no loader is running: events stay in the inbox", "start `ciolake serve`")


def commits(context: DoctorContext) -> CheckResult:
    """The newest commits of every table are whole: readable, and their files are there."""
    found = sorted((context.settings.data_dir / "tables").glob("*/_delta_log"))
    broken = [words for log in found for words in _broken(log.parent)]
    if broken:
        return failure(
            "; ".join(broken),
            "restart `ciolake serve`: it moves aside what a power cut broke and loads it again, or "
            "says what to restore",
        )
    return ok(f"the newest commits of {len(found)} tables are whole")


def _broken(table: Path) -> list[str]:
    from databricks_app.lake.local.fsync import LOG, read_commit

    versions = sorted(int(file.stem) for file in (table / LOG).glob("*.json") if _is_entry(file))
    removed: set[str] = set()
    broken = []
    # What a later commit took out may be gone, so the newest comes first.
    for version in reversed(versions[-_COMMITS:]):
        try:
            commit = read_commit(table, version)
        except (OSError, ValueError, KeyError):
            broken.append(f"{table.name}: the entry of version {version} cannot be read")
            continue
        removed.update(commit.removed)
        broken += [
            f"{table.name}: a file of version {version} is missing or cut"
            for file in commit.added
            if file.path not in removed and _size(table / file.path) != file.size
        ]
    return broken


def files(context: DoctorContext) -> CheckResult:
    """Every data file that the tables name lies in the folder and has its size, old ones too."""
    from databricks_app.lake.local.data_files import data_files

    found = sorted((context.settings.data_dir / "tables").glob("*/_delta_log"))
    named = [(log.parent.name, data_files(log.parent)) for log in found]
    bad = [(name, [one for one in all_ if one.fault]) for name, all_ in named]
    says = [
        f"{name}: {len(some)} data files are missing or cut ({sum(one.rows for one in some):,} "
        f"events), the first is {min(one.path for one in some)}"
        for name, some in bad
        if some
    ]
    if says:
        return failure(
            "; ".join(says),
            "restore them from a backup; `ciolake verify` names each of them and compares the rest",
        )
    number = sum(len(all_) for _, all_ in named)
    return ok(f"{number:,} data files of {len(named)} tables are there, each with its size")


def tables(context: DoctorContext) -> CheckResult:
    """The tables have the columns, types and settings that the receiver gives them."""
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
        return warning("there are no tables yet", "`ciolake serve` makes them at its start")
    if lines := differences.lines():
        fix = "restart `ciolake serve`: it makes what is missing"
        if differences.types:
            fix = f"move {', '.join(differences.types)} out of the folder: they are made anew"
        return failure("; ".join(lines), fix)
    return ok(f"{len(found)} tables are as sql/ says")


def properties(context: DoctorContext) -> CheckResult:
    """The tables have the properties that keep the log and its clean-up in our hands."""
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
        return warning("; ".join(other), "restart `ciolake serve`: it sets them")
    return ok("the tables have their properties; one loader at a time needs no isolation level")


def _spelled(field: Field) -> str:
    """The type of a column, e.g. `long`."""
    return field.type.to_json().strip('"')


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def _is_entry(file: Path) -> bool:
    return file.stem.isdecimal()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1
