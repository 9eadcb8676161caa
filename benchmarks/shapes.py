"""Any number of signed events: those of the simulator, each time with another id and time.

Making an event costs more CPU than receiving it. So a few thousand events are made once, and only
the id and the time are replaced.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from random import Random

from core.webhooks.signature import SigningKey
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local_reader import replay_segment
from databricks_app.simulator.events.payload import make_ulid
from databricks_app.simulator.events.traffic import Traffic, traffic

KEY = "a key of the benchmarks"
FINGERPRINT = SigningKey.from_text(KEY).fingerprint
SEGMENT_EVENTS = 2500


@dataclass(frozen=True, slots=True)
class Shape:
    """An event's bytes before its id, between id and time, and after the time."""

    before: bytes
    between: bytes
    after: bytes

    def body(self, event_id: bytes, second: int) -> bytes:
        """Return the body with this id and time."""
        return b"".join((self.before, event_id, self.between, b"%d" % second, self.after))


@dataclass(frozen=True, slots=True)
class Made:
    """A body and its id."""

    event_id: bytes
    body: bytes


def shapes(count: int, seed: int = 0) -> list[Shape]:
    """Make shapes of the events of a small workspace."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    found = []
    for event in traffic(Traffic(count=count, now=now, seed=seed)):
        body = json.dumps(event, ensure_ascii=False).encode()
        before, _, rest = body.partition(str(event["event_id"]).encode())
        between, _, after = rest.partition(str(event["timestamp"]).encode())
        found.append(Shape(before, between, after))
    return found


def events(
    among: list[Shape], *, start: float, seconds: float, count: int, seed: int = 0
) -> Iterator[Made]:
    """Make different events at equal intervals between two times, in Unix seconds."""
    random = Random(seed)  # noqa: S311  # ids must be different, not secret
    for number, shape in zip(range(count), cycle(among)):
        at = start + seconds * number / count
        event_id = make_ulid(random, at).encode()
        yield Made(event_id, shape.body(event_id, int(at)))


def request(body: bytes, second: int, key: bytes = KEY.encode()) -> bytes:
    """Return a whole signed request as raw bytes."""
    at = b"%d" % second
    signature = hmac.new(key, b"v0:%b:%b" % (at, body), hashlib.sha256).hexdigest()
    return (
        f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\n"
        f"X-CIO-Timestamp: {second}\r\nX-CIO-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def fill(inbox: Path, made: Iterator[Made], *, at: float) -> int:
    """Write events into an inbox, as a busy receiver would; returns how many.

    Args:
        inbox: The folder of the inbox.
        made: The events.
        at: When they were received, in Unix seconds.
    """
    inbox.mkdir(parents=True, exist_ok=True)
    received_at = datetime.fromtimestamp(at, UTC)
    total = 0
    while records := [record(one, received_at) for one in islice(made, SEGMENT_EVENTS)]:
        replay_segment(inbox, records, name=f"{int(at * 1e6) + total:016d}-{total:016x}")
        total += len(records)
    return total


def record(made: Made, received_at: datetime) -> Record:
    """Return an event as the receiver stores it."""
    return Record(
        body=made.body,
        received_at=received_at,
        timestamp=str(int(received_at.timestamp())),
        key_fingerprint=FINGERPRINT,
        body_bytes=len(made.body),
    )
