"""Reporting webhooks: the five operations on them. As at the vendor, none shows a signing key."""

from __future__ import annotations

from dataclasses import replace

from core.errors import ConfigurationError
from core.webhooks import specification
from core.webhooks.sender import destination
from databricks_app.simulator.feeds import Feed, Webhook
from databricks_app.simulator.messages import ApiReply, ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/reporting_webhooks/{webhook_id}"
_FLAGS = ("disabled", "full_resolution", "with_content")


@routes("createWebhook", "POST", "/v1/reporting_webhooks")
def create(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Add a webhook; it gets the events that happen from now on."""
    feeds = workspace.feeds
    webhook = _checked(request.json(), None)
    return webhook_json(feeds.add(replace(webhook, id=feeds.next_id())).webhook)


@routes("listWebhooks", "GET", "/v1/reporting_webhooks")
def list_(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """List all webhooks, oldest first."""
    return {"reporting_webhooks": [webhook_json(feed.webhook) for feed in workspace.feeds.all()]}


@routes("getWebhook", "GET", _PATH)
def get(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one webhook."""
    return webhook_json(feed_of(workspace, request).webhook)


@routes("updateWebhook", "PUT", _PATH)
def update(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Change a webhook; fields that are not given keep their values."""
    # The vendor's page does not say so, but public clients send only the fields that they change.
    feed = feed_of(workspace, request)
    feed.webhook = _checked(request.json(), feed.webhook)
    return webhook_json(feed.webhook)


@routes("deleteWebhook", "DELETE", _PATH)
def delete(workspace: SimulatedWorkspace, request: ApiRequest) -> ApiReply:
    """Remove a webhook and its queue."""
    workspace.feeds.remove(feed_of(workspace, request).webhook.id)
    return ApiReply(200)


def feed_of(workspace: SimulatedWorkspace, request: ApiRequest) -> Feed:
    """Return the webhook that the path names.

    Raises:
        Refused: 404, it does not exist.
    """
    feed = workspace.feeds.get(request.id("webhook_id"))
    if feed is None:
        raise Refused(404, "not found")
    return feed


def webhook_json(webhook: Webhook) -> Json:
    """Return a webhook as the App API shows it."""
    return {
        "id": webhook.id,
        "name": webhook.name,
        "endpoint": webhook.endpoint,
        "events": list(webhook.events),
        "disabled": webhook.disabled,
        "full_resolution": webhook.full_resolution,
        "with_content": webhook.with_content,
        "type": "webhook",
    }


def _checked(fields: Json, before: Webhook | None) -> Webhook:
    """Merge the fields of a call into a webhook, and check the result.

    Raises:
        Refused: 400, names the invalid field.
    """
    merged = {**(webhook_json(before) if before else {}), **fields}
    name, endpoint, events = merged.get("name"), merged.get("endpoint"), merged.get("events")
    if not isinstance(name, str) or not name.strip():
        raise Refused(400, "name is required")
    if not isinstance(endpoint, str):
        raise Refused(400, "endpoint is required")
    try:
        found = destination(endpoint)
    except ConfigurationError as error:
        raise Refused(400, f"endpoint: {error}") from error
    flags = {flag: merged.get(flag, False) for flag in _FLAGS}
    for flag, value in flags.items():
        if not isinstance(value, bool):
            raise Refused(400, f"{flag} must be true or false")
    number = before.id if before else 0
    held = before.events if before else ()
    return Webhook(number, name, endpoint, found, _events(events, held), **flags)


def _events(names: object, held: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(names, list) or not names:
        raise Refused(400, "events must be a list with at least one event name")
    # An event that the webhook already has is an event of the vendor, maybe added later.
    known = {*specification.subscription_names(), *held}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(400, f"malformed events: {', '.join(map(str, unknown))}")
    return tuple(dict.fromkeys(names))
