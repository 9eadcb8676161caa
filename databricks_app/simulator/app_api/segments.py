"""Segments: list, create and delete them, read and count their members."""

from __future__ import annotations

from databricks_app.simulator.app_api.customers import people_page
from databricks_app.simulator.messages import ApiReply, ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.segments import SimulatedSegment
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/segments/{segment_id}"


@routes("createManSegment", "POST", "/v1/segments")
def create(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Add an empty manual segment."""
    given = request.json().get("segment")
    fields: Json = given if isinstance(given, dict) else {}
    name = fields.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Refused(400, "segment.name is required")
    return {
        "segment": _segment_json(workspace.segments.add(name, str(fields.get("description", ""))))
    }


@routes("listSegments", "GET", "/v1/segments")
def list_(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """List all segments."""
    return {"segments": [_segment_json(one) for one in workspace.segments.all.values()]}


@routes("getSegment", "GET", _PATH)
def get(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one segment."""
    return {"segment": _segment_json(segment_of(workspace, request))}


@routes("deleteManSegment", "DELETE", _PATH)
def delete(workspace: SimulatedWorkspace, request: ApiRequest) -> ApiReply:
    """Delete a manual segment; a segment with a filter is answered 404."""
    segment = segment_of(workspace, request)
    if segment.predicate is not None:
        raise Refused(404, "not found")
    del workspace.segments.all[segment.id]
    return ApiReply(204)


@routes("getSegmentDependencies", "GET", f"{_PATH}/used_by")
def used_by(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return what uses a segment: here nothing does."""
    segment_of(workspace, request)
    return {"used_by": {"campaigns": [], "sent_newsletters": [], "draft_newsletters": []}}


@routes("getSegmentCount", "GET", f"{_PATH}/customer_count")
def customer_count(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return the number of people in a segment."""
    return {"count": len(workspace.segments.members(segment_of(workspace, request)))}


@routes("getSegmentMembership", "GET", f"{_PATH}/membership")
def membership(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the people in a segment, in pages."""
    members = workspace.segments.members(segment_of(workspace, request))
    return people_page(members, request, 1000, 30_000)


def segment_of(workspace: SimulatedWorkspace, request: ApiRequest) -> SimulatedSegment:
    """Return the segment that the path names.

    Raises:
        Refused: 404, it does not exist.
    """
    segment = workspace.segments.all.get(request.id("segment_id"))
    if segment is None:
        raise Refused(404, "not found")
    return segment


def _segment_json(segment: SimulatedSegment) -> Json:
    return {
        "id": segment.id,
        "deduplicate_id": f"{segment.id}:1700000000",
        "name": segment.name,
        "description": segment.description,
        "state": "finished",
        "progress": None,
        "type": "manual" if segment.predicate is None else "dynamic",
        "tags": None,
    }
