"""Marks of the web processes that serve: one empty file for each in the run folder.

The first worker of a web process makes the file.
"""

from __future__ import annotations

from pathlib import Path

from databricks_app.runtime import process_identity

# The name ends with the identity of gunicorn's master, not with its process id alone: the kernel
# may give the id of a dead process to a new one. The file is empty, so that it can be made on a
# full file system too.
_PREFIX = "web-ready-"


def mark(run_dir: Path, master: int) -> None:
    """Mark a web process as serving; do nothing if it has ended.

    Raises:
        OSError: The file cannot be made.
    """
    identity = process_identity.identity(master)
    if identity is not None:
        (run_dir / f"{_PREFIX}{identity}").touch()


def is_marked(run_dir: Path, master: int) -> bool:
    """Return whether a web process is marked; False if that is unknown."""
    try:
        return (run_dir / f"{_PREFIX}{process_identity.identity(master)}").exists()
    except OSError:
        return False


def marked(run_dir: Path) -> frozenset[str]:
    """Return the identities of the marked web processes that run.

    Raises:
        OSError: That is unknown.
    """
    names = (path.name.removeprefix(_PREFIX) for path in run_dir.glob(f"{_PREFIX}*"))
    return frozenset(name for name in names if process_identity.is_running(name))


def remove_ended(run_dir: Path) -> None:
    """Remove the files of processes that have ended.

    Raises:
        OSError: It is unknown which processes run.
    """
    for path in run_dir.glob(f"{_PREFIX}*"):
        if not process_identity.is_running(path.name.removeprefix(_PREFIX)):
            path.unlink(missing_ok=True)
