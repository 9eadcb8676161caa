"""People: found, shown, and what they were sent."""

from __future__ import annotations

from typing import cast

from databricks_app.simulator.app_api.messages import listed
from databricks_app.simulator.filters import compile_filter, text_of
from databricks_app.simulator.messages import ApiRequest, Json, Refused, page
from databricks_app.simulator.people import IdType, Profile
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/customers/{customer_id}"
_MOST_IDS = 100


@routes("getPeopleEmail", "GET", "/v1/customers")
def by_email(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """People with an e-mail address; one at most, here."""
    found = workspace.people.find(request.query.get("email", ""), "email")
    return {"results": [found.identifiers] if found else []}


@routes("getPeopleFilter", "POST", "/v1/customers")
def search(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """People whom a filter takes, in pages."""
    test = compile_filter(request.json().get("filter"), workspace.segments.is_in)
    found = [profile for profile in workspace.people if test(profile)]
    return named_page(found, request, 50, 1000)


@routes("getPersonAttributes", "GET", f"{_PATH}/attributes")
def attributes(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Attributes, as text, and devices of a person."""
    return {"customer": _shown(profile_of(workspace, request))}


@routes("getPeopleById", "POST", "/v1/customers/attributes")
def attributes_of_many(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """The same of up to 100 people by id; unknown ones are left out."""
    ids = request.json().get("ids")
    if not isinstance(ids, list) or not 1 <= len(ids) <= _MOST_IDS:
        raise Refused(400, "ids must be a list of 1 to 100")
    found = [workspace.people.find(str(one), "id") for one in ids]
    return {"customers": [{"customer": _shown(one)} for one in found if one is not None]}


@routes("getPersonSegments", "GET", f"{_PATH}/segments")
def segments(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Segments a person is in."""
    profile = profile_of(workspace, request)
    every = workspace.segments.all.values()
    return {
        "segments": [
            {"id": one.id, "name": one.name, "description": one.description}
            for one in every
            if one.has(profile)
        ]
    }


@routes("getPersonMessages", "GET", f"{_PATH}/messages")
def messages(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """What a person was sent, newest first, in pages."""
    cio_id = profile_of(workspace, request).cio_id
    return listed(workspace, request, lambda sent: sent.delivery.person.cio_id == cio_id)


@routes("getPersonActivities", "GET", f"{_PATH}/activities")
def activities(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """What a person did, from calls of the Pipelines API, newest first, in pages."""
    profile, query = profile_of(workspace, request), request.query
    found = [
        {"id": one.id, "type": one.type, "timestamp": int(one.at), "data": one.data}
        for one in reversed(profile.activities)
        if query.get("type", one.type) == one.type
        and query.get("name", one.data.get("name")) == one.data.get("name")
    ]
    items, then = page(found, request, 10, 100)
    return {"activities": items, "next": then}


@routes("getPersonRelationships", "GET", f"{_PATH}/relationships")
def relationships(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Objects a person is related to, in pages."""
    found = [
        {
            "object_type_id": type_id,
            "identifiers": {"object_type_id": type_id, "object_id": object_id},
            "attributes": {},
            "timestamps": {},
        }
        for type_id, object_id in profile_of(workspace, request).objects
    ]
    items, then = page(found, request, 50, 1000)
    return {"cio_relationships": items, "next": then}


def profile_of(workspace: SimulatedWorkspace, request: ApiRequest) -> Profile:
    """The person that the path names; a wrong `id_type` looks like an unknown one.

    Raises:
        Refused: 404, there is none.
    """
    id_type = request.query.get("id_type", "id")
    if id_type not in {"id", "email", "cio_id"}:
        raise Refused(404, "not found")
    found = workspace.people.find(request.values["customer_id"], cast("IdType", id_type))
    if found is None:
        raise Refused(404, "not found")
    return found


def named_page(people: list[Profile], request: ApiRequest, default: int, most: int) -> Json:
    """A page of people by their identifiers.

    Raises:
        Refused: 400, the query cannot be read.
    """
    items, then = page(people, request, default, most)
    ids = [one.id for one in items if one.id is not None]
    return {"identifiers": [one.identifiers for one in items], "ids": ids, "next": then}


def _shown(profile: Profile) -> Json:
    shown = {name: text_of(value) for name, value in profile.attributes.items()}
    return {
        "id": profile.id or "",
        "identifiers": profile.identifiers,
        "attributes": {**shown, "cio_id": profile.cio_id, "id": profile.id or ""},
        "timestamps": {**profile.changed_at},
        "unsubscribed": profile.is_unsubscribed,
        "devices": [
            {"id": token, "platform": device.get("type"), "attributes": device}
            for token, device in profile.devices.items()
        ],
    }
