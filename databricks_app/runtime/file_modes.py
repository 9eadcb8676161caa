"""File modes of the data folder and `.env`: who may read them.

Event bodies are personal data and `.env` contains keys, so only the owner may read inbox,
quarantine and `.env`. The admin may let a group read the tables: with the setgid bit on `tables/`
or on the data folder. Others may read nothing.

Existing folders and files are corrected at the start. Imports `folder_sync` and structlog.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from databricks_app.runtime.folder_sync import sync_folder, sync_names

PRIVATE_UMASK = 0o077
SHARED_UMASK = 0o027
TABLES = "tables"
_PRIVATE = ("inbox", "quarantine")
# All names in a data folder that is only ours; a disk of its own has `lost+found`.
_OWN = frozenset((TABLES, *_PRIVATE, "alerts.json", "alerts.new", "lost+found"))
# A link or a FIFO that somebody puts there meanwhile must not lead elsewhere, and must not block.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

log = structlog.get_logger(__name__)


def make_private_folder(folder: Path, sync: Callable[[Path], None] = sync_folder) -> None:
    """Make a folder and its missing parents; only the owner may use them. Their names are durable.

    Args:
        folder: If it exists, its name is still made durable.
        sync: Makes the names in a folder durable.

    Raises:
        OSError: A folder cannot be made, or the disk failed.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        # A new folder inherits the setgid bit of its parent, which would let a group read here.
        one.chmod(0o700)
    sync_names(folder, sync)


