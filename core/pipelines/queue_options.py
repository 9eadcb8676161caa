"""The options of the queue, and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from core.errors import ConfigurationError, CustomerIOError
from core.http.responses import Json
from core.http.retries import RetryPolicy
from core.pipelines.encoding import MAX_BATCH_BYTES, MAX_ITEM_BYTES, envelope, room

WhenFull = Literal["block", "drop_oldest", "raise"]
OnError: TypeAlias = Callable[[CustomerIOError, list[Json]], object]

# Items in the queue can wait, so an outage of up to ten minutes is waited for.
RETRIES = RetryPolicy(
    attempts=10,
    base_seconds=0.5,
    cap_seconds=30.0,
    max_wait_seconds=300.0,
    total_seconds=600.0,
)


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of items since the queue was created, in this process.

    Attributes:
        accepted: Accepted by the queue.
        delivered: Accepted by the vendor.
        failed: Passed to `on_error`, dropped items included.
        waiting: Not sent yet.
        in_flight: Being sent.
    """

    accepted: int
    delivered: int
    failed: int
    waiting: int
    in_flight: int


def check_options(
    max_items: int,
    max_bytes: int,
    capacity: int,
    capacity_bytes: int,
    threads: int,
    when_full: str,
) -> None:
    """Check the options of a queue.

    Raises:
        ConfigurationError: A limit is out of its range.
    """
    # A batch must have room for the largest item.
    smallest = MAX_BATCH_BYTES - room(envelope(None, None)) + MAX_ITEM_BYTES
    ranges = {
        "max_items": max_items >= 1,
        "max_bytes": smallest <= max_bytes <= MAX_BATCH_BYTES,
        "capacity": capacity >= 1,
        "capacity_bytes": capacity_bytes >= MAX_ITEM_BYTES,
        "threads": threads >= 1,
        "when_full": when_full in get_args(WhenFull),
    }
    for name, is_valid in ranges.items():
        if not is_valid:
            raise ConfigurationError(f"{name}: is out of its range")
