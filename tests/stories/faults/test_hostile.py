"""Hostile requests to a real server: only specified answers, and nothing of them in a log."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.events import event
from benchmarks.harness.exactly_once import is_empty, raw_ids, verdict
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, Wire, request, signed
from databricks_app.endpoint import WEBHOOK_PATH

FEW, MANY, WAITING = 400, 10_000, 400
# 431 and 414 for a request that is too long, 501 for an unknown encoding, 413 for a large body.
DESIGNED = {200, 400, 401, 404, 405, 408, 413, 414, 431, 501, 503}
SECRETS = re.compile(r"example\.com|hunter2|Traceback|File \"", re.IGNORECASE)
_PIECES = (
    *(b"\r\n", b"\n", b"\0", b"\xff\xfe", b" ", b":", b"Content-Length: 5\r\n", b"%00", b"\t"),
    *(b"Transfer-Encoding: chunked\r\n", b"v0=", b"hunter2@example.com", b"-1", b"9" * 30),
    *(b"X-CIO-Signature: hunter2\r\n", b"X-CIO-Timestamp: 0\r\n", b"HTTP/9.9", b"A" * 300),
    *(b'{"a":', b"[" * 300, b"\\ud800", b"' OR 1=1 --", b"${jndi:ldap://example.com}", b"../"),
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver for the hostile requests."""
    with serving(tmp_path_factory.mktemp("hostile")) as receiver:
        yield receiver


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change a few places of a request."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((0, 0, 1, 2, 20))
        new = chance.choice((chance.choice(_PIECES), chance.randbytes(chance.randint(1, 4))))
        data = data[:at] + new + data[at + size :]
    return data


def hostile(chance: random.Random, number: int) -> tuple[bytes, bool]:
    """Return a request, and whether the connection can be used after it."""
    content = event(f"hostile{number}")
    kind = chance.randrange(4)
    if kind == 0:  # what was signed is not what is sent
        return request(mutated(content, chance), signed(content)), True
    if kind == 1:  # a valid signature of a broken body
        return request(mutated(content, chance)), True
    if kind == 2:  # odd values of the two headers
        headers = signed(content)
        name = chance.choice(list(headers))
        text = mutated(headers[name].encode(), chance).decode("latin-1")
        headers[name] = re.sub(r"[\r\n\0]", "", text)
        return request(content, headers), True
    return mutated(request(content), chance), False


class Shooter:
    """Sends many requests over one connection as long as the server keeps it open.

    A request that breaks its connection has a connection of its own. The answers to these requests
    are read together, because an unfinished request is answered only after its time limit.
    """

    def __init__(self, receiver: Receiver, *, hangs_up: bool) -> None:
        self._receiver = receiver
        self._hangs_up = hangs_up
        self._wire: Wire | None = None
        self._waiting: list[Wire] = []
        self.statuses: Counter[int] = Counter()

    def shoot(self, data: bytes, *, is_sound: bool) -> None:
        """Send a request; count its answer, or wait for it later."""
        if not is_sound:
            self._shoot_apart(data)
            return
        if self._wire is None:
            self._wire = self._receiver.connect()
        answer = self._wire.send(data).answer()
        self.statuses[answer.status] += 1
        if not answer.status or "close" in str(answer.headers):
            self._wire.socket.close()
            self._wire = None

    def end(self) -> None:
        """Read the remaining answers and close all connections."""
        if self._wire is not None:
            self._wire.socket.close()
            self._wire = None
        for wire in self._waiting:
            with wire:
                status = wire.answer().status
            # A half request that its sender ended need not be answered.
            if status or not self._hangs_up:
                self.statuses[status] += 1
        self._waiting = []

    def _shoot_apart(self, data: bytes) -> None:
        wire = self._receiver.connect()
        with contextlib.suppress(ConnectionError):  # the answer has come before the end of it
            wire.send(data)
            if self._hangs_up:
                wire.socket.shutdown(socket.SHUT_WR)
        self._waiting.append(wire)
        if len(self._waiting) >= WAITING:
            self.end()


def bombard(receiver: Receiver, number: int, seed: int, *, hangs_up: bool) -> Counter[int]:
    """Send hostile requests; return the answers, 0 for none."""
    chance = random.Random(seed)
    shooter = Shooter(receiver, hangs_up=hangs_up)
    for one in range(number):
        data, is_sound = hostile(chance, one)
        shooter.shoot(data, is_sound=is_sound)
    shooter.end()
    return shooter.statuses


def assert_unharmed(receiver: Receiver, statuses: Counter[int]) -> None:
    """Check answers, log and tables after the requests."""
    assert set(statuses) <= DESIGNED, statuses
    assert not SECRETS.search(receiver.log)
    assert KEY not in receiver.log
    assert receiver.logged("child_ended") == receiver.logged("uncaught") == []
    assert receiver.post(request(event("good"))).status == 200
    wait_until(lambda: is_empty(receiver.folder / "data"), 60)
    ids = raw_ids(receiver.folder / "data")
    assert len(ids) == len(set(ids))
    assert verdict(receiver.folder / "data").differences == ()


def test_hostile_requests_get_specified_answers_and_leave_no_trace(target: Receiver) -> None:
    """A few hundred of every kind."""
    assert_unharmed(target, bombard(target, FEW, 1, hangs_up=True))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_hostile_requests_get_specified_answers(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each has an answer; connections are used again if the request allows it."""
    with serving(tmp_path) as receiver:
        statuses = bombard(receiver, MANY, 20261122, hangs_up=False)
        record_property("statuses", dict(sorted(statuses.items())))
        assert sum(statuses.values()) >= MANY
        assert_unharmed(receiver, statuses)


@settings(max_examples=100)
@given(
    signature=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
    timestamp=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)
def test_any_value_of_the_headers_is_unverified(
    target: Receiver, signature: str, timestamp: str
) -> None:
    """The answer is 401, or 400 for values that HTTP forbids."""
    given_ = f"X-CIO-Signature: {signature}\r\nX-CIO-Timestamp: {timestamp}\r\n"
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{given_}\r\n"

    assert target.post(head.encode("latin-1")).status in {400, 401}


@settings(max_examples=100)
@given(content=st.binary(max_size=300))
def test_any_signed_bytes_are_accepted(target: Receiver, content: bytes) -> None:
    """No verified body is refused."""
    assert target.post(request(content)).status == 200
