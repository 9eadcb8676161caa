"""Memory of the loader behind a backlog of large events: mails sent with their content."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random

from benchmarks.load import Drained, drain
from benchmarks.outcome import Plan, Section, Surroundings, table
from benchmarks.shapes import Made, record
from databricks_app.ingest.inbox.local import CLOSE_BYTES, CLOSE_EVENTS
from databricks_app.ingest.inbox.local_reader import replay_segment
from databricks_app.simulator.events.payload import make_ulid

_SMALLEST, _LARGEST = 20_000, 1_000_000
_KINDS = {
    "ASCII": "".join(map(chr, range(0x20, 0x7F))),
    # One of these, and Python keeps every character of a text in four bytes.
    "ASCII with emoji": "".join(map(chr, range(0x20, 0x7F))) + "\U0001f600",
    "Japanese": "".join(map(chr, range(0x3041, 0x3097))),
}


def run(plan: Plan) -> Section:
    """Fill an inbox with each kind of text, and empty it."""
    around = Surroundings()
    backlog = plan.pick(3_000_000_000, 60_000_000)
    rows = []
    for number, (kind, alphabet) in enumerate(_KINDS.items()):
        around.look()
        folder = plan.folder / f"lake-{number}"
        _fill(folder / "inbox", alphabet, backlog)
        rows.append((kind, *_told(drain(folder), backlog)))
    lines = [
        "Events `sent` of mails with their content, the loader's own loop, the receiver idle, "
        f"every row durable in the raw and a typed table; a backlog of {backlog / 1e6:,.0f} MB of "
        f"each kind, in segments of {CLOSE_BYTES >> 20} MiB as the receiver writes them. Bodies of "
        f"{_SMALLEST // 1000:,} kB to {_LARGEST // 1000:,} kB (as many of each order of size), of "
        "random characters; once. They are more than 10,000, so that the loader takes as many rows "
        "as it may. Peak: `VmHWM` of the process. Goal: 700 MB.",
        "",
        *table(("text", "events", "MB/s", "peak memory, MB"), rows),
    ]
    return Section("large_events", "Memory of the loader behind large events", lines, around)


def _told(found: Drained, backlog: int) -> tuple[str, str, str]:
    rate = backlog / 1e6 / found.seconds
    return f"{found.events:,}", f"{rate:.0f}", f"{found.peak_megabytes:,.0f}"


def _fill(inbox: Path, alphabet: str, size: int) -> None:
    """Write segments of about this size together, each as full as the receiver closes them."""
    inbox.mkdir(parents=True)
    now = time.time()
    received_at = datetime.fromtimestamp(now, UTC)
    made = _events(alphabet, now)
    left, number = size, 0
    while left > 0:
        members, held = [], 0
        for one in islice(made, CLOSE_EVENTS):
            members.append(record(one, received_at))
            held += len(one.body)
            if held >= min(CLOSE_BYTES, left):
                break
        replay_segment(inbox, members, name=f"{int(now * 1e6) + number:016d}-{number:016x}")
        left, number = left - held, number + 1


def _events(alphabet: str, now: float) -> Iterator[Made]:
    random = Random(11)  # noqa: S311  # contents need be different, not secret
    text = "".join(random.choices(alphabet, k=2 * _LARGEST)).encode()
    while True:
        size = int(_SMALLEST * (_LARGEST / _SMALLEST) ** random.random())
        start = random.randrange(len(text) - size)
        content = text[start : start + size].decode(errors="ignore")
        event_id = make_ulid(random, now)
        data = {"delivery_id": event_id, "recipient": "a@example.com", "content": content}
        event = {
            "event_id": event_id,
            "object_type": "email",
            "metric": "sent",
            "timestamp": int(now),
            "data": data,
        }
        yield Made(event_id.encode(), json.dumps(event, ensure_ascii=False).encode())
