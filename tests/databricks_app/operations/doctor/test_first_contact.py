"""What `ciolake doctor --first-contact` asks, of a double that keeps and breaks promises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import KEY
from databricks_app.cli import ciolake
from databricks_app.databricks.workspace import DatabricksWorkspace, FileEntry
from databricks_app.operations.doctor import first_contact, first_tables
from databricks_app.operations.doctor.context import DoctorContext, open_context
from databricks_app.operations.doctor.result import CheckResult
from databricks_app.operations.doctor.run import FIRST_CONTACT
from tests.doubles import TOKEN, Databricks, Fault
from tests.support.paths import DOCS

PROBE = "/Volumes/main/cio/events/probe"
PAGE = DOCS / "first-contact.md"
Ask = Callable[..., CheckResult]


class Careless(DatabricksWorkspace):
    """A workspace whose volume keeps none of its promises about names and contents."""

    def put(self, path: str, content: bytes, *, overwrite: bool, seconds: float = 60) -> None:
        """Always overwrite."""
        super().put(path, content, overwrite=overwrite or True, seconds=seconds)

    def get(self, path: str) -> bytes:
        """Give back less than there is."""
        return super().get(path)[:-1]

    def entries(self, folder: str) -> Iterator[FileEntry]:
        """Show nothing."""
        yield from [one for one in super().entries(folder) if one.size < 0]


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume and no tables."""
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        yield double


@pytest.fixture
def open_with(double: Databricks) -> Iterator[Callable[..., DoctorContext]]:
    """Make the context of an installation: `open_with(url=..., DATABRICKS_TOKEN=...)`."""
    made: list[DoctorContext] = []

    def make(url: str | None = None, **other: str) -> DoctorContext:
        fixed = {"CIO_STORE": "databricks", "CIO_CATALOG": "main", "CIO_SCHEMA": "cio"}
        fixed |= {"CIO_VOLUME": "events", "CIO_WEBHOOK_SIGNING_KEYS": KEY}
        made.append(open_context(double.environment() | fixed | other, url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def context(open_with: Callable[..., DoctorContext]) -> DoctorContext:
    """An installation with a principal's own login."""
    return open_with()


@pytest.fixture
def careless(context: DoctorContext) -> Iterator[DoctorContext]:
    """The same over a volume that breaks its promises."""
    remote = context.remote
    workspace = Careless(remote.host, remote.tokens, remote._client)  # the same wire
    return replace(context, workspace=workspace)


@pytest.fixture
def altered(double: Databricks) -> Callable[..., None]:
    """Give the warehouse another mind: `altered(lambda sql, run: run(sql))`."""
    engine = double.workspace.engine
    real = engine._run  # behind the protocol, past the parser of the double

    def alter(mind: Callable[[str, Callable[[str], Any]], Any]) -> None:
        def run(sql: str, session: Any, parameters: Any) -> Any:
            return mind(sql, lambda text: real(text, session, parameters))

        engine._run = run  # type: ignore[method-assign]

    return alter


@pytest.mark.parametrize(
    "ask",
    [
        first_contact.exclusive_put,
        first_contact.visible,
        first_contact.put_time,
        first_contact.large_put,
        first_contact.token_life,
        first_tables.types,
        first_tables.races,
    ],
)
def test_a_workspace_as_documented_passes_all_checks(
    ask: Ask, context: DoctorContext, double: Databricks
) -> None:
    """Each answer is ok, and nothing is left behind: no file, no table."""
    result = ask(context)

    assert result.state == "ok", result
    assert context.remote.names(PROBE) == []
    assert double.workspace.catalog.inside("table", ("main", "cio")) == []


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (first_contact.exclusive_put, "8 succeeded"),
        (first_contact.visible, "not listed, read immediately"),
        (first_contact.large_put, "33554431 bytes"),
    ],
)
def test_a_volume_that_is_not_as_documented_is_reported(
    ask: Ask, words: str, careless: DoctorContext
) -> None:
    """What is not as documented is named."""
    result = ask(careless)

    assert result.state in {"warning", "failure"}
    assert words in result.says


@pytest.mark.parametrize(
    "ask",
    [
        first_contact.exclusive_put,
        first_contact.visible,
        first_contact.put_time,
        first_contact.large_put,
        first_tables.types,
        first_tables.races,
    ],
)
def test_a_missing_right_is_reported(ask: Ask, context: DoctorContext, double: Databricks) -> None:
    """The answer is not known then, and the text says which right to give."""
    double.faults.set(Fault("denied", operation="files.put", times=None))

    result = ask(context)

    assert result.state == "failure"
    assert "WRITE VOLUME" in result.says


def test_a_slow_volume_is_a_warning(context: DoctorContext, double: Databricks) -> None:
    """Half of what the receiver waits is too near."""
    double.faults.set(Fault("latency", operation="files.put", seconds=1.6, times=1))

    result = first_contact.put_time(context)

    assert result.state == "warning"
    assert "waits only 3 s" in result.says


