"""Who may read which files, on a real disk; as another user if the tests run as root."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import request
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader, replay_segment
from databricks_app.lake.local.recovery import recover
from databricks_app.runtime.file_modes import correct, correct_tables, create_private_file

GROUP = 54321  # of nobody
NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other users and groups")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The path of a new data folder, with the usual umask."""
    before = os.umask(0o022)
    yield tmp_path / "data"
    os.umask(before)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user may pass through; pytest's folders are private."""
    folder = Path(tempfile.mkdtemp(prefix="ciolake-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def mode(path: Path) -> int:
    """The permissions, with setuid, setgid and sticky bit."""
    return stat.S_IMODE(path.lstat().st_mode)


def modes(top: Path) -> tuple[set[int], set[int]]:
    """The modes of a folder and of everything in it."""
    below = [top, *top.rglob("*")]
    return (
        {mode(one) for one in below if one.is_dir()},
        {mode(one) for one in below if not one.is_dir()},
    )


def umasks(receiver: Receiver) -> dict[int, str]:
    """The umask of every process of a receiver, by process id."""
    found = {}
    for pid in receiver.all():
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found[pid] = next(line.split()[1] for line in lines if line.startswith("Umask:"))
    return found


def load(receiver: Receiver, number: int = 20) -> None:
    """Post events and wait until they are in the tables."""
    for one in range(number):
        assert receiver.post(request(event(f"e{one}"))).status == 200
    wait_until(lambda: not any((receiver.folder / "data/inbox").glob("*-*")))
    table = receiver.folder / "data/tables/webhook_email_events"
    wait_until(lambda: any(table.rglob("*.parquet")))


def old_data(data: Path) -> None:
    """Make a data folder like earlier releases: readable for everybody."""
    day = data / "tables/webhook_raw_events/event_date=2025-01-01"
    for folder in (data / "inbox/quarantine", data / "quarantine", day):
        folder.mkdir(parents=True, mode=0o755)
    for name in (
        "inbox/1700000000000000-00112233445566ff-0.seg",
        "inbox/quarantine/x.0-1",
        "quarantine/00.json",
        "tables/.lock",
        "tables/webhook_raw_events/event_date=2025-01-01/part.parquet",
    ):
        (data / name).touch(mode=0o644)
    assert modes(data) == ({0o755}, {0o644})


def as_nobody(command: str, *arguments: object, groups: tuple[int, ...] = ()) -> bool:
    """Run a shell command as a user without rights; return whether it succeeds."""
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *map(str, arguments)],
        user=NOBODY,
        group=NOBODY,
        extra_groups=groups,
        cwd="/",
        capture_output=True,
    )
    return done.returncode == 0


def test_serve_makes_files_only_for_their_owner(tmp_path: Path) -> None:
    """With a wide umask of the shell too."""
    before = os.umask(0o022)
    try:
        with serving(tmp_path) as receiver:
            load(receiver)
            run = modes(receiver.run_folder)
            masks = umasks(receiver)
    finally:
        os.umask(before)

    assert modes(tmp_path / "data") == ({0o700}, {0o600})
    assert run[0] == {0o700}
    assert not any(one & 0o077 for one in run[1])
    assert len(masks) >= 5
    assert set(masks.values()) == {"0077"}
    assert not receiver.logged("modes_corrected")


@pytest.mark.slow
def test_serve_lets_the_group_of_a_setgid_tables_folder_read_the_tables(tmp_path: Path) -> None:
    """And nothing else; only the process that writes tables has a wider umask."""
    tables = tmp_path / "data/tables"
    tables.mkdir(parents=True)
    tables.chmod(0o2750)
    with serving(tmp_path) as receiver:
        load(receiver)
        (writer,) = receiver.loader()
        masks = umasks(receiver)

    assert modes(tables) == ({0o2750}, {0o640})
    assert mode(tmp_path / "data") == 0o710
    assert modes(tmp_path / "data/inbox")[0] == {0o700}
    assert masks.pop(writer) == "0027"
    assert set(masks.values()) == {"0077"}


