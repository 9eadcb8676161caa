"""Items per second through the background queue, compared with the vendor's client and Segment's.

    .venv/bin/python benchmarks/pipelines_queue.py            prints the report
    .venv/bin/python benchmarks/pipelines_queue.py --write    also writes it into RESULTS.md

A server in its own process receives batches on loopback and counts the items, so that a lost item
fails the run. Each run is a new process: it puts all items, flushes, and reports. The clients
alternate in every round. The two other clients are installed into a temporary virtual environment.
Every queue has room for all items, because the other clients drop items when their queue is full.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

RIVALS = ("customerio-cdp-analytics==1.1.0", "segment-analytics-python==2.4.0")
HEADING = "## Data Pipelines queue"
CONTESTANTS = {
    # name: (client, items in a batch)
    "core.pipelines": ("ours", 500),
    "core.pipelines, 100 a batch": ("ours", 100),
    "customerio-cdp-analytics 1.1.0": ("customerio", 100),
    "customerio-cdp-analytics, 500 a batch": ("customerio", 500),
    "segment-analytics-python 2.4.0": ("segment", 100),
    "segment-analytics-python, 500 a batch": ("segment", 500),
}
COLUMNS = {"items_per_s": 0, "cpu_us": 1, "peak_mib": 1, "item_bytes": 0}
Found = dict[str, list[dict[str, float]]]


# The server


class Counter(socketserver.StreamRequestHandler):
    """Answers every POST with 200 and counts its items; GET returns the count and resets it."""

    disable_nagle_algorithm = True
    counted = 0
    lock = threading.Lock()

    def handle(self) -> None:
        """Serve one connection to its end."""
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = self.rfile.read(length)
            answer = b"{}"
            with Counter.lock:
                if line.startswith(b"GET"):
                    answer, Counter.counted = str(Counter.counted).encode(), 0
                else:
                    Counter.counted += body.count(b'"messageId"')
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
            )


def serve() -> None:
    """Print the port and serve until killed."""
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Counter) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


# One run, in its own process


def fields(at: int) -> dict[str, Any]:
    """Make the arguments of one event, about 330 bytes encoded."""
    return {
        "user_id": f"user-{at}",
        "event": "Order Completed",
        "properties": {
            "order_id": f"order-{at}",
            "total": 27.5,
            "currency": "EUR",
            "coupon": "hasbros",
            "products": [{"product_id": "2345", "sku": "G-32", "quantity": 1, "price": 14.0}],
        },
    }


def ours(url: str, count: int, size: int) -> tuple[Callable[..., object], Callable[[], object]]:
    """Make our queue."""
    from core.pipelines import PipelinesClient, PipelinesQueue

    queue = PipelinesQueue(PipelinesClient("k", base_url=url), max_items=size, capacity=count)
    return queue.track, lambda: queue.flush(None)


def customerio(
    url: str, count: int, size: int
) -> tuple[Callable[..., object], Callable[[], object]]:
    """Make the vendor's client."""
    from customerio.analytics.client import Client  # type: ignore[import-not-found]

    client = Client("k", host=url, max_queue_size=count, upload_size=size)
    return client.track, client.flush


def segment(url: str, count: int, size: int) -> tuple[Callable[..., object], Callable[[], object]]:
    """Make Segment's client, from which the vendor's client is derived."""
    from segment.analytics.client import Client  # type: ignore[import-not-found]

    client = Client("k", host=url, max_queue_size=count, upload_size=size)
    return client.track, client.flush


def run(client: str, url: str, count: int, size: int) -> None:
    """Send `count` items and print what it took."""
    make = {"ours": ours, "customerio": customerio, "segment": segment}[client]
    track, flush = make(url, count, size)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    for at in range(count):
        track(**fields(at))
    put = time.perf_counter() - started
    flush()
    whole = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "items_per_s": count / whole,
        "put_us": put / count * 1e6,
        "cpu_us": (usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime)
        / count
        * 1e6,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    print(json.dumps(report))


def hold(client: str, url: str, count: int, size: int) -> None:
    """Put `count` items while the server does not answer, and print the memory of an item."""
    make = {"ours": ours, "customerio": customerio, "segment": segment}[client]
    track, _ = make(url, count, size)
    before = resident_bytes()
    for at in range(count):
        track(**fields(at))
    after = resident_bytes()
    print(json.dumps({"item_bytes": (after - before) / count}), flush=True)
    os._exit(0)  # the waiting items are never sent


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def checks(count: int) -> None:
    """Print the CPU time of an item, with and without our checks."""
    from core.http.client import utc_now
    from core.json_encoder import json_bytes
    from core.pipelines.encoding import completed, encoded
    from core.pipelines.validation import check

    args = fields(1)
    item = {
        "type": "track",
        "event": args["event"],
        "userId": "u",
        "properties": args["properties"],
    }
    whole = completed(item, utc_now)

    def microseconds(act: Callable[[], object]) -> float:
        started = time.perf_counter()
        for _ in range(count):
            act()
        return (time.perf_counter() - started) / count * 1e6

    report = {
        "check": microseconds(lambda: check(item)),
        "complete": microseconds(lambda: completed(item, utc_now)),
        "encode": microseconds(lambda: json_bytes(whole)),
        "all": microseconds(lambda: encoded(item, utc_now)),
        "json_dumps": microseconds(lambda: json.dumps(whole).encode()),
    }
    print(json.dumps(report))


