"""`ciolake serve` in real processes with real sockets and real kills."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from benchmarks.harness.events import event
from benchmarks.harness.kills import kill_loader, kill_master, kill_worker, reload
from benchmarks.harness.posting import Tally, posting
from benchmarks.harness.process_table import resident_bytes, wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, page, request
from databricks_app.endpoint import WEBHOOK_PATH
from tests.support.spellings import OTHERS, SPELLINGS, spellings

QUICK_SECONDS = 2.0
STOP_SECONDS = 10.0
WORKER_BYTES = 600 << 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Run one receiver for the tests that do not change it."""
    with serving(tmp_path_factory.mktemp("shared")) as receiver:
        yield receiver


def good(receiver: Receiver) -> tuple[int, float]:
    """Post an event on a new connection; return the status and the seconds that it took."""
    started = time.monotonic()
    status = receiver.post(request(event("good"))).status
    return status, time.monotonic() - started


def assert_faultless(receiver: Receiver, *tallies: Tally) -> None:
    """Check that senders got only 200 and 503, and that every event answered 200 is stored."""
    for tally in tallies:
        assert tally.kinds <= {"200", "503"}, tally.outcomes
    acknowledged = {event_id for tally in tallies for event_id in tally.acknowledged}
    assert acknowledged
    assert receiver.process.poll() is not None
    assert acknowledged <= receiver.stored()


def chunked(body: bytes) -> bytes:
    """Return a signed request with a chunked body."""
    whole = request(body, {"Transfer-Encoding": "chunked"})
    head = whole.partition(b"\r\n\r\n")[0].replace(b"Content-Length: %d\r\n" % len(body), b"")
    half = len(body) // 2
    pieces = (body[:half], body[half:], b"")
    return head + b"\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)


def spelled(target: str, event_id: str) -> bytes:
    """Return a signed request with this path in its request line."""
    return request(event(event_id)).replace(WEBHOOK_PATH.encode(), target.encode(), 1)


def assert_spellings_are_served(receiver: Receiver) -> None:
    """Check the answers for spellings of the path and for other paths; none is a redirect."""
    for target in SPELLINGS:
        taken = receiver.post(spelled(target, target))
        shown = receiver.post(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())

        assert (taken.status, shown.status, shown.headers["allow"]) == (200, 405, "POST"), target
    for target in OTHERS:
        answer = receiver.post(spelled(target, "other"))

        assert (answer.status, answer.headers.get("location")) == (404, None), target
    assert receiver.stop() == 0
    assert receiver.stored() == set(SPELLINGS)


def test_serve_accepts_other_spellings_of_the_path(tmp_path: Path) -> None:
    """Each is stored; another method is 405 with `Allow`; another path is 404."""
    with serving(tmp_path) as receiver:
        assert_spellings_are_served(receiver)


def test_serve_accepts_random_spellings_of_the_path(shared: Receiver) -> None:
    """On one connection."""
    with shared.connect() as wire:

        @given(target=spellings())
        @hypothesis_settings(max_examples=100)
        def check(target: str) -> None:
            assert wire.send(spelled(target, "random")).answer().status == 200

        check()


def test_serve_answers_400_to_invalid_chunks(tmp_path: Path) -> None:
    """It is the client's fault, and no log line says that it is ours."""
    broken = chunked(event("broken")).replace(b"\r\n\r\n", b"\r\n\r\nzz", 1)
    with serving(tmp_path) as receiver:
        answer = receiver.post(broken)

        assert answer.status == 400
        assert not receiver.logged("request_failed")


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
        pytest.param(lambda: request(event("large", padding=60 << 20)), id="60 MB"),
    ],
)
def test_serve_accepts_every_form_of_a_request(shared: Receiver, make: Callable[[], bytes]) -> None:
    """As HTTP allows; the answer is empty."""
    answer = shared.post(make())

    assert (answer.status, answer.body) == (200, b"")


def test_serve_answers_expect_100_continue(shared: Receiver) -> None:
    """Before the body comes."""
    head, _, body = request(event("expects"), {"Expect": "100-continue"}).partition(b"\r\n\r\n")
    with shared.connect() as wire:
        first = wire.send(head + b"\r\n\r\n").answer()
        second = wire.send(body).answer()

    assert (first.status, second.status) == (100, 200)


