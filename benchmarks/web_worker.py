"""The CPU time of requests of every shape, compared with another checkout of this repository.

    git worktree add ../before COMMIT
    python -m benchmarks.web_worker ../before [--rounds 5] [--write]

Both servers run at the same time, with the packages of this interpreter. For each shape they
alternate, so that other load on the machine affects both. They store in the inbox and have no
loader. The CPU time is that of the server's own processes, without nginx.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from benchmarks import outcome
from benchmarks.outcome import Section, Surroundings, spread, table
from benchmarks.processes import (
    ROOT,
    Server,
    Throughput,
    await_first_answer,
    free_port,
    resident_megabytes,
    saturate,
    serving,
    start,
    write_requests,
)
from benchmarks.processes import end as stop
from benchmarks.shapes import request, shapes
from benchmarks.slow_clients import slow_connections

IDLE_CONNECTIONS = 4000
SLOW_CLIENTS = 64
LARGE_BYTES = 20_000_000
_BESIDE_LARGE = 8
_IDLE_SECONDS = 3.0
_BODY = b'{"event_id": "benchmark", "metric": "sent"}'
_NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{own};
        location / {{ proxy_pass http://127.0.0.1:{server}; }}
    }}
}}
"""

Sample = dict[str, float]
Found = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Requests:
    """Files of signed requests for wrk.

    Attributes:
        kept: In HTTP/1.1.
        old: The same in HTTP/1.0: each ends its connection.
    """

    kept: Path
    old: Path

    @classmethod
    def write(cls, folder: Path, count: int) -> Requests:
        """Write so many of each."""
        made = cls(folder / "requests", folder / "old-requests")
        write_requests(made.kept, shapes(5000), count, seed=1)
        whole = made.kept.read_bytes().split(b"POST ")
        # Both versions have the same length, so that the lengths in the file stay right.
        made.old.write_bytes(b"POST ".join(whole).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"))
        return made


def run(before: Path, folder: Path, rounds: int, seconds: float) -> Section:
    """Run both servers, shape by shape in turns.

    Args:
        before: The root of the other checkout.
        folder: An empty folder on the disk to measure on.
        rounds: How often each shape runs, with fresh servers in each round.
        seconds: How long wrk posts.
    """
    requests = Requests.write(folder, 20_000)
    found: Found = defaultdict(lambda: {"before": [], "after": []})
    around = Surroundings()
    roots = {"before": before, "after": ROOT}
    for turn in range(rounds):
        around.look()
        sides = list(roots) if turn % 2 else list(reversed(roots))
        for side in sides:
            _keep(found, side, _started(folder / f"start-{side}-{turn}", roots[side]))
        with contextlib.ExitStack() as stack:
            servers = {
                side: stack.enter_context(
                    serving(
                        folder / f"{side}-{turn}",
                        *("benchmarks.rival", "ours"),
                        PYTHONPATH=roots[side],
                    )
                )
                for side in sides
            }
            for side in sides:
                saturate(servers[side], requests.kept, seconds=1)
            for shape in _SHAPES:
                for side in sides:
                    _keep(found, side, shape(servers[side], requests, seconds))
    return Section(
        "web_worker", "The web worker, by shape of request", _lines(found, rounds), around
    )


def cpu_of(done: Throughput) -> float:
    """Return the CPU time of the server for each event, in microseconds.

    Raises:
        RuntimeError: A request was not answered 200.
    """
    if done.others or not done.acknowledged:
        raise RuntimeError(f"{done.others} of {done.acknowledged + done.others} were not 200")
    return done.cpu_us


def kept(server: Server, requests: Requests, seconds: float) -> Sample:
    """Post over 32 kept connections, and over one."""
    return {
        f"kept connections, {clients}; CPU, µs an event": cpu_of(
            saturate(server, requests.kept, seconds=seconds, clients=clients)
        )
        for clients in (32, 1)
    }


def closing(server: Server, requests: Requests, seconds: float) -> Sample:
    """Post with HTTP/1.0, with a new connection for each request."""
    used = cpu_of(saturate(server, requests.old, seconds=seconds))
    return {"HTTP/1.0, a connection a request; CPU, µs an event": used}


def behind_nginx(server: Server, requests: Requests, seconds: float) -> Sample:
    """Post over kept connections to an nginx with its default settings."""
    with _nginx(server) as port:
        # Only the port is nginx's; the CPU time is still that of the server.
        proxied = replace(server, port=port)
        used = cpu_of(saturate(proxied, requests.kept, seconds=seconds))
    return {"behind nginx with its defaults; CPU, µs an event": used}


def beside_slow(server: Server, requests: Requests, seconds: float) -> Sample:
    """Post over 32 connections while other clients never finish their requests."""
    with slow_connections(server, SLOW_CLIENTS):
        used = cpu_of(saturate(server, requests.kept, seconds=seconds))
    return {f"kept connections, 32, beside {SLOW_CLIENTS} slow clients; CPU, µs an event": used}


def large(server: Server, _requests: Requests, _seconds: float) -> Sample:
    """Post one large body while slow clients and a client of small requests are connected."""
    body = b'{"event_id": "large", "padding": "' + b"x" * LARGE_BYTES + b'"}'
    data = request(body, int(time.time()))
    ending = threading.Event()
    small: list[float] = []

    def post_small() -> None:
        while not ending.is_set():
            started = time.perf_counter()
            _post(server, request(_BODY, int(time.time())))
            small.append(time.perf_counter() - started)
            ending.wait(0.01)

    with slow_connections(server, _BESIDE_LARGE):
        beside = threading.Thread(target=post_small)
        beside.start()
        try:
            used, started = server.cpu_seconds(), time.perf_counter()
            _post(server, data)
            took = time.perf_counter() - started
            used = server.cpu_seconds() - used
        finally:
            ending.set()
            beside.join()
    name = f"a body of {LARGE_BYTES // 1_000_000} MB beside {_BESIDE_LARGE} slow clients"
    return {
        f"{name}; CPU, ms": used * 1e3,
        f"{name}; ms": took * 1e3,
        f"{name}; slowest small request beside it, ms": max(small) * 1e3,
    }


def idle(server: Server, requests: Requests, seconds: float) -> Sample:
    """Open many idle connections, then post while they stay open."""
    held = sum(map(resident_megabytes, server.pids("")))
    data = request(_BODY, int(time.time()))
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            wire.sendall(data)
            if b" 200 " not in wire.recv(4096):
                raise RuntimeError("an idle connection was refused")
        grown = sum(map(resident_megabytes, server.pids(""))) - held
        used = server.cpu_seconds()
        time.sleep(_IDLE_SECONDS)
        used = server.cpu_seconds() - used
        beside = cpu_of(saturate(server, requests.kept, seconds=seconds))
    name = f"{IDLE_CONNECTIONS:,} idle connections"
    return {
        f"{name}; memory, kB each": grown * 1e3 / IDLE_CONNECTIONS,
        f"{name}; CPU, ms a second": used * 1e3 / _IDLE_SECONDS,
        f"kept connections, 32, beside {name}; CPU, µs an event": beside,
    }


# `idle` comes before `large`: the processes release the memory of a large body only partly.
_SHAPES = (kept, closing, behind_nginx, beside_slow, idle, large, large, large)


def _started(folder: Path, root: Path) -> Sample:
    """Start a server and measure its start."""
    folder.mkdir()
    port = free_port()
    started = time.perf_counter()
    process = start(folder, ("benchmarks.rival", "ours"), PORT=port, PYTHONPATH=root)
    try:
        server = Server(process, folder, port)
        await_first_answer(server)
        took = time.perf_counter() - started
        time.sleep(1)  # the other worker is still starting
        memory = sum(map(resident_megabytes, server.pids("")))
        return {
            "start; s to the first 200": took,
            "start; CPU of all processes, ms": server.cpu_seconds() * 1e3,
            "memory of all processes, MB": memory,
        }
    finally:
        stop(process)


@contextmanager
def _nginx(server: Server) -> Iterator[int]:
    """Run an nginx with its default settings in front of a server; yields its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(_NGINX.format(own=port, server=server.port))
        process = subprocess.Popen([_nginx_command(), "-p", folder, "-c", str(config)])
        try:
            await_first_answer(Server(process, Path(folder), port))
            yield port
        finally:
            process.terminate()
            process.wait()


def _post(server: Server, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as wire:
        wire.sendall(data)
        if b" 200 " not in wire.recv(4096):
            raise RuntimeError("a request was not answered 200")


def _keep(found: Found, side: str, sample: Sample) -> None:
    for name, value in sample.items():
        found[name][side].append(value)


def _lines(found: Found, rounds: int) -> list[str]:
    rows = []
    for name, sides in found.items():
        pairs = zip(sides["before"], sides["after"], strict=True)
        ratios = [before / after for before, after in pairs if before > 0 and after > 0]
        digits = 2 if " s to " in name else 1
        both = [spread(sides[side], digits) for side in ("before", "after")]
        rows.append((name, *both, spread(ratios, 2)))
    names = ("gunicorn", "httptools", "uvloop", "h11")
    return [
        "Two servers at once, one of each checkout, with two workers and no loader; signed "
        "simulated events, durable; wrk on the same cores. CPU is the time of supervisor, master "
        f"and workers. Rounds: {rounds}, each with fresh servers; within a round both take each "
        "shape in turns, the large body three times. Median (range); ratios within a round, over 1 "
        "is better.",
        "",
        *table(("", "before", "after", "before / after"), rows),
        "",
        f"{', '.join(f'{name} {version(name)}' for name in names)}; {_nginx_version()}.",
    ]


def _nginx_version() -> str:
    command = [_nginx_command(), "-v"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return text.strip().rpartition(" ")[2]


def _nginx_command() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise SystemExit("nginx is not installed: apt-get install nginx-light")
    return found


def main() -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web_worker",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("before", type=Path, help="root of the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--write", action="store_true", help="write the results into RESULTS.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ciolake-benchmark-") as folder:
        made = run(chosen.before.resolve(), Path(folder), chosen.rounds, chosen.seconds)
        text = made.text(Path(folder))
    text = text.replace("benchmarks web_worker", "benchmarks.web_worker CHECKOUT")
    print(text)
    if chosen.write:
        outcome.write(text)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    main()
