"""Durable receiving, compared with the same server that stores nothing, and with naive stores."""

from __future__ import annotations

from benchmarks import sampler
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import Throughput, saturate, serving, write_requests
from benchmarks.shapes import shapes

KINDS = {
    "ours": "the inbox",
    "unsynced": "the inbox without its sync, not durable",
    "nothing": "nothing stored",
    "threads": "nothing stored, a thread a request",
    "sqlite": "SQLite, a transaction a request",
    "delta": "Delta, a commit a request",
}
GOALS = {1: 0.9, 2: 0.75}
_CLIENTS = 32
Found = dict[tuple[int, str], list[Throughput]]


def run(plan: Plan) -> Section:
    """Run every store once a round, with one web worker and with two."""
    seconds = plan.pick(2, 1)
    requests = plan.folder / "requests"
    write_requests(requests, shapes(plan.pick(5000, 200)), plan.pick(20_000, 500), seed=1)
    numbers = list(GOALS)[: plan.pick(2, 1)]
    found: Found = {(workers, kind): [] for workers in numbers for kind in KINDS}
    around = Surroundings()
    for turn in range(plan.rounds):
        around.look()
        order = list(found)
        for workers, kind in order[turn % len(order) :] + order[: turn % len(order)]:
            with serving(
                plan.folder / f"{kind}-{workers}-{turn}",
                *("benchmarks.rival", kind),
                CIO_WEB_WORKERS=workers,
            ) as server:
                if not plan.is_smallest:  # warm-up
                    saturate(server, requests, seconds=1, clients=_CLIENTS)
                found[workers, kind].append(
                    saturate(server, requests, seconds=seconds, clients=_CLIENTS)
                )
    return Section("receive", "Durable receiving", [*_lines(found, plan), *_profile(plan)], around)


def _lines(found: Found, plan: Plan) -> list[str]:
    rows = [
        (
            KINDS[kind],
            workers,
            spread(one.rate for one in runs),
            spread(_ratios(runs, found[workers, "nothing"]), 2),
            spread(_ratios(runs, found[workers, "threads"]), 2),
            spread(one.cpu_us for one in runs),
            spread((one.p50_ms for one in runs), 1),
            spread((one.p99_ms for one in runs), 1),
            sum(one.others for one in runs),
        )
        for (workers, kind), runs in found.items()
    ]
    heads = (
        *("Store", "workers", "events/s", "of nothing stored", "of that with threads"),
        "server CPU, µs an event",
    )
    return [
        f"wrk, {_CLIENTS} kept connections, signed simulated events; the same supervisor, worker "
        f"and receiver, without a loader, only the inbox differs; {plan.rounds} rounds, each a "
        "fresh server, in rotating order, ratios within a round. wrk shares the cores. Goals, "
        "set when every request had a thread: 0.9 of nothing stored in threads with one worker,"
        " 0.75 with two. For SQLite, Delta and that row a thread serves each request, as it "
        "does in any Flask app; the others serve the loop. The Delta rival is flattered: it "
        "syncs nothing. Median (range).",
        "",
        *table((*heads, "p50 ms", "p99 ms", "not 200"), rows),
        "",
        *_against(found),
    ]


def _ratios(runs: list[Throughput], others: list[Throughput]) -> list[float]:
    pairs = zip(runs, others, strict=True)
    return [mine.rate / other.rate for mine, other in pairs if other.rate]


def _against(found: Found) -> list[str]:
    lines = []
    for workers in sorted({workers for workers, _ in found}):
        mine = found[workers, "ours"]
        for kind in ("sqlite", "delta"):
            ratios = _ratios(mine, found[workers, kind])
            lines.append(f"- the inbox / {KINDS[kind]}, workers: {workers}: x {spread(ratios, 1)}")
        lines.append(_bound(found, workers))
    return lines


def _bound(found: Found, workers: int) -> str:
    """Return what storing costs: the hand-over between threads, and the sync."""
    mine, unsynced, nothing = (
        [one.cpu_us for one in found[workers, kind]] for kind in ("ours", "unsynced", "nothing")
    )
    hand_over = spread(one - other for one, other in zip(unsynced, nothing, strict=True))
    disk = spread(one - other for one, other in zip(mine, unsynced, strict=True))
    return (
        f"- what storing adds to the CPU of an event, workers: {workers}: hand-over to the "
        f"committer and back {hand_over} µs, sync {disk} µs"
    )


def _profile(plan: Plan) -> list[str]:
    """Return a sampling profile of a web worker while wrk posts."""
    folder = plan.folder / "profile"
    folder.mkdir()
    variables = {sampler.VARIABLE: folder, "CIO_WEB_WORKERS": 1}
    with serving(plan.folder / "profiled", "benchmarks.rival", "ours", **variables) as server:
        saturate(server, plan.folder / "requests", seconds=plan.pick(8, 1), clients=_CLIENTS)
    shares = [(f"`{name}`", f"{share:.0%}") for name, share in sampler.read(folder)[:12]]
    heads = ("Where threads that do not wait stand (sampled, one worker)", "share")
    return ["", *table(heads, shares)]
