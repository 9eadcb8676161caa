"""Check items before they are sent: the vendor would reject them, or answer 200 and drop them.

Pure. An error names the field as the caller spelled it. It shows types, never values.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from core.errors import ValidationError
from core.values import NotPlainError, checked_time, id_text, kind

if TYPE_CHECKING:
    from collections.abc import Callable

# The ids that may identify the person or the group, by the type of the item.
_IDENTITIES: dict[str, tuple[str, ...]] = {
    "identify": ("userId", "anonymousId"),
    "track": ("userId", "anonymousId", "groupId"),
    "page": ("userId", "anonymousId"),
    "screen": ("userId", "anonymousId"),
    # As in the vendor's Node client: without a person the relationship is silently not created.
    "group": ("userId", "anonymousId"),
    "alias": ("userId",),
}
# Text for the vendor. The client converts whole numbers and UUIDs, which databases use as ids.
IDS = ("userId", "anonymousId", "groupId", "previousId", "messageId")
_REQUIRED = {"track": "event", "group": "groupId", "alias": "previousId"}
# These events are about a delivery, not about a person: their schemas have no id of a person.
_WITHOUT_IDENTITY = frozenset({"Report Delivery Event", "Report Content Event"})
_CAPITAL = re.compile(r"[A-Z]")


def check(item: Mapping[str, object], prefix: str | None = None) -> None:
    """Check an item.

    Args:
        item: As the vendor specifies it; `messageId` and `timestamp` may be absent.
        prefix: The name of the item in errors, such as `items[3]`. None if its fields were
            arguments: then errors name them in snake case.

    Raises:
        ValidationError: Names the first field that cannot be sent.
    """
    if not isinstance(item, Mapping):
        raise ValidationError(f"must be a dictionary, is {kind(item)}", field=prefix or "item")
    for name, value in item.items():
        fault = _FAULTS.get(name)
        if fault is not None and (problem := fault(value)):
            raise ValidationError(problem, field=_field(name, prefix))
    _check_type(item, prefix)


def check_fields(value: object, field: str) -> None:
    """Check that an argument is a dictionary.

    Raises:
        ValidationError: It is not.
    """
    if problem := _object_fault(value):
        raise ValidationError(problem, field=field)


def check_text(value: object, field: str) -> None:
    """Check that an argument is text and not blank.

    Raises:
        ValidationError: It is not.
    """
    if problem := text_fault(value):
        raise ValidationError("is required" if value is None else problem, field=field)


def checked_id(value: object, field: str) -> str:
    """Return an id as text: numbers and UUIDs are converted.

    Raises:
        ValidationError: It is not an id, or is blank.
    """
    check_text(id_text(value), field)
    return str(id_text(value))


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
    any_of = " or ".join(_field(name, prefix) for name in identities)
    raise ValidationError("is required", field=any_of)


def _field(name: str, prefix: str | None) -> str:
    if prefix is None:
        return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)
    return f"{prefix}.{name}"


def text_fault(value: object) -> str | None:
    """Return what is wrong with a text that must not be blank; None if it is valid."""
    if not isinstance(value, str):
        return f"must be text (str), is {kind(value)}"
    return None if value and not value.isspace() else "is blank"


def id_fault(value: object) -> str | None:
    """Return what is wrong with an id; None if it is valid."""
    return text_fault(id_text(value))


def _object_fault(value: object) -> str | None:
    return None if isinstance(value, dict | Mapping) else f"must be a dictionary, is {kind(value)}"


def time_fault(value: object) -> str | None:
    """Return what is wrong with a time; None if it is valid."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return "is not an ISO 8601 time"
    if not isinstance(value, datetime):
        return f"must be a datetime with a time zone, is {kind(value)}"
    try:
        checked_time(value)
    except NotPlainError as error:
        return str(error)
    return None


_FAULTS: dict[str, Callable[[object], str | None]] = {
    **dict.fromkeys(IDS, id_fault),
    "event": text_fault,
    # The name of a page or a screen may be blank.
    "name": lambda value: (
        None if isinstance(value, str) else f"must be text (str), is {kind(value)}"
    ),
    "traits": _object_fault,
    "properties": _object_fault,
    "context": _object_fault,
    "integrations": _object_fault,
    "timestamp": time_fault,
    "originalTimestamp": time_fault,
    "sentAt": time_fault,
}
