"""The sandbox workspace: its settings, a client that writes, and methods that read.

The tests write through the Data Pipelines API and read through the App API. New data appears there
after some time, so the tests wait for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from core.errors import NotFoundError
from core.http.api_key import ApiKey
from core.http.client import Access, HttpClient, read_json
from core.http.exchange import Operation
from core.http.rate_limits import Rate
from core.http.regions import base_url
from core.pipelines import PipelinesClient

PIPELINES_KEY = "CIO_LIVE_PIPELINES_KEY"
APP_KEY = "CIO_LIVE_APP_KEY"
VARIABLES = (PIPELINES_KEY, APP_KEY)
RATES = {"default": Rate(limit=10, per_seconds=1.0)}
WAIT_SECONDS = 120.0

Answer = TypeVar("Answer")
Json = dict[str, Any]


def _read_operation(name: str, path: str) -> Operation:
    return Operation(name, "GET", path, is_repeatable=True)


PERSON = _read_operation("getPersonAttributes", "/v1/customers/{customer_id}/attributes")
RELATIONSHIPS = _read_operation(
    "getPersonRelationships", "/v1/customers/{customer_id}/relationships"
)
ACTIVITIES = _read_operation("getPersonActivities", "/v1/customers/{customer_id}/activities")
OBJECT = _read_operation(
    "getObjectAttributes", "/v1/objects/{object_type_id}/{object_id}/attributes"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Keys and region of the sandbox; the URLs are for a double of Customer.io only."""

    pipelines_key: str = field(repr=False)
    app_key: str = field(repr=False)
    region: str
    pipelines_url: str | None
    app_url: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Read the settings; None if a key is missing."""
        if not all(environment.get(name, "").strip() for name in VARIABLES):
            return None
        return cls(
            pipelines_key=environment[PIPELINES_KEY],
            app_key=environment[APP_KEY],
            region=environment.get("CIO_LIVE_REGION", "us"),
            pipelines_url=environment.get("CIO_LIVE_PIPELINES_URL"),
            app_url=environment.get("CIO_LIVE_APP_URL"),
        )


class Workspace:
    """The sandbox; `send` is its `PipelinesClient`."""

    def __init__(self, settings: Settings) -> None:
        key = ApiKey(settings.app_key)
        region = key.region or settings.region
        self.send = PipelinesClient(
            settings.pipelines_key, region=region, base_url=settings.pipelines_url
        )
        self._app = HttpClient(
            Access(
                base_url=settings.app_url or base_url("app", region),
                authorization=key.bearer,
                scrub=key.scrub,
                headers={"user-agent": "ciolake-live-tests"},
            ),
            RATES,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send.close()
        self._app.close()

    def person(self, user_id: str) -> Json | None:
        """Read a person: `attributes`, `devices`, `unsubscribed`; None if there is none."""
        answer = self._read(PERSON, {"customer_id": user_id}, {"id_type": "id"})
        return None if answer is None else answer["customer"]

    def traits(self, user_id: str) -> Json | None:
        """Read a person's attributes; None if there is no such person."""
        person = self.person(user_id)
        return None if person is None else person["attributes"]

    def tokens(self, user_id: str) -> list[str]:
        """List the tokens of a person's devices."""
        person = self.person(user_id) or {}
        return [str(device.get("id") or device.get("token")) for device in person["devices"]]

    def object_attributes(self, object_id: str, object_type_id: int = 1) -> Json | None:
        """Read an object's attributes; None if there is none."""
        path: dict[str, str | int] = {"object_type_id": object_type_id, "object_id": object_id}
        answer = self._read(OBJECT, path, {})
        found = (answer or {}).get("object") or {}
        return found.get("attributes")

    def objects_of(self, user_id: str) -> list[str]:
        """List the ids of the objects a person is related to."""
        answer = self._read(RELATIONSHIPS, {"customer_id": user_id}, {}) or {}
        related = answer.get("cio_relationships") or []
        return [one["identifiers"].get("object_id") for one in related]

    def has_event(self, user_id: str, name: str) -> bool:
        """Whether the activities of a person have an event with this name."""
        query = {"type": "event", "name": name, "id_type": "id"}
        answer = self._read(ACTIVITIES, {"customer_id": user_id}, query) or {}
        return bool(answer.get("activities"))

    def _read(
        self, operation: Operation, path: Mapping[str, str | int], query: Mapping[str, str]
    ) -> Json | None:
        try:
            answer = self._app.call(operation, path=path, query=query)
        except NotFoundError:
            return None
        whole: Json | None = read_json(operation, answer)
        return whole


def eventually(
    read: Callable[[], Answer],
    is_so: Callable[[Answer], object],
    *,
    seconds: float = WAIT_SECONDS,
    pause_seconds: float = 2.0,
) -> Answer:
    """Read until `is_so` is true or the time is over; return the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = read()
        if is_so(answer) or time.monotonic() >= deadline:
            return answer
        time.sleep(pause_seconds)
