"""The messages that were sent, with their metrics."""

from __future__ import annotations

from collections.abc import Callable

from databricks_app.simulator.delivery_engine import SentMessage
from databricks_app.simulator.events.payload import recipient
from databricks_app.simulator.messages import ApiRequest, Json, Refused, page
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_TYPES = frozenset({"email", "webhook", "twilio", "slack", "push", "in_app", "whatsapp"})
METRICS = frozenset(
    (
        *("attempted", "sent", "delivered", "opened", "clicked", "converted", "bounced"),
        *("spammed", "unsubscribed", "dropped", "failed", "undeliverable"),
    )
)
_WINDOW_SECONDS = 183 * 86400
_IDS = ("campaign_id", "newsletter_id", "action_id")


@routes("listMessages", "GET", "/v1/messages")
def list_(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the messages of the last six months, newest first, in pages."""
    query = request.query
    if query.get("type", "email") not in _TYPES:
        raise Refused(400, f"type must be one of {', '.join(sorted(_TYPES))}")
    if query.get("metric", "sent") not in METRICS:
        raise Refused(400, f"metric must be one of {', '.join(sorted(METRICS))}")
    return messages_page(workspace, request, lambda sent: _matches(sent, request))


@routes("getMessage", "GET", "/v1/messages/{message_id}")
def get(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one message."""
    return {"message": message_json(_sent(workspace, request))}


@routes("getArchivedMessage", "GET", "/v1/messages/{message_id}/archived_message", rate="archive")
def archived_message(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return the content of a message whose content was given in the call."""
    sent = _sent(workspace, request)
    if sent.content is None:
        raise Refused(404, "not found")
    row = message_json(sent)
    archived = {name: row[name] for name in ("id", "recipient", "subject", "forgotten")}
    return {"archived_message": archived | {"body": sent.content}}


def messages_page(
    workspace: SimulatedWorkspace, request: ApiRequest, predicate: Callable[[SentMessage], bool]
) -> Json:
    """Return the requested page of the messages for which `predicate` is true, newest first.

    Raises:
        Refused: 400, the query cannot be read.
    """
    first = request.number("start_ts", int(workspace.clock.now()) - _WINDOW_SECONDS, 1 << 40)
    last = request.number("end_ts", 1 << 40, 1 << 40)
    newest_first = reversed(workspace.delivery_engine.sent.values())
    found = [sent for sent in newest_first if first <= sent.created_at <= last and predicate(sent)]
    items, next_cursor = page(found, request, 50, 1000)
    return {"messages": [message_json(sent) for sent in items], "next": next_cursor}


def message_json(sent: SentMessage) -> Json:
    """Return a message as the App API shows it."""
    delivery = sent.delivery
    person, message = delivery.person, delivery.message
    row: Json = {
        "id": sent.id,
        "deduplicate_id": f"{sent.id}:{sent.created_at}",
        "type": type_of(sent),
        "customer_id": person.id or "",
        "customer_identifiers": {
            "id": person.id,
            "email": person.email or None,
            "cio_id": person.cio_id,
        },
        "recipient": sent.recipient or recipient(delivery),
        "subject": message.subject if message else "",
        "metrics": dict(sent.metrics),
        "created": sent.created_at,
        "failure_message": sent.failure_message,
        "content_id": delivery.content_id,
        "action_id": delivery.action_id,
        "trigger_event_id": delivery.trigger_event_id,
        "message_template_id": sent.template_id,
        "forgotten": False,
    }
    for origin in ("campaign", "newsletter", "broadcast"):
        row[f"{origin}_id"] = delivery.source_id if delivery.origin == origin else None
    return row


def type_of(sent: SentMessage) -> str:
    """Return the message's channel by the name of the App API, which calls SMS `twilio`."""
    channel = str(sent.delivery.channel)
    return "twilio" if channel == "sms" else channel


def _sent(workspace: SimulatedWorkspace, request: ApiRequest) -> SentMessage:
    sent = workspace.delivery_engine.sent.get(request.values["message_id"])
    if sent is None:
        raise Refused(404, "not found")
    return sent


def _matches(sent: SentMessage, request: ApiRequest) -> bool:
    query, row = request.query, message_json(sent)
    is_draft = "drafted" in sent.metrics and "sent" not in sent.metrics
    return (
        query.get("type", row["type"]) == row["type"]
        and ("metric" not in query or query["metric"] in sent.metrics)
        and is_draft == (query.get("drafts") == "true")
        and all(query[name] == str(row[name]) for name in _IDS if name in query)
    )
