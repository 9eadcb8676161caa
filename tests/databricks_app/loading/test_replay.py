"""Stored events are replayed: through the inbox, by the same loader, any number of times."""

from __future__ import annotations

import base64
import hashlib
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from databricks_app.cli import ciolake
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake
from databricks_app.loading.loader import Loader
from databricks_app.loading.replay import Selection, replay
from databricks_app.runtime.metrics import Metrics

RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
EMAIL = b'{"event_id":"E","object_type":"email","metric":"sent","timestamp":1763800000,"data":{}}'
SMS = b'{"event_id":"S","object_type":"sms","metric":"sent","timestamp":1763900000,"data":{}}'
PIGEON = b'{"event_id":"P","object_type":"pigeon","metric":"sent","timestamp":1763800000}'
GARBAGE = b"\xff\xfe"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with one event of each kind and one body that was cut, all loaded."""
    store(tmp_path, *(Record(one, RECEIVED, "1", "0badf00d", len(one)) for one in BODIES), CUT)
    drain(tmp_path)
    return tmp_path


BODIES = (EMAIL, SMS, PIGEON, GARBAGE)
CUT = Record(b"{" * 100, RECEIVED, "1", "0badf00d", 10**8, hashlib.sha256(b"all").hexdigest())


def store(folder: Path, *records: Record) -> None:
    """Put records into the inbox, closed."""
    inbox = LocalInbox(folder / "inbox")
    for one in records:
        inbox.append(one, 5)
    inbox.close()


def drain(folder: Path) -> None:
    """Load everything that is in the inbox."""
    lake = LocalLake(folder)
    lake.start()
    loader = Loader(SegmentReader(folder / "inbox"), lake, Metrics(), 1, lambda _: None)
    loader.drain()
    lake.close()


def put_back(folder: Path, selection: Selection) -> tuple[int, int]:
    """Replay; return how many were put back and how many were left out."""
    outcome = replay(LocalQuery(folder), folder / "inbox", selection, NOW)
    return outcome.events, outcome.cut


def waiting(folder: Path) -> list[Record]:
    """The records in the inbox, in order."""
    batches = SegmentReader(folder / "inbox").batches(10**6, 10**9)
    return [record for batch in batches for record in batch.records]


@pytest.mark.parametrize(
    ("selection", "bodies"),
    [
        (Selection(unrouted=True), {PIGEON, GARBAGE}),
        (Selection(first_date=date(2025, 11, 23)), {SMS}),
        (Selection(last_date=date(1970, 1, 1)), {GARBAGE}),
        (Selection(table="webhook_email_events"), {EMAIL}),
        (Selection(event_ids=("E", "P", "it's not there")), {EMAIL, PIGEON}),
        (Selection(unrouted=True, event_ids=("E", "P")), {PIGEON}),
        (Selection(), set(BODIES)),
    ],
)
def test_replay_puts_back_what_is_selected(
    folder: Path, selection: Selection, bodies: set[bytes]
) -> None:
    """Exactly the selected bodies, byte by byte."""
    events, _ = put_back(folder, selection)

    assert events == len(bodies)
    assert {record.body for record in waiting(folder)} == bodies


def test_a_replayed_record_keeps_its_first_receipt(folder: Path) -> None:
    """So its row is the same as the first time."""
    put_back(folder, Selection(event_ids=("E",)))

    (record,) = waiting(folder)

    assert (record.kind, record.received_at, record.key_fingerprint) == (
        "replay",
        RECEIVED,
        "0badf00d",
    )


def test_a_cut_body_is_left_out(folder: Path) -> None:
    """Its key is the digest of the whole body, so the part would be another event."""
    assert put_back(folder, Selection(unrouted=True)) == (2, 1)


def test_a_replay_changes_no_existing_row(folder: Path) -> None:
    """So it can be repeated at any time."""
    before = raw_and_email(folder)
    put_back(folder, Selection())

    drain(folder)

    assert raw_and_email(folder) == before


def test_a_replay_fills_a_typed_table_that_was_lost(folder: Path) -> None:
    """The raw table has everything that is needed."""
    shutil.rmtree(folder / "tables/webhook_email_events")
    put_back(folder, Selection(table="webhook_email_events"))

    drain(folder)

    query = LocalQuery(folder)
    assert query.run("SELECT event_id FROM webhook_email_events").rows == [("E",)]
    assert query.run("SELECT count(*) FROM webhook_raw_events").rows == [(5,)]


def raw_and_email(folder: Path) -> list[list[tuple[object, ...]]]:
    """The rows of two tables."""
    query = LocalQuery(folder)
    tables = ("webhook_raw_events", "webhook_email_events")
    return [query.run(f"SELECT * FROM {table} ORDER BY event_id").rows for table in tables]


def test_many_events_become_several_segments(tmp_path: Path) -> None:
    """So a replay of all events is loaded in batches."""
    bodies = [EMAIL.replace(b'"E"', b'"E%d"' % number) for number in range(2_500)]
    store(tmp_path, *(Record(one, RECEIVED, "1", "0badf00d", len(one)) for one in bodies))
    drain(tmp_path)

    events, _ = put_back(tmp_path, Selection())

    assert events == 2_500
    assert len(list((tmp_path / "inbox").glob("*.seg"))) == 2
    assert {record.body for record in waiting(tmp_path)} == set(bodies)


def test_base64_bodies_come_back_as_bytes(folder: Path) -> None:
    """A body that is not text is stored encoded and replayed as it was received."""
    encoded = base64.b64encode(GARBAGE).decode()
    stored = LocalQuery(folder).run(
        "SELECT body FROM webhook_raw_events WHERE body_encoding = 'base64'"
    )
    put_back(folder, Selection(last_date=date(1970, 1, 1)))

    assert stored.rows == [(encoded,)]
    assert [record.body for record in waiting(folder)] == [GARBAGE]


def command(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run `ciolake replay`; return its exit code and what it printed."""
    result = CliRunner().invoke(ciolake, ["replay", *arguments], env={"CIO_DATA_DIR": str(folder)})
    return result.exit_code, result.output


def test_the_command_prints_what_it_did(folder: Path) -> None:
    """How many events were put back, and how many were left out."""
    code, said = command(folder, "--unrouted")

    assert code == 0
    assert "2 events were copied" in said
    assert "1 was left out" in said


def test_the_command_only_counts_in_a_dry_run(folder: Path) -> None:
    """Nothing is put back."""
    code, said = command(folder, "--from", "2025-11-01", "--dry-run")

    assert code == 0
    assert said.startswith("3 events would be ")
    assert waiting(folder) == []


def test_the_command_needs_a_selection(folder: Path) -> None:
    """So nobody replays everything by accident."""
    code, said = command(folder)

    assert code == 2
    assert "--unrouted" in said


def test_the_command_replays_the_whole_raw_table_with_all(folder: Path) -> None:
    """Only with the option `--all`."""
    assert command(folder, "--all")[1].startswith("4 events were copied")


def test_the_command_reports_an_inbox_that_cannot_be_written(folder: Path) -> None:
    """With exit code 1."""
    shutil.rmtree(folder / "inbox")
    (folder / "inbox").write_text("in the way")

    code, said = command(folder, "--all")

    assert code == 1
    assert "cannot be written" in said


def test_the_command_makes_nothing_in_a_folder_without_tables(tmp_path: Path) -> None:
    """It is the wrong folder."""
    code, said = command(tmp_path / "other", "--all")

    assert code == 1
    assert "there are no tables in" in said
    assert not (tmp_path / "other").exists()
