"""From an empty workspace to views with rows; Spark runs each statement.

`ciolake deploy` and the loader talk to the double of a workspace, which records their statements;
Spark runs these in the same order over the same staged files. What Unity Catalog does over REST
(schema, volume, grants) and the app itself are the double's alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from databricks_app.databricks import workspace
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse.connect import open_lake
from databricks_app.settings import from_environment
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks, Fault
from tests.spark import staged
from tests.spark.engine import SparkEngine
from tests.support.deploying import empty_workspace
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

SCHEMA = "deployed"
VOLUME = f"/Volumes/main/{SCHEMA}/ciolake"
TABLES = [table.name for table in sql_dialect.tables()]
VIEWS = [view.name for view in sql_dialect.views()]

pytestmark = pytest.mark.slow


def deploy(double: Databricks) -> None:
    """Run what `./deploy.sh` runs, as a process."""
    command = [sys.executable, "-m", "databricks_app", "deploy", "--no-proof"]
    variables = {
        "DATABRICKS_HOST": double.url,
        "DATABRICKS_TOKEN": TOKEN,
        "CIO_WEBHOOK_SIGNING_KEYS": "test-signing-key",
    }
    done = subprocess.run(
        [*command, "--catalog", "main", "--schema", SCHEMA, "--warehouse", WAREHOUSE_ID],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def load(double: Databricks, folder: Path) -> None:
    """Load an event of every kind, as the app does; what was staged stays there."""
    double.faults.set(Fault("denied", "files.delete", path="staging", times=None))
    variables = double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": SCHEMA,
        "CIO_VOLUME": "ciolake",
        "CIO_DATA_DIR": str(folder),
    }
    joined = workspace.connect(variables)
    lake = open_lake(joined, from_environment(variables), CallTimeout())
    try:
        lake.start()
        report = lake.load(staged.readings(), batch_id="the batch", loaded_at=staged.NOON)
        assert set(report.inserted) == set(TABLES)
    finally:
        lake.close()
        joined.close()


@pytest.fixture(scope="module")
def engines(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Databricks, SparkEngine]:
    """The double and Spark, after a deployment and a load."""
    folder = tmp_path_factory.mktemp("deployment")
    with empty_workspace(folder) as double:
        deploy(double)
        load(double, folder / "data")
        engine = SparkEngine(spark, SCHEMA, double.workspace.catalog.local_path(VOLUME))
        for statement in double.workspace.engine.received:
            has_parameter = re.search(r"= :schema_name\b", statement)
            engine.run(statement, {"schema_name": SCHEMA} if has_parameter else None)
    return double, engine


@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_each_table_and_view_of_a_new_deployment_has_the_rows_that_the_double_has(
    name: str, engines: tuple[Databricks, SparkEngine]
) -> None:
    """Spark took every statement of the deployment and of the load; none is empty."""
    double, engine = engines

    ((rows,),) = engine.run(f"SELECT count(*) AS found FROM {name}").rows
    (answer,) = double.workspace.engine.query(f"SELECT count(*) AS found FROM main.{SCHEMA}.{name}")

    assert rows == answer["found"] > 0


def test_a_new_deployment_makes_each_table_and_view_once_and_the_loader_loads_each_table(
    engines: tuple[Databricks, SparkEngine],
) -> None:
    """The loader creates nothing that the deployment has created."""
    received = [one.strip() for one in engines[0].workspace.engine.received]
    files = [*sql_dialect.statements("tables"), *sql_dialect.statements("views")]

    assert [received.count(one.sql.strip()) for one in files] == [1] * len(files)
    assert sum(one.startswith("MERGE") for one in received) == len(TABLES)
