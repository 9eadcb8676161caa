"""Encode values as JSON, and name the field that cannot be encoded. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.errors import ValidationError
from core.values import NotPlainError, kind, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DEPTH = 100


def json_bytes(value: object, prefix: str | None = None) -> bytes:
    """Encode a value as compact UTF-8 JSON; see `core.values.plain` for what is converted.

    Args:
        value: Of any depth.
        prefix: The name of the value in errors; None if its fields were arguments.

    Raises:
        ValidationError: Names the field that cannot be encoded.
    """
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        field, problem = next(
            _faults(value, prefix or "", 0), (prefix or "item", "cannot be encoded as JSON")
        )
        # Not `from error`: the text of that error may quote the value.
        raise ValidationError(problem, field=field) from None


# `check_circular` would cost time for every item. A value that contains itself still fails, with
# RecursionError.
_encoder = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    separators=(",", ":"),
    allow_nan=False,
    default=plain,
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
    if value is None:
        return None
    try:
        plain(value)
    except NotPlainError as error:
        return str(error)
    return None


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
