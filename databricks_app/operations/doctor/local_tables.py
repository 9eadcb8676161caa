"""The checks of the local tables: their logs, their data files, their columns and properties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_app.errors import LakeError
from databricks_app.lake import RAW_TABLE
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.operations.doctor.schema_diff import compare

if TYPE_CHECKING:
    from collections.abc import Collection

    from deltalake import DeltaTable, Field

_COMMITS = 3
_CHECKPOINT = ".checkpoint.parquet"
_POWER_CUT = (
    "restart `ciolake serve`: it sets commits aside that a power cut damaged and loads the events "
    "again; otherwise its log says what to restore"
)
_SEE_COMMITS = "see the check commits"


@dataclass(frozen=True, slots=True)
class _Damage:
    """A fault of a table's log, and what to do about it."""

    says: str
    fix: str


def commits(context: DoctorContext) -> CheckResult:
    """Check that no log entry is missing, and that the newest commits have all their files."""
    found = _folders(context.settings.data_dir)
    damage = [one for table in found for one in _damage(table)]
    if damage:
        fixes = dict.fromkeys(one.fix for one in damage)
        return failure("; ".join(one.says for one in damage), "\n".join(fixes))
    if not found:
        return ok("there are no tables yet")
    return ok(f"the newest commits of {len(found)} tables are complete")


def _damage(table: Path) -> Iterator[_Damage]:
    from databricks_app.lake.local.fsync import LOG, log_entry

    versions = sorted(
        int(file.stem) for file in (table / LOG).glob("*.json") if file.stem.isdecimal()
    )
    base = max(
        (
            int(file.name.removesuffix(_CHECKPOINT))
            for file in (table / LOG).glob(f"*{_CHECKPOINT}")
            if file.name.removesuffix(_CHECKPOINT).isdecimal()
        ),
        default=-1,
    )
    if not versions and base < 0:
        if _has_data(table):
            says = f"{table.name}: its log is missing, and its data files exist"
            yield _Damage(says, _restore(table, table / LOG))
        return
    newer = [version for version in versions if version > base]
    for wanted, version in enumerate(newer, base + 1):
        if wanted != version:
            says = f"{table.name}: the log entry of version {wanted} is missing, newer ones exist"
            yield _Damage(says, _restore(table, log_entry(table, wanted)))
            return
    for version in newer[:-_COMMITS]:
        if not _is_readable(table, version):
            says = f"{table.name}: the log entry of version {version} cannot be read"
            yield _Damage(says, _restore(table, log_entry(table, version)))
    yield from (_Damage(says, _POWER_CUT) for says in _broken(table, versions[-_COMMITS:]))


def _broken(table: Path, versions: list[int]) -> Iterator[str]:
    """Yield what is wrong with the newest commits."""
    from databricks_app.lake.local.fsync import read_commit

    removed: set[str] = set()
    # Newest first: a file may be missing if a later commit removed it.
    for version in reversed(versions):
        if not _is_readable(table, version):
            yield f"{table.name}: the log entry of version {version} cannot be read"
            continue
        commit = read_commit(table, version)
        removed.update(commit.removed)
        for file in commit.added:
            if file.path not in removed and _size(table / file.path) != file.size:
                yield f"{table.name}: a data file of version {version} is missing or truncated"


def _is_readable(table: Path, version: int) -> bool:
    from databricks_app.lake.local.fsync import read_commit

    try:
        read_commit(table, version)
    except (OSError, ValueError, KeyError):
        return False
    return True


def _restore(table: Path, missing: Path) -> str:
    """Return what to do if a part of a log is gone that no restart can repair."""
    if table.name == RAW_TABLE:
        return (
            f"stop `ciolake serve` and restore {missing} from a backup. Without a backup, keep the "
            "folder of the table: its data files still have the events. Until then nothing is "
            "loaded, and the inbox keeps new events"
        )
    return (
        f"stop `ciolake serve` and restore {missing} from a backup. Without a backup, move the "
        f"folder {table} away, start `ciolake serve`, and run `ciolake replay --table "
        f"{table.name}`: it fills the table again from {RAW_TABLE}"
    )


def files(context: DoctorContext) -> CheckResult:
    """Check that every data file in the tables' logs exists and has the right size."""
    from databricks_app.lake.local.data_files import data_files

    named, unreadable = [], []
    for table in _folders(context.settings.data_dir):
        try:
            named.append((table.name, data_files(table)))
        except LakeError:
            unreadable.append(table.name)
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
    if unreadable:
        return skipped(f"the log of {', '.join(unreadable)} cannot be read", _SEE_COMMITS)
    number = sum(len(all_) for _, all_ in named)
    if not number:
        return ok("the tables have no data files yet")
    return ok(f"all {number:,} data files of {len(named)} tables exist and have the right size")


def tables(context: DoctorContext) -> CheckResult:
    """Check that every table has the columns and types of `sql/`."""
    from deltalake import Schema

    from databricks_app.lake.local.store import definitions

    opened, unreadable = _opened(context.settings.data_dir)
    if unreadable:
        return _unreadable(unreadable)
    wanted = {
        one.name: {each.name: _spelled(each) for each in Schema.from_arrow(one.schema).fields}
        for one in definitions()
    }
    found = {
        name: {each.name: _spelled(each) for each in table.schema().fields}
        for name, table in opened.items()
        if name in wanted
    }
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
    from databricks_app.lake.local.maintenance import Policy

    wanted = Policy().table_properties()
    opened, unreadable = _opened(context.settings.data_dir)
    if unreadable:
        return _unreadable(unreadable)
    if not opened:
        return skipped("there are no tables yet")
    other = []
    for table, delta in opened.items():
        have = delta.metadata().configuration
        names = sorted(name for name, value in wanted.items() if have.get(name) != value)
        other += [f"{table} lacks {', '.join(names)}"] if names else []
    if other:
        return warning("; ".join(other), "restart `ciolake serve`, which sets them")
    # No isolation level here, unlike on Databricks: the lock allows one loader at a time.
    return ok(f"{len(opened)} tables have the right table properties")


def _opened(data_dir: Path) -> tuple[dict[str, DeltaTable], list[str]]:
    """Open all tables; return also the names of those that exist and cannot be opened."""
    from deltalake import DeltaTable

    from databricks_app.lake.local.table_handle import translated_errors

    opened: dict[str, DeltaTable] = {}
    unreadable: list[str] = []
    for table in _folders(data_dir):
        try:
            with translated_errors(table.name):
                if DeltaTable.is_deltatable(str(table)):
                    opened[table.name] = DeltaTable(table)
                elif _has_data(table):
                    unreadable.append(table.name)
        except LakeError:
            unreadable.append(table.name)
    return opened, unreadable


def _unreadable(names: Collection[str]) -> CheckResult:
    return failure(f"the log of {', '.join(names)} cannot be read", _SEE_COMMITS)


def _folders(data_dir: Path) -> list[Path]:
    """Return the folders of the tables, sorted by name."""
    folder = data_dir / "tables"
    return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def _has_data(table: Path) -> bool:
    return any(table.glob("*/*.parquet"))


def _spelled(field: Field) -> str:
    """Return the type of a column, such as `long`."""
    return field.type.to_json().strip('"')


def _size(file: Path) -> int:
    """Return the size in bytes; -1 if the file cannot be read."""
    try:
        return file.stat().st_size
    except OSError:
        return -1
