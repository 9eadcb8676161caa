"""The command `ciolake simulate`: sends signed events, as Customer.io does for a workspace."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from databricks_app.cli.send import destination_options, resolve
from databricks_app.operations.webhooks.advice import fault_of
from databricks_app.simulator.events.traffic import Traffic, traffic
from databricks_app.simulator.load_generator import (
    Event,
    GeneratorCounts,
    GeneratorOptions,
    LoadGenerator,
)

if TYPE_CHECKING:
    from core.webhooks.signature import SigningKey

_SHARE = click.FloatRange(0, 1)
_PLAIN_EVERY_SECONDS = 5.0


@click.command()
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of different events.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Maximum events per second. [default: as fast as they are acknowledged]",
)
@click.option(
    "--seed", type=int, help="Make the same events (with the same ids) for the same --until."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Number of connections; each is kept open.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, 3650, min_open=True),
    default=7.0,
    show_default=True,
    help="The events happened within this many days before --until.",
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="TIME",
    help="End of the period, in UTC: 2026-11-22 or 2026-11-22T12:00:00. [default: now]",
)
@click.option(
    "--late",
    type=_SHARE,
    default=0.0,
    metavar="SHARE",
    help="Share (0 to 1) of events that are sent hours to days late, after newer ones.",
)
@click.option(
    "--repeat",
    type=_SHARE,
    default=0.0,
    metavar="SHARE",
    help="Share (0 to 1) of events that are sent twice, with the same id; added to --count.",
)
@click.option("--every-kind", is_flag=True, help="Send each kind of event at least once.")
@click.option(
    "--first-only", is_flag=True, help="Send only the first open and click of each message."
)
@click.option("--with-content", is_flag=True, help="Include the message in `sent` events.")
@click.option("--no-retry", is_flag=True, help="Try each event only once.")
@click.option(
    "--give-up",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to try one event; Customer.io tries for seven days.",
)
@click.option(
    "--acknowledged",
    type=click.File("w", encoding="utf-8", lazy=False),
    metavar="FILE",
    help="Write a JSON line at each acknowledged post: event_id, object_type, metric, timestamp.",
)
@destination_options
def simulate(
    count: int,
    rate: float | None,
    seed: int | None,
    concurrency: int,
    days: float,
    until: datetime | None,
    late: float,
    repeat: float,
    every_kind: bool,
    first_only: bool,
    with_content: bool,
    no_retry: bool,
    give_up: float,
    acknowledged: TextIO | None,
    url: str | None,
    key_env: str,
    timeout: float,
) -> None:
    """Send signed events, as Customer.io would for a small workspace.

    The messages are sent on all channels, delivered, opened by people and by machines, clicked and
    bounced; people subscribe and unsubscribe. A post that is not acknowledged is tried again, after
    a growing wait and with a new timestamp. It is not tried again if the answer would be the same,
    as for a wrong key or path.

    Ctrl-C ends the run and reports what was acknowledged.

    \b
    Exit codes: 0 all events were acknowledged, 1 some never were, 2 wrong usage, 130 ended by
    Ctrl-C.
    """  # noqa: D301  # click needs the character \b
    destination, key = resolve(url, key_env)
    options = Traffic(
        count=count,
        now=until.replace(tzinfo=UTC) if until else datetime.now(UTC),
        days=days,
        seed=time.time_ns() if seed is None else seed,
        people=min(max(count // 5, 50), 20_000),
        late=late,
        repeat=repeat,
        full_resolution=not first_only,
        with_content=with_content,
        every_kind=every_kind,
    )
    try:
        events = traffic(options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    generator = LoadGenerator(
        destination,
        key,
        GeneratorOptions(concurrency, rate, timeout, retry=not no_retry, give_up_seconds=give_up),
        on_acknowledged=_line_writer(acknowledged),
    )
    click.echo(f"Sending {count} events to {destination.shown} over {concurrency} connections")
    with _progress(count, Console()) as watch:
        counts = generator.run(events, watch=watch)
    _report(counts, key)
    sys.exit(130 if counts.is_interrupted else int(counts.given_up > 0))


def _line_writer(file: TextIO | None) -> Callable[[Event], None] | None:
    """Return a function that writes the line of an acknowledged event."""
    if file is None:
        return None

    def write(event: Event) -> None:
        line = {
            name: event.get(name) for name in ("event_id", "object_type", "metric", "timestamp")
        }
        file.write(json.dumps(line) + "\n")
        file.flush()  # the line must be in the file even if this process is killed now

    return write


class _PlainProgress:
    """Prints a line every few seconds, where the output is not a terminal."""

    def __init__(self) -> None:
        self._printed_at = 0.0

    def __call__(self, counts: GeneratorCounts) -> None:
        if counts.seconds - self._printed_at >= _PLAIN_EVERY_SECONDS:
            self._printed_at = counts.seconds
            failing = f", now failing: {counts.current_failure}" if counts.current_failure else ""
            click.echo(f"{counts.acknowledged} acknowledged after {counts.seconds:.0f} s{failing}")


@contextmanager
def _progress(count: int, console: Console) -> Iterator[Callable[[GeneratorCounts], None]]:
    """Show a progress bar on a terminal, and lines elsewhere."""
    if not console.is_terminal:
        yield _PlainProgress()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=count)

        def watch(counts: GeneratorCounts) -> None:
            # Repeated events are not part of `count`, so more than `count` may be acknowledged.
            done = min(counts.acknowledged + counts.given_up, count)
            bar.update(
                task, completed=done, description=counts.current_failure or f"{counts.rate:,.0f}/s"
            )

        yield watch


def _report(counts: GeneratorCounts, key: SigningKey) -> None:
    """Print what was acknowledged, and how to fix what was not."""
    if counts.is_interrupted:
        click.echo("Interrupted. Results until then:")
    click.echo(
        f"{counts.acknowledged} acknowledged in {counts.seconds:.1f} s ({counts.rate:,.0f}/s), "
        f"{counts.given_up} never acknowledged"
    )
    click.echo(f"  answers       {_counts(counts.outcomes)}")
    click.echo(f"  object types  {_counts(counts.object_types)}")
    half, most = counts.latency(0.5), counts.latency(0.99)
    if half is not None and most is not None:
        click.echo(f"  latency       p50 {half * 1000:.1f} ms, p99 {most * 1000:.1f} ms")
    click.echo(f"  tries         {counts.retries} again, {counts.reopened} connections reopened")
    if counts.is_stopped_early:
        click.echo("Stopped early: no event was acknowledged.", err=True)
    if counts.given_up and counts.last_failure is not None:
        click.echo(f"Last failure: {fault_of(counts.last_failure, key)}", err=True)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"
