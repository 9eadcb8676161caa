"""`ciolake doctor` on local tables, against a running receiver and against broken ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, write_deltalake

from benchmarks.harness.databricks_double import readiness
from benchmarks.harness.events import event as posted
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import ADMIN_TOKEN, KEY, request
from core.webhooks.signature import SigningKey
from databricks_app.cli import ciolake
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.lake.local.lock import FolderLock
from databricks_app.lake.local.store import LocalLake
from databricks_app.operations.doctor import configuration, folder
from databricks_app.operations.doctor.context import DoctorContext, WaitLimits, open_context
from databricks_app.operations.doctor.result import CheckResult, exit_code, failure, ok, warning
from databricks_app.operations.doctor.run import checks
from tests.support.lake_events import event, load
from tests.support.loopback_receiver import unused_destination

EMAIL = "webhook_email_events"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A running `ciolake serve`."""
    # One worker: each has a /readyz of its own, up to two seconds old.
    with serving(tmp_path_factory.mktemp("receiver"), CIO_WEB_WORKERS="1") as receiver:
        yield receiver


def context_of(data: Path, url: str | None = None, **variables: str) -> DoctorContext:
    """The context of a data folder; nothing is waited for long."""
    given = {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_DATA_DIR": str(data), "PORT": "0"}
    return open_context(given | variables, url, limits=WaitLimits(canary=0.3, lease=0.3))


def found(context: DoctorContext, name: str) -> CheckResult:
    """What one check finds."""
    (check,) = [one for one in checks(context) if one.name == name]
    with closing(context):
        return check.look(context)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A data folder with all tables and one event, loaded and closed."""
    lake = LocalLake(tmp_path)
    lake.start()
    load(lake, event("a"))
    lake.close()
    return tmp_path


def test_all_is_well_with_a_running_receiver(receiver: Receiver) -> None:
    """Every check that can run says ok, the canary is a row, and the exit code is 0."""
    # The loader makes the tables before it reports for the first time.
    wait_until(lambda: readiness(receiver)["status"] == "ok")
    # As Customer.io sends it, so that the key is proven.
    assert receiver.post(request(posted("a"))).status == 200
    wait_until(lambda: any(readiness(receiver)["verified_keys"].values()))
    env = {
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
        "CIO_DATA_DIR": str(receiver.folder / "data"),
        "PORT": str(receiver.address[1]),
        "CIO_APP_API_KEY": "",
        "CIO_RELAY_URL": "",
    }

    result = CliRunner().invoke(ciolake, ["doctor", "--json"], env=env)

    said = {one["name"]: one for one in json.loads(result.stdout)}
    others = {name for name, one in said.items() if one["state"] != "ok"}
    assert others == {"clock", "certificate", "webhook"}
    assert "a row of webhook_raw_events" in said["canary"]["says"]
    assert result.exit_code == 0
    assert KEY not in result.output


def test_lines_begin_with_the_state_and_show_the_fix_below(tmp_path: Path) -> None:
    """Not colour alone; nothing listens, so the code is 1."""
    url = unused_destination().url
    env = {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_DATA_DIR": str(tmp_path), "PORT": "8000"}

    result = CliRunner().invoke(ciolake, ["doctor", "--no-canary", "--url", url], env=env)

    lines = result.output.splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("failure  endpoint"))
    assert (
        lines[place + 1].strip()
        == "fix: start `ciolake serve`, or name the address of the receiver with --url"
    )
    assert not any("canary" in line for line in lines)
    assert result.exit_code == 1


def test_a_misspelt_setting_is_named_with_what_is_meant(tmp_path: Path) -> None:
    """A warning: the default applies, and nothing else shows it."""
    result = found(context_of(tmp_path, CIO_FLUSH_INTERVAL="5"), "settings")

    assert result.state == "warning"
    assert "CIO_FLUSH_INTERVAL is not a setting" in result.says
    assert "did you mean CIO_FLUSH_INTERVAL_SECONDS?" in result.says


def test_unreadable_settings_are_the_only_result() -> None:
    """The value, maybe a secret, is not shown."""
    env = {"CIO_WEB_WORKERS": "quite-secret"}

    result = CliRunner().invoke(ciolake, ["doctor", "--json"], env=env)

    (one,) = json.loads(result.stdout)
    assert (one["name"], one["state"]) == ("settings", "failure")
    assert "CIO_WEB_WORKERS cannot be used" in one["says"]
    assert "quite-secret" not in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("results", "code"),
    [([ok("")], 0), ([ok(""), warning("", "")], 2), ([warning("", ""), failure("", "")], 1)],
)
def test_the_exit_code_is_of_the_worst(results: list[CheckResult], code: int) -> None:
    """Failures before warnings."""
    assert exit_code(results) == code


@pytest.mark.parametrize(
    ("variables", "state", "words"),
    [
        ({}, "warning", "creates a development key"),
        ({"CIO_HOST": "0.0.0.0"}, "failure", "answered 503"),  # noqa: S104
        ({"CIO_WEBHOOK_SIGNING_KEYS": ""}, "failure", "answered 503"),
        ({"CIO_WEBHOOK_SIGNING_KEYS": "dev_1", "CIO_HOST": "0.0.0.0"}, "warning", "development"),  # noqa: S104
        ({"CIO_WEBHOOK_SIGNING_KEYS": "dev_1"}, "ok", "1 active"),
        ({"CIO_WEBHOOK_SIGNING_KEYS": "one,two"}, "ok", "2 active"),
    ],
)
def test_keys_are_counted_and_never_shown(
    variables: dict[str, str], state: str, words: str
) -> None:
    """None, or one of development where others can reach the socket, is told."""
    result = configuration.key(open_context(variables))

    assert result.state == state
    assert words in result.says
    assert bool(result.fix) == (state != "ok")
    assert "dev_1" not in result.says


def test_a_folder_that_cannot_be_created_is_a_failure(tmp_path: Path) -> None:
    """What is in the way is named; one that can be made is a warning."""
    (tmp_path / "file").write_text("")

    wrong = found(context_of(tmp_path / "file" / "data"), "folder")
    missing = found(context_of(tmp_path / "data"), "folder")

    assert wrong.state == "failure"
    assert "cannot be created" in wrong.says
    assert missing.state == "warning"


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    """A file where the folder should be serves for all reasons."""
    (tmp_path / "data").write_text("")

    result = folder.folder(context_of(tmp_path / "data"))

    assert result.state == "failure"
    assert "Not a directory" in result.says
    assert "CIO_DATA_DIR" in result.fix


@pytest.mark.parametrize(
    ("free", "total", "chosen", "state"),
    [
        (40 << 30, 100 << 30, None, "ok"),
        (12 << 30, 100 << 30, None, "warning"),
        (9 << 30, 100 << 30, None, "failure"),
        (1200 << 20, 5 << 30, None, "warning"),
        (1000 << 20, 5 << 30, None, "failure"),
        (100 << 20, 500 << 20, 0, "ok"),
        (40 << 20, 500 << 20, 0, "failure"),
    ],
)
def test_little_room_is_told(free: int, total: int, chosen: int | None, state: str) -> None:
    """Near or below what the inbox leaves to the tables, and less than anything needs."""
    assert folder.judged_room(free, total, chosen).state == state


def test_a_disk_below_its_floor_is_told_with_figures_and_setting() -> None:
    """How much is free, how much the inbox leaves free, and what changes that."""
    says = folder.judged_room(9 << 30, 100 << 30, None).says

    assert "9.0 GiB of 100.0 GiB free" in says
    assert "leaves 10.0 GiB" in says
    assert "CIO_INBOX_FLOOR_BYTES" in says


def test_a_network_filesystem_fails(tmp_path: Path) -> None:
    """As it keeps the receiver from starting."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 1 0:1 / {tmp_path} rw - nfs4 server:/ rw\n")

    result = folder.filesystem(context_of(tmp_path), mounts)

    assert result.state == "failure"
    assert "nfs4" in result.says


