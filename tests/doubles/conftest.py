"""Fixtures: the double, and the unmodified client libraries connected to it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from databricks import sql
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from tests.doubles import CLIENT_ID, CLIENT_SECRET, TOKEN, Databricks

VOLUME = "/Volumes/main/cio/events"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A double with the volume `main.cio.events`."""
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        yield double


@pytest.fixture
def client(double: Databricks) -> WorkspaceClient:
    """The SDK as the double's service principal; it retries a call for at most a second."""
    config = Config(
        host=double.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        retry_timeout_seconds=1,
        http_timeout_seconds=5,
    )
    return WorkspaceClient(config=config)


@pytest.fixture
def connect(double: Databricks) -> Iterator[Callable[..., Any]]:
    """Open a session of the connector: `connect(**arguments)`; all are closed at the end."""
    opened: list[Any] = []

    def connect(**arguments: Any) -> Any:
        given: dict[str, Any] = {
            "server_hostname": "127.0.0.1",
            "http_path": double.http_path,
            "_connection_uri": double.connection_uri,
            "access_token": TOKEN,
            "catalog": "main",
            "schema": "cio",
            "enable_telemetry": False,
            "_retry_delay_min": 1,
            "_retry_delay_max": 1,
            "_retry_stop_after_attempts_count": 2,
            "_socket_timeout": 5,
        }
        session = sql.connect(**given | arguments)
        opened.append(session)
        return session

    yield connect
    double.faults.clear()
    for session in opened:
        session.close()


@pytest.fixture
def stage(client: WorkspaceClient) -> Callable[[str, pa.Table], str]:
    """Put rows as a Parquet file into the volume: `stage(name, rows)`; returns the path."""

    def stage(name: str, rows: pa.Table) -> str:
        buffer = io.BytesIO()
        pq.write_table(rows, buffer)
        path = f"{VOLUME}/staging/{name}.parquet"
        client.files.upload(path, io.BytesIO(buffer.getvalue()), overwrite=True)
        return path

    return stage
