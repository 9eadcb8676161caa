"""Check transactional messages against the vendor's limits before they are sent.

    body = composing.checked(
        {
            "to": "ada@example.com",
            "identifiers": {"email": "ada@example.com"},
            "transactional_message_id": "receipt",
            "attachments": composing.attachments(Path("receipt.pdf")),
        },
        now=time.time(),
    )
    client.send.email(body)

Pure except for `attachments`, which reads files. The client never repeats a send with an unknown
outcome: see `CallError.is_outcome_unknown`.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

from core.app_api.arguments import plain_body
from core.errors import SizeError, ValidationError
from core.json_encoder import json_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api.types.send import Email, Sending

    Body = TypeVar("Body", bound=Sending)

ATTACHMENTS_BYTES = 2 << 20
PAYLOAD_BYTES = 1 << 20
RECIPIENTS = 15
_AHEAD_SECONDS = 90 * 86_400
_IDENTIFIERS = ("id", "email", "cio_id")


def attachments(*given: Path | tuple[str, bytes]) -> dict[str, str]:
    """Return the field `attachments` for files, given as paths or as names with content.

    Raises:
        ValidationError: A name has no extension, or two files have the same name.
        SizeError: Together they are larger than 2 MB.
        OSError: A file cannot be read.
    """
    encoded: dict[str, str] = {}
    size = 0
    for file in given:
        name, content = (file.name, file.read_bytes()) if isinstance(file, Path) else file
        if not Path(name).suffix or "/" in name:
            raise ValidationError("must be a file name with its extension", field="attachments")
        if name in encoded:
            raise ValidationError("has two files with the same name", field="attachments")
        size += len(content)
        encoded[name] = base64.b64encode(content).decode("ascii")
    _require_size(size, ATTACHMENTS_BYTES, "attachments")
    return encoded


# The type of a dictionary that is written in the call is inferred only with a type of its own.
@overload
def checked(body: Email, *, now: float) -> Email: ...
@overload
def checked(body: Body, *, now: float) -> Body: ...
def checked(body: Body, *, now: float) -> Body:
    """Check the body of a send, and return it unchanged.

    Args:
        body: The body for any channel.
        now: Unix seconds.

    Raises:
        ValidationError: It has not exactly one identifier, has neither template nor content, has
            more than 15 recipients, a value cannot be sent, or `send_at` is more than 90 days in
            the future.
        SizeError: It is larger than 1 MB without attachments, or these are larger than 2 MB.
    """
    fields: Mapping[str, object] = body
    given = fields.get("identifiers")
    identifiers = given if isinstance(given, dict) else {}
    if len(identifiers) != 1 or not all(
        name in _IDENTIFIERS and value for name, value in identifiers.items()
    ):
        raise ValidationError("must have exactly one of id, email, cio_id", field="identifiers")
    _check_content(fields)
    _check_recipients(fields)
    whole = plain_body(fields)
    send_at = whole.get("send_at")
    if isinstance(send_at, int | float) and send_at > now + _AHEAD_SECONDS:
        raise ValidationError(
            "must be at most 90 days in the future, in Unix seconds", field="send_at"
        )
    _check_sizes(whole)
    return body


def _check_content(fields: Mapping[str, object]) -> None:
    if fields.get("transactional_message_id"):
        return
    missing = [name for name in ("body", "subject", "from") if not fields.get(name)]
    if missing:
        raise ValidationError(
            f"is missing: give a template, or the missing fields {', '.join(missing)}",
            field="transactional_message_id",
        )


def _check_recipients(fields: Mapping[str, object]) -> None:
    addresses = [
        address
        for name in ("to", "cc", "bcc")
        for address in str(fields.get(name) or "").split(",")
        if address.strip()
    ]
    if len(addresses) > RECIPIENTS:
        raise ValidationError(f"with cc and bcc has more than {RECIPIENTS} recipients", field="to")


def _check_sizes(fields: Mapping[str, object]) -> None:
    files = fields.get("attachments")
    if isinstance(files, dict):
        # The size before base64, which makes 4 characters of 3 bytes. Padding adds up to 2 bytes a
        # file.
        size = sum(len(content) * 3 // 4 for content in files.values())
        _require_size(size, ATTACHMENTS_BYTES + 2 * len(files), "attachments")
    rest = {name: value for name, value in fields.items() if name != "attachments"}
    _require_size(len(json_bytes(rest, "body")), PAYLOAD_BYTES, "body")


def _require_size(size: int, limit: int, field: str) -> None:
    if size > limit:
        raise SizeError(
            f"has {size} bytes, the limit of Customer.io is {limit}",
            field=field,
            size_bytes=size,
            limit_bytes=limit,
        )
