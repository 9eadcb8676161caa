"""The state of the queue: items that wait, and batches that are being sent.

Knows no threads and no clock: the queue calls it while it holds its lock. Items are numbered in
the order in which they were put. A batch is identified by the number of its first item.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from core.pipelines.batches import split


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """The maximum sizes of a batch and of the queue.

    Attributes:
        batch_items: Number of items in a batch.
        batch_bytes: Size of the encoded items of a batch with the commas between them.
        capacity_items: Number of items that wait.
        capacity_bytes: Size of the encoded items that wait.
    """

    batch_items: int
    batch_bytes: int
    capacity_items: int
    capacity_bytes: int


@dataclass(frozen=True, slots=True)
class QueuedBatch:
    """A batch that is being sent.

    Attributes:
        first: The number of its first item.
        items: The encoded items.
    """

    first: int
    items: list[bytes] = field(repr=False)


class Buffer:
    """Stores every accepted item until it is settled: delivered, or passed to `on_error`.

    Attributes:
        accepted: How many items were appended since the start.
        waiting: The encoded items that wait, oldest first.
    """

    __slots__ = ("_claimed", "_limits", "_sending", "_waiting_bytes", "accepted", "waiting")

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        self._waiting_bytes = 0
        self._sending: dict[int, QueuedBatch] = {}
        self._claimed: set[int] = set()
        self.accepted = 0
        self.waiting: deque[bytes] = deque()

    @property
    def next_number(self) -> int:
        """The number of the oldest waiting item; `accepted` if none waits."""
        return self.accepted - len(self.waiting)

    @property
    def settled_below(self) -> int:
        """The number below which all items are settled."""
        return min((self.next_number, *self._sending))

    @property
    def in_flight(self) -> int:
        """How many items are being sent."""
        return sum(len(batch.items) for batch in self._sending.values())

    @property
    def has_full_batch(self) -> bool:
        """Whether the next batch cannot become larger."""
        # One byte for the comma of each item.
        limits = self._limits
        return (
            len(self.waiting) >= limits.batch_items
            or self._waiting_bytes + len(self.waiting) > limits.batch_bytes
        )

    def has_room(self, size: int) -> bool:
        """Whether an item of `size` bytes may be appended."""
        limits = self._limits
        return (
            len(self.waiting) < limits.capacity_items
            and self._waiting_bytes + size <= limits.capacity_bytes
        )

    def append(self, item: bytes) -> None:
        """Add an item; there must be room for it."""
        self.waiting.append(item)
        self._waiting_bytes += len(item)
        self.accepted += 1

    def drop_oldest(self, size: int) -> list[bytes]:
        """Drop the oldest items until `size` bytes fit; return the dropped items."""
        dropped: list[bytes] = []
        while not self.has_room(size):
            dropped.append(self._pop())
        return dropped

    def take(self) -> QueuedBatch:
        """Move the next batch from waiting to sending; at least one item must wait."""
        first = self.next_number
        sizes = map(len, self.waiting)
        count = next(split(sizes, self._limits.batch_bytes, self._limits.batch_items))
        batch = QueuedBatch(first, [self._pop() for _ in range(count)])
        self._sending[first] = batch
        return batch

    def claim(self, batch: QueuedBatch) -> bool:
        """Claim the right to settle a batch; False if `give_up` has already taken it."""
        if batch.first not in self._sending:
            return False
        self._claimed.add(batch.first)
        return True

    def settle(self, batch: QueuedBatch) -> None:
        """Remove a batch that is delivered or passed to `on_error`."""
        self._sending.pop(batch.first, None)
        self._claimed.discard(batch.first)

    def give_up(self) -> tuple[list[bytes], list[bytes]]:
        """Remove all items except batches that were claimed.

        Returns:
            The items that were being sent, whose outcome is unknown; and the items never sent.
        """
        lost = [batch for first, batch in self._sending.items() if first not in self._claimed]
        for batch in lost:
            del self._sending[batch.first]
        unsent = list(self.waiting)
        self.waiting.clear()
        self._waiting_bytes = 0
        return [item for batch in lost for item in batch.items], unsent

    def _pop(self) -> bytes:
        item = self.waiting.popleft()
        self._waiting_bytes -= len(item)
        return item
