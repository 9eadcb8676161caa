"""Reporting webhooks: the five operations on their configuration. None shows a signing key."""

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
    """Add a webhook; what it gets begins with the next event."""
    feeds = workspace.feeds
    webhook = _checked(request.json(), None)
    return shown(feeds.add(replace(webhook, id=feeds.next_id())).webhook)


@routes("listWebhooks", "GET", "/v1/reporting_webhooks")
def list_(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """All of them, oldest first."""
    return {"reporting_webhooks": [shown(feed.webhook) for feed in workspace.feeds.all()]}


@routes("getWebhook", "GET", _PATH)
def get(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """One of them."""
    return shown(feed_of(workspace, request).webhook)


@routes("updateWebhook", "PUT", _PATH)
def update(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Change a webhook; fields that are left out stay, as public clients rely on."""
    feed = feed_of(workspace, request)
    feed.webhook = _checked(request.json(), feed.webhook)
    return shown(feed.webhook)


@routes("deleteWebhook", "DELETE", _PATH)
def delete(workspace: SimulatedWorkspace, request: ApiRequest) -> ApiReply:
    """Remove a webhook, and what waits for it."""
    workspace.feeds.remove(feed_of(workspace, request).webhook.id)
    return ApiReply(200)


def feed_of(workspace: SimulatedWorkspace, request: ApiRequest) -> Feed:
    """The webhook that the path names.

    Raises:
        Refused: 404, there is none.
    """
    feed = workspace.feeds.get(request.id("webhook_id"))
    if feed is None:
        raise Refused(404, "not found")
    return feed


def shown(webhook: Webhook) -> Json:
    """A webhook as the App API shows it."""
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
    """Make a webhook of a call's fields over those it had.

    Raises:
        Refused: 400, names the field.
    """
    whole = {**(shown(before) if before else {}), **fields}
    name, endpoint, events = whole.get("name"), whole.get("endpoint"), whole.get("events")
    if not isinstance(name, str) or not name.strip():
        raise Refused(400, "name is required")
    if not isinstance(endpoint, str):
        raise Refused(400, "endpoint is required")
    try:
        found = destination(endpoint)
    except ConfigurationError as error:
        raise Refused(400, f"endpoint: {error}") from error
    flags = {flag: whole.get(flag, False) for flag in _FLAGS}
    for flag, value in flags.items():
        if not isinstance(value, bool):
            raise Refused(400, f"{flag} must be true or false")
    number = before.id if before else 0
    held = before.events if before else ()
    return Webhook(number, name, endpoint, found, _events(events, held), **flags)


def _events(names: object, held: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(names, list) or not names:
        raise Refused(400, "events must name at least one event")
    # What the webhook has already is an event of the vendor, even one that came later.
    known = {*specification.subscription_names(), *held}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(400, f"malformed events: {', '.join(map(str, unknown))}")
    return tuple(dict.fromkeys(names))
