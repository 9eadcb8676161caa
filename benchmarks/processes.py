"""Servers and clients of the benchmarks: each a process group of its own that leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Report
from benchmarks.harness.process_table import command, processes, resident_bytes, session
from benchmarks.harness.wire import ADMIN_TOKEN
from benchmarks.shapes import KEY, Shape, events, request
from databricks_app.ingest.inbox.local_reader import pending

ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.005
_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Server:
    """A running receiver.

    Attributes:
        process: Leads a session of its own.
        folder: Its working folder.
        port: On loopback.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    def pids(self, part: str) -> list[int]:
        """Return its processes whose command line contains this, oldest first."""
        return [
            pid
            for pid in sorted(processes())
            if part in command(pid) and session(pid) == self.process.pid
        ]

    def workers(self) -> list[int]:
        """Return its web workers; supervisor and master were there before them."""
        return self.pids("databricks_app.serving.server")[1:] or self.pids("benchmarks.rival")[2:]

    def cpu_seconds(self) -> float:
        """Return what all its processes have used so far."""
        return sum(map(cpu_seconds, self.pids("")))


def environment(**variables: object) -> dict[str, str]:
    """Return the environment of a receiver: this one without settings, and these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
        # Requests are signed before a run; a long one takes more than the usual window.
        "CIO_TIMESTAMP_TOLERANCE_SECONDS": "86400",
        "CIO_LOG_LEVEL": "warning",
        **{name: str(value) for name, value in variables.items()},
    }


@contextlib.contextmanager
def serving(folder: Path, *command: str, **variables: object) -> Iterator[Server]:
    """Run a receiver in a new folder and wait for its first 200; the folder is removed.

    Args:
        folder: Made, and removed at the end.
        command: A module and its arguments; `ciolake serve` if left out.
        variables: Its settings.
    """
    folder.mkdir(parents=True)
    port = free_port()
    process = start(folder, command or ("databricks_app", "serve"), PORT=port, **variables)
    server = Server(process, folder, port)
    try:
        await_first_answer(server)
        yield server
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def await_empty_inbox(server: Server, seconds: float = 60.0) -> bool:
    """Wait until everything received is in the tables; whether it is in time."""
    inbox = server.folder / "data" / "inbox"
    deadline = time.monotonic() + seconds
    while pending(inbox).events:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start(folder: Path, command: tuple[str, ...], **variables: object) -> subprocess.Popen[bytes]:
    """Start a module in a folder, in a session of its own; its log goes into the folder."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def await_first_answer(server: Server) -> None:
    """Post one event again and again until it is answered 200.

    Raises:
        RuntimeError: It is not in time.
    """
    body = b'{"event_id": "the first"}'
    data = request(body, int(time.time()))
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _status(server.port, data) == 200:
            return
        if server.process.poll() is not None:
            break
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the receiver does not answer: {(server.folder / 'log').read_text()}")


def _status(port: int, data: bytes) -> int:
    try:
        with socket.create_connection(("127.0.0.1", port), 4) as wire:
            wire.sendall(data)
            return int(wire.recv(4096).split(b" ")[1])
    except (OSError, ValueError, IndexError):
        return 0


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a process group: in order if that works, else at once."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def resident_megabytes(pid: int) -> float:
    """Return how much memory a process holds, in units of a million bytes."""
    return resident_bytes(pid) / 1e6


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held so far, in units of a million bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Throughput:
    """What clients that never wait got.

    Attributes:
        seconds: How long they posted.
        acknowledged: How many answers were 200.
        others: How many were not; time-outs are among them.
        p50_ms: Of all answers.
        p99_ms: The same.
        cpu_seconds: What the server used meanwhile.
    """

    seconds: float
    acknowledged: int
    others: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Events a second that were answered 200."""
        return self.acknowledged / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server for each of them."""
        return self.cpu_seconds / max(1, self.acknowledged) * 1e6


def schedule(
    server: Server, *, rate: float, seconds: float, connections: int, journal: Path | None = None
) -> subprocess.Popen[str]:
    """Start the client of `benchmarks.client`; `reported` waits for it."""
    said = [server.port, rate, seconds, connections, *([journal] if journal else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.client", *map(str, said)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def reported(client: subprocess.Popen[str]) -> Report:
    """Wait for a client and return what it saw.

    Raises:
        RuntimeError: It failed.
    """
    said, _ = client.communicate()
    if client.returncode:
        raise RuntimeError(f"the client ended with {client.returncode}")
    return Report(**json.loads(said))


def write_requests(path: Path, among: list[Shape], count: int, seed: int) -> None:
    """Write different signed requests of now for `saturate`."""
    second = int(time.time())
    made = events(among, start=second - 5, seconds=5, count=count, seed=seed)
    with path.open("wb") as file:
        for one in made:
            data = request(one.body, second)
            file.write(b"%d\n" % len(data) + data)


def saturate(server: Server, requests: Path, *, seconds: float, clients: int = 32) -> Throughput:
    """Post requests with wrk, over connections that are kept.

    Raises:
        RuntimeError: wrk fails.
        SystemExit: It is not installed; says how it is.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed: apt-get install wrk, or https://github.com/wg/wrk")
    used = server.cpu_seconds()
    arguments = ["-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "4s", "-s", str(_SCRIPT)]
    url = f"http://127.0.0.1:{server.port}"
    done = subprocess.run(
        [wrk, *arguments, url, "--", str(requests)], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not told:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    said: Mapping[str, float] = json.loads(told[-1])
    return Throughput(
        seconds=said["seconds"],
        acknowledged=int(said["requests"] - said["refused"]),
        others=int(said["refused"] + said["silent"]),
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        cpu_seconds=server.cpu_seconds() - used,
    )
