"""Two simultaneous insert-only MERGEs of the same keys insert each key once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.spark.races import KEYS, race

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

RACES = 40


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("isolation", ["Serializable", ""], ids=["serializable", "default"])
def test_simultaneous_merges_insert_each_key_once(
    isolation: str, spark: SparkSession, tmp_path: Path
) -> None:
    """The slower one fails with a conflict or finds the keys; nothing is lost."""
    figures = race(spark, f"race_{isolation or 'default'}", tmp_path, RACES, isolation)

    assert figures.rows == figures.keys == figures.inserted == RACES * KEYS
    assert figures.conflicts.total() > 0


@pytest.mark.slow
def test_delta_lake_knows_no_weaker_level(spark: SparkSession, tmp_path: Path) -> None:
    """Only Databricks has WriteSerializable, so Spark cannot show how MERGEs race there."""
    with pytest.raises(Exception, match="must be Serializable"):
        race(spark, "race_weak", tmp_path, 1, "WriteSerializable")
