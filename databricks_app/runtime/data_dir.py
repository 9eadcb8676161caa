"""Makes and checks the data folder at the start, before anything is received."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from databricks_app.errors import SettingsError
from databricks_app.runtime import file_modes

# The receiver starts on a full disk too, and answers 503 until there is room: Customer.io repeats
# soon after a 503, but waits an hour after a refused connection.
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_ADVICE = {
    errno.EROFS: "mount a disk that can be written there",
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room in this user's quota",
    errno.ENOTDIR: "a part of this path is a file",
    errno.EEXIST: "a part of this path is a file",
    errno.ENAMETOOLONG: "choose a shorter path",
}


def prepare(data_dir: Path, inbox_dir: Path) -> list[Path]:
    """Make both folders and check that they are writable; return those that were missing.

    Raises:
        SettingsError: A folder cannot be made or written. New folders are removed again.
    """
    missing: list[Path] = []
    try:
        missing = [one for one in (inbox_dir, *inbox_dir.parents) if not one.exists()]
        file_modes.make_private_folder(inbox_dir)
        for folder in (data_dir, inbox_dir, data_dir / file_modes.TABLES):
            if folder.exists():
                _check_writable(folder)
    except OSError as error:
        remove(missing)
        number = error.errno or 0
        advice = _ADVICE.get(number, f"give user {os.geteuid()} the right to write there")
        raise SettingsError(
            f"the data folder {data_dir} cannot be made or written ({os.strerror(number)}); "
            f"{advice}, or set CIO_DATA_DIR to another folder on a local disk"
        ) from error
    return missing


def remove(folders: list[Path]) -> None:
    """Remove those of these folders that are empty, in the given order (deepest first)."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno not in _FULL:
            raise
