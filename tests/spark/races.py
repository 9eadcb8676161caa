"""Insert-only MERGEs of the same keys at once, on one Delta table, by two Spark sessions.

`python -m tests.spark.races 300` prints the figures of docs/databricks-store.md, of both
levels; `python -m tests.spark.races 300 Serializable` of one.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse import statements
from tests.spark import jvm, staged
from tests.spark.engine import SparkEngine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEYS = 20
TABLE = "webhook_email_events"
_DAY = date(2026, 11, 22)
_PROPERTY = "'delta.isolationLevel' = 'Serializable'"
_PATH = "/Volumes/main/cio/events/race.parquet"


@dataclass(slots=True)
class Figures:
    """The result of some races.

    Attributes:
        races: How many.
        inserted: Rows that the MERGEs say they inserted.
        conflicts: MERGEs that failed, by the class of the error.
        rows: Rows of the table at the end.
        keys: Distinct keys among them.
    """

    races: int = 0
    inserted: int = 0
    conflicts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    keys: int = 0


def race(spark: SparkSession, schema: str, folder: Path, races: int, isolation: str) -> Figures:
    """Let two sessions merge the same new keys at the same time, several times.

    Args:
        spark: Where.
        schema: A new schema for the table.
        folder: For the staged file.
        races: How often; each has keys of its own.
        isolation: Value of `delta.isolationLevel`; empty: the table does not have the property.
    """
    engines = [SparkEngine(spark, schema, folder) for _ in range(2)]
    table = sql_dialect.table(TABLE)
    wanted = f"'delta.isolationLevel' = '{isolation}'" if isolation else "'ciolake.none' = ''"
    engines[0].run(table.sql.replace(_PROPERTY, wanted))
    merge = statements.merge(table, _PATH, {_DAY})
    template = staged.events()[TABLE].slice(0, 1).to_pylist()[0] | {"event_date": _DAY}
    figures = Figures(races)
    barrier = Barrier(len(engines))

    def load(engine: SparkEngine) -> int | str:
        barrier.wait()
        try:
            answer = engine.run(merge, {"loaded_at": staged.NOON})
        except Exception as error:  # noqa: BLE001  # py4j's; counted by name
            return _name(error)
        return int(answer.rows[0][answer.names.index("num_inserted_rows")])

    with ThreadPoolExecutor(len(engines)) as pool:
        for number in range(races):
            rows = [template | {"event_id": f"{number}-{key}"} for key in range(KEYS)]
            (folder / "race.parquet").write_bytes(staged.content(staged.rows(TABLE, rows)))
            for came in pool.map(load, engines):
                if isinstance(came, str):
                    figures.conflicts[came] += 1
                else:
                    figures.inserted += came
    counted = f"SELECT count(*), count(DISTINCT event_id) FROM {TABLE}"
    ((figures.rows, figures.keys),) = engines[0].run(counted).rows
    return figures


def _name(error: Exception) -> str:
    """Return the error class of Delta Lake, or else the type of the error."""
    found = re.search(r"\[(DELTA_[\w.]+)\]", str(error))
    return found[1] if found else type(error).__name__


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, jvm.started(Path(place)) as session:
        for level in sys.argv[2:] or ("Serializable", ""):
            name = f"race_{level or 'default'}"
            print(level or "default", race(session, name, Path(place), int(sys.argv[1]), level))  # noqa: T201  # the report
