"""Campaigns: list them, and read their metrics over time."""

from __future__ import annotations

from databricks_app.simulator.app_api.messages import type_of
from databricks_app.simulator.events.sample_workspace import SOURCES, Source
from databricks_app.simulator.messages import ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/campaigns/{campaign_id}"
# A fixed time, so that answers are the same in each run.
CREATED = 1_700_000_000
_CAMPAIGNS = {int(source.id): source for source in SOURCES if source.origin == "campaign"}
# For each period: (length in seconds, maximum number of steps).
_PERIODS = {
    "hours": (3600, 24),
    "days": (86400, 45),
    "weeks": (7 * 86400, 12),
    "months": (30 * 86400, 120),
}
_RESOLUTIONS = {"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months"}


@routes("listCampaigns", "GET", "/v1/campaigns")
def list_(_workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """List all campaigns."""
    return {"campaigns": [source_json(source, "event") for source in _CAMPAIGNS.values()]}


@routes("getCampaigns", "GET", _PATH)
def get(_workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one campaign."""
    return {"campaign": source_json(_campaign(request), "event")}


@routes("campaignMetrics", "GET", f"{_PATH}/metrics")
def metrics(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Count the messages by metric and by the period of its first event, oldest first."""
    version = request.query.get("version", "")
    return metrics_of(workspace, request, _campaign(request).id, version)


def metrics_of(
    workspace: SimulatedWorkspace, request: ApiRequest, number: int | str, version: str
) -> Json:
    """Count the messages of a campaign or newsletter by metric and period.

    Raises:
        Refused: 400, the period cannot be read.
    """
    starts, seconds = _periods(request, workspace.clock.now(), version)
    type_ = request.query.get("type")
    series: dict[str, list[int]] = {"created": [0] * len(starts)}
    for sent in workspace.delivery_engine.sent.values():
        if sent.delivery.source_id != number or type_ not in {None, type_of(sent)}:
            continue
        for metric, at in {"created": sent.created_at, **sent.metrics}.items():
            index = (at - starts[0]) // seconds
            if 0 <= index < len(starts):
                series.setdefault(metric, [0] * len(starts))[index] += 1
    return {"metric": {"series": series}}


def source_json(source: Source, type_: str) -> Json:
    """Return a campaign or broadcast as the App API shows it."""
    return {
        "id": source.id,
        "deduplicate_id": f"{source.id}:{CREATED}",
        "name": source.messages[0].subject,
        "type": type_,
        "created": CREATED,
        "updated": CREATED,
        "active": True,
        "state": "running",
        "first_started": CREATED,
        "tags": None,
        "actions": [
            {"id": action, "type": message.channel}
            for message in source.messages
            for action in message.actions
        ],
    }


def _campaign(request: ApiRequest) -> Source:
    source = _CAMPAIGNS.get(request.id("campaign_id"))
    if source is None:
        raise Refused(404, "not found")
    return source


def _periods(request: ApiRequest, now: float, version: str) -> tuple[list[int], int]:
    """Return the start of each period, in Unix seconds, and the length of a period in seconds."""
    # Version 1 counts `steps` back from now, version 2 goes from `start` to `end`. Periods are in
    # UTC, whatever `tz` says.
    query = request.query
    if version not in {"1", "2"}:
        raise Refused(400, "version must be 1 or 2")
    is_version_1 = version == "1"
    parameter = "period" if is_version_1 else "res"
    name = query.get(parameter, "days")
    if _RESOLUTIONS.get(name, name) not in _PERIODS:
        raise Refused(400, f"{parameter} must be hours, days, weeks or months")
    seconds, maximum = _PERIODS[_RESOLUTIONS.get(name, name)]
    end = int(now)
    default = 12 if name.startswith("month") else maximum
    steps = request.number("steps", 0, maximum) or default
    if not is_version_1 and "start" in query:
        end = request.number("end", end, 1 << 40)
        steps = max(-(-(end - request.number("start", 0, 1 << 40)) // seconds), 1)  # rounded up
        if steps > maximum:
            raise Refused(400, f"start to end may span at most {maximum} {name}")
    return [end + 1 - seconds * (steps - index) for index in range(steps)], seconds