def test_serve_answers_requests_sent_ahead(shared: Receiver) -> None:
    """In order, on the same connection."""
    with shared.connect() as wire:
        wire.send(b"".join(request(event(f"ahead{n}"), key=k) for n, k in enumerate((KEY, "x"))))

        assert [wire.answer().status for _ in range(2)] == [200, 401]
        assert wire.send(request(event("later"))).answer().status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"hunter2 / HTTP/1.1\r\nHost: h\r\n\r\n", 400, id="request line"),
        pytest.param(b"GET /" + b"hunter2" * 10_000, 414, id="endless line"),
        pytest.param(
            b"GET / HTTP/1.1\r\nX: " + b"hunter2" * 10_000 + b"\r\n\r\n", 431, id="header"
        ),
        pytest.param(b"GET /hunter2 HTTP/1.1\r\nHost: h\r\n\r\n", 404, id="path"),
    ],
)
def test_serve_quotes_nothing_from_a_refused_request(
    shared: Receiver, data: bytes, status: int
) -> None:
    """Not in the answer and not in the log."""
    answer = shared.post(data)

    assert (answer.status, answer.body) == (status, b"")
    assert "hunter2" not in shared.log


def test_serve_survives_a_client_that_ends_after_the_head(shared: Receiver) -> None:
    """A request without its body is not an event and not an error."""
    with shared.connect() as wire:
        wire.send(request(event("gone"))[:-1]).socket.shutdown(socket.SHUT_WR)

        assert wire.is_ended()
    assert good(shared)[0] == 200


@contextlib.contextmanager
def slow_clients(receiver: Receiver, number: int) -> Iterator[None]:
    """Keep connections open that send nothing, half a head, half a body, or a byte at a time."""
    whole = request(event("slow", padding=500))
    starts = (b"", whole[:60], whole[:-300], whole[:100])
    ending = threading.Event()
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(receiver.connect()) for _ in range(number)]
        for n, wire in enumerate(wires):
            wire.send(starts[n % 4])

        def drip() -> None:
            while not ending.wait(0.2):
                for wire in wires[3::4]:
                    with contextlib.suppress(OSError):
                        wire.send(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()


def test_serve_answers_quickly_beside_slow_clients(shared: Receiver) -> None:
    """Two hundred of them delay nobody."""
    with slow_clients(shared, 200):
        seen = [good(shared) for _ in range(20)]

    slowest = max(seconds for _, seconds in seen)
    sys.stdout.write(f"slowest good request {slowest:.3f} s\n")
    assert {status for status, _ in seen} == {200}
    assert slowest < QUICK_SECONDS


def post_large(receiver: Receiver, number: int, key: str) -> tuple[list[int], float, int]:
    """Post bodies of 20 MB at once, and good requests meanwhile.

    Returns:
        The statuses of the large ones, the slowest good one's seconds, most bytes of a worker.
    """
    data = request(event("large", padding=20 << 20), key=key)
    statuses: list[int] = []

    def post() -> None:
        statuses.append(receiver.post(data).status)

    threads = [threading.Thread(target=post) for _ in range(number)]
    for thread in threads:
        thread.start()
    slowest, most = 0.0, 0
    while any(thread.is_alive() for thread in threads):
        status, seconds = good(receiver)
        assert status == 200
        slowest = max(slowest, seconds)
        most = max(most, *map(resident_bytes, receiver.workers()))
    for thread in threads:
        thread.join()
    return statuses, slowest, most


def test_serve_answers_quickly_beside_large_bodies(shared: Receiver) -> None:
    """Thirty-two bodies of 20 MB at the same time are read completely and delay nobody."""
    statuses, slowest, most = post_large(shared, 32, "a wrong key")

    sys.stdout.write(f"slowest good request {slowest:.3f} s, largest worker {most >> 20} MiB\n")
    assert statuses == [401] * 32
    assert slowest < QUICK_SECONDS
    assert most < WORKER_BYTES


@pytest.mark.slow
def test_serve_stores_large_bodies_and_answers_quickly(tmp_path: Path) -> None:
    """Thirty-two events of 20 MB at the same time are all stored and delay nobody."""
    with serving(tmp_path, CIO_FLUSH_INTERVAL_SECONDS="3600") as receiver:
        statuses, slowest, most = post_large(receiver, 32, KEY)

    sys.stdout.write(f"slowest good request {slowest:.3f} s, largest worker {most >> 20} MiB\n")
    assert set(statuses) <= {200, 503}
    assert slowest < 2 * QUICK_SECONDS  # they share the disk
    assert most < 2 * WORKER_BYTES


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (kill_worker, 5),
        pytest.param(reload, 2, marks=pytest.mark.slow),
        pytest.param(kill_master, 2, marks=pytest.mark.slow),
        pytest.param(kill_loader, 3, marks=pytest.mark.slow),
    ],
)
def test_senders_see_no_kill_or_reload(
    tmp_path: Path, fault: Callable[[Receiver], None], times: int
) -> None:
    """Nobody is refused, reset or left without an answer."""
    with serving(tmp_path) as receiver:
        with (
            posting(receiver, keep_alive=True, clients=4) as kept,
            posting(receiver, keep_alive=False, clients=4) as fresh,
            posting(receiver, keep_alive=True, clients=4, pause_seconds=0.5) as idle,
        ):
            for _ in range(times):
                kept.wait_for(50)
                fresh.wait_for(50)
                fault(receiver)
            kept.wait_for(50)
            tallies = [clients.stop() for clients in (kept, fresh, idle)]
        receiver.stop()

        assert_faultless(receiver, *tallies)


