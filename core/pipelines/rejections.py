"""Send encoded items, and find the items that the vendor rejects.

In strict mode one invalid item makes the vendor reject its whole batch. The rejected batch is
divided until only invalid items are left, so all other items are delivered. Pure except for `send`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import BadRequestError, ContentTooLargeError, CustomerIOError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# These statuses are about the content, so a part of the content can be accepted. 401 or 403 would
# be the same for every part.
_ABOUT_CONTENT = (BadRequestError, ContentTooLargeError)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Items that were not accepted, or may not have been.

    Attributes:
        items: The encoded items.
        error: Why they were not accepted.
        is_rejected: Whether the vendor rejected exactly this item. It would reject it again.
    """

    items: Sequence[bytes] = field(repr=False)
    error: CustomerIOError
    is_rejected: bool


def delivered(
    items: Sequence[bytes],
    send: Callable[[Sequence[bytes]], object],
    *,
    max_rejections: int | None = None,
) -> Iterator[Undelivered]:
    """Send items in order; yield those that were not delivered.

    One invalid item among 500 costs about 18 more requests. If all are invalid, each costs two.

    Args:
        items: They must fit into one request.
        send: Sends one request.
        max_rejections: Stop after this number of rejected items if no request was accepted: then
            the fault is not in the items. None never stops.

    Yields:
        Each rejected item alone. After a failure that is no rejection, all remaining items.
    """
    # The parts that remain, the first one last. Order is kept: an earlier part is sent first.
    parts = [items]
    is_any_accepted, rejections = False, 0
    while parts:
        part = parts.pop()
        try:
            send(part)
            is_any_accepted = True
            continue
        except CustomerIOError as error:
            failure = error
        rest = [item for later in reversed(parts) for item in later]
        if not isinstance(failure, _ABOUT_CONTENT):
            yield Undelivered([*part, *rest], failure, is_rejected=False)
            return
        if len(part) > 1:
            middle = len(part) // 2
            parts += [part[middle:], part[:middle]]
            continue
        rejections += 1
        yield Undelivered(part, failure, is_rejected=True)
        if rest and rejections == max_rejections and not is_any_accepted:
            yield Undelivered(rest, failure, is_rejected=False)
            return
