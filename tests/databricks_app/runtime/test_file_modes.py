"""Who may read what lies on disk, on real files; as another user where the tests run as root."""

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
    """A data folder to be made, under the usual umask."""
    before = os.umask(0o022)
    yield tmp_path / "data"
    os.umask(before)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user may pass through; those of pytest are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="ciolake-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def mode(path: Path) -> int:
    """Permissions, with setuid, setgid and sticky bit."""
    return stat.S_IMODE(path.lstat().st_mode)


def modes(top: Path) -> tuple[set[int], set[int]]:
    """The modes of all folders and of all files in a folder, itself included."""
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
    """Make a data folder as earlier releases left it: readable by everybody."""
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
    """Run a shell command as a user who owns nothing; whether it succeeds."""
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *map(str, arguments)],
        user=NOBODY,
        group=NOBODY,
        extra_groups=groups,
        cwd="/",
        capture_output=True,
    )
    return done.returncode == 0


def test_serve_keeps_all_for_its_owner(tmp_path: Path) -> None:
    """What a loaded receiver and its processes write, whatever the umask of the shell."""
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


def test_serve_lets_the_group_of_setgid_tables_read_them(tmp_path: Path) -> None:
    """And nothing else; the process that writes tables has a wider umask, it alone."""
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


def test_a_setgid_data_folder_means_its_tables(tmp_path: Path) -> None:
    """The folder of the tables is made with the bit; the inbox without."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o2755)
    with serving(tmp_path) as receiver:
        load(receiver)

    assert mode(tmp_path / "data") == 0o2750
    assert modes(tmp_path / "data/tables") == ({0o2750}, {0o640})
    assert modes(tmp_path / "data/inbox")[0] == {0o700}


def test_serve_corrects_an_old_data_folder(tmp_path: Path) -> None:
    """Inbox, quarantine, tables and `.env`; what was changed is logged once, in numbers."""
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


def test_correct_protects_all_but_the_files_of_tables_at_once(data: Path, tmp_path: Path) -> None:
    """The folder above these is closed, so nobody reaches them; the writer corrects them."""
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


def test_correct_gives_the_group_what_is_there(data: Path) -> None:
    """A bit that is set later opens the tables of before; what the group may do more is kept."""
    old_data(data)
    (data / "tables").chmod(0o2775)

    correct(data, None)
    correct_tables(data)

    assert modes(data / "tables/webhook_raw_events") == ({0o2750}, {0o640})
    assert mode(data / "tables") == 0o2770
    assert mode(data) == 0o710
    assert modes(data / "inbox") == ({0o700}, {0o600})


def test_correct_closes_the_tables_when_the_bit_is_gone(data: Path) -> None:
    """The group is shut out as it was let in."""
    old_data(data)
    (data / "tables").chmod(0o2750)
    correct(data, None)
    correct_tables(data)
    (data / "tables").chmod(0o750)

    correct(data, None)
    correct_tables(data)

    assert modes(data) == ({0o700}, {0o600})


def test_correct_leaves_a_folder_that_holds_other_things(data: Path) -> None:
    """It may be somebody's home; what is ours in it is corrected all the same."""
    old_data(data)
    (data / "notes.txt").touch(mode=0o644)

    correct(data, None)

    assert (mode(data), mode(data / "notes.txt")) == (0o755, 0o644)
    assert modes(data / "inbox") == ({0o700}, {0o600})


def test_correct_follows_no_link_below_a_folder(data: Path, tmp_path: Path) -> None:
    """What it points to is not ours."""
    old_data(data)
    (tmp_path / "else").touch(mode=0o644)
    (data / "inbox/link").symlink_to(tmp_path / "else")

    correct(data, None)

    assert mode(tmp_path / "else") == 0o644


def test_an_inbox_is_private_without_serve(data: Path) -> None:
    """As under a bare WSGI server with the usual umask; replayed and damaged bytes as well."""
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
    """A project's folder may be setgid; that is no word about the tables."""
    data.parent.chmod(0o2775)

    LocalInbox(data / "inbox").close()

    assert (mode(data), mode(data / "inbox")) == (0o700, 0o700)


def test_a_private_file_replaces_what_was_in_it(data: Path) -> None:
    """It is cut, as `open` would."""
    data.mkdir()
    for text in (b"longer", b"short"):
        with create_private_file(data / "f") as file:
            file.write(text)

    assert (data / "f").read_bytes() == b"short"
    assert mode(data / "f") == 0o600


@AS_ROOT
def test_an_analyst_reads_the_tables_and_nothing_else(reachable: Path) -> None:
    """Another user in the group of the tables; one outside it reads nothing at all."""
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
def test_correct_gives_files_of_before_to_the_group(data: Path) -> None:
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
    """Correct a folder as another user, in a process of its own; what it logged."""
    done = subprocess.run(
        [sys.executable, "-c", _CORRECT, str(data)], capture_output=True, text=True, check=True
    )
    lines: list[dict[str, object]] = json.loads(done.stdout)
    return lines


@AS_ROOT
def test_a_file_of_another_user_is_told_and_stops_nothing(reachable: Path) -> None:
    """The rest is corrected; the line says what to do and names nobody's data."""
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
def test_a_user_outside_the_group_does_not_lose_its_bit(reachable: Path) -> None:
    """The system clears setgid where the user who changes a mode is not in the group."""
    data = reachable / "data"
    (data / "tables").mkdir(parents=True)
    for one in (data, data / "tables"):
        os.chown(one, NOBODY, GROUP)
    (data / "tables").chmod(0o2755)

    lines = corrected_by_nobody(data)

    assert mode(data / "tables") == 0o2755
    assert [line["event"] for line in lines].count("modes_not_corrected") == 1


def test_a_commit_that_is_moved_aside_is_private(data: Path) -> None:
    """Its table may be open to a group; the quarantine is not."""
    log = data / "tables/t/_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").touch(mode=0o644)

    assert recover(data / "tables/t", data / "quarantine").problems

    assert modes(data / "quarantine") == ({0o700}, {0o600})
