"""Clients that post continuously, and report the answers.

As a module it runs these clients. They have their own process, so that they do not compete with the
test or the benchmark for its interpreter lock.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.events import event
from benchmarks.harness.wire import ANSWER_SECONDS, Answer, Wire, connect, request

if TYPE_CHECKING:  # it imports DuckDB and delta-rs, which would delay the start of the clients
    from benchmarks.harness.receiver import Receiver

_ROOT = Path(__file__).resolve().parents[2]
_PROGRESS_SECONDS = 30.0
_STOP_SECONDS = 20.0


@dataclass
class Tally:
    """The answers that the clients got.

    Attributes:
        outcomes: Answers by status; without an answer `refused`, `reset`, `empty` or `silent`.
        acknowledged: Ids of the events that were answered 200.
        slowest_seconds: Duration of the slowest request.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    @property
    def kinds(self) -> set[str]:
        """The different outcomes."""
        return set(self.outcomes)


@dataclass
class Clients:
    """Clients that post continuously, in their own process.

    They are strict: no client checks before it sends whether the server has closed the connection.
    """

    process: subprocess.Popen[str]

    def wait_for(self, answers: int) -> None:
        """Wait until this many more requests were answered.

        Raises:
            TimeoutError: No request was answered for some time.
        """
        assert self.process.stdout is not None  # noqa: S101  # it is a pipe
        seen = 0
        while seen < answers:
            ready, _, _ = select.select([self.process.stdout], [], [], _PROGRESS_SECONDS)
            if not ready:
                raise TimeoutError(f"no request was answered for {_PROGRESS_SECONDS:g} s")
            seen += len(os.read(self.process.stdout.fileno(), 1 << 16))

    def stop(self) -> Tally:
        """Stop the clients after their current requests, and return the answers."""
        _, output = self.process.communicate(timeout=ANSWER_SECONDS + _STOP_SECONDS)
        report = json.loads(output)
        return Tally(Counter(report["outcomes"]), report["acknowledged"], report["slowest"])


@contextlib.contextmanager
def posting(
    receiver: Receiver, *, keep_alive: bool, clients: int = 8, pause_seconds: float = 0.0
) -> Iterator[Clients]:
    """Post to a receiver until the clients are stopped.

    Args:
        receiver: The receiver.
        keep_alive: Whether a connection is used for many requests, or for one.
        clients: Number of clients.
        pause_seconds: Longest random pause of a client between two requests.
    """
    host, port = receiver.address
    arguments = (host, str(port), str(clients), str(int(keep_alive)), str(pause_seconds))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.harness.posting", *arguments],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Clients(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class _Client:
    """One of the clients."""

    def __init__(self, address: tuple[str, int], name: str, keep_alive: bool) -> None:
        self.tally = Tally()
        self._address = address
        self._name = name
        self._keep_alive = keep_alive
        self._wire: Wire | None = None

    def run(self, ending: threading.Event, pause_seconds: float) -> None:
        """Post until the end."""
        for number in itertools.count():
            if ending.wait(random.random() * pause_seconds):  # noqa: S311  # no secret
                break
            event_id = f"{self._name}x{number}"
            started = time.monotonic()
            outcome = self._post(event_id)
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, time.monotonic() - started)
            self.tally.outcomes[outcome] += 1
            if outcome == "200":
                self.tally.acknowledged.append(event_id)
            with contextlib.suppress(BlockingIOError):
                os.write(1, b".")

    def _post(self, event_id: str) -> str:
        headers = {} if self._keep_alive else {"Connection": "close"}
        body = event(event_id, padding=400)
        answer = None
        try:
            if self._wire is None:
                self._wire = connect(self._address)
            answer = self._wire.send(request(body, headers)).answer()
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
        except ConnectionError:
            return "reset"
        finally:
            self._keep(answer)
        return str(answer.status) if answer.status else "empty"

    def _keep(self, answer: Answer | None) -> None:
        """Keep the connection for the next request, unless the server closes it."""
        is_kept = self._keep_alive and answer is not None and answer.status
        if self._wire is not None and (
            answer is None or not is_kept or answer.headers.get("connection") == "close"
        ):
            self._wire.socket.close()
            self._wire = None


def _run(host: str, port: str, clients: str, keep_alive: str, pause_seconds: str) -> None:
    """Run until standard input ends; write a dot to standard output for each request."""
    os.set_blocking(1, False)
    ending = threading.Event()
    prefix = f"F{os.getpid()}"
    crew = [
        _Client((host, int(port)), f"{prefix}x{number}", keep_alive == "1")
        for number in range(int(clients))
    ]
    threads = [
        threading.Thread(target=client.run, args=(ending, float(pause_seconds))) for client in crew
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ending.set()
    for thread in threads:
        thread.join()
    outcomes = sum((client.tally.outcomes for client in crew), Counter[str]())
    report = {
        "outcomes": outcomes,
        "acknowledged": [one for client in crew for one in client.tally.acknowledged],
        "slowest": max(client.tally.slowest_seconds for client in crew),
    }
    sys.stderr.write(json.dumps(report))


if __name__ == "__main__":
    _run(*sys.argv[1:])
