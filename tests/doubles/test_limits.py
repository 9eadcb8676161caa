"""The limits of the platform: on by default, a call over a limit is refused without effect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks, Fault, relaxed

VOLUME = "/Volumes/main/cio/events"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def put(double: Databricks, name: object, content: bytes = b"x") -> requests.Response:
    """Put a file without retries."""
    url = f"{double.url}/api/2.0/fs/files{VOLUME}/{name}"
    return requests.put(url, data=content, headers=HEADERS, timeout=20)


def test_the_eleventh_call_at_once_is_refused(double: Databricks) -> None:
    """It gets 429 with Retry-After; ten calls succeed, and so does the next call after them."""
    double.faults.set(Fault("latency", operation="files.put", seconds=1, times=None))

    with ThreadPoolExecutor(11) as pool:
        answers = list(pool.map(lambda name: put(double, name), range(11)))

    assert sorted(one.status_code for one in answers) == [204] * 10 + [429]
    refused = next(one for one in answers if one.status_code == 429)
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert double.workspace.limits.refused == {"concurrent": 1}
    assert len(list(double.workspace.catalog.local_path(VOLUME).iterdir())) == 10
    double.faults.clear()
    assert put(double, "later").status_code == 204


def test_more_than_a_hundred_calls_a_second_are_refused(double: Databricks) -> None:
    """Calls about files and folders count together; a second later calls succeed again."""
    now = 1000.0
    double.workspace.limits.clock = lambda: now
    listing = f"{double.url}/api/2.0/fs/directories{VOLUME}"

    answers = [put(double, name).status_code for name in range(99)]
    answers.append(requests.get(listing, headers=HEADERS, timeout=5).status_code)
    answers.append(put(double, "one too many").status_code)
    now += 1
    answers.append(put(double, "later").status_code)

    assert answers == [204] * 99 + [200, 429, 204]
    assert double.workspace.limits.refused == {"per_second": 1}


def test_other_calls_are_not_counted(double: Databricks) -> None:
    """The limits apply only to the Files API."""
    double.workspace.limits.per_second = 0
    url = f"{double.url}/api/2.0/preview/scim/v2/Me"

    assert requests.get(url, headers=HEADERS, timeout=5).status_code == 200
    assert put(double, "one").status_code == 429


def test_a_file_over_the_maximum_size_is_refused(double: Databricks) -> None:
    """A file of exactly the maximum is stored; the test sets a lower limit than 5 GiB."""
    double.workspace.limits.file_bytes = 1000

    answers = [put(double, size, bytes(size)).status_code for size in (1000, 1001)]

    assert answers == [204, 413]
    assert not double.workspace.catalog.local_path(f"{VOLUME}/1001").exists()


def test_a_statement_over_the_maximum_length_is_refused(double: Databricks) -> None:
    """The length is counted in bytes of UTF-8; the test sets a lower limit than 16 MiB."""
    url = f"{double.url}/api/2.0/sql/statements"
    body = {"warehouse_id": WAREHOUSE_ID, "wait_timeout": "30s"}
    double.workspace.limits.statement_bytes = 12

    answers = [
        requests.post(url, json=body | {"statement": sql}, headers=HEADERS, timeout=40).status_code
        for sql in ("SELECT 'abc'", "SELECT 'abü'")
    ]

    assert answers == [200, 400]


def test_a_double_without_limits_needs_a_reason(tmp_path: Path) -> None:
    """An empty reason is refused; with a reason 150 calls at once succeed."""
    with pytest.raises(ValueError, match="reason"):
        relaxed("")

    with Databricks(tmp_path, volume="main.cio.events", limits=relaxed("a reason")) as double:
        answers = {put(double, name).status_code for name in range(150)}

    assert answers == {204}
