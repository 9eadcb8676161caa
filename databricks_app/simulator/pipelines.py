"""The Pipelines API: seven calls that change people and objects.

Without strict mode every call is answered 200, and invalid items are dropped.
Source: https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from databricks_app.simulator.feeds import encoded
from databricks_app.simulator.filters import text_of
from databricks_app.simulator.messages import ApiRequest, Json, Refused
from databricks_app.simulator.people import Profile, SimulatedActivity
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes("pipelines", shape="pipelines", rate="transactional")
CALLS = ("identify", "track", "page", "screen", "group", "alias")
# The vendor's limits: 32 KB a call, 500 KB a batch.
_MAX_CALL_BYTES = 32 * 1024
_MAX_BATCH_BYTES = 500 * 1024
# The field that a type of item must have besides an id of the person.
_REQUIRED = {"track": "event", "group": "groupId", "alias": "previousId"}
_TEXTS = ("event", "name", "userId", "anonymousId", "groupId", "previousId")
# These events are about a delivery, so they need no id of a person.
_WITHOUT_PERSON = frozenset({"Report Delivery Event", "Report Content Event"})
_PREFERENCES = "cio_subscription_preferences"
_PREFERENCES_CHANGED = f"{_PREFERENCES}_changed"


def call(type_: str, workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Accept one item of the given type."""
    return _accept(workspace, request, _MAX_CALL_BYTES, lambda body: [{**body, "type": type_}])


