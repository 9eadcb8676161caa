"""A script: replay what is unrouted, load the inbox, then ask every view and `ciolake verify`.

Run with a data folder and with PYTHONPATH at the copy of the project to try. It prints one JSON
object.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from databricks_app.cli import ciolake
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake
from databricks_app.lake.sql_dialect import views
from databricks_app.loading.loader import Loader
from databricks_app.loading.replay import Selection, replay
from databricks_app.runtime.metrics import Metrics


def main(folder: Path) -> None:
    """Load, ask and print."""
    lake = LocalLake(folder)
    lake.start()
    query = LocalQuery(folder)
    replay(query, folder / "inbox", Selection(unrouted=True), datetime.now(UTC))
    Loader(SegmentReader(folder / "inbox"), lake, Metrics(), 1, lambda _: None).drain()
    lake.close()
    query = LocalQuery(folder)
    counts = {
        view.name: query.run(f"SELECT count(*) FROM {view.name}").rows[0][0] for view in views()
    }
    verdict = CliRunner().invoke(ciolake, ["verify", "--format", "json", "--data-dir", str(folder)])
    print(json.dumps({"views": counts, "verify": json.loads(verdict.stdout)}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
