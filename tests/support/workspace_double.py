"""A workspace in memory: does what the Pipelines API is told, and shows it as the App API does.

It knows what the live tests need, so that the tests themselves can be tried without a workspace.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.vendor_server import Call, Reply

PIPELINES_AUTHORIZATION = "Basic cGlwZWxpbmVzX2tleTo="  # the key `pipelines_key`
APP_AUTHORIZATION = "Bearer app_key"
Json = dict[str, Any]

MISSING = Reply(404, b'{"errors":[{"status":"404","detail":"not found"}]}')


class WorkspaceDouble:
    """A script for a `VendorServer`.

    Attributes:
        people: Attributes, devices, objects and events of each person by id.
        objects: Attributes by type and id.
        suppressed: Ids that are ignored.
    """

    def __init__(self) -> None:
        self.people: dict[str, Json] = {}
        self.objects: dict[tuple[int, str], Json] = {}
        self.suppressed: set[str] = set()

    def __call__(self, call: Call) -> Reply:
        """Take items, or show what became of them."""
        if call.method == "POST":
            if call.headers["authorization"] != PIPELINES_AUTHORIZATION:
                return Reply(401)
            items = call.json["batch"] if call.target == "/v1/batch" else [call.json]
            if not all("type" in item for item in items):
                return Reply(400, b'{"meta":{"errors":["type is required"]}}')
            for item in items:
                self._take(item)
            return Reply()
        if call.headers["authorization"] != APP_AUTHORIZATION:
            return Reply(401)
        return self._show(call.target)

    def _take(self, item: Json) -> None:
        user_id = item.get("userId")
        if item.get("event") == "User Unsuppressed":
            self.suppressed.discard(item["userId"])
        elif user_id not in self.suppressed:
            getattr(self, f"_{item['type']}")(item, user_id)

    def _person(self, user_id: str) -> Json:
        new: Json = {"attributes": {}, "devices": [], "objects": [], "events": []}
        return self.people.setdefault(user_id, new)

    def _identify(self, item: Json, user_id: str) -> None:
        self._person(user_id)["attributes"].update(item["traits"])

    def _group(self, item: Json, user_id: str | None) -> None:
        traits = dict(item["traits"])
        key = (int(traits.pop("object_type_id")), item["groupId"])
        self.objects.setdefault(key, {}).update(traits)
        if user_id is not None and key not in self._person(user_id)["objects"]:
            self._person(user_id)["objects"].append(key)

    def _alias(self, item: Json, user_id: str) -> None:
        earlier = self.people.pop(item["previousId"])
        attributes = self._person(user_id)["attributes"]
        attributes.update(earlier["attributes"] | attributes)

    def _track(self, item: Json, user_id: str | None) -> None:
        event, properties = item["event"], item.get("properties", {})
        if event == "Object Deleted":
            self.objects.pop((properties["objectTypeId"], properties["objectId"]), None)
        elif user_id is None:
            return
        elif event in ("User Deleted", "User Suppressed"):
            self.people.pop(user_id, None)
            if event == "User Suppressed":
                self.suppressed.add(user_id)
        elif event == "Relationship Deleted":
            key = (properties["objectTypeId"], properties["objectId"])
            self._person(user_id)["objects"].remove(key)
        elif event in ("Device Created or Updated", "Device Deleted"):
            devices, token = self._person(user_id)["devices"], item["context"]["device"]["token"]
            devices[:] = [known for known in devices if known != token]
            if event != "Device Deleted":
                devices.append(token)
        else:
            self._person(user_id)["events"].append(event)

    def _show(self, target: str) -> Reply:
        parts = urlsplit(target)
        _, _, kind, *path = [unquote(part) for part in parts.path.split("/")]
        if kind == "objects":
            found = self.objects.get((int(path[0]), path[1]))
            return MISSING if found is None else _reply({"object": {"attributes": found}})
        person = self.people.get(path[0])
        if person is None:
            return MISSING
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return _reply(_PARTS[path[1]](person, query))


def _attributes(person: Json, _: Json) -> Json:
    shown = {name: str(value) for name, value in person["attributes"].items()}
    return {
        "customer": {
            "attributes": shown,
            "unsubscribed": person["attributes"].get("unsubscribed", False),
            "devices": [{"id": token} for token in person["devices"]],
        }
    }


def _relationships(person: Json, _: Json) -> Json:
    related = [
        {"object_type_id": type_id, "identifiers": {"object_id": object_id}}
        for type_id, object_id in person["objects"]
    ]
    return {"cio_relationships": related, "next": ""}


def _activities(person: Json, query: Json) -> Json:
    named = [name for name in person["events"] if name == query["name"]]
    return {"activities": [{"type": query["type"], "data": {"name": name}} for name in named]}


_PARTS = {
    "attributes": _attributes,
    "relationships": _relationships,
    "activities": _activities,
}


def _reply(body: Json) -> Reply:
    return Reply(200, json.dumps(body).encode())