def create_private_file(path: Path) -> BinaryIO:
    """Open a new or truncated file for writing; only the owner may read it.

    Raises:
        OSError: The file cannot be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb")


def tables_group(data_dir: Path) -> int | None:
    """Return the id of the group that may read the tables; None if there is none."""
    for folder in (data_dir / TABLES, data_dir):
        try:
            found = folder.stat()
        except OSError:
            continue
        if found.st_mode & stat.S_ISGID:
            return found.st_gid
    return None


def tables_umask(data_dir: Path) -> int:
    """Return the umask of a process that writes tables."""
    # The engine has no option for modes: its files get their mode from the umask alone.
    return PRIVATE_UMASK if tables_group(data_dir) is None else SHARED_UMASK


def make_tables_folder(data_dir: Path, sync: Callable[[Path], None] = sync_folder) -> None:
    """Make the folder of the tables if it is missing.

    Args:
        data_dir: Holds it; made too if missing.
        sync: As of `make_private_folder`.

    Raises:
        OSError: The folder cannot be made, or the disk failed.
    """
    make_private_folder(data_dir, sync)
    # If the data folder is setgid, the new folder inherits its group and the bit.
    mode = 0o700 if tables_group(data_dir) is None else 0o750
    (data_dir / TABLES).mkdir(mode=mode, exist_ok=True)
    sync(data_dir)


def correct(data_dir: Path, env_file: Path | None) -> None:
    """Remove rights that nobody should have, except below `tables/`; log what was changed.

    Args:
        data_dir: The data folder. Its own mode stays unchanged if it contains other files too.
        env_file: The file `.env`; None if there is none.
    """
    group = tables_group(data_dir)
    correction = _Correction()
    if env_file is not None:
        correction.top(env_file, None)
    if _is_ours(data_dir):
        correction.data_folder(data_dir, group)
    # Top folders first: nobody can open a file in a folder that he may not enter.
    correction.top(data_dir / TABLES, group)
    for name in _PRIVATE:
        correction.top(data_dir / name, None)
        correction.tree(data_dir / name, None)
    correction.log_changes(data_dir)


def correct_tables(data_dir: Path) -> None:
    """Remove rights that nobody should have below `tables/`; log what was changed.

    No other process may write there meanwhile.
    """
    group = tables_group(data_dir)
    correction = _Correction()
    with os.scandir(data_dir / TABLES) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            status = entry.stat(follow_symlinks=False)
            has_group = group is None or status.st_gid == group
            # `tree` corrects the folder of a table last. If its mode is right, all files below are
            # right too: a year of files is read once, not at every start.
            if not has_group or stat.S_IMODE(status.st_mode) != _wanted(status.st_mode, group):
                correction.tree(Path(entry.path), group)
        elif not entry.is_symlink():
            correction.top(Path(entry.path), group)
    correction.log_changes(data_dir)


@dataclass(slots=True)
class _Correction:
    """Corrects modes and counts the changes.

    Attributes:
        folders: Number of changed folders.
        files: Number of changed files.
        refused: Number of folders and files that the system did not let us change or list.
    """

    folders: int = 0
    files: int = 0
    refused: int = 0

    def top(self, path: Path, group: int | None) -> None:
        """Correct one folder or file; do nothing if it is missing."""
        try:
            resolved = path.resolve(strict=True)
            found = resolved.stat()
        except OSError:
            return
        self._change(str(resolved), None, found, _wanted(found.st_mode, group), group)

    def tree(self, top: Path, group: int | None) -> None:
        """Correct everything in a folder, then the folder; follow no symbolic links."""
        if not top.exists():
            return

        def count_refused(_error: OSError) -> None:
            self.refused += 1

        for _, _, names, folder in os.fwalk(top.resolve(), topdown=False, onerror=count_refused):
            for name in names:
                try:
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                except OSError:
                    continue  # the file was deleted meanwhile
                if stat.S_ISREG(found.st_mode):
                    self._change(name, folder, found, _wanted(found.st_mode, group), group)
            found = os.fstat(folder)
            self._change(".", folder, found, _wanted(found.st_mode, group), group)

    def data_folder(self, folder: Path, group: int | None) -> None:
        """Let the group of the tables pass through the data folder, and nobody else."""
        found = folder.stat()
        mode = stat.S_IMODE(found.st_mode) & ~0o007
        if not mode & stat.S_ISGID:  # without setgid the admin did not choose the group's rights
            mode &= ~0o070
        if group is not None:
            mode |= 0o010
        self._change(str(folder.resolve()), None, found, mode, group)

    def log_changes(self, data_dir: Path) -> None:
        """Log what was changed, and what could not be changed."""
        if self.folders or self.files:
            log.info("modes_corrected", folders=self.folders, files=self.files)
        if self.refused:
            log.warning(
                "modes_not_corrected",
                entries=self.refused,
                advice="they belong to another user, or this user is not in the group of the "
                f"tables. As root run chown -R {os.geteuid()} {data_dir}, or add this user to the "
                "group; then restart",
            )

    def _change(
        self, name: str, folder: int | None, found: os.stat_result, mode: int, group: int | None
    ) -> None:
        has_group = group is None or found.st_gid == group
        if has_group and stat.S_IMODE(found.st_mode) == mode:
            return
        target_group = found.st_gid if group is None else group
        own_groups = (os.getegid(), *os.getgroups())
        if mode & stat.S_ISGID and os.geteuid() != 0 and target_group not in own_groups:
            # `chmod` would clear the setgid bit without an error, and the group would lose the
            # tables.
            self.refused += 1
            return
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=folder)
            try:
                if group is not None and not has_group:
                    os.fchown(descriptor, -1, group)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
        except OSError:
            self.refused += 1
            return
        if stat.S_ISDIR(found.st_mode):
            self.folders += 1
        else:
            self.files += 1


def _wanted(mode: int, group: int | None) -> int:
    """Return the mode that a folder or file should have; further rights of the group are kept."""
    if group is None:  # clear setgid and all rights of group and others
        return stat.S_IMODE(mode) & 0o5700
    # A group enters and reads folders and reads files. New files inherit it from setgid folders.
    rights = 0o2050 if stat.S_ISDIR(mode) else 0o040
    return (stat.S_IMODE(mode) | rights) & ~0o007


def _is_ours(data_dir: Path) -> bool:
    """Return whether a folder contains only what the receiver makes; else it may be a home."""
    try:
        return _OWN.issuperset(one.name for one in data_dir.iterdir())
    except OSError:
        return False
