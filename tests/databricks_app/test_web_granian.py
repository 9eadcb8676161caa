"""`ciolake serve` on granian: what must hold on any server, and where granian promises less."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import (
    KEY,
    PATH,
    Receiver,
    event,
    flooding,
    is_zombie,
    request,
    resident_bytes,
    serving,
    wait_until,
)
from test_serve import (
    QUICK_SECONDS,
    STOP_SECONDS,
    WORKER_BYTES,
    assert_faultless,
    assert_gone,
    chunked,
    dawdling,
    good,
    kill_writer,
    post_large,
    ready,
    reload,
)

pytest.importorskip("granian", reason="pip install 'ciolake[granian]'")

GRANIAN = {"CIO_WEB_SERVER": "granian"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Run one receiver for the tests that leave it as it was."""
    with serving(tmp_path_factory.mktemp("granian"), **GRANIAN) as receiver:
        yield receiver


def doubled(body: bytes) -> bytes:
    """Return a signed request that holds each of its two headers twice."""
    head, _, rest = request(body).partition(b"\r\n\r\n")
    twice = [line for line in head.split(b"\r\n") if line.startswith(b"X-CIO")]
    return b"\r\n".join([head, *twice]) + b"\r\n\r\n" + rest


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: request(event("plain")), id="plain"),
        pytest.param(lambda: chunked(event("chunked")), id="chunked"),
        pytest.param(
            lambda: request(event("close"), {"Connection": "close"}), id="connection closed"
        ),
        pytest.param(
            lambda: request(event("old")).replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"
        ),
        pytest.param(
            lambda: request(event("path")).replace(b"POST /", b"POST //"), id="doubled slash"
        ),
        pytest.param(lambda: request(event("medium", padding=1 << 20)), id="1 MB"),
        pytest.param(lambda: request(event("large", padding=60 << 20)), id="60 MB"),
        pytest.param(lambda: chunked(event("both", padding=20 << 20)), id="20 MB, chunked"),
    ],
)
def test_granian_takes_an_event_however_it_is_sent(
    shared: Receiver, make: Callable[[], bytes]
) -> None:
    """What HTTP allows is taken, and the answer is empty."""
    answer = shared.post(make())

    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("make", "status"),
    [
        pytest.param(lambda: request(event("e"), key="wrong"), 401, id="signature"),
        pytest.param(lambda: request(event("e"), {"X-CIO-Signature": "\xff"}), 401, id="no text"),
        pytest.param(
            lambda: request(event("e"), {"X-CIO-Timestamp": "1763800000"}), 401, id="stale"
        ),
        pytest.param(lambda: doubled(event("e")), 401, id="doubled header"),
        pytest.param(lambda: request(b"", {"X-CIO-Signature": ""}), 401, id="nothing"),
        pytest.param(lambda: f"GET {PATH} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), 405, id="method"),
        pytest.param(lambda: b"GET /hunter2 HTTP/1.1\r\nHost: h\r\n\r\n", 404, id="path"),
        pytest.param(lambda: b"hunter2 / HTTP/9\r\nHost: h\r\n\r\n", 400, id="request line"),
        pytest.param(
            lambda: b"GET /" + b"hunter2" * 10_000 + b" HTTP/1.1\r\n\r\n", 414, id="long line"
        ),
        pytest.param(
            lambda: b"GET / HTTP/1.1\r\nX: " + b"hunter2" * 100_000 + b"\r\n\r\n", 431, id="header"
        ),
        pytest.param(
            lambda: request(event("e"), {"Content-Length": "9" * 12}), 413, id="absurd length"
        ),
        pytest.param(lambda: b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 200, id="alive"),
    ],
)
def test_granian_answers_as_the_table_says(
    shared: Receiver, make: Callable[[], bytes], status: int
) -> None:
    """Every case has its status; no log line holds what a stranger wrote."""
    answer = shared.post(make())

    assert answer.status == status
    assert "hunter2" not in shared.log


def test_granian_answers_503_without_a_key(tmp_path: Path) -> None:
    """No key means that nothing is accepted, and that the sender comes again soon."""
    with serving(tmp_path, CIO_WEBHOOK_SIGNING_KEYS="", CIO_WEB_WORKERS="1", **GRANIAN) as receiver:
        answer = receiver.post(request(event("e")))

    assert (answer.status, "retry-after" in answer.headers) == (503, True)


def test_granian_tells_a_client_that_asks_to_go_on(shared: Receiver) -> None:
    """`Expect: 100-continue` is answered before the body comes."""
    head, _, body = request(event("expects"), {"Expect": "100-continue"}).partition(b"\r\n\r\n")
    with shared.connect() as wire:
        first = wire.send(head + b"\r\n\r\n").answer()
        second = wire.send(body).answer()

    assert (first.status, second.status) == (100, 200)


