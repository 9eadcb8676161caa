"""Real servers for tests: `ciolake serve` as a process group, and clients that tell what they saw.

Not a test module. Run as a script it is the flood: clients in a process of their own, so that they
do not compete with a test for its interpreter.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KEY = "a key of the tests"
PATH = "/api/webhooks/customerio"
_POLL_SECONDS = 0.02
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_ANSWER_SECONDS = 20.0


def event(event_id: str, *, padding: int = 0) -> bytes:
    """Return the body of one event."""
    data = {"delivery_id": "d", "recipient": "person@example.com", "content": "x" * padding}
    return json.dumps(
        {
            "event_id": event_id,
            "object_type": "email",
            "metric": "opened",
            "timestamp": 1763800000,
            "data": data,
        }
    ).encode()


def signed(body: bytes, *, key: str = KEY, timestamp: int | None = None) -> dict[str, str]:
    """Return the two headers of a signed request."""
    at = str(int(time.time()) if timestamp is None else timestamp)
    digest = hmac.new(key.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-CIO-Timestamp": at, "X-CIO-Signature": digest}


def request(body: bytes, headers: dict[str, str] | None = None, *, key: str = KEY) -> bytes:
    """Return a whole signed request as it goes over the wire."""
    given = {"Host": "receiver", "Content-Length": str(len(body)), **signed(body, key=key)}
    lines = [f"POST {PATH} HTTP/1.1", *(f"{n}: {v}" for n, v in (given | (headers or {})).items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Wire:
    """A client's end of a connection, with what arrived and was not yet taken."""

    socket: socket.socket
    buffer: bytes = b""

    def __enter__(self) -> Wire:
        """Use until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.socket.close()

    def send(self, data: bytes) -> Wire:
        """Send all of it."""
        self.socket.sendall(data)
        return self

    def answer(self) -> Answer:
        """Wait for the next answer; none is status 0."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return Answer(0, {}, self.buffer)
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }
        length = int(headers.get("content-length", "0"))
        while len(rest) < length and self._more():
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        self.buffer = rest[length:]
        return Answer(int(lines[0].split(" ")[1]), headers, rest[:length])

    def is_ended(self) -> bool:
        """Wait for the server's end of the connection, in order; False if it says more or resets.

        Raises:
            TimeoutError: It does not end.
        """
        try:
            return not self.buffer and not self.socket.recv(1)
        except ConnectionError:
            return False

    def _more(self) -> bool:
        piece = self.socket.recv(1 << 16)
        self.buffer += piece
        return bool(piece)


@dataclass(frozen=True)
class Answer:
    """What a server said; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(address: tuple[str, int], seconds: float = _ANSWER_SECONDS) -> Wire:
    """Open a connection whose calls give up after some seconds."""
    return Wire(socket.create_connection(address, timeout=seconds))


def wait_until(is_so: Callable[[], bool], seconds: float = _START_SECONDS) -> None:
    """Look again and again, as no process tells us of another one's state.

    Raises:
        AssertionError: It is not so in time.
    """
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(_POLL_SECONDS)


@dataclass
class Receiver:
    """A running `ciolake serve`; its process leads a session of its own."""

    process: subprocess.Popen[bytes]
    folder: Path
    address: tuple[str, int] = ("", 0)
    announced: str = ""
    run_folder: Path = Path("/dev/shm/none")

    @property
    def url(self) -> str:
        """Where events are posted to."""
        return f"http://{self.address[0]}:{self.address[1]}{PATH}"

    @property
    def log(self) -> str:
        """What all its processes have logged."""
        return (self.folder / "stderr").read_text()

    def logged(self, name: str) -> list[dict[str, object]]:
        """Return its log lines of one kind."""
        lines = (line for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line.get("event") == name]

    def connect(self, seconds: float = _ANSWER_SECONDS) -> Wire:
        """Open a connection to it."""
        return connect(self.address, seconds)

    def post(self, data: bytes) -> Answer:
        """Send raw bytes on a connection of their own and wait for the answer."""
        with self.connect() as wire:
            return wire.send(data).answer()

    def web(self) -> list[int]:
        """Return the process ids of gunicorn's masters that the supervisor started."""
        return [
            pid
            for pid in children(self.process.pid)
            if "databricks_app.serving.gunicorn.server" in command(pid) and not is_zombie(pid)
        ]

    def ready(self) -> set[object]:
        """Return the process ids of the workers that serve; the log may tell of earlier ones."""
        return {line["pid"] for line in self.logged("web_worker_ready")} & self.all()

    def writer(self) -> list[int]:
        """Return the process id of the writer, if it runs."""
        return [
            pid
            for pid in children(self.process.pid)
            if "databricks_app.loading.loader" in command(pid)
        ]

    def workers(self) -> list[int]:
        """Return the process ids of gunicorn's workers."""
        return [pid for master in self.web() for pid in children(master) if not is_zombie(pid)]

    def all(self) -> set[int]:
        """Return every process of its session that still runs."""
        return {pid for pid in processes() if session(pid) == self.process.pid}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)

    def stored(self) -> set[str]:
        """Return the ids of all stored events, in the inbox and in the raw table."""
        return _inbox_ids(self.folder / "data/inbox") | _table_ids(
            self.folder / "data/tables/webhook_raw_events"
        )


