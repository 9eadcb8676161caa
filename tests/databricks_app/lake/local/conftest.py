"""A started local lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from databricks_app.lake.local.store import LocalLake
from tests.support.lake_events import (
    lake_in,
)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[LocalLake]:
    """A started lake of few tables in `tmp_path`."""
    lake = lake_in(tmp_path)
    lake.start()
    yield lake
    lake.close()
