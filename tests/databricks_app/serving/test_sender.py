"""What the receiver finds out about its sender, over real connections."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.harness.databricks_double import app, databricks_double, readiness
from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver
from benchmarks.harness.wire import request

PUT_SECONDS = 0.03
CALLS = 22


def sample(receiver: Receiver, name: str) -> float:
    """Return the value of a metric without labels."""
    found = re.search(rf"^ciolake_{name} (\S+)$", receiver.page("/metrics").body.decode(), re.M)
    assert found is not None, name
    return float(found[1])


def test_a_serial_sender_waits_for_us_and_a_parallel_one_does_not(tmp_path: Path) -> None:
    """Two web processes and a new connection for each call: no process sees all calls."""
    with (
        databricks_double(tmp_path / "workspace") as double,
        app(double, tmp_path / "receiver", CIO_WEB_WORKERS="2") as receiver,
    ):
        double.set("latency", operation="files.put", seconds=0.5)
        with receiver.connect() as wire:
            wire.send(request(event("slow")))
            wait_until(lambda: double.counts().get("files.put", 0) > 0)
            in_flight = sample(receiver, "sender_calls_in_flight")
            assert wire.answer().status == 200
        double.clear()
        double.set("latency", operation="files.put", seconds=PUT_SECONDS)
        for number in range(CALLS):
            data = request(event(str(number)), {"Connection": "close"})
            assert receiver.post(data).status == 200
        wait_until(lambda: sample(receiver, "sender_pause_seconds_count") == CALLS)
        wait_until(lambda: readiness(receiver)["sender"] is not None)
        serial = str(readiness(receiver)["sender"])

        assert in_flight == 1
        assert re.fullmatch(r"Customer\.io waits for us: at most [\d.]+ events/s", serial)
        wait_until(lambda: 1 < sample(receiver, "sender_most_events_per_second") < 1 / PUT_SECONDS)

        for number in range(2):
            wires = [receiver.connect() for _ in range(2)]
            for place, wire in enumerate(wires):
                wire.send(request(event(f"{number}-{place}")))
            assert [wire.answer().status for wire in wires] == [200, 200]
            for wire in wires:
                wire.socket.close()
        wait_until(lambda: readiness(receiver)["sender"] is None)
