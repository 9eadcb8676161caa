"""Makes the names of folders survive a loss of power. Imports the standard library alone.

A folder that was made is durable when the folder above it, which holds its name, is synced.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: Path, sync: Callable[[Path], None] = sync_folder) -> None:
    """Make the name of a folder durable, and those of all folders above it on its file system.

    This includes folders that existed before: the process that created one may have died before its
    sync.

    Args:
        folder: It exists.
        sync: Makes the names in a folder durable.

    Raises:
        OSError: The disk failed.
    """
    named = folder.resolve()
    while not os.path.ismount(named):
        named = named.parent
        try:
            sync(named)
        except PermissionError:
            # It may not be read, and so not be synced alone. What was made in it is ours only
            # where we may write.
            if os.access(named, os.W_OK):
                os.sync()
