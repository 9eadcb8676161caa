"""SIGTERM under load: each request that was sent is answered 200 or 503."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.harness.crashes import run_loader
from benchmarks.harness.events import event
from benchmarks.harness.exactly_once import found
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import Wire, request

CLIENTS = 16
REQUESTS_BEFORE = 200


class _Client(threading.Thread):
    """Posts until the server closes its connection or the stop has begun; records the outcomes.

    Attributes:
        seen: Answers by status; the name of the error where none came.
        acknowledged: Ids of the events that were answered 200.
    """

    def __init__(self, receiver: Receiver, name: str, *, is_kept: bool, stop: threading.Event):
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.acknowledged: list[str] = []
        self._receiver = receiver
        self._prefix = name
        self._headers = {} if is_kept else {"Connection": "close"}
        self._stopping = stop

    def run(self) -> None:
        wire: Wire | None = None
        number = 0
        try:
            while not (self._headers and self._stopping.is_set()):
                number += 1
                event_id = f"{self._prefix}x{number}"
                wire = wire or self._receiver.connect()
                answer = wire.send(request(event(event_id), self._headers)).answer()
                self.seen[str(answer.status)] += 1
                if answer.status == 200:
                    self.acknowledged.append(event_id)
                if answer.headers.get("connection") != "close":
                    continue
                wire.socket.close()
                wire = None
                if not self._headers or answer.status != 200:
                    return  # the answer announced the end
        except OSError as error:
            self.seen[type(error).__name__] += 1
        finally:
            if wire is not None:
                wire.socket.close()


def stop_under_load(folder: Path, times: int) -> None:
    """Start, load and stop a receiver again and again; then load its inbox."""
    acknowledged: set[str] = set()
    seen: Counter[str] = Counter()
    for turn in range(times):
        stop = threading.Event()
        with serving(folder) as receiver:
            clients = [
                _Client(receiver, f"t{turn}c{number}", is_kept=number % 2 == 0, stop=stop)
                for number in range(CLIENTS)
            ]
            for client in clients:
                client.start()
            wait_until(lambda: sum(one.seen.total() for one in clients) >= REQUESTS_BEFORE)  # noqa: B023
            stop.set()
            code = receiver.stop()
            for client in clients:
                client.join()
        assert code == 0
        seen.update(sum((one.seen for one in clients), Counter()))
        acknowledged.update(event_id for one in clients for event_id in one.acknowledged)
    run_loader(folder / "data")
    stored = found(folder / "data")

    print(seen)  # noqa: T201  # how many requests had which answer
    assert set(seen) <= {"200", "503"}, seen
    assert (stored.lost(acknowledged), stored.doubled) == (set(), 0)


@pytest.mark.slow
def test_a_stop_answers_every_request(tmp_path: Path) -> None:
    """Under 16 clients; each event answered 200 is in the tables once."""
    stop_under_load(tmp_path, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_stops_answer_every_request(tmp_path: Path) -> None:
    """The same twenty times."""
    stop_under_load(tmp_path, 20)
