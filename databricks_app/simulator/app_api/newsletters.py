"""Newsletters: list and get."""

from __future__ import annotations

from databricks_app.simulator.app_api.campaigns import CREATED
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
    found = _NEWSLETTERS.get(request.id("newsletter_id"))
    if found is None:
        raise Refused(404, "not found")
    return {"newsletter": found}