@pytest.mark.slow
def test_serve_loses_nothing_in_a_minute_of_kills_and_reloads(tmp_path: Path) -> None:
    """All kinds, in turns."""
    with serving(tmp_path) as receiver:
        with (
            posting(receiver, keep_alive=True, clients=16) as kept,
            posting(receiver, keep_alive=False, clients=16) as fresh,
        ):
            end = time.monotonic() + 60
            while time.monotonic() < end:
                for fault in (kill_worker, kill_worker, reload, kill_loader, kill_master):
                    kept.wait_for(200)
                    fault(receiver)
            tallies = [kept.stop(), fresh.stop()]
        receiver.stop()

        assert_faultless(receiver, *tallies)


def assert_gone(receiver: Receiver) -> None:
    """Check that no process and no socket of it is left."""
    assert receiver.all() == set()
    with pytest.raises(ConnectionRefusedError):
        receiver.connect()
    assert not receiver.run_folder.exists()


@pytest.mark.slow
def test_serve_stops_gracefully(tmp_path: Path) -> None:
    """A request in progress is answered; then everything ends within 10 s, with code 0."""
    with serving(tmp_path) as receiver:
        wait_until(lambda: bool(receiver.loader()))
        data = request(event("in progress"))
        with receiver.connect() as wire, receiver.connect() as idle:
            idle.send(request(event("before"))).answer()
            wire.send(data[:-10])
            started = time.monotonic()
            receiver.process.terminate()
            answer = wire.send(data[-10:]).answer()
            ended = idle.answer()
        code = receiver.process.wait(STOP_SECONDS)

        assert answer.status == 200
        assert (ended.status, ended.headers["connection"]) == (503, "close")
        assert (code, time.monotonic() - started < STOP_SECONDS) == (0, True)
        assert_gone(receiver)
        assert {"before", "in progress"} <= receiver.stored()


def test_serve_stops_under_load_and_loses_nothing(tmp_path: Path) -> None:
    """Senders get 503 until the socket closes, and events answered 200 are stored."""
    with serving(tmp_path) as receiver:
        with posting(receiver, keep_alive=True, clients=8) as clients:
            clients.wait_for(200)
            code = receiver.stop()
            tally = clients.stop()

        assert code == 0
        assert_gone(receiver)
        assert tally.kinds <= {"200", "503", "refused", "reset"}, tally.outcomes
        assert tally.outcomes["503"]
        assert tally.outcomes["reset"] <= 8  # who connects as the socket closes
        assert set(tally.acknowledged) <= receiver.stored()