def test_a_setgid_data_folder_opens_only_its_tables(tmp_path: Path) -> None:
    """The tables folder gets the bit, the inbox does not."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o2755)
    with serving(tmp_path) as receiver:
        load(receiver)

    assert mode(tmp_path / "data") == 0o2750
    assert modes(tmp_path / "data/tables") == ({0o2750}, {0o640})
    assert modes(tmp_path / "data/inbox")[0] == {0o700}


@pytest.mark.slow
def test_serve_corrects_an_old_data_folder(tmp_path: Path) -> None:
    """Inbox, quarantine, tables and `.env`; one log line has the numbers."""
    env = tmp_path / ".env"
    env.write_text("CIO_WEBHOOK_SIGNING_KEYS=a key of the tests\n")
    env.chmod(0o644)
    with serving(tmp_path) as first:
        load(first)
    for one in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        one.chmod(0o755 if one.is_dir() else 0o644)
    env.chmod(0o644)

    with serving(tmp_path) as receiver:
        load(receiver)
        corrected = receiver.logged("modes_corrected")
    with serving(tmp_path) as again:
        load(again)

    assert modes(tmp_path / "data") == ({0o700}, {0o600})
    assert mode(env) == 0o600
    by_process = {str(line["process"]) for line in corrected[-2:]}
    assert by_process == {"supervisor", "loader"}
    assert len(again.logged("modes_corrected")) == len(corrected)


def test_correct_closes_the_tables_folder_before_its_files(data: Path, tmp_path: Path) -> None:
    """Nobody can reach the files then; the loader corrects them later."""
    old_data(data)
    env = tmp_path / ".env"
    env.touch(mode=0o644)

    with capture_logs() as lines:
        correct(data, env)
        closed = mode(data / "tables")
        correct_tables(data)
        correct_tables(data)

    assert closed == 0o700
    assert modes(data) == ({0o700}, {0o600})
    assert mode(env) == 0o600
    assert [(one["event"], one["folders"], one["files"]) for one in lines] == [
        ("modes_corrected", 5, 4),
        ("modes_corrected", 2, 2),
    ]


def test_correct_gives_the_group_existing_tables(data: Path) -> None:
    """A bit that is set later opens older tables too; further rights of the group are kept."""
    old_data(data)
    (data / "tables").chmod(0o2775)

    correct(data, None)
    correct_tables(data)

    assert modes(data / "tables/webhook_raw_events") == ({0o2750}, {0o640})
    assert mode(data / "tables") == 0o2770
    assert mode(data) == 0o710
    assert modes(data / "inbox") == ({0o700}, {0o600})


def test_correct_closes_the_tables_when_the_bit_is_removed(data: Path) -> None:
    """The group loses its rights again."""
    old_data(data)
    (data / "tables").chmod(0o2750)
    correct(data, None)
    correct_tables(data)
    (data / "tables").chmod(0o750)

    correct(data, None)
    correct_tables(data)

    assert modes(data) == ({0o700}, {0o600})


def test_correct_leaves_the_mode_of_a_folder_with_other_files(data: Path) -> None:
    """It may be a home; our own files in it are corrected."""
    old_data(data)
    (data / "notes.txt").touch(mode=0o644)

    correct(data, None)

    assert (mode(data), mode(data / "notes.txt")) == (0o755, 0o644)
    assert modes(data / "inbox") == ({0o700}, {0o600})


def test_correct_follows_no_link_below_a_folder(data: Path, tmp_path: Path) -> None:
    """Its target may belong to somebody else."""
    old_data(data)
    (tmp_path / "else").touch(mode=0o644)
    (data / "inbox/link").symlink_to(tmp_path / "else")

    correct(data, None)

    assert mode(tmp_path / "else") == 0o644


def test_an_inbox_is_private_without_serve(data: Path) -> None:
    """As under a bare WSGI server with the usual umask; replayed and damaged bytes too."""
    record = Record(b"{}", datetime(2025, 1, 1, tzinfo=UTC), "", "", 2)
    inbox = LocalInbox(data / "inbox")
    inbox.append(record, 5)
    inbox.close()
    replay_segment(data / "inbox", [record], name=f"{1:016d}-00112233445566ff")
    (data / "inbox" / f"{2:016d}-00112233445566ff-1.seg").write_bytes(b"damaged")
    (data / "inbox" / f"{2:016d}-00112233445566ff-1.seg").chmod(0o600)
    list(SegmentReader(data / "inbox").batches(10, 1000))

    assert list((data / "inbox/quarantine").iterdir())
    assert modes(data) == ({0o700}, {0o600})


def test_a_private_folder_inherits_no_bit(data: Path) -> None:
    """The setgid bit of a project's folder says nothing about the tables."""
    data.parent.chmod(0o2775)

    LocalInbox(data / "inbox").close()

    assert (mode(data), mode(data / "inbox")) == (0o700, 0o700)


