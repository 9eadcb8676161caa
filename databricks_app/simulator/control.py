"""The simulator's own interface under `/simulator`: time, faults, signing keys, what was sent.

It needs no key: everyone who reaches the socket may use it. So listen on loopback only. These
handlers take the workspace's lock themselves; the dispatcher takes it for all other handlers.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from databricks_app.simulator import pipelines
from databricks_app.simulator.app_api.reporting_webhooks import feed_of, webhook_json
from databricks_app.simulator.app_api.segments import segment_of
from databricks_app.simulator.faults import InjectedFault
from databricks_app.simulator.feeds import Feed
from databricks_app.simulator.messages import ApiReply, ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import CHANNELS, SimulatedWorkspace

if TYPE_CHECKING:
    from databricks_app.simulator.driver import Driver

_WEBHOOK = "/simulator/webhooks/{webhook_id}"
_MAX_SECONDS = 366 * 86400.0


def routes(driver: Driver) -> Routes:
    """Return the routes. Handlers that advance time or post a webhook are bound to the driver."""
    # The driver posts webhooks without the workspace's lock. A handler that held the lock while it
    # waits for the driver would block all other calls for that time.
    table = Routes("simulator", rate=None)
    table("simulator.state", "GET", "/simulator/state")(state)
    table("simulator.seed", "POST", "/simulator/state")(seed)
    table("simulator.clock", "GET", "/simulator/clock")(clock)
    table("simulator.set_clock", "POST", "/simulator/clock")(partial(set_clock, driver))
    table("simulator.faults", "GET", "/simulator/faults")(faults)
    table("simulator.add_fault", "POST", "/simulator/faults")(add_fault)
    table("simulator.clear_faults", "DELETE", "/simulator/faults")(clear_faults)
    table("simulator.webhooks", "GET", "/simulator/webhooks")(webhooks)
    table("simulator.signing_key", "GET", f"{_WEBHOOK}/signing_key")(signing_key)
    table("simulator.test", "POST", f"{_WEBHOOK}/test")(partial(test, driver))
    table("simulator.deliveries", "GET", "/simulator/deliveries")(deliveries)
    table("simulator.event", "POST", "/simulator/events")(event)
    table("simulator.members", "PUT", "/simulator/segments/{segment_id}/members")(members)
    return table


def state(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """Return the clock and the number of people, messages, events and scheduled calls."""
    with workspace.lock:
        return {
            "now": workspace.clock.now(),
            "speed": workspace.clock.speed,
            "seed": workspace.options.seed,
            "people": len(workspace.people),
            "suppressed": sorted(workspace.people.suppressed),
            "messages": len(workspace.delivery_engine.sent),
            "events": workspace.delivery_engine.event_count,
            "to_come": len(workspace.scheduler),
            "disabled_channels": sorted(workspace.disabled_channels),
            "dropped": list(workspace.dropped),
            "webhooks": [_feed_json(feed) for feed in workspace.feeds.all()],
        }


def seed(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Add people, and disable or enable channels."""
    body = request.json()
    with workspace.lock:
        for person in _list(body, "people"):
            fields = person if isinstance(person, dict) else {}
            attributes = fields.get("attributes", {})
            if not fields.get("id") or not isinstance(attributes, dict):
                raise Refused(400, "people: each entry needs an id; attributes must be an object")
            profile = workspace.people.identify(str(fields["id"]), attributes.get("email"))
            pipelines.put(workspace, profile, attributes)
        channels = _list(body, "disabled_channels")
        if "disabled_channels" in body:
            if any(one not in CHANNELS for one in channels):
                raise Refused(400, f"disabled_channels: the channels are {', '.join(CHANNELS)}")
            workspace.disabled_channels = set(channels)
    return state(workspace, request)


def clock(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """Return the simulated time and its speed."""
    return {"now": workspace.clock.now(), "speed": workspace.clock.speed}


def set_clock(driver: Driver, workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Change the speed, then advance the clock; answers when everything due has happened."""
    body = request.json()
    speed, seconds = _seconds(body, "speed"), _seconds(body, "advance_seconds")
    if speed is not None:
        workspace.clock.set_speed(speed)
    if seconds is not None:
        driver.advance(seconds)
    return clock(workspace, request)


def faults(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """Return the active faults."""
    with workspace.lock:
        return {"faults": [asdict(fault) for fault in workspace.faults.all]}


def add_fault(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Add a fault for the next calls of an operation; `InjectedFault` lists the fields."""
    fault = InjectedFault.from_json(request.json())
    with workspace.lock:
        workspace.faults.add(fault)
    return faults(workspace, request)


def clear_faults(workspace: SimulatedWorkspace, _request: ApiRequest) -> ApiReply:
    """Remove all faults."""
    with workspace.lock:
        workspace.faults.all.clear()
    return ApiReply(204)


def webhooks(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """Return every webhook with the state of its queue."""
    with workspace.lock:
        return {"webhooks": [_feed_json(feed) for feed in workspace.feeds.all()]}


def signing_key(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return the signing key of a webhook. The vendor shows it only in its web interface."""
    with workspace.lock:
        return {"signing_key": feed_of(workspace, request).key_text}


def test(driver: Driver, workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Post a test event, as the Send Test button does; returns the outcome."""
    with workspace.lock:
        feed = feed_of(workspace, request)
    return {"outcome": driver.test(feed)}


def deliveries(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return the newest webhook calls, oldest first."""
    limit = request.number("limit", 100, 10_000)
    wanted = request.query.get("webhook_id")
    with workspace.lock:
        found = [
            asdict(attempt)
            for attempt in workspace.feeds.attempts
            if wanted in {None, str(attempt.webhook_id)}
        ]
    return {"deliveries": found[-limit:] if limit else []}


def event(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Report sample events of one kind; returns how many webhooks queued each event."""
    body = request.json()
    count = body.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= 10_000:
        raise Refused(400, "count must be a whole number from 1 to 10,000")
    kind = str(body.get("object_type")), str(body.get("metric"))
    with workspace.lock:
        now = workspace.clock.now()
        try:
            queued = [workspace.delivery_engine.report_sample(*kind, now) for _ in range(count)]
        except KeyError as error:
            raise Refused(400, "no event has this object_type and metric") from error
    return {"queued_at_webhooks": queued[0]}


def members(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Set the members of a manual segment; unknown ids are ignored."""
    ids = _list(request.json(), "ids")
    with workspace.lock:
        segment = segment_of(workspace, request)
        if segment.predicate is not None:
            raise Refused(
                400, "only a manual segment has members that can be set; this has a filter"
            )
        found = [workspace.people.find(str(one)) for one in ids]
        segment.members = {one.cio_id: None for one in found if one is not None}
        return {"count": len(segment.members)}


def _feed_json(feed: Feed) -> Json:
    retry_state = feed.retry_state
    return webhook_json(feed.webhook) | {
        "fingerprint": feed.key.fingerprint,
        "queued": len(feed.queue),
        "next_at": feed.due_at,
        "failures": retry_state.failures if retry_state else 0,
        "failing_since": retry_state.first_at if retry_state else None,
    }


def _list(body: Json, name: str) -> list[Any]:
    value = body.get(name, [])
    if not isinstance(value, list):
        raise Refused(400, f"{name} must be a list")
    return value


def _seconds(body: Json, name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, f"{name} must be a number")
    if not 0 <= value <= _MAX_SECONDS:
        raise Refused(400, f"{name} must be from 0 to {_MAX_SECONDS:.0f}")
    return float(value)
