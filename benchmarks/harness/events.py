"""Events for runs that must neither lose nor duplicate any: bodies, records, a filled inbox."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox

KINDS = ("email/opened", "email/clicked", "sms/sent", "push/sent", "customer/subscribed", "x/y")
_RECEIVED = datetime(2026, 11, 22, 12, tzinfo=UTC)
_THREADS = 64


def event(event_id: str, kind: str = "email/opened", days: int = 0, *, padding: int = 0) -> bytes:
    """Return the body of an event.

    Args:
        event_id: Its id.
        kind: Object type and metric, as `email/opened`.
        days: How many days before 2025-11-22 it happened.
        padding: Bytes of content.
    """
    object_type, metric = kind.split("/")
    payload = {
        "event_id": event_id,
        "object_type": object_type,
        "metric": metric,
        "timestamp": 1_763_800_000 - 86_400 * days,
        "data": {"delivery_id": "d", "recipient": "person@example.com", "content": "x" * padding},
    }
    return json.dumps(payload).encode()


def hash_of(event_id: str) -> int:
    """Return a number that is the same each time the event is sent."""
    return sum(event_id.encode())


def record(content: bytes) -> Record:
    """Return a body as the receiver stores it."""
    return Record(content, _RECEIVED, "1763800001", "0badf00d", len(content))


def store(folder: Path, bodies: Iterable[bytes], *, clock: float | None = None) -> None:
    """Put bodies into the inbox of a data folder, as closed segments.

    Args:
        folder: The data folder.
        bodies: What to store.
        clock: Unix seconds of the segments' names; now if left out.
    """
    inbox = LocalInbox(folder / "inbox", clock=time.time if clock is None else lambda: clock)
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda one: inbox.append(record(one), 60), bodies):
            pass
    inbox.close()
