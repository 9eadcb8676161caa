"""What the vendor would refuse, or drop behind a 200, found before anything is sent.

Pure. An error names the field as the caller spelled it and shows types, never values.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from core.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

# Who may be meant, by the type of the item.
_IDENTITIES: dict[str, tuple[str, ...]] = {
    "identify": ("userId", "anonymousId"),
    "track": ("userId", "anonymousId", "groupId"),
    "page": ("userId", "anonymousId"),
    "screen": ("userId", "anonymousId"),
    "group": ("userId", "anonymousId"),
    "alias": ("userId",),
}
_REQUIRED = {"track": "event", "group": "groupId", "alias": "previousId"}
# They report on a delivery, not on a person: their schemas name no identity.
_WITHOUT_IDENTITY = frozenset({"Report Delivery Event", "Report Content Event"})
_CAPITAL = re.compile(r"[A-Z]")


def check(item: Mapping[str, object], prefix: str | None = None) -> None:
    """Check an item in the vendor's shape.

    Args:
        item: With all its fields but `messageId` and `timestamp`, which may be absent.
        prefix: How the caller names the item, as `items[3]`; None if its fields were arguments,
            which are named in snake case then.

    Raises:
        ValidationError: Names the first field that cannot be sent.
    """
    if not isinstance(item, Mapping):
        raise ValidationError(f"must be a dictionary, is {kind(item)}", field=prefix or "item")
    for name, value in item.items():
        fault = _FAULTS.get(name)
        if fault is not None and (words := fault(value)):
            raise ValidationError(words, field=_field(name, prefix))
    _check_type(item, prefix)


def check_fields(value: object, field: str) -> None:
    """Check that an argument is a dictionary.

    Raises:
        ValidationError: It is not.
    """
    if words := _object_fault(value):
        raise ValidationError(words, field=field)


def check_text(value: object, field: str) -> None:
    """Check that an argument is text with something in it.

    Raises:
        ValidationError: It is not.
    """
    if words := text_fault(value):
        raise ValidationError("is required" if value is None else words, field=field)


def kind(value: object) -> str:
    """Name a value's type; the value itself may be personal."""
    return type(value).__name__


def _check_type(item: Mapping[str, object], prefix: str | None) -> None:
    type_ = item.get("type")
    if not isinstance(type_, str) or type_ not in _IDENTITIES:
        raise ValidationError(
            f"must be one of {', '.join(_IDENTITIES)}", field=_field("type", prefix)
        )
    required = _REQUIRED.get(type_)
    if required is not None and required not in item:
        raise ValidationError("is required", field=_field(required, prefix))
    identities = _IDENTITIES[type_]
    for name in identities:
        if name in item:
            return
    if type_ == "track" and item["event"] in _WITHOUT_IDENTITY:
        return
    words = " or ".join(_field(name, prefix) for name in identities)
    raise ValidationError("is required", field=words)


def _field(name: str, prefix: str | None) -> str:
    if prefix is None:
        return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)
    return f"{prefix}.{name}"


def text_fault(value: object) -> str | None:
    """Say what is wrong with a text that must not be blank; None if nothing is."""
    if not isinstance(value, str):
        return f"must be text (str), is {kind(value)}"
    return None if value and not value.isspace() else "is blank"


def _name_fault(value: object) -> str | None:
    return None if isinstance(value, str) else f"must be text (str), is {kind(value)}"


def _object_fault(value: object) -> str | None:
    return None if isinstance(value, dict | Mapping) else f"must be a dictionary, is {kind(value)}"


def time_fault(value: object) -> str | None:
    """Say what is wrong with a time; None if nothing is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return "is not an ISO 8601 time"
    if not isinstance(value, datetime):
        return f"must be a datetime with a time zone, is {kind(value)}"
    return "has no time zone" if value.utcoffset() is None else None


_FAULTS: dict[str, Callable[[object], str | None]] = {
    "userId": text_fault,
    "anonymousId": text_fault,
    "groupId": text_fault,
    "previousId": text_fault,
    "messageId": text_fault,
    "event": text_fault,
    "name": _name_fault,
    "traits": _object_fault,
    "properties": _object_fault,
    "context": _object_fault,
    "integrations": _object_fault,
    "timestamp": time_fault,
    "originalTimestamp": time_fault,
    "sentAt": time_fault,
}