# The rounds


def measured(python: str, *arguments: object) -> dict[str, float]:
    """Run this file in a new process and read its output."""
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [python, __file__, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    report: dict[str, float] = json.loads(done.stdout)
    return report


def spread(values: list[float], digits: int = 0) -> str:
    """Return the median and the range as text."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def machine() -> str:
    """Describe the machine."""
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    name = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores ({name}), load before {os.getloadavg()[0]:.1f}"


def rounds(python: str, url: str, count: int, number: int) -> Found:
    """Run every contestant once a round, and check that all items arrived."""
    found: Found = {name: [] for name in CONTESTANTS}
    for turn in range(number):
        names = list(CONTESTANTS)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            client, size = CONTESTANTS[name]
            runner = sys.executable if client == "ours" else python
            sent = measured(runner, "--run", client, url, count, size)
            with urllib.request.urlopen(url) as answer:  # noqa: S310  # our own server
                arrived = int(answer.read())
            if arrived != count:
                raise SystemExit(f"{name}: {arrived} of {count} items arrived")
            found[name].append(sent | held(runner, client, count, size))
    return found


def held(runner: str, client: str, count: int, size: int) -> dict[str, float]:
    """Measure the memory of waiting items, with a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        return measured(runner, "--hold", client, url, count, size)


def report(found: Found, cost: dict[str, list[float]], count: int, where: str) -> str:
    """Return the results as Markdown."""
    turns = len(found["core.pipelines"])
    lines = [
        HEADING,
        "",
        "Command: `.venv/bin/python benchmarks/pipelines_queue.py --write`",
        "",
        f"{count:,} events of about 330 bytes through each background queue to a counting server",
        f"on loopback; {turns} rounds, every client once a round in a fresh process, in rotating",
        "order; all items arrived in every run. A waiting item is measured against a server that",
        f"says nothing. Python {platform.python_version()}, {where}. Median (range).",
        "",
        "| Client | items/s | CPU, µs an item | peak memory, MiB | a waiting item, bytes |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, runs in found.items():
        cells = [spread([one[key] for one in runs], digits) for key, digits in COLUMNS.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *ratios(found), "", *costs(cost), ""])


def ratios(found: Found) -> list[str]:
    """Compare round by round: defaults with defaults, then the same batch sizes."""
    lines = []
    names = list(CONTESTANTS)
    for mine, theirs in ((0, 2), (0, 4), (1, 2), (1, 4), (0, 3), (0, 5)):
        pairs = list(zip(found[names[mine]], found[names[theirs]], strict=True))
        words = [
            f"{word} x {spread([a[key] / b[key] for a, b in pairs], 2)}"
            for word, key in (
                ("speed", "items_per_s"),
                ("peak memory", "peak_mib"),
                ("a waiting item", "item_bytes"),
            )
        ]
        lines.append(f"- {names[mine]} / {names[theirs]}: {', '.join(words)}")
    return lines


def costs(cost: dict[str, list[float]]) -> list[str]:
    """Return the CPU time of an item as Markdown."""
    names = {
        "check": "checks of fields, types and identity",
        "complete": "message id and timestamp",
        "encode": "encoding once, by which the size is known",
        "all": "all of it",
        "json_dumps": "for comparison, a bare `json.dumps(item).encode()`",
    }
    return [
        "An item costs, in µs:",
        "",
        *(f"- {names[key]}: {spread(cost[key], 1)}" for key in names),
    ]


def write(text: str) -> None:
    """Write the report under its heading in RESULTS.md; other sections stay."""
    path = Path(__file__).with_name("RESULTS.md")
    old = path.read_text() if path.exists() else "# Measurements\n\n"
    pattern = re.compile(rf"^{re.escape(HEADING)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    new = (
        pattern.sub(lambda _: text + "\n", old)
        if pattern.search(old)
        else f"{old.rstrip()}\n\n{text}\n"
    )
    path.write_text(new.rstrip() + "\n")


def compare(count: int, number: int, is_written: bool) -> None:
    """Create the environment, start the server, run the rounds and print the report."""
    where = machine()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *RIVALS], check=True)
        with subprocess.Popen(
            [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                port = server.stdout.readline().strip() if server.stdout else ""
                found = rounds(python, f"http://127.0.0.1:{port}", count, number)
            finally:
                server.terminate()
    single = [measured(sys.executable, "--checks", 20_000) for _ in range(number)]
    cost = {key: [one[key] for one in single] for key in single[0]}
    text = report(found, cost, count, where)
    print(text)
    if is_written:
        write(text)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the report into RESULTS.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--hold", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--checks", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
    elif arguments.run or arguments.hold:
        client, url, count, size = arguments.run or arguments.hold
        (run if arguments.run else hold)(client, url, int(count), int(size))
    elif arguments.checks:
        checks(arguments.checks)
    else:
        compare(arguments.items, arguments.rounds, arguments.write)


if __name__ == "__main__":
    main()
