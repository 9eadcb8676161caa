"""Transactional sends on every channel. An error is one sentence under `meta.error`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from databricks_app.simulator.delivery_engine import SendOptions
from databricks_app.simulator.events.sample_workspace import SimulatedMessage, Source
from databricks_app.simulator.messages import ApiRequest, Json, Refused
from databricks_app.simulator.people import Profile
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.templates import INLINE, Template, find
from databricks_app.simulator.workspace import CHANNELS, SimulatedWorkspace

routes = Routes(shape="send", rate="transactional")
_OPERATIONS = {
    "email": "sendEmail",
    "push": "sendPush",
    "sms": "sendSMS",
    "in_app": "sendInApp",
    "inbox_message": "sendInboxMessage",
    "whatsapp": "sendWhatsApp",
}
_ID_TYPES = frozenset({"id", "email", "cio_id"})
_NEEDS_TO = frozenset({"email", "push", "sms", "whatsapp"})
# In `to`, a push names the devices (`all` or `last_used`), not an address.
_TO_IS_ADDRESS = _NEEDS_TO - {"push"}
# The vendor's limits. Attachments do not count as payload.
_MAX_PAYLOAD_BYTES = 1_000_000
_MAX_ATTACHMENT_BYTES = 2_000_000
_MAX_RECIPIENTS = 15
_MAX_AHEAD_SECONDS = 90 * 86400


def send(channel: str, workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Send one message; its events follow as the clock advances."""
    if channel in workspace.disabled_channels:
        raise Refused(403, f"{channel} is not enabled for this workspace")
    body = request.json()
    _check_size(body)
    source, message, template = _content(channel, body)
    if channel in _NEEDS_TO and not _text(body, "to"):
        raise Refused(400, "to is required")
    profile = _profile(workspace, body)
    now = workspace.clock.now()
    at = _send_at(body, now)
    options = _send_options(workspace, body, profile, channel)
    sent = workspace.delivery_engine.send(profile, source, message, at, options)
    sent.template_id = template.id if template else None
    answer: Json = {"delivery_id": sent.id, "queued_at": int(now)}
    return answer | {"send_at": int(at)} if at > now else answer


for _channel in CHANNELS:
    _handler: Callable[[SimulatedWorkspace, ApiRequest], Json] = partial(send, _channel)
    routes(_OPERATIONS[_channel], "POST", f"/v1/send/{_channel}")(_handler)


def _check_size(body: Json) -> None:
    attachments = body.get("attachments", {})
    if not isinstance(attachments, dict):
        raise Refused(400, "attachments must be an object")
    total = 0
    for content in attachments.values():
        try:
            total += len(base64.b64decode(content, validate=True))
        except (binascii.Error, TypeError, ValueError) as error:
            raise Refused(400, "an attachment is not base64") from error
    if total > _MAX_ATTACHMENT_BYTES:
        raise Refused(413, "attachments are over 2 MB")
    rest = {name: value for name, value in body.items() if name != "attachments"}
    if len(json.dumps(rest)) > _MAX_PAYLOAD_BYTES:
        raise Refused(413, "the payload is over 1 MB")


def _content(channel: str, body: Json) -> tuple[Source, SimulatedMessage, Template | None]:
    """Return the message of a template, or for e-mail the message given in the call.

    Raises:
        Refused: 400, the call has neither.
    """
    reference = body.get("transactional_message_id")
    if reference is None:
        if channel == "email" and all(_text(body, name) for name in ("body", "subject", "from")):
            return INLINE, _with_subject(INLINE.messages[0], body), None
        needs = ", or body, subject and from" if channel == "email" else ""
        raise Refused(400, f"transactional_message_id is required{needs}")
    template = find(reference)
    if template is None or template.channel != channel:
        raise Refused(400, f"no transactional message of the channel {channel} has this id")
    return template.source, _with_subject(template.message, body), template


def _with_subject(message: SimulatedMessage, body: Json) -> SimulatedMessage:
    """Return the message with the subject or title of the call, if it has one."""
    subject = _text(body, "subject") or _text(body, "title")
    return replace(message, subject=subject) if subject else message


def _profile(workspace: SimulatedWorkspace, body: Json) -> Profile:
    """Return the recipient; an unknown person is added, unless `auto_create` is false.

    Raises:
        Refused: 400, there is not exactly one identifier, or no person has it.
    """
    given = body.get("identifiers")
    if not isinstance(given, dict) or len(given) != 1 or not given.keys() <= _ID_TYPES:
        raise Refused(400, "identifiers must have exactly one of id, email, cio_id")
    ((id_type, value),) = given.items()
    if not isinstance(value, str | int) or not str(value):
        raise Refused(400, f"identifiers.{id_type} must be text")
    profile = workspace.people.find(str(value), id_type)
    if profile is not None:
        return profile
    if id_type == "cio_id" or body.get("auto_create") is False:
        raise Refused(400, "no person has this identifier")
    return workspace.people.find_or_add(str(value))


def _send_at(body: Json, now: float) -> float:
    at = body.get("send_at")
    if at is None:
        return now
    if not isinstance(at, int) or isinstance(at, bool) or at > now + _MAX_AHEAD_SECONDS:
        raise Refused(400, "send_at must be Unix seconds, at most 90 days ahead")
    return max(float(at), now)


def _send_options(
    workspace: SimulatedWorkspace, body: Json, profile: Profile, channel: str
) -> SendOptions:
    lists = ",".join(_text(body, name) for name in ("to", "cc", "bcc"))
    recipients = [one for one in lists.split(",") if one]
    if channel == "email" and len(recipients) > _MAX_RECIPIENTS:
        raise Refused(400, f"to, cc and bcc may name at most {_MAX_RECIPIENTS} recipients")
    to_unsubscribed = body.get("send_to_unsubscribed", True)
    identifiers: set[Any] = {profile.id, profile.email}
    is_suppressed = not workspace.people.suppressed.isdisjoint(identifiers)
    return SendOptions(
        content=_text(body, "body") or None,
        is_draft=bool(body.get("queue_draft", False)),
        is_blocked=is_suppressed or (profile.is_unsubscribed and not to_unsubscribed),
        is_tracked=bool(body.get("tracked", True)),
        recipient=_text(body, "to") if channel in _TO_IS_ADDRESS else None,
    )


def _text(body: Json, name: str) -> str:
    """Return a text field; empty if it is missing.

    Raises:
        Refused: 400, it is not text.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name} must be text")
    return value or ""