def test_the_lock_tells_whether_somebody_loads(tables: Path) -> None:
    """A warning without, ok with."""
    lock = FolderLock(tables / "tables")

    without = found(context_of(tables), "loader")
    lock.acquire()
    held = found(context_of(tables), "loader")
    lock.release()

    lock.path.unlink()
    lock.path.symlink_to(lock.path)
    unreadable = found(context_of(tables), "loader")

    assert (without.state, held.state, unreadable.state) == ("warning", "ok", "failure")
    assert "ciolake serve" in without.fix


def test_events_that_wait_long_are_told(tmp_path: Path) -> None:
    """How many and how long; fresh ones are no matter."""
    context = context_of(tmp_path)
    inbox = LocalInbox(context.settings.inbox_dir, max_bytes=64 << 20)
    received_at = datetime.fromtimestamp(context.now() - 5, UTC)
    inbox.append(Record(b"{}", received_at, "1", "00000000", 2), 3.0)
    inbox.close()

    fresh = found(context, "inbox")
    late = found(replace(context, now=lambda: received_at.timestamp() + 1000), "inbox")

    assert fresh.state == "ok"
    assert "1 event " in fresh.says
    assert late.state == "warning"
    assert "loader" in late.fix


def test_the_quarantine_is_counted(tmp_path: Path) -> None:
    """In the inbox and beside the tables; with where it lies and what to do."""
    context = context_of(tmp_path)
    nothing = found(context, "quarantine")
    kept = [
        context.settings.inbox_dir / "quarantine/a.seg.0-3",
        tmp_path / f"quarantine/{EMAIL}/7.json",
    ]
    for file in kept:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"abc")

    result = found(context, "quarantine")

    assert nothing.state == "ok"
    assert result.state == "warning"
    assert result.says == (
        f"1 damaged parts of the inbox (3 bytes) are in {kept[0].parent}; 1 damaged files of "
        f"table logs (3 bytes) are in {tmp_path}/quarantine"
    )
    assert "dmesg" in result.fix


