"""Transactional messages, checked before they are sent: what the vendor would refuse, or cut.

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

Pure but for `attachments`, which reads the files it is given. The client never repeats a send whose
outcome is unknown; `CallError.is_outcome_unknown` says whether it may have been sent.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.errors import SizeError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api.types.send import Sending

    Body = TypeVar("Body", bound=Sending)

ATTACHMENTS_BYTES = 2 << 20
PAYLOAD_BYTES = 1 << 20
RECIPIENTS = 15
_AHEAD_SECONDS = 90 * 86_400
_IDENTIFIERS = ("id", "email", "cio_id")


def attachments(*given: Path | tuple[str, bytes]) -> dict[str, str]:
    """The field `attachments` of files, or of names with content.

    Raises:
        ValidationError: A name lacks its extension or comes twice.
        SizeError: They are over 2 MB together.
        OSError: A file cannot be read.
    """
    made: dict[str, str] = {}
    size = 0
    for one in given:
        name, content = (one.name, one.read_bytes()) if isinstance(one, Path) else one
        if not Path(name).suffix or "/" in name:
            raise ValidationError("must be a file name with its extension", field="attachments")
        if name in made:
            raise ValidationError("holds a file name twice", field="attachments")
        size += len(content)
        made[name] = base64.b64encode(content).decode("ascii")
    _require_size(size, ATTACHMENTS_BYTES, "attachments")
    return made


def checked(body: Body, *, now: float) -> Body:
    """Return the body of a send as it is, if the vendor would take it.

    Args:
        body: Of any channel.
        now: Unix seconds.

    Raises:
        ValidationError: It names nobody or more than one, has neither template nor content, has
            over 15 recipients, or is to be sent over 90 days ahead.
        SizeError: It is over 1 MB without attachments, or they are over 2 MB.
    """
    fields: Mapping[str, object] = body
    _check_identifiers(fields.get("identifiers"))
    _check_content(fields)
    _check_recipients(fields)
    send_at = fields.get("send_at")
    if isinstance(send_at, int | float) and send_at > now + _AHEAD_SECONDS:
        raise ValidationError("must be at most 90 days ahead, in Unix seconds", field="send_at")
    _check_sizes(fields)
    return body


def _check_identifiers(identifiers: object) -> None:
    given = identifiers if isinstance(identifiers, dict) else {}
    if len(given) != 1 or not all(name in _IDENTIFIERS and one for name, one in given.items()):
        raise ValidationError("must hold exactly one of id, email, cio_id", field="identifiers")


def _check_content(fields: Mapping[str, object]) -> None:
    if fields.get("transactional_message_id"):
        return
    missing = [name for name in ("body", "subject", "from") if not fields.get(name)]
    if missing:
        raise ValidationError(
            f"is missing, and so are {', '.join(missing)}: give a template or the content",
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
        raise ValidationError(f"and cc and bcc hold over {RECIPIENTS} recipients", field="to")


def _check_sizes(fields: Mapping[str, object]) -> None:
    files = fields.get("attachments")
    if isinstance(files, dict):
        size = sum(len(one) * 3 // 4 for one in files.values())
        _require_size(size, ATTACHMENTS_BYTES + 2 * len(files), "attachments")
    rest = {name: value for name, value in fields.items() if name != "attachments"}
    _require_size(len(json.dumps(rest).encode()), PAYLOAD_BYTES, "body")


def _require_size(size: int, limit: int, field: str) -> None:
    if size > limit:
        raise SizeError(
            f"are {size} bytes, over the {limit} that Customer.io takes",
            field=field,
            size_bytes=size,
            limit_bytes=limit,
        )
