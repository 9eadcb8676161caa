"""Splitting items into requests: all items, in order, within the limits, as few as possible."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.json_encoder import json_bytes
from core.pipelines.batches import split
from core.pipelines.encoding import MAX_BATCH_BYTES, batch_body, envelope, room

AT = datetime(2026, 1, 31, 8, 30, 0, 123456, tzinfo=UTC)


def fewest(sizes: list[int], room_bytes: int, max_items: int | None) -> int:
    """Compute the minimum number of requests by trying every split."""
    best = [0] + [len(sizes)] * len(sizes)
    for end in range(1, len(sizes) + 1):
        for start in range(end):
            part = sizes[start:end]
            fits = sum(part) + len(part) - 1 <= room_bytes
            if fits and (max_items is None or len(part) <= max_items):
                best[end] = min(best[end], best[start] + 1)
    return best[-1]


@given(
    st.lists(st.integers(1, 50), max_size=25),
    st.integers(50, 120),
    st.none() | st.integers(1, 6),
)
def test_split_makes_the_fewest_requests_within_both_limits(
    sizes: list[int], room_bytes: int, max_items: int | None
) -> None:
    """Compared with all possible splits, for items of any size."""
    counts = list(split(sizes, room_bytes, max_items))

    assert sum(counts) == len(sizes)
    assert len(counts) == fewest(sizes, room_bytes, max_items)
    start = 0
    for count in counts:
        part = sizes[start : start + count]
        assert 1 <= count <= (max_items or count)
        assert sum(part) + count - 1 <= room_bytes
        start += count


@given(st.lists(st.integers(20, 32_000), max_size=60))
def test_bodies_hold_every_item_in_order_within_500000_bytes(sizes: list[int]) -> None:
    """No item is lost or sent twice, and no body is larger than the vendor's limit."""
    items = [json_bytes({"i": at, "p": "x" * (size - 20)}) for at, size in enumerate(sizes)]
    ends = envelope(None, None)
    bodies = []
    start = 0
    for count in split(map(len, items), room(ends)):
        bodies.append(batch_body(items[start : start + count], ends, AT))
        start += count

    assert all(len(body) <= MAX_BATCH_BYTES for body in bodies)
    assert [item["i"] for body in bodies for item in json.loads(body)["batch"]] == list(
        range(len(sizes))
    )


@pytest.mark.parametrize(("second", "requests"), [(249_974, 1), (249_975, 2)])
def test_split_fills_a_request_to_its_last_byte(second: int, requests: int) -> None:
    """Brackets, braces, the comma and `sentAt` count: 500,000 bytes fit, one more byte does not."""
    ends = envelope(None, None)
    items = [b"x" * 249_974, b"x" * second]

    assert len(list(split(map(len, items), room(ends)))) == requests
    assert (len(batch_body(items, ends, AT)) <= 500_000) is (requests == 1)


def test_split_is_lazy() -> None:
    """For the first request of a long queue, only its items are read."""
    seen = []
    sizes = (seen.append(at) or 10 for at in range(1_000_000))  # type: ignore[func-returns-value]

    assert next(split(sizes, 100)) == 9
    assert len(seen) == 10
