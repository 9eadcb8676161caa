"""Divide items into requests: in order, none lost, the fewest possible.

Pure. Filling each request as far as it goes is optimal where the order is kept: no division can
have sent more items after the same number of requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def split(sizes: Iterable[int], room_bytes: int, max_items: int | None = None) -> Iterator[int]:
    """Count how many items go into each request.

    Lazy: to know the first request of a long queue, ask for the first count only.

    Args:
        sizes: Encoded length of each item in bytes; none is larger than `room_bytes`.
        room_bytes: What a request holds: its items and one comma between each two.
        max_items: At most so many in a request; None for no limit.

    Yields:
        One count a request, each at least 1; together they are all items.
    """
    count = used = 0
    for size in sizes:
        if count and (used + 1 + size > room_bytes or count == max_items):
            yield count
            count = used = 0
        used += size + (1 if count else 0)
        count += 1
    if count:
        yield count