@contextlib.contextmanager
def serving(folder: Path, *, prefix: Sequence[str] = (), **variables: str) -> Iterator[Receiver]:
    """Run `ciolake serve` in a folder on a free port; nothing of it is left afterwards.

    Args:
        folder: Working folder: `.env`, data and logs.
        prefix: A command that runs it in its own place, as `strace -D`.
        variables: Environment; KEY is the signing key unless one is given here or in `.env`.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    environ |= {"PORT": "0", "CIO_FLUSH_INTERVAL_SECONDS": "0.5"}
    if not (folder / ".env").exists():
        environ["CIO_WEBHOOK_SIGNING_KEYS"] = KEY
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("ab") as err:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "databricks_app", "serve"],
            cwd=folder,
            env=environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    receiver = Receiver(process, folder)
    try:
        _read_announcement(receiver)
        number = int(variables.get("CIO_WEB_WORKERS", "2"))
        wait_until(lambda: len(receiver.ready()) >= number)
        receiver.run_folder = Path(environment(receiver.web()[0])["CIO_RUN_DIR"])
        yield receiver
    finally:
        _end(receiver)


def _read_announcement(receiver: Receiver) -> None:
    path = receiver.folder / "stdout"
    wait_until(lambda: "\nTry " in path.read_text() or receiver.process.poll() is not None)
    receiver.announced = path.read_text()
    assert receiver.process.poll() is None, receiver.log
    host, _, port = receiver.announced.partition("http://")[2].partition("/")[0].rpartition(":")
    receiver.address = ("127.0.0.1" if host == "0.0.0.0" else host.strip("[]"), int(port))  # noqa: S104


def _end(receiver: Receiver) -> None:
    """End every process of the session: in order if that works, else at once."""
    if receiver.process.poll() is None:
        receiver.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            receiver.process.wait(_STOP_SECONDS)
    for pid in receiver.all():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    receiver.process.wait(_STOP_SECONDS)
    shutil.rmtree(receiver.run_folder, ignore_errors=True)


def processes() -> list[int]:
    """Return the ids of all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def children(parent: int) -> list[int]:
    """Return the ids of a process's children, those waiting to be reaped included."""
    return sorted(pid for pid in processes() if _status(pid)[1] == str(parent))


def session(pid: int) -> int:
    """Return the session of a process; 0 if it is gone or waits to be reaped."""
    fields = _status(pid)
    return 0 if fields[0] in "ZX" else int(fields[3])


def is_zombie(pid: int) -> bool:
    """Whether a process has ended."""
    return _status(pid)[0] in "ZX"


