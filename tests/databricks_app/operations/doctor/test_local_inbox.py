"""`ciolake doctor` where events wait on a local disk and the tables are in Databricks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import ADMIN_TOKEN, KEY
from databricks_app.databricks.workspace import connect
from databricks_app.ingest.inbox.filesystem import filesystem_of
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.operations.doctor import folder
from databricks_app.operations.doctor.context import WaitLimits, open_context
from databricks_app.operations.doctor.result import CheckResult
from databricks_app.operations.doctor.run import checks
from tests.doubles import Databricks


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume and no tables."""
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        yield double


@pytest.fixture
def variables(double: Databricks, tmp_path: Path) -> dict[str, str]:
    """The environment of the receiver's machine."""
    return double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_INBOX": "local",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "events",
        "CIO_DATA_DIR": str(tmp_path / "data"),
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
    }


@pytest.fixture
def receiver(variables: dict[str, str], tmp_path: Path) -> Iterator[Receiver]:
    """A receiver that loads after fifteen minutes."""
    own = variables | {"CIO_WEB_WORKERS": "1", "CIO_FRESHNESS_SECONDS": "900"}
    with serving(tmp_path, **own) as receiver:
        yield receiver


def results(variables: dict[str, str], *names: str) -> list[CheckResult]:
    """What these checks find."""
    with closing(open_context(variables, limits=WaitLimits(canary=20, lease=0.3))) as context:
        known = {one.name: one for one in checks(context)}
        return [known[name].look(context) for name in names]


def test_a_canary_is_found_on_the_disk_without_a_statement(
    double: Databricks, variables: dict[str, str], receiver: Receiver, tmp_path: Path
) -> None:
    """Its row comes long after the doctor; it says when. The other checks look there too."""
    canary, inbox, settings = results(
        variables | {"CIO_RELAY_URL": receiver.url}, "canary", "inbox", "settings"
    )

    assert canary.state == "ok", canary
    where = re.escape(str(tmp_path / "data/inbox"))
    assert re.search(f"in the inbox {where}; its row is expected by", canary.says)
    assert inbox.says.startswith("1 event waits")
    assert re.search(f"the inbox is local, at {where}", settings.says)
    assert double.workspace.engine.received == []


def test_on_another_machine_the_answer_of_the_receiver_counts(
    variables: dict[str, str], receiver: Receiver, tmp_path: Path
) -> None:
    """The doctor does not call an inbox empty that it cannot see."""
    there = variables | {"CIO_RELAY_URL": receiver.url, "CIO_DATA_DIR": str(tmp_path / "other")}

    canary, inbox = results(there, "canary", "inbox")

    assert canary.state == "ok", canary
    assert "the inbox is on the disk of the receiver" in canary.says
    assert inbox.state == "skipped"


def test_a_free_lease_is_normal_between_two_loads(variables: dict[str, str]) -> None:
    """With the volume it would mean that no loader runs."""
    found = []
    with closing(connect(variables)) as joined:
        for is_for_one_drain in (True, False):
            lease = Lease(
                joined,
                "/Volumes/main/cio/events/lease",
                renew_seconds=0,
                is_for_one_drain=is_for_one_drain,
            )
            lease.take()
            lease.release()
            found += results(variables, "loader")

    assert [one.state for one in found] == ["ok", "warning"]


def test_a_disk_that_is_lost_is_a_failure(variables: dict[str, str], tmp_path: Path) -> None:
    """Only for tables in Databricks: there the disk holds acknowledged events alone."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:30 / / rw - overlay overlay rw\n")
    found = []
    for store in ("databricks", "local"):
        with closing(open_context(variables | {"CIO_STORE": store})) as context:
            found.append(folder.filesystem(context, mounts))

    assert filesystem_of(tmp_path, mounts) == "overlay"
    assert [one.state for one in found] == ["failure", "ok"]
    assert "container" in found[0].says