@pytest.mark.slow
def test_serve_stops_when_the_whole_group_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C reaches every process; they stop gracefully, without a traceback."""
    with serving(tmp_path) as receiver:
        wait_until(lambda: bool(receiver.loader()))
        os.killpg(receiver.process.pid, signal.SIGINT)

        assert receiver.process.wait(STOP_SECONDS) == 0
        assert_gone(receiver)
        assert "Traceback" not in receiver.log
        assert receiver.logged("uncaught") == []


def test_serve_ends_with_its_supervisor(tmp_path: Path) -> None:
    """A killed supervisor leaves no process and no listening socket."""
    with serving(tmp_path) as receiver:
        os.kill(receiver.process.pid, signal.SIGKILL)
        receiver.process.wait()

        wait_until(lambda: receiver.all() == set(), STOP_SECONDS)
        with pytest.raises(ConnectionRefusedError):
            receiver.connect()


def test_serve_handles_every_signal_during_a_reload(tmp_path: Path) -> None:
    """Reloads are made one after the other, and a stop between them works."""
    with serving(tmp_path) as receiver:
        for _ in range(3):
            receiver.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(receiver.web()) == 2)
        assert good(receiver)[0] == 200

        assert receiver.stop() == 0


def test_a_reload_with_a_broken_setting_changes_nothing(tmp_path: Path) -> None:
    """And shows no value."""
    env = tmp_path / ".env"
    env.write_text(f"CIO_WEBHOOK_SIGNING_KEYS={KEY}\n")
    with serving(tmp_path) as receiver:
        # Then the loader, too, has read its settings.
        wait_until(lambda: (tmp_path / "data/tables/webhook_raw_events").is_dir())
        before = receiver.workers(), receiver.loader()
        env.write_text(f"CIO_WEBHOOK_SIGNING_KEYS={KEY}\nCIO_WEB_WORKERS=hunter2\n")
        receiver.process.send_signal(signal.SIGHUP)
        wait_until(lambda: bool(receiver.logged("reload_failed")))

        assert (receiver.workers(), receiver.loader()) == before
        assert good(receiver)[0] == 200
        assert "hunter2" not in receiver.log
        assert "CIO_WEB_WORKERS" in str(receiver.logged("settings_unusable"))


def test_a_key_is_rotated_without_losing_a_request(tmp_path: Path) -> None:
    """The new one is added, used, and the old one removed, with `.env` and SIGHUP only."""
    env = tmp_path / ".env"
    env.write_text(f"CIO_WEBHOOK_SIGNING_KEYS={KEY}\n")
    with serving(tmp_path) as receiver:
        with posting(receiver, keep_alive=True, clients=4) as clients:
            env.write_text(f"CIO_WEBHOOK_SIGNING_KEYS=another,{KEY}\n")
            reload(receiver)
            clients.wait_for(50)
            both = receiver.post(request(event("another"), key="another")).status
            tally = clients.stop()
        env.write_text("CIO_WEBHOOK_SIGNING_KEYS=another\n")
        reload(receiver)
        after = [receiver.post(request(event("e"), key=key)).status for key in (KEY, "another")]
        receiver.stop()

        assert (both, after) == (200, [401, 200])
        assert_faultless(receiver, tally)


def test_serve_without_a_key_on_a_public_address_answers_503(tmp_path: Path) -> None:
    """It accepts nothing, and the sender repeats soon."""
    (tmp_path / ".env").touch()
    with serving(tmp_path, CIO_HOST="0.0.0.0") as receiver:  # noqa: S104
        answer = receiver.post(request(event("e")))

        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert "no signing key" in receiver.announced


def test_serve_makes_a_key_for_development(tmp_path: Path) -> None:
    """On loopback a key and an admin token are made, readable only for their owner, and work."""
    (tmp_path / ".env").touch()
    with serving(tmp_path) as receiver:
        made = dotenv_values(tmp_path / ".env")
        key, token = made["CIO_WEBHOOK_SIGNING_KEYS"] or "", made["CIO_ADMIN_TOKEN"] or ""
        stored = receiver.post(request(event("e"), key=key)).status
        shown = receiver.post(page("/metrics", token)).status

    assert (stored, shown) == (200, 200)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    for secret in (key, token):
        assert secret not in receiver.log + receiver.announced


def test_serve_fails_when_the_port_is_taken(tmp_path: Path) -> None:
    """Code 1 and one line that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "databricks_app", "serve"],
            cwd=tmp_path,
            env=os.environ | {"PORT": str(taken.getsockname()[1]), "CIO_WEBHOOK_SIGNING_KEYS": KEY},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot listen on 127.0.0.1 port ")
    assert done.stderr.count("\n") == 1


def test_serve_prints_its_address(shared: Receiver) -> None:
    """The real address, and only the fingerprint of the key."""
    assert shared.announced.startswith(f"Receiving at  {shared.url}\n")
    assert WEBHOOK_PATH in shared.url
    assert KEY not in shared.announced + shared.log
