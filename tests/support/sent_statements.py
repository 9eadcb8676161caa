"""Every SQL statement that the project sends to a warehouse, as a file that people read.

Not a test module. `python -m tests.support.sent_statements` writes the file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.events import event, record
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import KEY
from core.webhooks.signature import SigningKey
from databricks_app.databricks.workspace import connect
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import pending, put_replay
from databricks_app.lake import sql_dialect
from databricks_app.operations.doctor.first_tables import LIKE
from databricks_app.settings import from_environment
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks
from tests.support.paths import ROOT

FILE = ROOT / "docs" / "databricks-statements.sql"
HEAD = """\
-- Every SQL statement that this project sends to a SQL warehouse, once each, for review.
-- A test records them at a double of a warehouse and compares. What differs from load to load
-- stands here with example values: the path of a staged file, the dates of its rows.
-- Sessions have catalog and schema set, TIMEZONE = UTC and a STATEMENT_TIMEOUT.
-- Long lists are wrapped. CREATE TABLE and CREATE VIEW are sent as they stand in sql/.
-- Values of parameters (:name) are never part of a text.
"""
_SCHEMA = {"CIO_CATALOG": "main", "CIO_SCHEMA": "cio", "CIO_VOLUME": "events"}
_STAGED = r"'/Volumes/main/cio/events/staging/00000007.0123456789abcdef.\1.1.parquet'"
_SCRATCH = "ciolake_scratch_0123456789ab"
_SEVERAL = r"'/Volumes/main/cio/events/staging/00000007.0123456789abcdef.\1.{1,2}.parquet'"
_PROBE = "'/Volumes/main/cio/events/probe/ciolake_scratch_0123456789ab.0123.{1,2}.parquet'"
_LACKING = "webhook_push_events"
_SECONDS = 120.0
_WIDTH = 100
_EVENTS = [
    record(event(kind, kind))
    for kind in (
        *(f"{one}/sent" for one in ("email", "sms", "push", "in_app", "slack", "webhook")),
        "customer/subscribed",
        "whatsapp/sent",
        "x/y",
    )
]
# A load stages so large bodies in several files.
_LARGE = [record(event(f"large {one}", "email/sent", padding=9 << 20)) for one in range(2)]
_EXAMPLES = (
    (re.compile(r"'/Volumes/main/cio/events/staging/[^']*\.(\w+)\.\{[\d,]+\}\.parquet'"), _SEVERAL),
    (re.compile(r"'/Volumes/main/cio/events/staging/[^']*\.(\w+)\.\d+\.parquet'"), _STAGED),
    (re.compile(r"IN \((DATE'[\d-]+'(, )?)+\)"), "IN (DATE'2026-11-21', DATE'2026-11-22')"),
    (re.compile(r"ciolake_scratch_[0-9a-f]{12}"), _SCRATCH),
    (re.compile(r"'/Volumes/main/cio/events/probe/[^']*'"), _PROBE),
    (re.compile(r"'ciolake-canary-[0-9a-f]+'"), "'ciolake-canary-0123456789abcdef'"),
    (re.compile(r"'[0-9a-f]{8}'"), "'0a1b2c3d'"),
    (re.compile(r"`[0-9a-f]{8}-[0-9a-f-]+`"), "`00000000-0000-4000-8000-000000000001`"),
)


@dataclass(frozen=True, slots=True)
class Purpose:
    """Statements of one purpose.

    Attributes:
        title: Who sends them, and when.
        rights: What they need.
        pattern: Matches each of them whole.
    """

    title: str
    rights: str
    pattern: str


PURPOSES = (
    Purpose(
        "The loader with its first load, and after a load that failed: what is there?",
        "USE CATALOG, USE SCHEMA; shows what the session may see",
        r"SELECT table_name, column_name\nFROM information_schema\.columns.*",
    ),
    Purpose(
        "The loader, at the same times: `loaded_at` of new rows goes on from the newest",
        "SELECT on the tables",
        r"SELECT max\(newest_at\) AS newest_at .*",
    ),
    Purpose(
        "The loader with its first load, where CIO_WORKSPACES names keys: their workspaces",
        "SELECT on webhook_raw_events",
        r"SELECT DISTINCT key_fingerprint, .*",
    ),
    Purpose(
        "The loader and `ciolake deploy`, for a table that lacks a column of sql/",
        "MANAGE on, or ownership of, the table",
        r"ALTER TABLE `\w+` ADD COLUMNS .*",
    ),
    Purpose(
        "The loader, one a table that has rows in the load: insert what is missing from its staged "
        "files, of which there can be several",
        "SELECT and MODIFY on the table, READ VOLUME",
        r"MERGE INTO `webhook_\w+` AS target.*",
    ),
    Purpose(
        "`ciolake workspaces rename`, one a table and month: the typed tables, then the raw one",
        "SELECT and MODIFY on the tables",
        r"MERGE INTO `webhook_\w+` AS typed.*|UPDATE `webhook_raw_events` .*",
    ),
    Purpose(
        "`ciolake workspaces rename`: which days and how many rows would be changed",
        "SELECT on the tables",
        r"SELECT DISTINCT `event_date` .*|SELECT '\w+' AS name, count\(\*\) AS events FROM `.*",
    ),
    Purpose(
        "`ciolake workspaces`, and `rename`: keys and rows of each workspace",
        "SELECT on webhook_raw_events",
        r"SELECT coalesce\(workspace, 'default'\) AS workspace, .*",
    ),
    Purpose(
        "`ciolake doctor`: which keys have verified events",
        "SELECT on webhook_raw_events",
        r"SELECT key_fingerprint, count\(\*\) AS events FROM webhook_raw_events.*",
    ),
    Purpose(
        "The loader, where a MERGE inserted fewer rows than it got: which had others written?",
        "SELECT on the table, READ VOLUME",
        r"SELECT target\..*",
    ),
    Purpose(
        "The loader, at the same time, if there are several staged files: are all of them there?",
        "READ VOLUME",
        r"SELECT count\(\*\) AS staged_rows\n.*",
    ),
    Purpose(
        "`ciolake verify`", "SELECT on the tables", r"SELECT event_id, count\(\*\) OVER \(\) .*"
    ),
    Purpose(
        "`ciolake verify` and `ciolake tables`: rows of a table",
        "SELECT on the table",
        r"SELECT count\(\*\) AS events FROM \w+|SELECT '\w+' AS name, count\(\*\) AS events, .*",
    ),
    Purpose(
        "`ciolake replay`: how many, and the stored bodies",
        "SELECT on webhook_raw_events, or on webhook_unrouted_events",
        r"SELECT (count\(\*\)|event_date, event_id, .*) FROM webhook_\w+ WHERE .*TRUE.*",
    ),
    Purpose("`ciolake doctor`: does the warehouse answer?", "CAN USE", r"SELECT 1 AS one"),
    Purpose(
        "`ciolake doctor`: types of columns",
        "USE CATALOG, USE SCHEMA",
        r"SELECT table_name, column_name, full_data_type .*",
    ),
    Purpose(
        "`ciolake doctor`: properties and grants",
        "SELECT on the table; the right to see grants, or the check is skipped",
        r"SHOW (TBLPROPERTIES|GRANTS) .*|SELECT table_name, privilege_type .*",
    ),
    Purpose(
        "`ciolake doctor` and `ciolake deploy`: has an event of ours become a row?",
        "SELECT on webhook_raw_events",
        r"SELECT (count\(\*\)|event_id) FROM webhook_raw_events WHERE event_id = \S+",
    ),
    Purpose(
        "`ciolake doctor --first-contact`: a table like webhook_email_events, dropped again",
        "CREATE TABLE on the schema, READ VOLUME",
        r".*`?ciolake_scratch_\w+.*",
    ),
    Purpose(
        "`ciolake deploy --destroy --tables`",
        "MANAGE on, or ownership of, each",
        r"DROP (TABLE|VIEW) IF EXISTS (webhook|daily|camp|cust|jour)\w+",
    ),
)


def sent(folder: Path) -> list[str]:
    """Let every part of the project send what it sends; the statements, once each, in order."""
    with Databricks(folder / "double") as double:
        double.workspace.catalog.seed("main")
        deployer = {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN} | _SCHEMA
        receiver = double.environment() | _SCHEMA | {"CIO_STORE": "databricks"}
        receiver["CIO_FRESHNESS_SECONDS"] = "0.5"
        receiver["CIO_WORKSPACES"] = f"shop:{SigningKey.from_text(KEY).fingerprint}"
        deploy = ["deploy", "--warehouse", WAREHOUSE_ID, "--timeout", "1"]
        _command(deployer, *deploy)
        _command(deployer, *deploy, "--wait")  # its proof looks before it sends
        double.workspace.engine.query("DROP VIEW main.cio.journey_performance")
        _lack_columns(double)
        with serving(folder, **receiver) as runner:
            for _ in range(2):
                _load(receiver, _EVENTS)
                _load(receiver, _LARGE)
            for command in (
                "verify",
                "tables",
                "replay --unrouted --dry-run",
                "replay --event-id E1 --table webhook_sms_events --from 2012-01-01 --to 2100-01-01",
                f"doctor --first-contact --url {runner.url}",
            ):
                _command(receiver, *command.split())
        receiver["CIO_WORKSPACES"] = "shop:0badf00d"
        _command(receiver, "workspaces")
        _command(receiver, "workspaces", "rename", "default", "shop", "--yes")
        _command(deployer, "deploy", "--warehouse", WAREHOUSE_ID, "--destroy", "--tables", "--yes")
        received = double.workspace.engine.received
    return sorted({_with_examples(one) for one in received})


def text(statements: Sequence[str]) -> str:
    """The file: what is not in `sql/`, by purpose."""
    parts = [HEAD]
    others = [one for one in statements if one not in of_files()]
    for purpose in PURPOSES:
        mine = [one for one in others if purpose in purposes(one)]
        parts.append(f"\n-- {purpose.title}\n-- Needs: {purpose.rights}\n\n")
        parts.append("\n".join(f"{_wrapped(one)};\n" for one in mine))
    return "".join(parts)


def purposes(statement: str) -> list[Purpose]:
    """Whose statement it is."""
    return [one for one in PURPOSES if re.fullmatch(one.pattern, statement, re.DOTALL)]


def of_files() -> set[str]:
    """Statements that are sent as they stand in `sql/`, one of them with another table's name."""
    like = sql_dialect.table(LIKE)
    texts = {
        *(one.sql for one in sql_dialect.tables()),
        *(one.sql for one in sql_dialect.statements("views")),
        like.sql.replace(LIKE, _SCRATCH, 1),
    }
    return {one.strip() for one in texts}