def test_a_private_file_is_truncated(data: Path) -> None:
    """Like with `open`."""
    data.mkdir()
    for text in (b"longer", b"short"):
        with create_private_file(data / "f") as file:
            file.write(text)

    assert (data / "f").read_bytes() == b"short"
    assert mode(data / "f") == 0o600


@AS_ROOT
def test_an_analyst_reads_the_tables_and_nothing_else(reachable: Path) -> None:
    """A user in the group of the tables; a user outside it reads nothing."""
    (reachable / "data/tables").mkdir(parents=True)
    os.chown(reachable / "data/tables", -1, GROUP)
    (reachable / "data/tables").chmod(0o2750)
    with serving(reachable) as receiver:
        load(receiver)
        assert receiver.post(request(event("waits"))).status == 200
    (reachable / "data/inbox/1-x.seg").touch(mode=0o644)
    files = 'find "$1" -type f -exec cat {} + >/dev/null'

    assert as_nobody(files, reachable / "data/tables", groups=(GROUP,))
    assert not as_nobody(files, reachable / "data/tables")
    for groups in ((), (GROUP,)):
        assert not as_nobody(files, reachable / "data/inbox", groups=groups)
        assert not as_nobody('cat "$1"', reachable / "data/inbox/1-x.seg", groups=groups)
        assert not as_nobody('ls "$1"', reachable / "data", groups=groups)


@AS_ROOT
def test_correct_gives_older_files_to_the_group(data: Path) -> None:
    """One `chgrp` and one `chmod` of the folder are enough."""
    old_data(data)
    os.chown(data / "tables", -1, GROUP)
    (data / "tables").chmod(0o2750)

    correct(data, None)
    correct_tables(data)

    below = [data, data / "tables", *(data / "tables").rglob("*")]
    assert {one.stat().st_gid for one in below} == {GROUP}
    assert modes(data / "tables") == ({0o2750}, {0o640})
    assert mode(data) == 0o710
    assert (data / "inbox").stat().st_gid != GROUP


_CORRECT = """
import json, sys
from pathlib import Path
from structlog.testing import capture_logs
from databricks_app.runtime.file_modes import correct, correct_tables
os = __import__("os")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with capture_logs() as lines:
    correct(Path(sys.argv[1]), None)
    correct_tables(Path(sys.argv[1]))
print(json.dumps(lines))
"""


def corrected_by_nobody(data: Path) -> list[dict[str, object]]:
    """Correct a folder as another user, in another process; return the log."""
    done = subprocess.run(
        [sys.executable, "-c", _CORRECT, str(data)], capture_output=True, text=True, check=True
    )
    lines: list[dict[str, object]] = json.loads(done.stdout)
    return lines


@AS_ROOT
def test_a_file_of_another_user_is_logged_and_the_rest_is_corrected(reachable: Path) -> None:
    """The line says what to do."""
    data = reachable / "data"
    before = os.umask(0o022)
    old_data(data)
    os.umask(before)
    for one in [data, *data.rglob("*")]:
        os.chown(one, NOBODY, NOBODY)
    foreign = data / "inbox/1700000000000000-00112233445566ff-0.seg"
    os.chown(foreign, 0, 0)

    lines = corrected_by_nobody(data)

    (warning,) = [line for line in lines if line["event"] == "modes_not_corrected"]
    assert (warning["log_level"], warning["entries"]) == ("warning", 1)
    assert f"chown -R {NOBODY} {data}" in str(warning["advice"])
    assert mode(foreign) == 0o644
    foreign.unlink()
    assert modes(data) == ({0o700}, {0o600})


@AS_ROOT
def test_correct_by_a_user_outside_the_group_keeps_the_bit(reachable: Path) -> None:
    """`chmod` by a user who is not in the group would clear it."""
    data = reachable / "data"
    (data / "tables").mkdir(parents=True)
    for one in (data, data / "tables"):
        os.chown(one, NOBODY, GROUP)
    (data / "tables").chmod(0o2755)

    lines = corrected_by_nobody(data)

    assert mode(data / "tables") == 0o2755
    assert [line["event"] for line in lines].count("modes_not_corrected") == 1


def test_a_commit_in_quarantine_is_private(data: Path) -> None:
    """Its table may be open to a group; the quarantine is not."""
    log = data / "tables/t/_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").touch(mode=0o644)

    assert recover(data / "tables/t", data / "quarantine").problems

    assert modes(data / "quarantine") == ({0o700}, {0o600})
