"""Both lakes, for the tests of what both must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lake_backends import BACKENDS, BothLake, LakeBackend


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LakeBackend]:
    """Each store, empty."""
    backend = BACKENDS[request.param](tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def lake(backend: LakeBackend) -> Iterator[BothLake]:
    """Its lake of few tables, started."""
    lake = backend.lake()
    lake.start()
    yield lake
    lake.close()
