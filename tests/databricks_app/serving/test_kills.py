"""Workers are killed while they answer: no client gets a second answer to its request."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import request

CLIENTS = 8


def whole_answer(receiver: Receiver, data: bytes) -> bytes:
    """Send a request and read until the server closes the connection."""
    with socket.create_connection(receiver.address, timeout=20) as client:
        client.sendall(data)
        received = b""
        while piece := client.recv(1 << 16):
            received += piece
        return received


def outcome(receiver: Receiver, data: bytes) -> str:
    """What a client got: the status, the number of further answers, or the error."""
    try:
        received = whole_answer(receiver, data)
    except ConnectionError as error:
        return type(error).__name__
    answers = received.count(b"HTTP/1.1 ")
    return received[9:12].decode() + "+" * (answers - 1) if answers else "empty"


def kill_while_they_send(receiver: Receiver, kills: int, headers: dict[str, str]) -> Counter[str]:
    """Kill workers under clients with a new connection for each request; count the outcomes."""
    ending = threading.Event()
    seen: Counter[str] = Counter()

    def send(name: int) -> None:
        number = 0
        while not ending.is_set():
            number += 1
            seen[outcome(receiver, request(event(f"k{name}x{number}"), headers))] += 1

    threads = [threading.Thread(target=send, args=(name,)) for name in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(kills):
            before = set(receiver.workers())
            time.sleep(0.05)
            os.kill(min(before), signal.SIGKILL)
            wait_until(lambda before=before: len(set(receiver.ready()) - before) >= 1)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    return seen


def test_no_answer_is_followed_by_a_second_one(tmp_path: Path) -> None:
    """Workers are killed between any two steps of an answer."""
    with serving(tmp_path, CIO_FLUSH_INTERVAL_SECONDS="3600") as receiver:
        seen = kill_while_they_send(receiver, 5, {"Connection": "close"})

    assert set(seen) <= {"200", "503"}, seen
    assert seen["200"] > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_answer_is_followed_by_a_second_one_in_many_kills(tmp_path: Path) -> None:
    """The same with more kills."""
    with serving(tmp_path, CIO_FLUSH_INTERVAL_SECONDS="3600") as receiver:
        seen = kill_while_they_send(receiver, 60, {"Connection": "close"})

    print(seen)  # noqa: T201  # how many clients saw what
    assert set(seen) <= {"200", "503"}, seen
