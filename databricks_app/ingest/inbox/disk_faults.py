"""What an error of the disk under a folder means, and what to do about it. Pure."""

from __future__ import annotations

import errno
import os
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHOWN = "give the receiver's user the right to write there (chown)"
_DISK = "check the disk for errors (dmesg, smartctl), or move CIO_DATA_DIR to another disk"
_ADVICE = {
    errno.EACCES: _CHOWN,
    errno.EPERM: f"{_CHOWN}, and remove the attribute immutable (chattr -i)",
    errno.EROFS: "mount its disk for writing; if the kernel made it read-only, see dmesg",
    errno.ENOENT: "create it again or mount its disk, and give the receiver's user access",
    errno.ENOTDIR: "set CIO_DATA_DIR to a folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    **dict.fromkeys(FULL, "free space on that disk, or move CIO_DATA_DIR to a larger disk"),
}


def fault_of_folder(folder: Path, error: OSError) -> str:
    """Return why a folder cannot be written, then after a colon what to do."""
    number = error.errno or errno.EIO
    where = folder.absolute()
    return f"the folder {where} cannot be written ({os.strerror(number)}): {advice(number)}"


def advice(number: int) -> str:
    """Return what to do about an error number of a write."""
    return _ADVICE.get(number, _DISK)


def refused_folder(folder: Path) -> str | None:
    """Return why this process has no right to write into a folder; None if it has."""
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    is_read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    number = errno.EROFS if is_read_only else errno.EACCES
    return fault_of_folder(folder, OSError(number, os.strerror(number)))