@routes("batch", "POST", "/v1/batch")
def batch(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Accept many items, each with its type."""

    def items(body: Json) -> list[Any]:
        found = body.get("batch")
        if not isinstance(found, list):
            raise Refused(400, "batch must be a list")
        return found

    return _accept(workspace, request, _MAX_BATCH_BYTES, items)


for _type in CALLS:
    _handler: Callable[[SimulatedWorkspace, ApiRequest], Json] = partial(call, _type)
    routes(_type, "POST", f"/v1/{_type}")(_handler)


def _accept(
    workspace: SimulatedWorkspace,
    request: ApiRequest,
    max_bytes: int,
    read: Callable[[Json], list[Any]],
) -> Json:
    """Apply the valid items of a call; refuse (strict mode) or drop the invalid ones."""
    is_strict = request.headers.get("x-strict-mode", "0") == "1"
    valid: list[Json] = []
    problems: list[str] = []
    try:
        if len(request.body) > max_bytes:
            raise Refused(400, f"the body is over {max_bytes} bytes")
        items = read(request.json())
    except Refused as error:
        items, problems = [], [str(error)]
    for index, item in enumerate(items):
        problem = _problem(item)
        if problem is None:
            valid.append(item)
        else:
            problems.append(f"item {index}: {problem}")
    if problems and is_strict:
        raise Refused(400, "; ".join(problems))
    workspace.dropped += problems
    for item in valid:
        apply(workspace, item)
    return {}


def _problem(item: object) -> str | None:
    """Return why an item is invalid; None if it is valid."""
    if not isinstance(item, dict) or item.get("type") not in CALLS:
        return f"type is required, one of {', '.join(CALLS)}"
    if len(encoded(item)) > _MAX_CALL_BYTES:
        return f"over {_MAX_CALL_BYTES} bytes"
    type_ = item["type"]
    required = _REQUIRED.get(type_)
    if required is not None and not item.get(required):
        return f"{required} is required"
    for name in ("traits", "properties", "context"):
        if not isinstance(item.get(name, {}), dict):
            return f"{name} must be an object"
    for name in _TEXTS:
        if not isinstance(item.get(name, ""), str | int | None):
            return f"{name} must be text"
    names = {"alias": ("userId",), "track": ("userId", "anonymousId", "groupId")}
    wanted = names.get(type_, ("userId", "anonymousId"))
    if item.get("event") in _WITHOUT_PERSON or any(item.get(name) for name in wanted):
        return None
    return f"{' or '.join(wanted)} is required"


def apply(workspace: SimulatedWorkspace, item: Json) -> None:
    """Apply a valid item."""
    # Items with only an anonymous id change nothing: the App API does not show anonymous people.
    event, user_id = item.get("event"), str(item.get("userId") or "")
    if event == "User Unsuppressed":
        workspace.people.suppressed.discard(user_id)
    elif event == "Report Delivery Event":
        _report(workspace, item)
    elif event == "Object Deleted":
        key = _object_key(item.get("properties", {}))
        workspace.objects.pop(key, None)
        for profile in workspace.people:
            if key in profile.objects:
                profile.objects.remove(key)
    elif item["type"] == "group":
        _group(workspace, item, user_id)
    elif user_id and user_id not in workspace.people.suppressed:
        _BY_TYPE[item["type"]](workspace, item, user_id)


def put(workspace: SimulatedWorkspace, profile: Profile, traits: Json) -> None:
    """Set attributes of a person, and report a change of subscription as an event."""
    before = profile.is_unsubscribed
    now = workspace.clock.now()
    workspace.people.put(profile, traits, now)
    if profile.is_unsubscribed != before:
        metric = "unsubscribed" if profile.is_unsubscribed else "subscribed"
        workspace.delivery_engine.report_change(profile, metric, now)
    if _PREFERENCES in traits:
        content = {"content": json.dumps(traits[_PREFERENCES])}
        workspace.delivery_engine.report_change(profile, _PREFERENCES_CHANGED, now, content)


def _identify(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    traits = dict(item.get("traits", {}))
    put(workspace, workspace.people.identify(user_id, traits.get("email")), traits)


def _track(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    # Semantic events, such as `User Deleted`, are calls of `track` with a reserved event name.
    handle = _SEMANTIC_EVENTS.get(item["event"], _add_activity)
    handle(workspace, item, user_id)


def _add_activity(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    profile, at = workspace.people.find_or_add(user_id), workspace.clock.now()
    name = item.get("event") or item.get("name") or ""
    type_ = "event" if item["type"] == "track" else item["type"]
    data = {"name": name, "data": item.get("properties", {})}
    number = len(profile.activities) + 1
    profile.activities.append(SimulatedActivity(f"{profile.cio_id}-{number}", type_, at, data))


def _delete(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    profile = workspace.people.find(user_id)
    if profile is not None:
        workspace.people.remove(profile)
    if item["event"] == "User Suppressed":
        workspace.people.suppressed.add(user_id)


def _device(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    given = item.get("context", {}).get("device")
    device = dict(given) if isinstance(given, dict) else {}
    token = str(device.pop("token", ""))
    profile = workspace.people.find_or_add(user_id)
    if item["event"] == "Device Deleted":
        profile.devices.pop(token, None)
    elif token:
        profile.devices[token] = device


def _group(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    traits = dict(item.get("traits", {}))
    object_type = traits.pop("object_type_id", 1)
    key = _object_key({"objectTypeId": object_type, "objectId": item["groupId"]})
    workspace.objects.setdefault(key, {}).update(traits)
    if user_id and user_id not in workspace.people.suppressed:
        objects = workspace.people.find_or_add(user_id).objects
        if key not in objects:
            objects.append(key)


def _delete_relationship(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    profile, key = workspace.people.find(user_id), _object_key(item.get("properties", {}))
    if profile is not None and key in profile.objects:
        profile.objects.remove(key)


def _alias(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    previous = workspace.people.find(str(item["previousId"]))
    if previous is None:
        return
    workspace.people.remove(previous)
    profile = workspace.people.find_or_add(user_id)
    # Where both have an attribute, the remaining person keeps its own.
    workspace.people.put(profile, previous.attributes | profile.attributes, workspace.clock.now())


def _report(workspace: SimulatedWorkspace, item: Json) -> None:
    """Report a metric of a message, as the mobile SDKs do with `Report Delivery Event`."""
    properties = item.get("properties", {})
    sent = workspace.delivery_engine.sent.get(str(properties.get("deliveryId", "")))
    metric = str(properties.get("metric", ""))
    overrides = {"href": properties["href"]} if "href" in properties else None
    if sent is None or not workspace.delivery_engine.report_metric(
        sent, metric, workspace.clock.now(), overrides
    ):
        workspace.dropped.append("Report Delivery Event: no such delivery or metric")


def _object_key(properties: Json) -> tuple[int, str]:
    number = text_of(properties.get("objectTypeId", 1))
    return int(number) if number.isdecimal() else 1, str(properties.get("objectId", ""))


_ItemFunction = Callable[[SimulatedWorkspace, Json, str], None]
_BY_TYPE: dict[str, _ItemFunction] = {
    "identify": _identify,
    "track": _track,
    "page": _add_activity,
    "screen": _add_activity,
    "alias": _alias,
}
_SEMANTIC_EVENTS: dict[str, _ItemFunction] = {
    "User Deleted": _delete,
    "User Suppressed": _delete,
    "Device Created or Updated": _device,
    "Device Deleted": _device,
    "Relationship Deleted": _delete_relationship,
}
