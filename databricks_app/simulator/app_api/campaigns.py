"""Campaigns: which there are, and their metrics over time."""

from __future__ import annotations

from databricks_app.simulator.app_api.messages import type_of
from databricks_app.simulator.delivery_engine import SentMessage
from databricks_app.simulator.events.sample_workspace import SOURCES, Source
from databricks_app.simulator.messages import ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/campaigns/{campaign_id}"
CREATED = 1_700_000_000
_CAMPAIGNS = {int(source.id): source for source in SOURCES if source.origin == "campaign"}
# A period: (its length in seconds, most steps).
_PERIODS = {
    "hours": (3600, 24),
    "days": (86400, 45),
    "weeks": (7 * 86400, 12),
    "months": (30 * 86400, 120),
}
_RESOLUTIONS = {"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months"}


@routes("listCampaigns", "GET", "/v1/campaigns")
def list_(_workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """All of them."""
    return {"campaigns": [shown(source, "event") for source in _CAMPAIGNS.values()]}


@routes("getCampaigns", "GET", _PATH)
def get(_workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """One of them."""
    return {"campaign": shown(_campaign(request), "event")}


@routes("campaignMetrics", "GET", f"{_PATH}/metrics")
def metrics(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """How many messages reached each metric first, by period, oldest first."""
    version = request.query.get("version", "")
    return metrics_of(workspace, request, _campaign(request).id, version)


def metrics_of(
    workspace: SimulatedWorkspace, request: ApiRequest, number: int | str, version: str
) -> Json:
    """The metrics of one source of messages.

    Raises:
        Refused: 400, the period cannot be read.
    """
    starts, seconds = _periods(request, workspace.clock.now(), version)
    wanted = request.query.get("type")
    series: dict[str, list[int]] = {"created": [0] * len(starts)}
    for sent in workspace.delivery_engine.sent.values():
        if sent.delivery.source_id != number or wanted not in {None, type_of(sent)}:
            continue
        for metric, at in _moments(sent).items():
            place = (at - starts[0]) // seconds
            if 0 <= place < len(starts):
                series.setdefault(metric, [0] * len(starts))[place] += 1
    return {"metric": {"series": series}}


def shown(source: Source, type_: str) -> Json:
    """A source of messages as the App API shows it."""
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


def _moments(sent: SentMessage) -> dict[str, int]:
    return {"created": sent.created_at, **sent.metrics}


def _campaign(request: ApiRequest) -> Source:
    source = _CAMPAIGNS.get(request.id("campaign_id"))
    if source is None:
        raise Refused(404, "not found")
    return source


def _periods(request: ApiRequest, now: float, version: str) -> tuple[list[int], int]:
    """Where each period starts, in Unix seconds, and how long it is.

    Version 1 counts steps back from now, version 2 goes from `start` to `end`; in UTC always.
    """
    query = request.query
    if version not in {"1", "2"}:
        raise Refused(400, "version must be 1 or 2")
    is_first = version == "1"
    name = query.get("period" if is_first else "res", "days")
    if _RESOLUTIONS.get(name, name) not in _PERIODS:
        raise Refused(400, "the period must be hours, days, weeks or months")
    seconds, most = _PERIODS[_RESOLUTIONS.get(name, name)]
    end = int(now)
    steps = request.number("steps", 0, most) or min(most, 12 if name.startswith("month") else most)
    if not is_first and "start" in query:
        end = request.number("end", end, 1 << 40)
        steps = max(-(-(end - request.number("start", 0, 1 << 40)) // seconds), 1)
        if steps > most:
            raise Refused(400, f"at most {most} {name}")
    return [end + 1 - seconds * (steps - place) for place in range(steps)], seconds
