"""Exports: started, polled, downloaded by a signed URL of the simulator's own.

The vendor's file is at another host. Here it is below `/simulator`, and as there it needs no key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from databricks_app.simulator.app_api.messages import METRICS, message_json
from databricks_app.simulator.delivery_engine import SentMessage
from databricks_app.simulator.filters import compile_filter
from databricks_app.simulator.jobs import URL_SECONDS, SimulatedExport
from databricks_app.simulator.messages import ApiReply, ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
files = Routes("simulator", rate=None)
_PATH = "/v1/exports/{export_id}"
FILE = "/simulator/exports/{export_id}/file"
_SOURCES = {
    "newsletter_id": "newsletter_id",
    "campaign_id": "campaign_id",
    "transactional_message_id": "message_template_id",
    "action_id": "action_id",
}


@routes("listExports", "GET", "/v1/exports")
def list_(workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """All of them, oldest first."""
    return {"exports": [_shown(workspace, one) for one in workspace.jobs.exports.values()]}


@routes("getExport", "GET", _PATH)
def get(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """One of them."""
    return {"export": _shown(workspace, _export(workspace, request))}


@routes("downloadExport", "GET", f"{_PATH}/download")
def download(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """A URL of the file that works for 15 minutes."""
    export = _export(workspace, request)
    now = workspace.clock.now()
    if not export.is_done(now):
        raise Refused(404, "the export has no file yet")
    export.downloads += 1
    until = int(now + URL_SECONDS)
    path = FILE.format(export_id=export.id)
    signature = _signature(workspace, export.id, until)
    host = request.headers.get("host", "127.0.0.1")
    return {"url": f"http://{host}{path}?until={until}&signature={signature}"}


@routes("exportPeopleData", "POST", "/v1/exports/customers")
def customers(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Start an export of the people who match a filter: identifiers, then attributes."""
    test = compile_filter(request.json().get("filters"), workspace.segments.is_in)
    rows = [
        {**person.identifiers, **person.attributes} for person in workspace.people if test(person)
    ]
    return _started(workspace, "customers", rows)


@routes("exportDeliveriesData", "POST", "/v1/exports/deliveries")
def deliveries(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Start an export of the messages of one source, oldest first."""
    is_wanted = _wanted(request.json())
    every = workspace.delivery_engine.sent.values()
    return _started(workspace, "deliveries", [_row(sent) for sent in every if is_wanted(sent)])


@files("simulator.export_file", "GET", FILE)
def file(workspace: SimulatedWorkspace, request: ApiRequest) -> ApiReply:
    """The file of an export, for the one who has its URL."""
    with workspace.lock:
        export = _export(workspace, request)
        until = request.number("until", 0, 1 << 40)
        wanted = _signature(workspace, export.id, until)
        is_signed = hmac.compare_digest(request.query.get("signature", ""), wanted)
        if not is_signed or workspace.clock.now() > until:
            raise Refused(403, "the URL has expired")
        etag = hashlib.sha256(export.content).hexdigest()
        headers = {"ETag": f'"{etag}"', "Content-Type": "text/csv"}
        return ApiReply(200, None, headers, content=export.content)


def _started(workspace: SimulatedWorkspace, type_: str, rows: list[Json]) -> Json:
    export = workspace.jobs.add_export(type_, rows, workspace.clock.now())
    return {"export": _shown(workspace, export)}


def _export(workspace: SimulatedWorkspace, request: ApiRequest) -> SimulatedExport:
    export = workspace.jobs.exports.get(request.id("export_id"))
    if export is None:
        raise Refused(404, "not found")
    return export


def _shown(workspace: SimulatedWorkspace, export: SimulatedExport) -> Json:
    return {
        "id": export.id,
        "deduplicate_id": f"{export.id}:{int(export.created_at)}",
        "type": export.type,
        "status": "done" if export.is_done(workspace.clock.now()) else "pending",
        "failed": False,
        "description": f"{export.type} {export.id}",
        "total": export.total,
        "downloads": export.downloads,
        "user_id": 1,
        "user_email": "simulator@example.com",
        "created_at": int(export.created_at),
        "updated_at": int(export.created_at),
    }


def _wanted(body: Json) -> Callable[[SentMessage], bool]:
    """Read which messages are wanted.

    Raises:
        Refused: 400, names the field.
    """
    sources = [name for name in _SOURCES if name in body]
    if len(sources) != 1 or not isinstance(body[sources[0]], int):
        raise Refused(400, f"exactly one of {', '.join(_SOURCES)} is required")
    first, last = body.get("start", 0), body.get("end", 1 << 40)
    if not isinstance(first, int) or not isinstance(last, int):
        raise Refused(400, "start and end must be Unix seconds")
    metric = body.get("metric", "created")
    if metric not in {"created", *METRICS}:
        raise Refused(400, "metric is not known")
    source, number = _SOURCES[sources[0]], body[sources[0]]

    def is_wanted(sent: SentMessage) -> bool:
        is_draft = "drafted" in sent.metrics and "sent" not in sent.metrics
        return (
            message_json(sent)[source] == number
            and first <= sent.created_at <= last
            and (metric == "created" or metric in sent.metrics)
            and (not is_draft or body.get("drafts") is True)
        )

    return is_wanted


def _row(sent: SentMessage) -> Json:
    row = message_json(sent)
    names = ("id", "type", "customer_id", "recipient", "subject", "created")
    return {"delivery_id": row["id"], **{name: row[name] for name in names[1:]}, **sent.metrics}


def _signature(workspace: SimulatedWorkspace, export_id: int, until: int) -> str:
    text = f"{workspace.keys.private}/{export_id}/{until}"
    return hashlib.sha256(text.encode()).hexdigest()
