"""Which web process serves: a file in the run folder for each, made by the first of its workers.

It is named by the process id of gunicorn's master and holds the identity of that process, so that
the file of a dead one is not taken for that of a later one with the same number.
"""

from __future__ import annotations

from pathlib import Path

from databricks_app.runtime import process_identity

_PREFIX = "web-ready-"


def mark(run_dir: Path, master: int) -> None:
    """Say that this web process serves; nothing happens if it has ended.

    Raises:
        OSError: There is no room for the file.
    """
    known = process_identity.identity(master)
    if known is not None:
        (run_dir / f"{_PREFIX}{master}").write_text(known)


def is_marked(run_dir: Path, master: int) -> bool:
    """Whether this web process serves, as far as can be told now."""
    try:
        said = (run_dir / f"{_PREFIX}{master}").read_text()
        return said == process_identity.identity(master)
    except OSError:
        return False


def remove_ended(run_dir: Path) -> None:
    """Remove the files of processes that have ended.

    Raises:
        OSError: It cannot be told who runs.
    """
    for path in run_dir.glob(f"{_PREFIX}*"):
        if process_identity.identity(int(path.name.removeprefix(_PREFIX))) is None:
            path.unlink(missing_ok=True)
