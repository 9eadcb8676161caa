"""Encode items as JSON within the vendor's size limits.

Pure except for the random message ids. An item is encoded once: its size is checked on the bytes
that are sent, and a repeated call sends the same bytes with the same message id.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.errors import SizeError
from core.json_encoder import json_bytes
from core.pipelines.validation import IDS, check, check_fields
from core.values import id_text, iso
from core.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

# The vendor says 32 KB for an item and 500 KB for a batch. 1 KB = 1,000 bytes is the safe reading.
MAX_ITEM_BYTES = 32_000
MAX_BATCH_BYTES = 500_000
_HEAD = b'{"batch":['
_SENT_AT = b',"sentAt":"%s"}'
_SENT_AT_BYTES = len(_SENT_AT % b"2026-01-31T08:30:00.123456Z") - len(b"}")
# As the official clients send it in the context of each item.
LIBRARY = {"name": "ciolake", "version": VERSION}
# RFC 9562: the first digit of the fourth group of a UUID is 8, 9, a or b.
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def message_id() -> str:
    """Return a random UUID (version 4) as text."""
    # Twice as fast as `str(uuid.uuid4())`; the queue calls it for every item.
    digits = os.urandom(16).hex()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def completed(item: Mapping[str, object], now: Callable[[], datetime]) -> dict[str, object]:
    """Return a copy of the item with the fields that the vendor's clients add; others are kept.

    They are `messageId`, `timestamp` and `context.library`. Ids that are numbers or UUIDs become
    text.
    """
    whole = dict(item)
    for name in IDS:
        if name in whole and not isinstance(whole[name], str):
            whole[name] = id_text(whole[name])
    if "messageId" not in whole:
        whole["messageId"] = message_id()
    if "timestamp" not in whole:
        # The time of the event, not the time of its arrival: retries and queues delay it.
        whole["timestamp"] = iso(now())
    context = whole.get("context", {})
    if isinstance(context, Mapping) and "library" not in context:
        whole["context"] = {**context, "library": LIBRARY}
    return whole


def encoded(
    item: Mapping[str, object], now: Callable[[], datetime], prefix: str | None = None
) -> tuple[str, bytes]:
    """Check, complete and encode an item.

    Args:
        item: An item as the vendor specifies it.
        now: Returns the current time, UTC-aware.
        prefix: The name of the item in errors; None if its fields were arguments.

    Returns:
        The message id, and the bytes to send.

    Raises:
        ValidationError: Names the field that cannot be sent.
        SizeError: The item is larger than 32,000 bytes.
    """
    check(item, prefix)
    whole = completed(item, now)
    data = json_bytes(whole, prefix)
    if len(data) > MAX_ITEM_BYTES:
        raise SizeError(
            f"is {len(data):,} bytes when encoded, the limit is {MAX_ITEM_BYTES:,} bytes",
            field=prefix or "item",
            size_bytes=len(data),
            limit_bytes=MAX_ITEM_BYTES,
        )
    return str(whole["messageId"]), data


def envelope(
    context: Mapping[str, object] | None, integrations: Mapping[str, object] | None
) -> tuple[bytes, bytes]:
    """Return the bytes before and after the items of a batch.

    Raises:
        ValidationError: `context` or `integrations` cannot be sent.
        SizeError: They leave no room for an item of 32,000 bytes.
    """
    tail = b"]"
    for name, value in (("context", context), ("integrations", integrations)):
        if value is not None:
            check_fields(value, name)
            tail += f',"{name}":'.encode() + json_bytes(value, name)
    tail += b"}"
    if room((_HEAD, tail)) < MAX_ITEM_BYTES:
        raise SizeError(
            "are too large: they leave no room in the batch for an item of the maximum size",
            field="context, integrations",
            size_bytes=len(tail),
            limit_bytes=MAX_BATCH_BYTES - MAX_ITEM_BYTES,
        )
    return _HEAD, tail


def room(ends: tuple[bytes, bytes], max_bytes: int = MAX_BATCH_BYTES) -> int:
    """Return how many bytes of a batch are left for items and the commas between them."""
    return max_bytes - len(ends[0]) - len(ends[1]) - _SENT_AT_BYTES


def batch_body(items: Iterable[bytes], ends: tuple[bytes, bytes], sent_at: datetime) -> bytes:
    """Join encoded items into the body of one batch, which is sent at `sent_at`."""
    return ends[0] + b",".join(items) + ends[1][:-1] + _SENT_AT % iso(sent_at).encode()
