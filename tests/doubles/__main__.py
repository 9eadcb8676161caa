"""The double as a process: `python -m tests.doubles --dir D` prints its port and more as JSON."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from tests.doubles.databricks import TOKEN, WAREHOUSE_ID, Databricks
from tests.doubles.workspace.limits import Limits, relaxed


def main() -> None:
    """Run the double until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tests.doubles")
    parser.add_argument("--dir", type=Path, required=True, help="folder for its files")
    parser.add_argument("--volume", help="catalog.schema.volume that exists at the start")
    parser.add_argument("--port", type=int, default=0, help="port; by default any free port")
    parser.add_argument(
        "--token-seconds", type=float, default=3600, help="lifetime of OAuth tokens"
    )
    parser.add_argument("--relaxed", metavar="REASON", help="do not limit calls, for this reason")
    options = parser.parse_args()
    limits = relaxed(options.relaxed) if options.relaxed else Limits()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    given = {"volume": options.volume, "port": options.port, "limits": limits}
    with Databricks(options.dir, **given) as double:
        double.workspace.tokens.seconds = options.token_seconds
        start_message = {
            "port": double.port,
            "url": double.url,
            "connection_uri": double.connection_uri,
            "warehouse_id": WAREHOUSE_ID,
            "token": TOKEN,
            "environment": double.environment(),
        }
        print(json.dumps(start_message), flush=True)  # noqa: T201  # the parent process reads it
        ended.wait()


if __name__ == "__main__":
    main()
