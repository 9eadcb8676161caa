"""Each reason why `ciolake serve` cannot start is one line, and no file is left behind."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import KEY
from tests.support.disks import unwritable
from tests.support.mounts import powerless, with_mounts

NO_SHARED_MEMORY = "mount -t tmpfs -o ro tmpfs /dev/shm"
FULL_SHARED_MEMORY = (
    "mount -t tmpfs -o size=64k tmpfs /dev/shm; "
    "dd if=/dev/zero of=/dev/shm/full bs=4k 2>/dev/null || true"
)
MISSING_SHARED_MEMORY = (
    "mount -t tmpfs tmpfs /mnt; for one in null urandom; do "
    "touch /mnt/$one; mount --bind /dev/$one /mnt/$one; done; mount --rbind /mnt /dev"
)
MEMORY = "mount -t tmpfs tmpfs /mnt"
# An overlay as container engines make it for the own layer of a container.
CONTAINER = (
    "mount -t tmpfs tmpfs /mnt; mkdir /mnt/lower /mnt/upper /mnt/work /mnt/root; mount -t overlay "
    "overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root"
)
READ_ONLY_ROOT = "mount -o remount,bind,ro /"


def abandoned_run_folders() -> set[Path]:
    """Return the run folders that nobody holds and in which no child was ever started."""
    return {
        lock.parent
        for folder in (Path("/dev/shm"), Path(tempfile.gettempdir()))
        for lock in folder.glob("ciolake-*/lock")
        if not (lock.parent / "metrics").exists() and is_free(lock)
    }


def is_free(lock: Path) -> bool:
    """Return whether no process holds a lock."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def error_of(folder: Path, *, prefix: Sequence[str] = (), **variables: str) -> str:
    """Start a receiver that cannot start; return its error.

    The exit code is 1, there is nothing but the sentence, and no file or folder is new.
    """
    # Coverage would write its data, and say that it cannot, where nothing can be written.
    ours = ("CIO_", "COVERAGE_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ |= {"PORT": "0", "CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_LOG_LEVEL": "error"}
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "databricks_app", "serve"],
        cwd=folder,
        env=environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert sorted(folder.rglob("*")) == before
    assert abandoned_run_folders() == set()
    return done.stderr


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").touch()

    message = error_of(tmp_path, CIO_DATA_DIR=str(tmp_path / "file" / "data"))

    assert (
        "file/data cannot be made or written (Not a directory); a part of this path is" in message
    )
    assert "CIO_DATA_DIR" in message