def _with_examples(statement: str) -> str:
    for pattern, example in _EXAMPLES:
        statement = pattern.sub(example, statement)
    return statement.strip()


def _wrapped(statement: str) -> str:
    """A statement with the lists of its columns on several lines; texts in quotes stay whole."""
    lines = []
    for line in statement.splitlines():
        indent = line[: len(line) - len(line.lstrip())] + "    "
        is_list = line.count("`") > 20
        lines += (
            textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False)
            if is_list
            else [line]
        )
    return "\n".join(lines)


def _lack_columns(double: Databricks) -> None:
    """Leave two columns out of a table, as if `sql/` had just got them."""
    table = sql_dialect.table(_LACKING)
    newest = tuple(column.name for column in table.columns[-3:-1])
    lines = [line for line in table.sql.splitlines() if not line.strip().startswith(newest)]
    engine = double.workspace.engine
    engine.query(f"DROP TABLE main.cio.{_LACKING}")
    engine.query("\n".join(lines).replace(_LACKING, f"main.cio.{_LACKING}", 1))


def _load(variables: dict[str, str], records: list[Record]) -> None:
    """Put events into the volume and wait until a loader has made them rows."""
    settings = from_environment(variables)
    workspace = connect(variables)
    try:
        put_replay(workspace, settings.volume_path, records)
        # Each look is some calls, and the workspace takes a limited number a second.
        wait_until(lambda: not pending(workspace, settings.volume_path).events, _SECONDS, 1.0)
    finally:
        workspace.close()


def _command(variables: dict[str, str], *words: str) -> None:
    """Run `ciolake`; what it finds is not the matter here."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    fixed = {"CIO_WEBHOOK_SIGNING_KEYS": KEY}
    subprocess.run(
        [sys.executable, "-m", "databricks_app", *words],
        cwd=ROOT,
        env=inherited | fixed | variables,
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        FILE.write_text(text(sent(Path(place))), encoding="utf-8")
