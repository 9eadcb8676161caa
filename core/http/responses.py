"""The answer of a server, and how to read its error message and `Retry-After`. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json: TypeAlias = Any  # a value whose shape the vendor does not specify

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    Attributes:
        status: The HTTP status code.
        headers: Names in lower case. Headers with the same name are joined by commas.
        body: The body after decompression. It may contain personal data.
        streamed_bytes: How many bytes were written to a file instead of `body`.
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
        """The id that Customer.io's support asks for; None if it was not sent."""
        return self.headers.get("x-request-id")

    def json(self) -> Json:
        """Decode the body as JSON; None if it is empty.

        Raises:
            ValueError: The body is not JSON.
        """
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def vendor_messages(response: Response) -> tuple[str, ...]:
    """Return the vendor's error messages; empty if it sent none."""
    try:
        body = response.json()
    except ValueError:
        return ()  # for example the HTML page of a proxy
    if not isinstance(body, dict):
        return ()
    # Customer.io has several formats: `errors[].detail`, `meta.error`, `meta.errors[]`.
    # https://docs.customer.io/integrations/api/app/
    meta = body.get("meta")
    parents = (body, meta if isinstance(meta, dict) else {})
    values = [parent.get(name) for parent in parents for name in ("errors", "error", "message")]
    return tuple(text for value in values for text in _texts(value) if text.strip())


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        # The first of these that is text; `detail` is the most specific one.
        found = (value.get(name) for name in ("detail", "message", "title", "code"))
        yield from [text for text in found if isinstance(text, str)][:1]


def retry_after_seconds(response: Response, now: datetime) -> float | None:
    """Read the header `Retry-After`, which contains seconds or a date.

    Returns:
        Seconds from `now`, 0 for a date in the past. None if absent or unreadable.
    """
    value = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:  # RFC 5322: the zone "-0000" means UTC
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
