"""What the tests of `ciolake deploy` share.

Not a test module.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from databricks_app.operations.deployment import source
from tests.doubles import Databricks


@contextmanager
def empty_workspace(folder: Path) -> Iterator[Databricks]:
    """A workspace with a catalog and a warehouse, and nothing else."""
    with Databricks(folder / "double") as double:
        double.workspace.catalog.seed("main")
        yield double


def few_sources(folder: Path) -> Path:
    """Make sources that are quickly uploaded."""
    for name in ("databricks_app", "core", "sql"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    copy_files(folder)
    return folder


def copy_files(folder: Path) -> None:
    """Copy the files of the root that are deployed."""
    for name in ("app.yaml", "requirements.txt", "pyproject.toml"):
        shutil.copy(source.ROOT / name, folder)