def test_a_data_folder_without_rights(tmp_path: Path) -> None:
    """The error names the user who has no right to write there."""
    above = tmp_path / "above"
    above.mkdir(mode=0o500)

    message = error_of(tmp_path, prefix=powerless(), CIO_DATA_DIR=str(above / "data"))

    assert f"(Permission denied); give user {os.geteuid()} the right to write there" in message


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It exists, but no file can be made in it."""
    (tmp_path / "data/inbox").mkdir(parents=True)
    with unwritable(tmp_path / "data/inbox"):
        message = error_of(tmp_path)

    assert "data cannot be made or written (Operation not permitted)" in message


@pytest.mark.parametrize(
    ("mounts", "data", "words"),
    [
        (MEMORY, "/mnt/data", "/mnt/data/inbox is in memory (tmpfs)"),
        (CONTAINER, "/mnt/root/data", "/mnt/root/data/inbox is in the own layer of a container"),
    ],
    ids=["memory", "container"],
)
def test_a_local_inbox_that_would_be_lost(
    tmp_path: Path, mounts: str, data: str, words: str
) -> None:
    """With tables in Databricks the disk holds all that was acknowledged and is not loaded."""
    message = error_of(
        tmp_path,
        prefix=with_mounts(mounts),
        CIO_DATA_DIR=data,
        CIO_STORE="databricks",
        CIO_CATALOG="main",
        CIO_INBOX="local",
    )

    assert words in message
    assert "set CIO_DATA_DIR to a folder on a disk that lasts" in message


def test_a_local_inbox_in_a_databricks_app(tmp_path: Path) -> None:
    """Always refused, whatever its disk is."""
    message = error_of(
        tmp_path,
        CIO_STORE="databricks",
        CIO_CATALOG="main",
        CIO_INBOX="local",
        DATABRICKS_APP_NAME="ciolake",
    )

    assert "CIO_INBOX=local cannot be used in a Databricks App" in message


def test_a_read_only_root(tmp_path: Path) -> None:
    """The error says what to mount."""
    message = error_of(
        tmp_path, prefix=with_mounts(READ_ONLY_ROOT), CIO_DATA_DIR="/var/lib/ciolake"
    )

    assert "/var/lib/ciolake cannot be made or written (Read-only file system); mount a" in message


def test_a_development_key_that_cannot_be_stored(tmp_path: Path) -> None:
    """The data folder is removed again too."""
    here = tmp_path / "here"
    here.mkdir(mode=0o500)
    (tmp_path / "there").mkdir()
    prefix = ["env", "--unset=CIO_WEBHOOK_SIGNING_KEYS", f"--chdir={here}", *powerless()]

    message = error_of(tmp_path, prefix=prefix, CIO_DATA_DIR=str(tmp_path / "there/data"))

    assert ".env" in message
    assert "Set CIO_WEBHOOK_SIGNING_KEYS" in message


def test_a_temporary_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    """Only without shared memory; the error has the limit."""
    long = tmp_path / ("x" * 100)
    long.mkdir()

    message = error_of(tmp_path, prefix=with_mounts(NO_SHARED_MEMORY), TMPDIR=str(long))

    assert "too long for a socket" in message
    assert "TMPDIR to a path of at most 65 bytes" in message


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(NO_SHARED_MEMORY, "cannot be written", id="read-only"),
        pytest.param(FULL_SHARED_MEMORY, "has less than 4 MiB free", id="full"),
        pytest.param(MISSING_SHARED_MEMORY, "is missing", id="missing"),
    ],
)
def test_no_shared_memory_and_no_temporary_folder(tmp_path: Path, script: str, reason: str) -> None:
    """Then there is no place for the run folder."""
    script = f"{script}; {READ_ONLY_ROOT}; for one in /tmp /var/tmp; do mount -o ro,bind $one $one"
    script += ' && mount -o remount,ro,bind $one; done; cd "$1"'

    message = error_of(tmp_path, prefix=with_mounts(script, str(tmp_path)))

    assert f"/dev/shm {reason}" in message
    assert "set TMPDIR" in message


def test_serve_starts_with_full_shared_memory(tmp_path: Path) -> None:
    """The run folder is in the temporary folder then, and a warning says why."""
    prefix = with_mounts(FULL_SHARED_MEMORY)
    with (
        tempfile.TemporaryDirectory() as short,
        serving(tmp_path, prefix=prefix, TMPDIR=short) as receiver,
    ):
        assert receiver.run_folder is not None
        assert receiver.run_folder.parent == Path(short)
        assert "4 MiB" in str(receiver.logged("run_folder_on_disk")[0]["reason"])


def test_a_port_in_use(tmp_path: Path) -> None:
    """The error has the port, the reason and the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        message = error_of(tmp_path, PORT=str(port))

    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use); " in message
    assert "set PORT to another port" in message


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a..b"])
def test_an_address_that_is_not_of_this_machine(tmp_path: Path, host: str) -> None:
    """An unused address, an unknown name and an impossible name."""
    message = error_of(tmp_path, CIO_HOST=host)

    assert f"cannot listen on {host} port 0 (" in message
    assert "set CIO_HOST to an address of this machine" in message


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The error has the reason and quotes nothing from the file."""
    (tmp_path / ".env").write_text("CIO_WEBHOOK_SIGNING_KEYS=hunter2\n")
    (tmp_path / ".env").chmod(0)

    message = error_of(tmp_path, prefix=powerless())

    assert message.startswith("Error: .env cannot be read (Permission denied)")
    assert "hunter2" not in message


def test_a_misspelt_key_line_makes_no_development_key_beside_it(tmp_path: Path) -> None:
    """With one it would start, and refuse every event of Customer.io."""
    (tmp_path / ".env").write_text("CIO_WEBHOOK_SIGNING_KEY=s3cret-of-customer-io\n")
    prefix = ["env", "--unset=CIO_WEBHOOK_SIGNING_KEYS"]

    message = error_of(tmp_path, prefix=prefix)

    assert "CIO_WEBHOOK_SIGNING_KEY is not a setting" in message
    assert "did you mean CIO_WEBHOOK_SIGNING_KEYS?" in message
    assert "s3cret" not in message
    assert (tmp_path / ".env").read_text() == "CIO_WEBHOOK_SIGNING_KEY=s3cret-of-customer-io\n"
