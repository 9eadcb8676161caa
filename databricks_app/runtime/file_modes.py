"""Who may read what lies on disk: its owner alone and, of the tables, a group that the admin set.

Bodies of events are personal data and `.env` holds keys: in inbox, quarantine and `.env` group and
others have no rights. If `tables/` or the data folder is setgid, its group reads the tables. Others
never do.

Folders and files that existed before are corrected at the start. What is above is corrected first:
nobody reaches a file in a folder that he may not enter. Imports `folder_sync` and structlog.
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
_OWN = frozenset((TABLES, *_PRIVATE, "alerts.json", "alerts.new", "lost+found"))
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

log = structlog.get_logger(__name__)


def make_private_folder(folder: Path, sync: Callable[[Path], None] = sync_folder) -> None:
    """Make a folder, and those above it that are missing, for their owner alone; durable.

    Args:
        folder: May be there already; then its name is made durable all the same.
        sync: Makes the names in a folder durable.

    Raises:
        OSError: It cannot be made, or the disk failed.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        # A setgid folder above would pass on its bit, which means here that a group may read.
        one.chmod(0o700)
    sync_names(folder, sync)


def create_private_file(path: Path) -> BinaryIO:
    """Open a file for writing, new or cut to nothing; its owner alone may read it.

    Raises:
        OSError: It cannot be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb")


def tables_group(data_dir: Path) -> int | None:
    """Return the id of the group that may read the tables; None if none may."""
    for folder in (data_dir / TABLES, data_dir):
        try:
            found = folder.stat()
        except OSError:
            continue
        if found.st_mode & stat.S_ISGID:
            return found.st_gid
    return None


def tables_umask(data_dir: Path) -> int:
    """Return the umask of a process that writes tables: the engine makes files by it alone."""
    return PRIVATE_UMASK if tables_group(data_dir) is None else SHARED_UMASK


def make_tables_folder(data_dir: Path, sync: Callable[[Path], None] = sync_folder) -> None:
    """Make the folder of the tables if it is missing; it inherits group and bit of a setgid one.

    Args:
        data_dir: Holds it; made too if missing.
        sync: As of `make_private_folder`.

    Raises:
        OSError: It cannot be made, or the disk failed.
    """
    make_private_folder(data_dir, sync)
    mode = 0o700 if tables_group(data_dir) is None else 0o750
    (data_dir / TABLES).mkdir(mode=mode, exist_ok=True)
    sync(data_dir)


def correct(data_dir: Path, env_file: Path | None) -> None:
    """Take away rights that nobody should have, but below `tables/`; log what was changed.

    Args:
        data_dir: Also holds what is not ours: then its own mode stays as it is.
        env_file: None if there is none to look after.
    """
    group = tables_group(data_dir)
    correction = _Correction()
    if env_file is not None:
        correction.top(env_file, None)
    if _is_ours(data_dir):
        correction.data_folder(data_dir, group)
    correction.top(data_dir / TABLES, group)
    for name in _PRIVATE:
        correction.top(data_dir / name, None)
        correction.tree(data_dir / name, None)
    correction.tell(data_dir)


def correct_tables(data_dir: Path) -> None:
    """Do the same below `tables/`; nobody else may write there meanwhile.

    A table's own folder is corrected after all that is in it, and tells the next start that there
    is nothing to do: a year of files is looked through once.
    """
    group = tables_group(data_dir)
    correction = _Correction()
    with os.scandir(data_dir / TABLES) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if not _is_right(entry.stat(follow_symlinks=False), group):
                correction.tree(Path(entry.path), group)
        elif not entry.is_symlink():
            correction.top(Path(entry.path), group)
    correction.tell(data_dir)


@dataclass(slots=True)
class _Correction:
    """Corrects modes and counts.

    Attributes:
        folders: Changed ones.
        files: Changed ones.
        refused: Folders and files that the system would not let us change or look into.
    """

    folders: int = 0
    files: int = 0
    refused: int = 0

    def top(self, path: Path, group: int | None) -> None:
        """Correct one folder or file; nothing happens without it."""
        try:
            resolved = path.resolve(strict=True)
            found = resolved.stat()
        except OSError:
            return
        self._change(str(resolved), None, found, _wanted(found.st_mode, group), group)

    def tree(self, top: Path, group: int | None) -> None:
        """Correct all that is in a folder, then the folder; symbolic links are not followed."""
        if not top.exists():
            return
        walk = os.fwalk(top.resolve(), topdown=False, onerror=self._not_listed)
        for _, _, names, folder in walk:
            for name in names:
                try:
                    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                except OSError:
                    continue  # it has gone
                if stat.S_ISREG(found.st_mode):
                    self._change(name, folder, found, _wanted(found.st_mode, group), group)
            found = os.fstat(folder)
            self._change(".", folder, found, _wanted(found.st_mode, group), group)

    def data_folder(self, folder: Path, group: int | None) -> None:
        """Let the group of the tables pass through; without one nobody passes."""
        found = folder.stat()
        mode = stat.S_IMODE(found.st_mode) & ~0o007
        if not mode & stat.S_ISGID:  # what the group may do here is not the admin's word
            mode &= ~0o070
        if group is not None:
            mode |= 0o010
        self._change(str(folder.resolve()), None, found, mode, group)

    def tell(self, data_dir: Path) -> None:
        """Log what was changed, and what could not be."""
        if self.folders or self.files:
            log.info("modes_corrected", folders=self.folders, files=self.files)
        if self.refused:
            log.warning(
                "modes_not_corrected",
                entries=self.refused,
                advice="they belong to another user, or the group of the tables is one that this "
                f"user is not in. As root: chown -R {os.geteuid()} {data_dir}; or add this user to "
                "the group; then restart",
            )

    def _change(
        self, name: str, folder: int | None, found: os.stat_result, mode: int, group: int | None
    ) -> None:
        has_group = group is None or found.st_gid == group
        if has_group and stat.S_IMODE(found.st_mode) == mode:
            return
        if mode & stat.S_ISGID and not _is_member(found.st_gid if group is None else group):
            # The system would clear the bit without an error, and the group would lose the tables.
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

    def _not_listed(self, _error: OSError) -> None:
        self.refused += 1


def _wanted(mode: int, group: int | None) -> int:
    """Return the mode that a folder or file should have; what a group may do more is kept."""
    if group is None:
        return stat.S_IMODE(mode) & 0o5700
    rights = 0o2050 if stat.S_ISDIR(mode) else 0o040
    return (stat.S_IMODE(mode) | rights) & ~0o007


def _is_right(found: os.stat_result, group: int | None) -> bool:
    has_group = group is None or found.st_gid == group
    return has_group and stat.S_IMODE(found.st_mode) == _wanted(found.st_mode, group)


def _is_ours(data_dir: Path) -> bool:
    """Whether a folder holds nothing but what the receiver makes: it may be somebody's home."""
    try:
        return _OWN.issuperset(one.name for one in data_dir.iterdir())
    except OSError:
        return False


def _is_member(group: int) -> bool:
    return os.geteuid() == 0 or group in (os.getegid(), *os.getgroups())
