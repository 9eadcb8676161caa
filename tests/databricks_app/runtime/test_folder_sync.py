"""A folder is durable when all folders above it hold its name on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_app.runtime.file_modes import make_private_folder, make_tables_folder
from databricks_app.runtime.folder_sync import sync_names
from tests.support.disks import small_disk
from tests.support.mounts import powerless
from tests.support.paths import ROOT
from tests.support.strace import calls, needs_strace, strace


def test_the_folders_above_are_synced_the_nearest_first(tmp_path: Path) -> None:
    """As far as the root of the file system: the name of that is no file system's own."""
    synced: list[Path] = []

    with small_disk(tmp_path / "disk", "1m"):
        folder = tmp_path / "disk/a/b"
        folder.mkdir(parents=True)
        sync_names(folder, synced.append)

    assert synced == [tmp_path / "disk/a", tmp_path / "disk"]


def test_a_folder_behind_a_link_is_synced_where_it_lies(tmp_path: Path) -> None:
    """The folder above the link does not hold its name."""
    (tmp_path / "disk/data").mkdir(parents=True)
    (tmp_path / "data").symlink_to("disk/data")
    synced: list[Path] = []

    sync_names(tmp_path / "data", synced.append)

    assert synced[:2] == [tmp_path / "disk", tmp_path]


@pytest.mark.parametrize("is_there", [False, True])
def test_making_a_folder_makes_its_name_durable(tmp_path: Path, is_there: bool) -> None:
    """Also one that is there: whoever made it may have died before its sync."""
    folder = tmp_path / "data/inbox"
    if is_there:
        folder.mkdir(parents=True)
    synced: list[Path] = []

    make_private_folder(folder, synced.append)

    assert synced[:2] == [tmp_path / "data", tmp_path]


def test_the_folder_of_the_tables_has_a_durable_name(tmp_path: Path) -> None:
    """It and the data folder are made last and synced last."""
    synced: list[Path] = []

    make_tables_folder(tmp_path / "data", synced.append)

    assert synced[0] == tmp_path
    assert synced[-1] == tmp_path / "data"


@needs_strace
@pytest.mark.parametrize(("mode", "call"), [(0o300, "sync"), (0o100, "")])
def test_a_folder_above_that_may_not_be_read_costs_a_sync_of_everything_or_nothing(
    tmp_path: Path, mode: int, call: str
) -> None:
    """Nothing of ours can have been made where we may not write."""
    (tmp_path / "above/data").mkdir(parents=True)
    (tmp_path / "above").chmod(mode)
    script = "import sys; from pathlib import Path; "
    script += "from databricks_app.runtime.folder_sync import sync_names as names; "
    script += "names(Path(sys.argv[1]))"
    command = [*powerless(), sys.executable, "-c", script, str(tmp_path / "above/data")]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}

    subprocess.run([*strace(tmp_path / "log", "sync,fsync"), *command], env=environ, check=True)
    (tmp_path / "above").chmod(0o700)

    found = [one.name for one in calls(tmp_path / "log") if one.name == "sync"]
    assert found == ([call] if call else [])
