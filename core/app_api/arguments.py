"""Convert arguments of databases and data frames to what the App API takes. Pure.

Only what loses nothing is converted: see `core.values`. Times become Unix seconds where the vendor
takes these, and ISO 8601 text in data of messages and events.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, get_args, get_type_hints

from core.errors import ValidationError
from core.values import NotPlainError, id_text, plain, seconds

if TYPE_CHECKING:
    from core.http.urls import Scalar

# Fields of bodies that are Unix seconds. All are at the top.
_SECONDS = ("send_at", "scheduled_at", "start", "end", "expiration")
_PERSON_IDS = ("id", "cio_id")


def plain_query(query: Mapping[str, object]) -> dict[str, Scalar | list[Scalar] | None]:
    """Return the query with plain values; a time becomes Unix seconds.

    Raises:
        ValidationError: Names the parameter that cannot be sent.
    """
    return {
        name: [one for item in value if (one := _scalar(item, name)) is not None]
        if isinstance(value, list | tuple)
        else _scalar(value, name)
        for name, value in query.items()
    }


def check_names(body: Mapping[str, object], declared: object) -> None:
    """Check the names of a body that selects people or deliveries.

    The vendor ignores an unknown name, and then selects everything: a broadcast with `email`
    instead of `emails` goes to its whole audience. Bodies of other operations keep unknown names.

    Args:
        body: The body.
        declared: Its TypedDict, or a union of them.

    Raises:
        ValidationError: Names the field that the vendor does not have.
    """
    known = _names(declared)
    for name in body:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValidationError(f"is unknown{hint}", field=f"body.{name}")


@cache
def _names(declared: object) -> tuple[str, ...]:
    kinds = get_args(declared) or (declared,)
    return tuple(dict.fromkeys(name for kind in kinds for name in get_type_hints(kind)))


def plain_body(body: Mapping[str, object]) -> dict[str, object]:
    """Return the body with times as Unix seconds and ids of people as text, where known by name.

    The encoder converts all other values.

    Raises:
        ValidationError: Names the field that cannot be sent.
    """
    whole = dict(body)
    for name in _SECONDS:
        value = whole.get(name)
        if isinstance(value, datetime):
            whole[name] = _scalar(value, f"body.{name}")
    for name in ("identifiers", "customer"):
        whole |= {name: _person(whole[name])} if name in whole else {}
    if isinstance(ids := whole.get("ids"), list | tuple):
        whole["ids"] = [id_text(one) for one in ids]
    if isinstance(people := whole.get("per_user_data"), list | tuple):
        whole["per_user_data"] = [_person(one) for one in people]
    return whole


def _person(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {name: id_text(one) if name in _PERSON_IDS else one for name, one in value.items()}


def _scalar(value: object, field: str) -> Scalar | None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError("is not a finite number", field=field)
    if value is None or isinstance(value, str | int | float):
        return value
    try:
        converted = seconds(value) if isinstance(value, datetime) else plain(value)
    except NotPlainError as error:
        raise ValidationError(str(error), field=field) from error
    if isinstance(converted, str | int | float):
        return converted
    raise ValidationError("must be a single value", field=field)
