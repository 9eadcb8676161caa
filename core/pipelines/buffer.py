"""What the queue holds: items that wait, and batches on their way.

Knows neither threads nor time: the queue calls it under its lock. Items are numbered in the order
they came; a batch is known by the number of its first item.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from core.pipelines.batches import split


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """Sizes of a batch and of the whole queue.

    Attributes:
        batch_items: Items in a batch at most.
        batch_bytes: Encoded items of a batch and the commas between them at most.
        capacity_items: Items that wait at most.
        capacity_bytes: Encoded items that wait at most.
    """

    batch_items: int
    batch_bytes: int
    capacity_items: int
    capacity_bytes: int


@dataclass(frozen=True, slots=True)
class QueuedBatch:
    """Items on their way.

    Attributes:
        first: The number of the first item.
        items: Encoded.
    """

    first: int
    items: list[bytes] = field(repr=False)


class Buffer:
    """Counts and keeps every accepted item until it is settled.

    Attributes:
        accepted: How many items were ever appended.
        waiting: Encoded items, oldest first.
    """

    __slots__ = ("_claimed", "_limits", "_on_their_way", "_waiting_bytes", "accepted", "waiting")

    def __init__(self, limits: BufferLimits) -> None:
        self._limits = limits
        self._waiting_bytes = 0
        self._on_their_way: dict[int, QueuedBatch] = {}
        self._claimed: set[int] = set()
        self.accepted = 0
        self.waiting: deque[bytes] = deque()

    @property
    def next_number(self) -> int:
        """The number of the oldest item that waits; `accepted` if none does."""
        return self.accepted - len(self.waiting)

    @property
    def settled_below(self) -> int:
        """All items with smaller numbers are settled."""
        return min((self.next_number, *self._on_their_way))

    @property
    def in_flight(self) -> int:
        """How many items are on their way."""
        return sum(len(batch.items) for batch in self._on_their_way.values())

    @property
    def has_full_batch(self) -> bool:
        """Whether waiting longer would not make the next batch larger."""
        limits = self._limits
        return (
            len(self.waiting) >= limits.batch_items
            or self._waiting_bytes + len(self.waiting) > limits.batch_bytes
        )

    def has_room(self, size: int) -> bool:
        """Whether an item of so many bytes may be appended."""
        limits = self._limits
        return (
            len(self.waiting) < limits.capacity_items
            and self._waiting_bytes + size <= limits.capacity_bytes
        )

    def append(self, item: bytes) -> None:
        """Accept an item; there must be room."""
        self.waiting.append(item)
        self._waiting_bytes += len(item)
        self.accepted += 1

    def drop_oldest(self, size: int) -> list[bytes]:
        """Make room for so many bytes; return the items that had to go."""
        dropped: list[bytes] = []
        while not self.has_room(size):
            dropped.append(self._pop())
        return dropped

    def take(self) -> QueuedBatch:
        """Put the next batch on its way; at least one item must wait."""
        first = self.next_number
        sizes = map(len, self.waiting)
        count = next(split(sizes, self._limits.batch_bytes, self._limits.batch_items))
        batch = QueuedBatch(first, [self._pop() for _ in range(count)])
        self._on_their_way[first] = batch
        return batch

    def claim(self, batch: QueuedBatch) -> bool:
        """Take the right to report a batch; False if it was given up meanwhile."""
        if batch.first not in self._on_their_way:
            return False
        self._claimed.add(batch.first)
        return True

    def settle(self, batch: QueuedBatch) -> None:
        """Forget a batch that was claimed."""
        self._on_their_way.pop(batch.first, None)
        self._claimed.discard(batch.first)

    def give_up(self) -> tuple[list[bytes], list[bytes]]:
        """Forget everything that nobody claimed.

        Returns:
            The items whose fate is unknown, and the items that were never sent.
        """
        lost = [batch for first, batch in self._on_their_way.items() if first not in self._claimed]
        for batch in lost:
            del self._on_their_way[batch.first]
        unsent = list(self.waiting)
        self.waiting.clear()
        self._waiting_bytes = 0
        return [item for batch in lost for item in batch.items], unsent

    def _pop(self) -> bytes:
        item = self.waiting.popleft()
        self._waiting_bytes -= len(item)
        return item
