"""People: find them, and read their attributes, messages, activities and relationships."""

from __future__ import annotations

from typing import cast

from databricks_app.simulator.app_api.messages import messages_page
from databricks_app.simulator.filters import compile_filter, text_of
from databricks_app.simulator.messages import ApiRequest, Json, Refused, page
from databricks_app.simulator.people import IdType, Profile
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/customers/{customer_id}"
_MAX_IDS = 100


@routes("getPeopleEmail", "GET", "/v1/customers")
def by_email(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Find people by e-mail address; here at most one person has an address."""
    found = workspace.people.find(request.query.get("email", ""), "email")
    return {"results": [found.identifiers] if found else []}


@routes("getPeopleFilter", "POST", "/v1/customers")
def search(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Find people by a filter, in pages."""
    predicate = compile_filter(request.json().get("filter"), workspace.segments.is_in)
    found = [profile for profile in workspace.people if predicate(profile)]
    return people_page(found, request, 50, 1000)


@routes("getPersonAttributes", "GET", f"{_PATH}/attributes")
def attributes(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return the attributes (as text) and devices of a person."""
    return {"customer": _person_json(profile_of(workspace, request))}


@routes("getPeopleById", "POST", "/v1/customers/attributes")
def attributes_of_many(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return attributes and devices of up to 100 people; unknown ids are left out."""
    ids = request.json().get("ids")
    if not isinstance(ids, list) or not 1 <= len(ids) <= _MAX_IDS:
        raise Refused(400, f"ids must be a list of 1 to {_MAX_IDS} ids")
    found = [workspace.people.find(str(one), "id") for one in ids]
    return {"customers": [{"customer": _person_json(one)} for one in found if one is not None]}


@routes("getPersonSegments", "GET", f"{_PATH}/segments")
def segments(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the segments that a person is in."""
    profile = profile_of(workspace, request)
    return {
        "segments": [
            {"id": one.id, "name": one.name, "description": one.description}
            for one in workspace.segments.all.values()
            if one.has(profile)
        ]
    }


@routes("getPersonMessages", "GET", f"{_PATH}/messages")
def messages(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the messages that a person was sent, newest first, in pages."""
    cio_id = profile_of(workspace, request).cio_id
    return messages_page(workspace, request, lambda sent: sent.delivery.person.cio_id == cio_id)


@routes("getPersonActivities", "GET", f"{_PATH}/activities")
def activities(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List what a person did (calls of the Pipelines API), newest first, in pages."""
    profile, query = profile_of(workspace, request), request.query
    found = [
        {"id": one.id, "type": one.type, "timestamp": int(one.at), "data": one.data}
        for one in reversed(profile.activities)
        if query.get("type", one.type) == one.type
        and query.get("name", one.data.get("name")) == one.data.get("name")
    ]
    items, next_cursor = page(found, request, 10, 100)
    return {"activities": items, "next": next_cursor}


@routes("getPersonRelationships", "GET", f"{_PATH}/relationships")
def relationships(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the objects that a person is related to, in pages."""
    found = [
        {
            "object_type_id": type_id,
            "identifiers": {"object_type_id": type_id, "object_id": object_id},
            "attributes": {},
            "timestamps": {},
        }
        for type_id, object_id in profile_of(workspace, request).objects
    ]
    items, next_cursor = page(found, request, 50, 1000)
    return {"cio_relationships": items, "next": next_cursor}


def profile_of(workspace: SimulatedWorkspace, request: ApiRequest) -> Profile:
    """Return the person that the path names.

    Raises:
        Refused: 404, the person or the `id_type` does not exist.
    """
    id_type = request.query.get("id_type", "id")
    if id_type not in {"id", "email", "cio_id"}:
        raise Refused(404, "not found")
    found = workspace.people.find(request.values["customer_id"], cast("IdType", id_type))
    if found is None:
        raise Refused(404, "not found")
    return found


def people_page(people: list[Profile], request: ApiRequest, default: int, maximum: int) -> Json:
    """Return the requested page of people, each as identifiers.

    Raises:
        Refused: 400, the query cannot be read.
    """
    items, next_cursor = page(people, request, default, maximum)
    ids = [one.id for one in items if one.id is not None]
    return {"identifiers": [one.identifiers for one in items], "ids": ids, "next": next_cursor}


def _person_json(profile: Profile) -> Json:
    attributes = {name: text_of(value) for name, value in profile.attributes.items()}
    return {
        "id": profile.id or "",
        "identifiers": profile.identifiers,
        "attributes": {**attributes, "cio_id": profile.cio_id, "id": profile.id or ""},
        "timestamps": {**profile.changed_at},
        "unsubscribed": profile.is_unsubscribed,
        "devices": [
            {"id": token, "platform": device.get("type"), "attributes": device}
            for token, device in profile.devices.items()
        ],
    }
