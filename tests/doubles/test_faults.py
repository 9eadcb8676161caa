"""The fault switches, each tested through a real client."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, PermissionDenied, Unauthenticated

from tests.doubles import TOKEN, Databricks, Fault

VOLUME = "/Volumes/main/cio/events"

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def put(double: Databricks, name: str = "one", seconds: float = 5) -> requests.Response:
    """Put a file without retries."""
    url = f"{double.url}/api/2.0/fs/files{VOLUME}/{name}"
    return requests.put(url, data=b"content", headers=HEADERS, timeout=seconds)


def stored(double: Databricks, name: str = "one") -> Path:
    """Return the local path of the file."""
    return double.workspace.catalog.local_path(f"{VOLUME}/{name}")


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("throttled", 429, "REQUEST_LIMIT_EXCEEDED"),
        ("unavailable", 503, "TEMPORARILY_UNAVAILABLE"),
        ("error", 500, "INTERNAL_ERROR"),
        ("expired", 401, "UNAUTHENTICATED"),
        ("denied", 403, "PERMISSION_DENIED"),
        ("full", 507, "QUOTA_EXCEEDED"),
    ],
)
def test_a_fault_answers_instead_of_the_service(
    double: Databricks, action: Any, status: int, code: str
) -> None:
    """The error has the platform's form, nothing takes effect, and the next request succeeds."""
    double.faults.set(Fault(action, operation="files.put"))

    answer = put(double)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert not stored(double).exists()
    assert put(double).status_code == 204
    assert double.faults.failed["files.put"] == 1


def test_a_throttled_answer_has_retry_after(double: Databricks) -> None:
    """The fault sets the value of the header."""
    double.faults.set(Fault("throttled", retry_after=7))

    assert put(double).headers["Retry-After"] == "7"


def test_latency_delays_the_answer(double: Databricks) -> None:
    """The call succeeds after the delay."""
    double.faults.set(Fault("latency", operation="files.put", seconds=0.2))

    start = time.monotonic()
    answer = put(double)

    assert answer.status_code == 204
    assert time.monotonic() - start >= 0.2


def test_a_reset_before_the_effect_stores_nothing(double: Databricks) -> None:
    """The connection ends and the file does not exist."""
    double.faults.set(Fault("reset_before", operation="files.put"))

    with pytest.raises(requests.ConnectionError):
        put(double)

    assert not stored(double).exists()


def test_a_reset_after_the_effect_has_stored(double: Databricks) -> None:
    """The connection ends and the file exists: only the answer is lost."""
    double.faults.set(Fault("reset_after", operation="files.put"))

    with pytest.raises(requests.ConnectionError):
        put(double)

    assert stored(double).read_bytes() == b"content"


@pytest.mark.parametrize(("action", "is_stored"), [("hang", False), ("hang_after", True)])
def test_a_hang_gives_no_answer(double: Databricks, action: Any, *, is_stored: bool) -> None:
    """The client's timeout ends the call."""
    double.faults.set(Fault(action, operation="files.put"))

    with pytest.raises(requests.Timeout):
        put(double, seconds=0.3)

    assert stored(double).exists() is is_stored


def test_path_skip_and_times_limit_a_fault(double: Databricks) -> None:
    """It ignores other paths and the first match, then acts twice."""
    double.faults.set(Fault("error", path="/inbox/", skip=1, times=2))

    seen = [put(double, name).status_code for name in ("other", *["inbox/x"] * 4)]

    assert seen == [204, 204, 500, 500, 204]


def test_the_sdk_raises_its_own_errors(client: WorkspaceClient, double: Databricks) -> None:
    """The error bodies have the form from which the SDK finds its error classes."""
    path = f"{VOLUME}/one"
    double.faults.set(Fault("denied", operation="files.put", text="no WRITE VOLUME"))
    with pytest.raises(PermissionDenied, match="no WRITE VOLUME"):
        client.files.upload(path, io.BytesIO(b"x"))
    double.faults.set(Fault("expired", operation="files.put"))
    with pytest.raises(Unauthenticated):
        client.files.upload(path, io.BytesIO(b"x"))
    double.faults.set(Fault("full", operation="files.put"))
    with pytest.raises(DatabricksError, match="quota"):
        client.files.upload(path, io.BytesIO(b"x"))


