"""One Spark for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.spark import jvm
from tests.spark.engine import SparkEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses Spark."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker("spark")
            # The first to ask for a fixture waits for the JVM and for all that the fixture runs:
            # under a load of 20 on 2 cores that took 295 s.
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Apache Spark with Delta Lake, in one JVM for the whole run."""
    if reason := jvm.missing():
        pytest.skip(reason)
    with jvm.started(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture(scope="session")
def engine_in(spark: SparkSession) -> Callable[..., SparkEngine]:
    """Make an engine with a schema of its own: `engine_in(volume=None)`."""

    def make(volume: Path | None = None) -> SparkEngine:
        return SparkEngine(spark, f"schema_{next(_numbers)}", volume)

    return make