def command(pid: int) -> str:
    """Return a process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def environment(pid: int) -> dict[str, str]:
    """Return the variables that a process was started with."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _status(pid: int) -> list[str]:
    """State, parent, group and session of a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return ["X", "0", "0", "0"]


def _inbox_ids(folder: Path) -> set[str]:
    from databricks_app.ingest.inbox.local_reader import SegmentReader

    batches = SegmentReader(folder).batches(1 << 30, 1 << 40)
    return {json.loads(record.body)["event_id"] for batch in batches for record in batch.records}


def _table_ids(folder: Path) -> set[str]:
    if not (folder / "_delta_log").exists():
        return set()
    import duckdb
    from deltalake import DeltaTable

    files = DeltaTable(folder).file_uris()
    if not files:
        return set()
    rows = duckdb.execute("SELECT event_id FROM read_parquet(?)", [files]).fetchall()
    return {row[0] for row in rows}


@dataclass
class Tally:
    """What the clients of a flood saw.

    Attributes:
        outcomes: Answers by status, and `refused`, `reset`, `empty`, `silent` where none came.
        acknowledged: Ids of the events that were answered 200.
        slowest_seconds: Of any answer.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    @property
    def kinds(self) -> set[str]:
        """Which outcomes there were."""
        return set(self.outcomes)


@dataclass
class Flood:
    """Clients that post without pause, in a process of their own.

    They are as unforgiving as can be: none looks whether its connection has ended before it sends.
    """

    process: subprocess.Popen[str]

    def wait_for(self, answers: int) -> None:
        """Wait until so many more requests were answered."""
        assert self.process.stdout is not None
        seen = 0
        while seen < answers:
            ready, _, _ = select.select([self.process.stdout], [], [], _START_SECONDS)
            assert ready, "the flood stands still"
            seen += len(os.read(self.process.stdout.fileno(), 1 << 16))

    def stop(self) -> Tally:
        """End the flood; requests in flight are waited for."""
        _, said = self.process.communicate(timeout=_ANSWER_SECONDS + _STOP_SECONDS)
        told = json.loads(said)
        return Tally(Counter(told["outcomes"]), told["acknowledged"], told["slowest"])


@contextlib.contextmanager
def flooding(
    receiver: Receiver, *, keep_alive: bool, clients: int = 8, pause_seconds: float = 0.0
) -> Iterator[Flood]:
    """Post to a receiver until told to stop.

    Args:
        receiver: Where to.
        keep_alive: Use a connection for many requests, or one for each.
        clients: How many at once.
        pause_seconds: Longest random pause of a client between two requests.
    """
    host, port = receiver.address
    said = (host, str(port), str(clients), str(int(keep_alive)), str(pause_seconds))
    process = subprocess.Popen(
        [sys.executable, __file__, *said],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Flood(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class _Client:
    """One client of a flood."""

    def __init__(self, address: tuple[str, int], name: str, keep_alive: bool) -> None:
        self.tally = Tally()
        self._address = address
        self._name = name
        self._keep_alive = keep_alive
        self._wire: Wire | None = None

    def run(self, ending: threading.Event, pause_seconds: float) -> None:
        """Post until the end."""
        for number in itertools.count():
            if ending.wait(random.random() * pause_seconds):
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
        """Keep the connection for the next request, unless the server ends it."""
        is_kept = self._keep_alive and answer is not None and answer.status
        if self._wire is not None and (
            answer is None or not is_kept or answer.headers.get("connection") == "close"
        ):
            self._wire.socket.close()
            self._wire = None


def _flood(host: str, port: str, clients: str, keep_alive: str, pause_seconds: str) -> None:
    """Run until standard input ends; a point on standard output for each request answered."""
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
    said = {
        "outcomes": outcomes,
        "acknowledged": [one for client in crew for one in client.tally.acknowledged],
        "slowest": max(client.tally.slowest_seconds for client in crew),
    }
    sys.stderr.write(json.dumps(said))


if __name__ == "__main__":
    _flood(*sys.argv[1:])