def test_the_lifetime_of_a_token_is_reported(
    open_with: Callable[..., DoctorContext], double: Databricks
) -> None:
    """A short one is a warning; a personal token does not say."""
    double.workspace.tokens.seconds = 600
    short = first_contact.token_life(open_with())
    personal = first_contact.token_life(open_with(DATABRICKS_CLIENT_ID="", DATABRICKS_TOKEN=TOKEN))

    assert short.state == "warning"
    assert re.search(r"only (5\d\d|600) s", short.says)
    assert personal.state == "skipped"


@pytest.mark.slow
def test_merges_that_insert_twice_are_a_failure(
    context: DoctorContext, altered: Callable[..., None]
) -> None:
    """Rows that stand twice, and counts that are not those of what was done."""

    def double_one(sql: str, run: Callable[[str], Any]) -> Any:
        answer = run(sql)
        if sql.startswith("MERGE"):
            table = f"main.cio.{sql.split('`')[1]}"
            run(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1")
        return answer

    altered(double_one)
    result, merged = first_tables.races(context), first_tables.types(context)

    assert result.state == "failure"
    assert "only one instance" in result.fix
    assert merged.state == "failure"


def test_a_merge_with_a_wrong_count_is_a_failure(
    context: DoctorContext, altered: Callable[..., None]
) -> None:
    """The loader relies on the number."""

    def miscount(sql: str, run: Callable[[str], Any]) -> Any:
        answer = run(sql)
        if sql.startswith("MERGE"):
            none = dict.fromkeys(answer.column_names, 0)
            answer = pa.Table.from_pylist([none], answer.schema)
        return answer

    altered(miscount)

    assert "inserted 0 and 0 rows" in first_tables.types(context).says


def test_changed_values_are_a_failure(context: DoctorContext, altered: Callable[..., None]) -> None:
    """Each column by its name."""
    shown = "date_trunc('SECOND', `event_timestamp`) AS `event_timestamp`"
    altered(
        lambda sql, run: run(
            sql.replace("`event_timestamp`", shown, 1) if "to_json" in sql else sql
        )
    )

    assert "changed: event_timestamp" in first_tables.types(context).says


def test_a_body_of_24_mib_is_sent_and_not_stored(
    open_with: Callable[..., DoctorContext], tmp_path: Path
) -> None:
    """A receiver reads and refuses it; elsewhere, and without an address, that is said."""
    with serving(tmp_path) as receiver:
        taken = first_contact.large_body(open_with(receiver.url))
        elsewhere = first_contact.large_body(open_with(receiver.url.replace("/api/", "/other/")))
        events = list((tmp_path / "data" / "inbox").glob("*.seg"))
    silent = first_contact.large_body(open_with(receiver.url))
    nowhere = first_contact.large_body(open_with())

    assert [one.state for one in (taken, elsewhere, silent, nowhere)] == [
        "ok",
        "warning",
        "warning",
        "skipped",
    ]
    assert "404" in elsewhere.says
    assert events == []


def test_calls_that_are_refused_are_counted(context: DoctorContext, double: Databricks) -> None:
    """The double takes 10 at once and 100 a second; one without limits refuses none."""
    double.faults.set(Fault("latency", "files.put", seconds=0.02, times=None))
    limited = first_contact.call_limits(context)
    double.workspace.limits.concurrent = double.workspace.limits.per_second = None
    free = first_contact.call_limits(context)
    double.workspace.limits.per_second = 0
    silent = first_contact.call_limits(context)

    assert (limited.state, free.state, silent.state) == ("warning", "ok", "warning")
    assert re.search(r" \d+ refused with 429 \(Retry-After: 1 s\)", limited.says)
    assert "none refused" in free.says
    assert "160 refused" in silent.says


def test_a_volume_that_cannot_be_written_is_not_a_limit(
    context: DoctorContext, double: Databricks
) -> None:
    """A missing right is told as one."""
    double.faults.set(Fault("denied", "files.put", times=None))

    assert first_contact.call_limits(context).state == "failure"


def test_the_command_runs_them_after_the_other_checks(double: Databricks, tmp_path: Path) -> None:
    """Each by its name, as the documentation lists them; of local tables nobody asks."""
    variables = double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "events",
    }
    words = ["doctor", "--no-canary", "--first-contact"]
    result = CliRunner().invoke(ciolake, [*words, "--json"], env=variables)
    local = CliRunner().invoke(ciolake, words, env={"CIO_DATA_DIR": str(tmp_path)})

    names = [one["name"] for one in json.loads(result.output)]
    asked = [check.name for check in FIRST_CONTACT]
    documented = re.findall(r"^\| `([a-z-]+)` \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names[-len(asked) :] == asked == documented
    unanswered = {one["name"] for one in json.loads(result.output) if one["state"] == "skipped"}
    assert first_contact.UNANSWERED.keys() <= unanswered
    assert local.exit_code == 2
    assert "CIO_STORE=databricks" in local.output