def test_granian_answers_requests_sent_ahead(shared: Receiver) -> None:
    """All that came on a connection is answered, in order, on that connection."""
    with shared.connect() as wire:
        wire.send(b"".join(request(event(f"ahead{n}"), key=k) for n, k in enumerate((KEY, "x"))))

        assert [wire.answer().status for _ in range(2)] == [200, 401]
        assert wire.send(request(event("later"))).answer().status == 200


def test_granian_counts_over_all_processes(shared: Receiver) -> None:
    """The metrics are the sum over the workers, whichever answers."""
    for n in range(10):
        shared.post(request(event(f"counted{n}")))
    pages = [shared.post(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") for _ in range(4)]
    counts = {
        line
        for page in pages
        for line in page.body.splitlines()
        if b"accepted_events_total{" in line
    }

    assert len(counts) == 1
    assert float(counts.pop().split()[-1]) >= 10


def test_granian_answers_quickly_beside_slow_clients(shared: Receiver) -> None:
    """Two hundred clients that dawdle delay nobody."""
    with dawdling(shared, 200):
        seen = [good(shared) for _ in range(20)]

    slowest = max(seconds for _, seconds in seen)
    sys.stdout.write(f"slowest good request {slowest:.3f} s\n")
    assert {status for status, _ in seen} == {200}
    assert slowest < QUICK_SECONDS


def test_granian_answers_quickly_beside_silent_clients(shared: Receiver) -> None:
    """Two hundred connections that never say a word delay nobody."""
    wires = [shared.connect() for _ in range(200)]
    seen = [good(shared) for _ in range(20)]
    for wire in wires:
        wire.socket.close()

    assert {status for status, _ in seen} == {200}
    assert max(seconds for _, seconds in seen) < QUICK_SECONDS


@pytest.mark.parametrize("padding", [500, 1 << 20])
def test_granian_ends_a_body_that_does_not_come(shared: Receiver, padding: int) -> None:
    """Half a body is answered 408 within the time limit of a request, and the connection ends."""
    with shared.connect() as wire:
        answer = wire.send(request(event("half", padding=padding))[:-100]).answer()

        assert (answer.status, wire.is_ended()) == (408, True)


def test_granian_answers_quickly_beside_large_bodies(shared: Receiver) -> None:
    """Thirty-two bodies of 20 MB at once are read to their end; memory stays bounded."""
    statuses, slowest, most = post_large(shared, 32, "a wrong key")

    sys.stdout.write(f"slowest good request {slowest:.3f} s, largest worker {most >> 20} MiB\n")
    assert statuses == [401] * 32
    assert slowest < QUICK_SECONDS
    assert most < WORKER_BYTES


@pytest.mark.slow
def test_granian_stores_large_bodies_and_answers_quickly(tmp_path: Path) -> None:
    """Thirty-two events of 20 MB at once are stored or refused; nobody waits for them."""
    with serving(tmp_path, CIO_FLUSH_INTERVAL_SECONDS="3600", **GRANIAN) as receiver:
        statuses, slowest, most = post_large(receiver, 32, KEY)

    sys.stdout.write(f"slowest good request {slowest:.3f} s, largest worker {most >> 20} MiB\n")
    assert set(statuses) <= {200, 503}
    assert slowest < 2 * QUICK_SECONDS  # they share the disk
    assert most < 2 * WORKER_BYTES


def test_granian_keeps_unfinished_bodies_bounded(shared: Receiver) -> None:
    """A thousand clients with nearly all of 250 KB in flight fill no memory; the oldest go."""
    data = request(event("held", padding=250 << 10))[:-1]
    with_data = [shared.connect() for _ in range(600)]
    for wire in with_data:
        wire.socket.sendall(data)
    status, seconds = good(shared)
    most = max(map(resident_bytes, shared.workers()))
    for wire in with_data:
        wire.socket.close()

    sys.stdout.write(f"good request {seconds:.3f} s, largest worker {most >> 20} MiB\n")
    assert (status, seconds < QUICK_SECONDS, most < WORKER_BYTES) == (200, True, True)


@pytest.mark.parametrize(("trouble", "times"), [(kill_writer, 2), (reload, 2)])
def test_granian_refuses_and_resets_nobody_who_connects_anew(
    tmp_path: Path, trouble: Callable[[Receiver], None], times: int
) -> None:
    """A connection for each request: reloads and deaths of the writer show it nothing."""
    with serving(tmp_path, **GRANIAN) as receiver:
        with flooding(receiver, keep_alive=False, clients=8) as fresh:
            for _ in range(times):
                fresh.wait_for(50)
                trouble(receiver)
            fresh.wait_for(50)
            tally = fresh.stop()
        receiver.stop()

        sys.stdout.write(f"{tally.outcomes}\n")
        assert_faultless(receiver, tally)


@pytest.mark.parametrize("trouble", ["kill", "reload"])
def test_granian_keeps_its_word_where_it_breaks_connections(tmp_path: Path, trouble: str) -> None:
    """A dead worker's connections may end without an answer; what was answered 200 is stored."""
    with serving(tmp_path, **GRANIAN) as receiver:
        with flooding(receiver, keep_alive=True, clients=8) as flood:
            for _ in range(2):
                flood.wait_for(100)
                before = ready(receiver)
                if trouble == "kill":
                    os.kill(receiver.workers()[0], signal.SIGKILL)
                    wait_until(lambda before=before: ready(receiver) > before)
                else:
                    reload(receiver)
            flood.wait_for(100)
            tally = flood.stop()
        receiver.stop()

        sys.stdout.write(f"{tally.outcomes}\n")
        assert tally.kinds <= {"200", "503", "empty", "reset"}
        assert tally.outcomes["empty"] + tally.outcomes["reset"] <= 2 * 8
        assert set(tally.acknowledged) <= receiver.stored()


def test_granian_ends_its_workers_with_its_master(tmp_path: Path) -> None:
    """A master that is killed leaves no worker behind, and has a successor."""
    with serving(tmp_path, **GRANIAN) as receiver:
        before, orphans = ready(receiver), receiver.workers()
        os.kill(receiver.web()[0], signal.SIGKILL)
        wait_until(lambda: ready(receiver) > before + 1)
        wait_until(lambda: all(is_zombie(pid) for pid in orphans))

        assert good(receiver)[0] == 200


def test_granian_stops_in_order(tmp_path: Path) -> None:
    """A request that is under way is answered; then all is gone within 10 s, with code 0."""
    with serving(tmp_path, **GRANIAN) as receiver:
        wait_until(lambda: bool(receiver.writer()))
        data = request(event("under way"))
        with receiver.connect() as wire:
            wire.send(request(event("before"))).answer()
            wire.send(data[:-10])
            started = time.monotonic()
            receiver.process.terminate()
            answer = wire.send(data[-10:]).answer()
        code = receiver.process.wait(STOP_SECONDS)

        assert answer.status == 200
        assert (code, time.monotonic() - started < STOP_SECONDS) == (0, True)
        assert_gone(receiver)
        assert {"before", "under way"} <= receiver.stored()


def test_granian_stops_beside_clients_that_do_not(tmp_path: Path) -> None:
    """Clients that dawdle keep nobody from stopping in order."""
    with serving(tmp_path, **GRANIAN) as receiver:
        with dawdling(receiver, 40):
            assert receiver.stop() == 0

        assert_gone(receiver)


def test_granian_stops_under_load_and_loses_nothing(tmp_path: Path) -> None:
    """What was answered 200 is stored, and the inbox is handed over in order."""
    with serving(tmp_path, **GRANIAN) as receiver:
        with flooding(receiver, keep_alive=True, clients=8) as flood:
            flood.wait_for(200)
            code = receiver.stop()
            tally = flood.stop()

        sys.stdout.write(f"{tally.outcomes}\n")
        assert code == 0
        assert_gone(receiver)
        assert set(tally.acknowledged) <= receiver.stored()
        assert not list((tmp_path / "data/inbox").glob("*.open"))


def test_granian_stops_when_the_whole_group_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C reaches every process; they stop without a trace."""
    with serving(tmp_path, **GRANIAN) as receiver:
        wait_until(lambda: bool(receiver.writer()))
        os.killpg(receiver.process.pid, signal.SIGINT)

        assert receiver.process.wait(STOP_SECONDS) == 0
        assert_gone(receiver)
        assert "Traceback" not in receiver.log
        assert receiver.logged("uncaught") == []


def test_granian_ends_with_its_supervisor(tmp_path: Path) -> None:
    """A supervisor that is killed leaves no process behind, and no listening socket."""
    with serving(tmp_path, **GRANIAN) as receiver:
        os.kill(receiver.process.pid, signal.SIGKILL)
        receiver.process.wait()

        wait_until(lambda: receiver.all() == set(), STOP_SECONDS)
        with pytest.raises(ConnectionRefusedError):
            receiver.connect()
