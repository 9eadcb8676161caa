"""One Spark with Delta Lake in its own JVM, only on loopback.

Not a test module. Needs a JDK, pyspark, and the jars that `.ci/prerequisites.sh` fetches; Spark
itself fetches nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


def jars() -> list[Path]:
    """Delta Lake's jars; none if they were not fetched."""
    command = ["bash", "-c", "source .ci/prerequisites.sh && delta_jars_dir"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(Path(found.stdout.strip()).glob("*.jar"))


def missing() -> str | None:
    """Return what Spark lacks on this machine, as the reason of a skip; None if nothing."""
    if shutil.which("java") is None:
        return "there is no JDK: run ./test.sh as root, or install one"
    if not jars():
        return "Delta Lake's jars were not fetched: run ./test.sh with Maven installed"
    return None


@contextmanager
def started(folder: Path) -> Iterator[SparkSession]:
    """Start the JVM, and end it; its files are kept in `folder`."""
    with warnings.catch_warnings():
        # It warns of pandas 3, which nothing here uses.
        warnings.simplefilter("ignore")
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession

    logging = folder / "log4j2.properties"
    logging.write_text(_LOGGING, encoding="utf-8")
    conf = SparkConf(loadDefaults=False).setAll(_settings(folder, logging).items())
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    gateway = launch_gateway(conf, {"env": environment, "cwd": folder})
    try:
        context = SparkContext(conf=conf, gateway=gateway)
        try:
            yield SparkSession.builder.getOrCreate()
        finally:
            context.stop()
    finally:
        gateway.shutdown()
        # The JVM ends when its standard input does.
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=60)


def _settings(folder: Path, logging: Path) -> dict[str, str]:
    return {
        "spark.master": "local[2]",
        "spark.app.name": "ciolake",
        "spark.driver.memory": "1500m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={logging} -Duser.timezone=UTC -XX:TieredStopAtLevel=1 "
            # The first compiler alone is given 48 MiB, which 160 s of statements fill; then nothing
            # is compiled any more.
            "-XX:ReservedCodeCacheSize=240m"
        ),
        "spark.jars": ",".join(map(str, jars())),
        "spark.local.dir": str(folder / "local"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        # As on Databricks: tables are Delta tables, wrong casts fail, times are UTC.
        "spark.sql.sources.default": "delta",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        # The parser of Delta Lake 4.4.0 loses the parameters of a statement (UNBOUND_SQL_PARAMETER)
        # where Spark 4.2 fills them in before parsing; this has them filled in afterwards.
        "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
        # The tables are small: every task more costs more than it does.
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        # Java that is made for a statement runs once: to compile it takes a fifth of all the time.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.databricks.delta.snapshotPartitions": "1",
    }