def test_faults_can_be_set_over_http(double: Databricks) -> None:
    """So another process can set and clear faults, and read counters."""
    control = f"{double.url}/double"
    wanted = [{"action": "error", "operation": "files.put", "times": None}]

    assert requests.post(f"{control}/faults", json=wanted, timeout=5).status_code == 200
    assert put(double).status_code == 500
    state = requests.get(f"{control}/state", timeout=5).json()
    requests.delete(f"{control}/faults", timeout=5)
    requests.delete(f"{control}/counts", timeout=5)

    assert state["counts"] == {"files.put": 1}
    assert state["faults"][0]["acted"] == 1
    assert put(double).status_code == 204
    assert dict(double.faults.counts) == {"files.put": 1}


@pytest.mark.parametrize("wrong", [{"action": "explode"}, {"action": "error", "colour": 1}, {}])
def test_an_unknown_fault_is_refused(double: Databricks, wrong: dict[str, object]) -> None:
    """With a misspelled fault a test would prove nothing."""
    answer = requests.post(f"{double.url}/double/faults", data=json.dumps(wrong), timeout=5)

    assert answer.status_code == 400


@pytest.mark.slow
def test_a_stopped_warehouse_starts_with_the_first_statement(
    double: Databricks, connect: Callable[..., Any]
) -> None:
    """While it starts the connector gets 503 and retries."""
    body = {"stop": True, "start_seconds": 0.8}
    requests.post(f"{double.url}/double/warehouse", json=body, timeout=5)

    with connect().cursor() as cursor:
        cursor.execute("SELECT 1")

        assert cursor.fetchall()[0][0] == 1
    assert double.faults.failed["sql.OpenSession"] >= 1


def test_a_statement_fails_with_the_text_of_the_fault(
    double: Databricks, connect: Callable[..., Any]
) -> None:
    """Only matching statements fail, before or after their effect."""
    cursor = connect().cursor()
    cursor.execute("CREATE TABLE t (a BIGINT)")
    text = "[DELTA_CONCURRENT_APPEND] given. SQLSTATE: 2D521"
    double.faults.set(Fault("statement_fails", statement="^INSERT", text=text))
    double.faults.set(Fault("statement_fails_after", statement="^INSERT"))

    with pytest.raises(Exception, match="DELTA_CONCURRENT_APPEND"):
        cursor.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(Exception, match="INTERNAL_ERROR"):
        cursor.execute("INSERT INTO t VALUES (2)")

    assert double.workspace.engine.query("SELECT a FROM main.cio.t") == [{"a": 2}]


def test_a_slow_statement_is_delayed(double: Databricks, connect: Callable[..., Any]) -> None:
    """The engine waits before it runs the statement."""
    cursor = connect().cursor()
    double.faults.set(Fault("statement_slow", statement="SELECT 1", seconds=0.3))

    start = time.monotonic()
    cursor.execute("SELECT 1")

    assert time.monotonic() - start >= 0.3


def test_the_connector_retries_a_statement_whose_answer_is_lost(
    double: Databricks, connect: Callable[..., Any]
) -> None:
    """After a reset the unmodified connector sends the statement again: an INSERT runs twice."""
    cursor = connect().cursor()
    cursor.execute("CREATE TABLE t (a BIGINT)")
    double.faults.set(Fault("reset_after", operation="sql.ExecuteStatement", statement="^INSERT"))

    cursor.execute("INSERT INTO t VALUES (1)")

    assert double.workspace.engine.query("SELECT a FROM main.cio.t") == [{"a": 1}] * 2
