"""Newsletters: list and get them, and read their metrics over time."""

from __future__ import annotations

from databricks_app.simulator.app_api.campaigns import CREATED, metrics_of
from databricks_app.simulator.events.sample_workspace import SOURCES
from databricks_app.simulator.messages import ApiRequest, Json, Refused, page
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_NEWSLETTERS = {
    int(source.id): {
        "id": source.id,
        "deduplicate_id": f"{source.id}:{CREATED}",
        "name": source.messages[0].subject,
        "type": source.messages[0].channel,
        "created": CREATED,
        "updated": CREATED,
        "sent_at": None,
        "content_ids": [],
        "recipient_segment_ids": [1],
        "subscription_topic_id": None,
        "tags": None,
    }
    for source in SOURCES
    if source.origin == "newsletter"
}


@routes("listNewsletters", "GET", "/v1/newsletters")
def list_(_workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List all newsletters, in pages."""
    found = list(_NEWSLETTERS.values())
    if request.query.get("sort") == "desc":
        found.reverse()
    items, next_cursor = page(found, request, 50, 1000)
    return {"newsletters": items, "next": next_cursor}


@routes("getNewsletters", "GET", "/v1/newsletters/{newsletter_id}")
def get(_workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one newsletter."""
    return {"newsletter": _NEWSLETTERS[_number(request)]}


@routes("getNewsletterMetrics", "GET", "/v1/newsletters/{newsletter_id}/metrics")
def metrics(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Count the messages as version 1 of a campaign's metrics does."""
    return metrics_of(workspace, request, _number(request), "1")


def _number(request: ApiRequest) -> int:
    number = request.id("newsletter_id")
    if number not in _NEWSLETTERS:
        raise Refused(404, "not found")
    return number
