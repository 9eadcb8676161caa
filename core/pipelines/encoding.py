"""Encode items as JSON within the vendor's size limits.

Pure except for the random message ids. An item is encoded once: its size is checked on the bytes
that are sent, and a repeated call sends the same bytes with the same message id.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from core.errors import SizeError, ValidationError
from core.pipelines.validation import check, check_fields, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# The vendor says 32 KB for an item and 500 KB for a batch. 1 KB = 1,000 bytes is the safe reading.
MAX_ITEM_BYTES = 32_000
MAX_BATCH_BYTES = 500_000
_HEAD = b'{"batch":['
_MAX_DEPTH = 100
# RFC 9562: the first digit of the fourth group of a UUID is 8, 9, a or b.
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def iso(time: datetime) -> str:
    """Format an aware time as RFC 3339 in UTC with its microseconds: `2026-01-31T08:30:00Z`."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat()[: -len("+00:00")] + "Z"


def message_id() -> str:
    """Return a random UUID (version 4) as text."""
    # Twice as fast as `str(uuid.uuid4())`; the queue calls it for every item.
    digits = os.urandom(16).hex()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def completed(item: Mapping[str, object], now: Callable[[], datetime]) -> dict[str, object]:
    """Return a copy of the item with `messageId` and `timestamp`; existing ones are kept."""
    whole = dict(item)
    if "messageId" not in whole:
        whole["messageId"] = message_id()
    if "timestamp" not in whole:
        # The time of the event, not the time of its arrival: retries and queues delay it.
        whole["timestamp"] = iso(now())
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


def json_bytes(value: object, prefix: str | None = None) -> bytes:
    """Encode a value as compact UTF-8 JSON; aware datetimes, dates and UUIDs become text.

    Raises:
        ValidationError: Names the field that cannot be encoded.
    """
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        field, problem = next(
            _faults(value, prefix or "", 0), (prefix or "item", "cannot be encoded as JSON")
        )
        raise ValidationError(problem, field=field) from error


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
    return max_bytes - len(ends[0]) - len(ends[1])


def batch_body(items: Iterable[bytes], ends: tuple[bytes, bytes]) -> bytes:
    """Join encoded items into the body of one batch."""
    return ends[0] + b",".join(items) + ends[1]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise TypeError("naive")
        return iso(value)
    if isinstance(value, date | uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(kind(value))


# `check_circular` would cost time for every item. A value that contains itself still fails, with
# RecursionError.
_encoder = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    separators=(",", ":"),
    allow_nan=False,
    default=_plain,
)


def _faults(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield path and description of each value that JSON cannot represent."""
    # Only called after the encoder has failed: its own error does not say where the value is.
    if depth > _MAX_DEPTH:
        yield path.split(".")[0] or "item", "is nested too deeply, or contains itself"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str | int | float | None):
                yield path or "item", f"has a key of type {kind(name)}, which JSON does not allow"
            elif isinstance(name, str) and _has_surrogate(name):
                yield path or "item", "has a key that contains a lone surrogate"
            yield from _faults(inner, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _faults(inner, f"{path}[{index}]", depth + 1)
    elif problem := _scalar_fault(value):
        yield path or "item", problem


def _scalar_fault(value: object) -> str | None:
    if isinstance(value, str):
        return "contains a lone surrogate" if _has_surrogate(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    if isinstance(value, int):
        # Python converts integers of at most 4,300 digits to text (about 14,000 bits).
        return "is too large a number" if value.bit_length() > 10_000 else None
    if value is None or isinstance(value, uuid.UUID):
        return None
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            return "has no time zone"
        try:
            iso(value)
        except OverflowError:
            return "is out of range in UTC"
        return None
    return None if isinstance(value, date) else f"cannot be encoded as JSON, is {kind(value)}"


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
