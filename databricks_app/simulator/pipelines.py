"""The Pipelines API: seven calls that change people, and what changed people cause.

Without strict mode everything is answered 200, and what cannot be used is dropped.
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
_MAX_CALL_BYTES = 32 * 1024
_MAX_BATCH_BYTES = 500 * 1024
_REQUIRED = {"track": "event", "group": "groupId", "alias": "previousId"}
_TEXTS = ("event", "name", "userId", "anonymousId", "groupId", "previousId")
_WITHOUT_PERSON = frozenset({"Report Delivery Event", "Report Content Event"})
_PREFERENCES = "cio_subscription_preferences"
_CHANGED = f"{_PREFERENCES}_changed"


def call(type_: str, workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Take one item."""
    return _taken(workspace, request, _MAX_CALL_BYTES, lambda body: [{**body, "type": type_}])


@routes("batch", "POST", "/v1/batch")
def batch(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Take many items, each with its type."""
    return _taken(workspace, request, _MAX_BATCH_BYTES, _items)


for _type in CALLS:
    _handler: Callable[[SimulatedWorkspace, ApiRequest], Json] = partial(call, _type)
    routes(_type, "POST", f"/v1/{_type}")(_handler)


def _taken(
    workspace: SimulatedWorkspace, request: ApiRequest, most: int, read: Callable[[Json], list[Any]]
) -> Json:
    is_strict = request.headers.get("x-strict-mode", "0") == "1"
    good: list[Json] = []
    faults: list[str] = []
    try:
        if len(request.body) > most:
            raise Refused(400, f"the body is over {most} bytes")
        items = read(request.json())
    except Refused as error:
        items, faults = [], [str(error)]
    for place, item in enumerate(items):
        fault = _fault(item)
        if fault is None:
            good.append(item)
        else:
            faults.append(f"item {place}: {fault}")
    if faults and is_strict:
        raise Refused(400, "; ".join(faults))
    workspace.dropped += faults
    for item in good:
        apply(workspace, item)
    return {}


def _items(body: Json) -> list[Any]:
    items = body.get("batch")
    if not isinstance(items, list):
        raise Refused(400, "batch must be a list")
    return items


def _fault(item: object) -> str | None:
    """What keeps an item from being used; None: nothing."""
    if not isinstance(item, dict) or item.get("type") not in CALLS:
        return "type is required"
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
    """Do what an item says; people known by an anonymous id alone leave no trace here."""
    event, user_id = item.get("event"), str(item.get("userId") or "")
    if event == "User Unsuppressed":
        workspace.people.suppressed.discard(user_id)
    elif event == "Report Delivery Event":
        _report(workspace, item)
    elif event == "Object Deleted":
        _delete_object(workspace, _object(item.get("properties", {})))
    elif item["type"] == "group":
        _group(workspace, item, user_id)
    elif user_id and user_id not in workspace.people.suppressed:
        _BY_TYPE[item["type"]](workspace, item, user_id)


def put(workspace: SimulatedWorkspace, profile: Profile, traits: Json) -> None:
    """Set attributes of a person; a change of subscriptions is reported."""
    before = profile.is_unsubscribed
    now = workspace.clock.now()
    workspace.people.put(profile, traits, now)
    if profile.is_unsubscribed != before:
        metric = "unsubscribed" if profile.is_unsubscribed else "subscribed"
        workspace.delivery_engine.announce(profile, metric, now)
    if _PREFERENCES in traits:
        own = {"content": json.dumps(traits[_PREFERENCES])}
        workspace.delivery_engine.announce(profile, _CHANGED, now, own)


def _identify(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    traits = dict(item.get("traits", {}))
    put(workspace, workspace.people.claim(user_id, traits.get("email")), traits)


def _track(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    special = _SPECIAL.get(item["event"])
    if special is None:
        _remember(workspace, item, user_id)
    else:
        special(workspace, item, user_id)


def _remember(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
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
    key = _object({"objectTypeId": traits.pop("object_type_id", 1), "objectId": item["groupId"]})
    workspace.objects.setdefault(key, {}).update(traits)
    if user_id and user_id not in workspace.people.suppressed:
        objects = workspace.people.find_or_add(user_id).objects
        if key not in objects:
            objects.append(key)


def _delete_object(workspace: SimulatedWorkspace, key: tuple[int, str]) -> None:
    workspace.objects.pop(key, None)
    for profile in workspace.people:
        if key in profile.objects:
            profile.objects.remove(key)


def _unrelate(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    profile, key = workspace.people.find(user_id), _object(item.get("properties", {}))
    if profile is not None and key in profile.objects:
        profile.objects.remove(key)


def _alias(workspace: SimulatedWorkspace, item: Json, user_id: str) -> None:
    earlier = workspace.people.find(str(item["previousId"]))
    if earlier is None:
        return
    workspace.people.remove(earlier)
    profile = workspace.people.find_or_add(user_id)
    workspace.people.put(profile, earlier.attributes | profile.attributes, workspace.clock.now())


def _report(workspace: SimulatedWorkspace, item: Json) -> None:
    """Let a message be opened or the like because an app says so."""
    properties = item.get("properties", {})
    sent = workspace.delivery_engine.sent.get(str(properties.get("deliveryId", "")))
    metric = str(properties.get("metric", ""))
    own = {"href": properties["href"]} if "href" in properties else None
    if sent is None or not workspace.delivery_engine.report(
        sent, metric, workspace.clock.now(), own
    ):
        workspace.dropped.append("Report Delivery Event: no such delivery or metric")


def _object(properties: Json) -> tuple[int, str]:
    number = text_of(properties.get("objectTypeId", 1))
    return int(number) if number.isdecimal() else 1, str(properties.get("objectId", ""))


_Apply = Callable[[SimulatedWorkspace, Json, str], None]
_BY_TYPE: dict[str, _Apply] = {
    "identify": _identify,
    "track": _track,
    "page": _remember,
    "screen": _remember,
    "alias": _alias,
}
_SPECIAL: dict[str, _Apply] = {
    "User Deleted": _delete,
    "User Suppressed": _delete,
    "Device Created or Updated": _device,
    "Device Deleted": _device,
    "Relationship Deleted": _unrelate,
}
