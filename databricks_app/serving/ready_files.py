"""Which web process serves: a file in the run folder for each, made by the first of its workers.

Its name has the identity of gunicorn's master, so that the file of a dead one is not taken for that
of a later one with the same process id. It is empty: it needs no room on a full file system.
"""

from __future__ import annotations

from pathlib import Path

from databricks_app.runtime import process_identity

_PREFIX = "web-ready-"


def mark(run_dir: Path, master: int) -> None:
    """Say that this web process serves; nothing happens if it has ended.

    Raises:
        OSError: The file cannot be made.
    """
    known = process_identity.identity(master)
    if known is not None:
        (run_dir / f"{_PREFIX}{known}").touch()


def is_marked(run_dir: Path, master: int) -> bool:
    """Whether this web process serves, as far as can be told now."""
    try:
        return (run_dir / f"{_PREFIX}{process_identity.identity(master)}").exists()
    except OSError:
        return False


def remove_ended(run_dir: Path) -> None:
    """Remove the files of processes that have ended.

    Raises:
        OSError: It cannot be told who runs.
    """
    for path in run_dir.glob(f"{_PREFIX}*"):
        if not process_identity.is_running(path.name.removeprefix(_PREFIX)):
            path.unlink(missing_ok=True)
