"""`ciolake reload`, and the hints that `ciolake serve` prints, of a real receiver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.receiver import Receiver, serving
from databricks_app.cli.own_name import own_name


def reload(folder: Path, **variables: str) -> tuple[int, str]:
    """Run the command in a folder; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "databricks_app", "reload"],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_reload_replaces_the_web_processes_of_the_data_folder(tmp_path: Path) -> None:
    """It waits until the new one serves."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        before = receiver.web()
        code, said = reload(tmp_path, CIO_DATA_DIR=str(tmp_path / "data"))
        after = receiver.web()

    assert (code, said) == (
        0,
        f"The receiver (process {receiver.process.pid}) has read its settings again.\n",
    )
    assert set(after) - set(before)


def test_reload_in_another_folder_does_nothing(tmp_path: Path) -> None:
    """It says which folder it looked for, and makes nothing there."""
    other = tmp_path / "other"
    other.mkdir()
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        code, said = reload(other, CIO_DATA_DIR="data")

        assert code == 1
        assert str(other / "data") in said
        assert list(other.iterdir()) == []
        assert receiver.logged("child_reload") == []


def test_reload_with_a_wrong_setting_says_so_and_changes_nothing(tmp_path: Path) -> None:
    """The same setting would stop the new processes."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        code, said = reload(tmp_path, CIO_DATA_DIR=str(tmp_path / "data"), CIO_REGION="mars")

        assert code == 1
        assert "CIO_REGION cannot be used" in said
        assert receiver.logged("child_reload") == []


def hints(receiver: Receiver) -> list[str]:
    """The commands to try that a receiver has announced."""
    lines = [line.split(maxsplit=1) for line in receiver.announced.splitlines()]
    return [words[1] for words in lines if words[0] in {"Try", "Then"}]


def test_the_hints_of_serve_can_be_pasted_into_another_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its port and data folder, which the other shell does not know."""
    elsewhere = tmp_path / "elsewhere"
    with serving(tmp_path, CIO_WEB_WORKERS="1", CIO_DATA_DIR=str(elsewhere)) as receiver:
        try_, then = hints(receiver)

    monkeypatch.chdir(tmp_path)  # where it runs
    name = own_name()
    port = receiver.address[1]
    assert try_ == f"{name} send --sample email/opened --url http://127.0.0.1:{port}"
    assert then.startswith(f"{name} query --data-dir {elsewhere} ")


def test_the_name_of_the_program_is_one_that_the_shell_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In an active environment `ciolake`, else the path of the script."""
    script = Path(sys.executable).with_name("ciolake")
    monkeypatch.setenv("PATH", str(script.parent))
    active = own_name()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(script.parent)

    assert (active, own_name()) == ("ciolake", "./ciolake")
    monkeypatch.chdir(script.parent.parent)
    assert own_name() == "bin/ciolake"