def test_a_quarantine_that_cannot_be_read_is_skipped(tmp_path: Path) -> None:
    """A link to itself serves for all reasons."""
    context = context_of(tmp_path)
    folder = context.settings.inbox_dir / "quarantine"
    folder.mkdir(parents=True)
    (folder / "a.seg.0-3").symlink_to(folder / "a.seg.0-3")

    result = found(context, "quarantine")

    assert result.state == "skipped"
    assert "cannot be read" in result.says
    assert result.fix


def test_a_lost_data_file_and_a_truncated_log_entry_are_failures(tables: Path) -> None:
    """The table and the version, and that a restart mends it."""
    raw = tables / "tables/webhook_raw_events"
    for file in raw.rglob("*.parquet"):
        if "_delta_log" not in file.parts:
            file.unlink()
    entry = sorted((tables / "tables" / EMAIL / "_delta_log").glob("*.json"))[-1]
    entry.write_text("{")

    result = found(context_of(tables), "commits")

    assert result.state == "failure"
    assert "webhook_raw_events: a data file of version" in result.says
    assert f"{EMAIL}: the log entry of version {int(entry.stem)} cannot be read" in result.says
    assert "restart" in result.fix


def test_a_deleted_older_data_file_is_a_failure(tmp_path: Path) -> None:
    """However many commits ago it came: which table, how many events, and where it should lie."""
    lake = LocalLake(tmp_path)
    lake.start()
    for number in range(15):
        load(lake, event(f"e{number}", days_ago=15 - number))
    lake.close()
    file = min((tmp_path / "tables" / EMAIL).glob("event_date=*/*.parquet"))
    file.unlink()
    context = context_of(tmp_path)

    result = found(context, "files")

    assert found(context, "commits").state == "ok"  # which looks at the newest ones alone
    assert result.state == "failure"
    assert f"{EMAIL}: 1 data files with 1 events are missing or truncated" in result.says
    assert str(file) in result.says
    assert "backup" in result.fix


