"""API-triggered broadcasts: list them, trigger them, read the status and errors of a trigger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2

from databricks_app.simulator.app_api.campaigns import source_json
from databricks_app.simulator.broadcasts import BROADCASTS, MAX_QUEUED_RUNS, BroadcastRun
from databricks_app.simulator.filters import compile_filter
from databricks_app.simulator.messages import ApiRequest, Json, Refused, page
from databricks_app.simulator.people import Profile
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_TRIGGERS = "/v1/campaigns/{broadcast_id}/triggers"
_AUDIENCES = ("recipients", "ids", "emails", "per_user_data", "data_file_url")
_MAX_ENTRIES = 10_000
_MAX_DATA_BYTES = 50_000
# Short, because the workspace's lock is held while a file is fetched.
_FILE_SECONDS = 5.0
# An identifier of a recipient: (`id` or `email`, its value).
_Identifier = tuple[str, str]


@routes("listBroadcasts", "GET", "/v1/broadcasts")
def list_(_workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """List all broadcasts."""
    return {
        "broadcasts": [source_json(source, "triggered_broadcast") for source in BROADCASTS.values()]
    }


@routes("getBroadcast", "GET", "/v1/broadcasts/{broadcast_id}")
def get(_workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one broadcast."""
    return {"broadcast": source_json(BROADCASTS[_number(request)], "triggered_broadcast")}


@routes("listBroadcastTriggers", "GET", "/v1/broadcasts/{broadcast_id}/triggers")
def triggers(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the triggers of a broadcast, oldest first."""
    found = workspace.broadcasts.triggers[_number(request)]
    return {"triggers": [_trigger_json(one, workspace.clock.now()) for one in found]}


@routes("triggerBroadcast", "POST", _TRIGGERS, rate="broadcast")
def trigger(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Queue a run for the default audience, a filter, ids, e-mail addresses, maps or a file."""
    number, now = _number(request), workspace.clock.now()
    if workspace.broadcasts.queued(now) >= MAX_QUEUED_RUNS:
        queue = f"{MAX_QUEUED_RUNS} triggers are queued already"
        raise Refused(429, queue, retry_after_seconds=10)
    body = request.json()
    _check(body)
    recipients, errors = _recipients(workspace, body)
    if errors:
        rejected = workspace.broadcasts.reject(number, errors, now)
        raise Refused(
            422, f"trigger {rejected.id} was not processed: {len(errors)} errors, see its errors"
        )
    return {"id": workspace.broadcasts.start(number, recipients, [], now).id}


@routes("broadcastStatus", "GET", f"{_TRIGGERS}/{{trigger_id}}")
def status(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return the status of one trigger."""
    return _trigger_json(_trigger(workspace, request), workspace.clock.now())


@routes("broadcastErrors", "GET", f"{_TRIGGERS}/{{trigger_id}}/errors")
def errors(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the errors of one trigger, in pages."""
    items, next_cursor = page(_trigger(workspace, request).errors, request, 50, 1000)
    return {"errors": items, "next": next_cursor}


def _number(request: ApiRequest) -> int:
    number = request.id("broadcast_id")
    if number not in BROADCASTS:
        raise Refused(404, "not found")
    return number


def _trigger(workspace: SimulatedWorkspace, request: ApiRequest) -> BroadcastRun:
    found = workspace.broadcasts.find(_number(request), request.id("trigger_id"))
    if found is None:
        raise Refused(404, "not found")
    return found


def _trigger_json(trigger: BroadcastRun, now: float) -> Json:
    is_processed = trigger.processed_at <= now
    return {
        "id": trigger.id,
        "broadcast_id": trigger.broadcast_id,
        "created_at": int(trigger.created_at),
        "processed_at": int(trigger.processed_at) if is_processed else None,
    }


def _check(body: Json) -> None:
    if sum(name in body for name in _AUDIENCES) > 1:
        raise Refused(422, f"only one of {', '.join(_AUDIENCES)} may be given")
    if len(json.dumps(body.get("data", {}))) > _MAX_DATA_BYTES:
        raise Refused(422, "data is over 50,000 bytes")
    for name in ("ids", "emails", "per_user_data"):
        entries = body.get(name, [])
        if not isinstance(entries, list) or len(entries) > _MAX_ENTRIES:
            raise Refused(422, f"{name} must be a list of at most 10,000")


def _recipients(workspace: SimulatedWorkspace, body: Json) -> tuple[list[Profile], list[str]]:
    """Return the recipients, and an error for each person who does not get it."""
    if "recipients" in body:
        try:
            predicate = compile_filter(body["recipients"], workspace.segments.is_in)
        except Refused as error:
            raise Refused(422, str(error)) from error
        return [profile for profile in workspace.people if predicate(profile)], []
    if not any(name in body for name in _AUDIENCES):
        return [one for one in workspace.people if not one.is_unsubscribed], []
    people: dict[str, Profile] = {}
    errors: list[str] = []
    for number, (id_type, value) in enumerate(_identifiers(body), 1):
        profile = workspace.people.find(value, "email" if id_type == "email" else "id")
        if profile is not None:
            people[profile.cio_id] = profile
        elif not body.get(f"{id_type}_ignore_missing", False):
            errors.append(f"entry {number}: no person has this {id_type}")
    return list(people.values()), errors


def _identifiers(body: Json) -> Iterator[_Identifier]:
    yield from (("id", str(one)) for one in body.get("ids", []))
    yield from (("email", str(one)) for one in body.get("emails", []))
    maps: list[Any] = body.get("per_user_data", [])
    if "data_file_url" in body:
        maps = _fetch_file(str(body["data_file_url"]))
    for one in maps:
        if not isinstance(one, dict) or not one.keys() & {"id", "email"}:
            raise Refused(422, "every entry needs an id or an email")
        id_type = "id" if "id" in one else "email"
        yield id_type, str(one[id_type])


def _fetch_file(url: str) -> list[Any]:
    """Fetch a file with one JSON object a line.

    Raises:
        Refused: 422, the file cannot be fetched or read.
    """
    try:
        answer = httpx2.get(url, timeout=_FILE_SECONDS)
        answer.raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines() if line.strip()]
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Refused(422, "data_file_url: cannot fetch it or read it as JSON lines") from error
