"""Servers and clients of the benchmarks: each is a process group that is removed at the end."""

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
        process: Its first process, the leader of its own session.
        folder: Its working folder.
        port: Its port on loopback.
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
        """Return the process ids of its web workers."""
        # They are the youngest: supervisor and master started before them.
        return self.pids("databricks_app.serving.server")[1:] or self.pids("benchmarks.rival")[2:]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all its processes so far."""
        return sum(map(cpu_seconds, self.pids("")))


def environment(**variables: object) -> dict[str, str]:
    """Return the environment of a receiver: that of this process without settings, and these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
        # Requests are signed before a run, which can last longer than the default window.
        "CIO_TIMESTAMP_TOLERANCE_SECONDS": "86400",
        "CIO_LOG_LEVEL": "warning",
        **{name: str(value) for name, value in variables.items()},
    }


@contextlib.contextmanager
def serving(folder: Path, *command: str, **variables: object) -> Iterator[Server]:
    """Run a receiver in a new folder and wait for its first 200; the folder is removed.

    Args:
        folder: The folder to create; it is removed at the end.
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
    """Wait until all received events are in the tables; returns False if they are not in time."""
    inbox = server.folder / "data" / "inbox"
    deadline = time.monotonic() + seconds
    while pending(inbox).events:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start(folder: Path, command: tuple[str, ...], **variables: object) -> subprocess.Popen[bytes]:
    """Start a module in a folder, in its own session; its log is in the folder."""
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
    """Post one event repeatedly until it is answered 200.

    Raises:
        RuntimeError: It is not answered 200 in time.
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
    """Stop a process group; kill it if it does not stop in time."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process, in units of a million bytes."""
    return resident_bytes(pid) / 1e6


def peak_megabytes(pid: int | str) -> float:
    """Return the most memory that a process (or `self`) has held, in units of a million bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process so far; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Throughput:
    """The results of clients that send the next request as soon as the last one is answered.

    Attributes:
        seconds: How long they posted.
        acknowledged: Number of answers 200.
        others: Number of other answers, with timeouts.
        p50_ms: Median latency of all answers.
        p99_ms: 99th percentile of the latency.
        cpu_seconds: CPU seconds of the server in that time.
    """

    seconds: float
    acknowledged: int
    others: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Events per second that were answered 200."""
        return self.acknowledged / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the server for each of them, in microseconds."""
        return self.cpu_seconds / max(1, self.acknowledged) * 1e6


def schedule(
    server: Server, *, rate: float, seconds: float, connections: int, journal: Path | None = None
) -> subprocess.Popen[str]:
    """Start the client of `benchmarks.client`; `reported` waits for it."""
    arguments = [server.port, rate, seconds, connections, *([journal] if journal else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.client", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def reported(client: subprocess.Popen[str]) -> Report:
    """Wait for a client and return its results.

    Raises:
        RuntimeError: The client failed.
    """
    output, _ = client.communicate()
    if client.returncode:
        raise RuntimeError(f"the client ended with {client.returncode}")
    return Report(**json.loads(output))


def write_requests(path: Path, among: list[Shape], count: int, seed: int) -> None:
    """Write different signed requests, signed now, for `saturate`."""
    second = int(time.time())
    made = events(among, start=second - 5, seconds=5, count=count, seed=seed)
    with path.open("wb") as file:
        for one in made:
            data = request(one.body, second)
            file.write(b"%d\n" % len(data) + data)


def saturate(server: Server, requests: Path, *, seconds: float, clients: int = 32) -> Throughput:
    """Post requests with wrk, over kept connections.

    Raises:
        RuntimeError: wrk fails.
        SystemExit: wrk is not installed; the text says how to install it.
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
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    result: Mapping[str, float] = json.loads(lines[-1])
    return Throughput(
        seconds=result["seconds"],
        acknowledged=int(result["requests"] - result["refused"]),
        others=int(result["refused"] + result["silent"]),
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        cpu_seconds=server.cpu_seconds() - used,
    )