def test_tables_with_other_columns_are_a_failure(tables: Path) -> None:
    """A missing table, a missing column, another type; whole tables are ok."""
    whole = found(context_of(tables), "tables")
    shutil.rmtree(tables / "tables" / EMAIL)
    shutil.rmtree(tables / "tables/webhook_sms_events")
    write_deltalake(tables / "tables" / EMAIL, pa.table({"event_id": [1]}))

    result = found(context_of(tables), "tables")

    assert whole.state == "ok"
    assert result.state == "failure"
    assert "missing tables: webhook_sms_events" in result.says
    assert f"{EMAIL} lacks object_type, metric, event_timestamp, event_date" in result.says
    assert f"{EMAIL}: event_id is long, not string" in result.says
    assert result.fix.startswith(f"move {EMAIL} out of the folder")


def test_a_restart_creates_missing_tables(tables: Path) -> None:
    """None at all is a warning: nothing was started yet."""
    shutil.rmtree(tables / "tables" / EMAIL)
    some = found(context_of(tables), "tables")
    shutil.rmtree(tables / "tables")
    none = found(context_of(tables), "tables")

    assert (some.state, none.state) == ("failure", "warning")
    assert "restart" in some.fix


def test_a_changed_property_is_a_warning(tables: Path) -> None:
    """By table and name."""
    whole = found(context_of(tables), "properties")
    DeltaTable(tables / "tables" / EMAIL).alter.set_table_properties(
        {"delta.checkpointInterval": "77"}
    )

    result = found(context_of(tables), "properties")

    assert whole.state == "ok"
    assert result.state == "warning"
    assert result.says == f"{EMAIL} lacks delta.checkpointInterval"


def test_a_loaded_at_ahead_of_the_clock_is_a_warning(tables: Path) -> None:
    """New rows go on from it, so that a clock that was wrong once stays visible."""
    context = context_of(tables)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()

    later = found(replace(context, now=lambda: noon + 60), "loaded-at")
    earlier = found(replace(context, now=lambda: noon - 60), "loaded-at")

    assert (later.state, earlier.state) == ("ok", "warning")
    assert "60 s ahead" in earlier.says
    assert "NTP" in earlier.fix


def test_loaded_at_of_no_rows_is_not_ahead(tmp_path: Path) -> None:
    """Neither without tables."""
    assert found(context_of(tmp_path), "loaded-at").state == "ok"


def test_without_names_there_is_one_workspace(tmp_path: Path) -> None:
    """Nothing is to be listed."""
    assert found(context_of(tmp_path), "workspaces").state == "ok"


def test_an_active_key_that_is_not_listed_is_reported(tmp_path: Path) -> None:
    """Its events would fall to default without a word."""
    fingerprint = SigningKey.from_text(KEY).fingerprint
    other = found(context_of(tmp_path, CIO_WORKSPACES="shop:11111111"), "workspaces")
    listed = found(context_of(tmp_path, CIO_WORKSPACES=f"shop:{fingerprint}"), "workspaces")

    assert (other.state, listed.state) == ("warning", "ok")
    assert f":{fingerprint} to CIO_WORKSPACES" in other.fix


def test_rows_that_need_a_rename_are_reported_with_the_command(tables: Path) -> None:
    """Those of a listed key whose workspace is another one."""
    names = f"shop:0a1b2c3d,shop:{SigningKey.from_text(KEY).fingerprint}"

    result = found(context_of(tables, CIO_WORKSPACES=names), "workspaces")

    assert (result.state, "1 row " in result.says) == ("warning", True)
    assert "ciolake workspaces rename default shop" in result.fix
