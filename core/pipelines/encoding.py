"""Items to JSON, within the vendor's limits.

Pure but for the randomness of message ids. An item is encoded once: its size is checked on the
very bytes that are sent, and a repeated call carries the same bytes, message id included.
Source: https://docs.customer.io/integrations/api/cdp/ (32 KB a call, 500 KB a batch; read as
thousands, the stricter meaning).
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

MAX_ITEM_BYTES = 32_000
MAX_BATCH_BYTES = 500_000
_HEAD = b'{"batch":['
_DEPTH = 100
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def iso(time: datetime) -> str:
    """Write an aware time as RFC 3339 in UTC, microseconds kept: `2026-01-31T08:30:00Z`."""
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.isoformat()[: -len("+00:00")] + "Z"


def message_id() -> str:
    """Make a random UUID (version 4) as text; at half the time of the standard library's."""
    digits = os.urandom(16).hex()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def completed(item: Mapping[str, object], now: Callable[[], datetime]) -> dict[str, object]:
    """Return a copy with `messageId` and `timestamp`; given ones are kept, times become text."""
    whole = dict(item)
    if "messageId" not in whole:
        whole["messageId"] = message_id()
    if "timestamp" not in whole:
        # When it happened, not when it got through: retries and queues take their time.
        whole["timestamp"] = iso(now())
    return whole


def encoded(
    item: Mapping[str, object], now: Callable[[], datetime], prefix: str | None = None
) -> tuple[str, bytes]:
    """Check, complete and encode an item.

    Args:
        item: In the vendor's shape.
        now: Gives the date, UTC-aware.
        prefix: How the caller names the item; None if its fields were arguments.

    Returns:
        Its message id, and the bytes to send.

    Raises:
        ValidationError: Names the field that cannot be sent.
        SizeError: It is over 32,000 bytes.
    """
    check(item, prefix)
    whole = completed(item, now)
    data = json_bytes(whole, prefix)
    if len(data) > MAX_ITEM_BYTES:
        raise SizeError(
            f"takes {len(data):,} bytes encoded, the limit is {MAX_ITEM_BYTES:,}",
            field=prefix or "item",
            size_bytes=len(data),
            limit_bytes=MAX_ITEM_BYTES,
        )
    return str(whole["messageId"]), data


def json_bytes(value: object, prefix: str | None = None) -> bytes:
    """Encode as compact UTF-8 JSON; aware datetimes, dates and UUIDs become text.

    Raises:
        ValidationError: Names the field that JSON cannot hold.
    """
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        field, words = next(_faults(value, prefix or "", 0), (prefix or "item", "is not JSON"))
        raise ValidationError(words, field=field) from error


def envelope(
    context: Mapping[str, object] | None, integrations: Mapping[str, object] | None
) -> tuple[bytes, bytes]:
    """Return what stands before and after the items of a batch.

    Raises:
        ValidationError: One of the two cannot be sent.
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
            "together take too much of a batch",
            field="context, integrations",
            size_bytes=len(tail),
            limit_bytes=MAX_BATCH_BYTES - MAX_ITEM_BYTES,
        )
    return _HEAD, tail


def room(ends: tuple[bytes, bytes], max_bytes: int = MAX_BATCH_BYTES) -> int:
    """Return how many bytes are left for items and the commas between them."""
    return max_bytes - len(ends[0]) - len(ends[1])


def batch_body(items: Iterable[bytes], ends: tuple[bytes, bytes]) -> bytes:
    """Join encoded items to the body of one batch."""
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


# What holds itself ends in RecursionError; looking out for it costs every item.
_encoder = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    separators=(",", ":"),
    allow_nan=False,
    default=_plain,
)


def _faults(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Find what stopped the encoder: only looked for when it was."""
    if depth > _DEPTH:
        yield path.split(".")[0] or "item", "is nested too deep, or holds itself"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str | int | float | None):
                yield path or "item", f"has a key that is no text but {kind(name)}"
            elif isinstance(name, str) and _is_broken(name):
                yield path or "item", "has a key that holds a lone surrogate"
            yield from _faults(inner, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _faults(inner, f"{path}[{index}]", depth + 1)
    elif words := _scalar_fault(value):
        yield path or "item", words


def _scalar_fault(value: object) -> str | None:
    if isinstance(value, str):
        return "holds a lone surrogate" if _is_broken(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    if isinstance(value, int):  # the interpreter writes no more than 4,300 digits
        return "is too large a number" if value.bit_length() > 10_000 else None
    if value is None or isinstance(value, uuid.UUID):
        return None
    if isinstance(value, datetime):
        return _time_fault(value)
    return None if isinstance(value, date) else f"is no JSON value but {kind(value)}"


def _time_fault(value: datetime) -> str | None:
    if value.utcoffset() is None:
        return "has no time zone"
    try:
        iso(value)
    except OverflowError:
        return "is out of range in UTC"
    return None


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
