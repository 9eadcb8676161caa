"""The event loops of several web processes share which keys have verified requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import connect, request


@pytest.mark.parametrize("size", [2, 200_000])
def test_all_web_processes_know_what_one_has_verified(tmp_path: Path, size: int) -> None:
    """503 for a wrong signature until one request is verified, 401 then; also for large bodies."""
    body = b"1" * size

    with serving(tmp_path) as receiver:

        def ask(**given: str) -> int:
            mark = {"X-Ciolake-Test": "1"} if given.pop("mark", "") else {}
            with connect(receiver.address) as wire:
                wire.socket.sendall(request(body, mark, **given))
                return wire.answer().status

        assert ask(mark="yes") == 200
        assert {ask(key="wrong") for _ in range(8)} == {503}
        assert ask(key="wrong", mark="yes") == 401
        assert ask() == 200
        assert {ask(key="wrong") for _ in range(8)} == {401}
