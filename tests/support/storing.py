"""A receiver that stores into the volume of a double and loads nothing by itself.

Not a test module.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import Names
from tests.doubles import Databricks


def store(
    double: Databricks, volume: str, body: bytes, *, age_seconds: float = 0, key: str = "00000000"
) -> Path:
    """Put an event of this age into the inbox of `catalog.schema.volume`; return its object."""
    at = time.time() - age_seconds
    record = Record(body, datetime.fromtimestamp(at, UTC), "1", key, len(body))
    path, content = Names(clock=lambda: at).frame([record])
    target = double.workspace.catalog.volume_dir(tuple(volume.split("."))) / "inbox" / path
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    return target


class StoringReceiver:
    """Answers every event 200 once it is in the inbox, until it is closed.

    Attributes:
        bodies: Of the events.
        objects: Where they are.
    """

    def __init__(
        self,
        double: Databricks,
        volume: str,
        then: Callable[[StoringReceiver], None] = lambda _: None,
    ) -> None:
        """Begin to answer.

        Args:
            double: The workspace.
            volume: `catalog.schema.volume`.
            then: Called with this receiver after each event is stored, before the answer.
        """
        self.bodies: list[bytes] = []
        self.objects: list[Path] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.objects.append(store(double, volume, body))
                receiver.bodies.append(body)
                then(receiver)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StoringReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
