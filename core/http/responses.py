"""What a server answered, and how its words are read.

Pure. Customer.io words a failure in several shapes: `errors[].detail`, `meta.error`,
`meta.errors[]`, nothing at all, or a page of a proxy that is not JSON.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json: TypeAlias = Any  # what the vendor leaves open

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end.

    Attributes:
        status: The status code.
        headers: Names in lower case; several with the same name are joined by commas.
        body: The decoded bytes; may hold personal data.
        streamed_bytes: How many bytes went into a file instead.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    streamed_bytes: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the call was accepted."""
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        """What Customer.io's support asks for, where it was sent."""
        return self.headers.get("x-request-id")

    def json(self) -> Json:
        """Read the body; None if it is empty.

        Raises:
            ValueError: It is not JSON.
        """
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def vendor_messages(response: Response) -> tuple[str, ...]:
    """Find the vendor's words about a failure, whichever shape they come in; may be none."""
    try:
        body = response.json()
    except ValueError:
        return ()
    return tuple(text for text in _messages(body) if text.strip())


def _messages(body: Json) -> Iterator[str]:
    if not isinstance(body, dict):
        return
    meta = body.get("meta")
    for holder in (body, meta if isinstance(meta, dict) else {}):
        for name in ("errors", "error", "message"):
            yield from _texts(holder.get(name))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        found = (value.get(name) for name in ("detail", "message", "title", "code"))
        yield from [text for text in found if isinstance(text, str)][:1]


def retry_after_seconds(response: Response, now: datetime) -> float | None:
    """Read `Retry-After`, which is seconds or a date.

    Returns:
        Seconds from `now`, zero for a date gone by; None if absent or unreadable.
    """
    value = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:  # the zone "-0000" is UTC by RFC 5322
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
