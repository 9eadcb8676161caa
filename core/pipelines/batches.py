"""Split items into as few requests as possible, in order. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def split(sizes: Iterable[int], room_bytes: int, max_items: int | None = None) -> Iterator[int]:
    """Yield the number of items of each request.

    It is lazy: to know only the first request of a long queue, take only the first number.

    Args:
        sizes: Encoded length of each item in bytes; none is larger than `room_bytes`.
        room_bytes: The size of a request: its items and the commas between them.
        max_items: The most items in a request; None for no limit.

    Yields:
        The number of items of one request, at least 1. The sum is the number of items.
    """
    # Filling each request completely is optimal when the order is kept: no other split can have
    # sent more items after the same number of requests.
    count = used = 0
    for size in sizes:
        if count and (used + 1 + size > room_bytes or count == max_items):
            yield count
            count = used = 0
        used += size + (1 if count else 0)
        count += 1
    if count:
        yield count
