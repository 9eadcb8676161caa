"""Imports: a CSV file is fetched from its URL, and each row becomes a Pipelines item."""

from __future__ import annotations

import csv
import io
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from databricks_app.simulator import pipelines
from databricks_app.simulator.messages import ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes

if TYPE_CHECKING:
    from databricks_app.simulator.jobs import SimulatedImport
    from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_FETCH_SECONDS = 10.0
_MAX_BYTES = 32 << 20
_TYPES = ("people", "event", "object", "relationship")
_PROCESSED = ("all", "only_new", "only_existing")


@routes("import", "POST", "/v1/imports")
def create(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Start an import; the file is fetched at once, its rows are there a moment later."""
    fields = _checked(request.json().get("import"))
    started = workspace.jobs.add_import(fields, workspace.clock.now())
    # Not under the lock of the workspace: the file may be slow, or at a server that calls us.
    threading.Thread(target=_run, args=(workspace, started), name="import", daemon=True).start()
    return {"import": _shown(started)}


@routes("getImport", "GET", "/v1/imports/{import_id}")
def get(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """One of them."""
    found = workspace.jobs.imports.get(request.id("import_id"))
    if found is None:
        raise Refused(404, "not found")
    return {"import": _shown(found)}


def _checked(given: object) -> Json:
    """Read what to import.

    Raises:
        Refused: 400, names the field.
    """
    fields: Json = given if isinstance(given, dict) else {}
    for name in ("name", "data_file_url"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise Refused(400, f"import.{name} is required")
    if urlsplit(fields["data_file_url"]).scheme not in ("http", "https"):
        raise Refused(400, "import.data_file_url must begin with https://")
    if fields.get("type") not in _TYPES:
        raise Refused(400, f"import.type must be one of {', '.join(_TYPES)}")
    if fields["type"] != "object" and fields.get("identifier") not in ("id", "email"):
        raise Refused(400, "import.identifier must be id or email")
    if fields["type"] in ("object", "relationship") and "object_type_id" not in fields:
        raise Refused(400, "import.object_type_id is required")
    if fields.get("data_to_process", "all") not in _PROCESSED:
        raise Refused(400, f"import.data_to_process must be one of {', '.join(_PROCESSED)}")
    return fields


def _run(workspace: SimulatedWorkspace, started: SimulatedImport) -> None:
    try:
        rows = _fetched(started.fields["data_file_url"])
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer, with its socket
        with workspace.lock:
            started.state, started.error = "failed", f"data_file_url: {type(error).__name__}"
        return
    with workspace.lock:
        started.rows = len(rows)
        for row in rows:
            item = _item(started.fields, row)
            if item is not None and _is_due(workspace, started.fields, item):
                pipelines.apply(workspace, item)
                started.imported += 1
        started.state = "imported"


def _fetched(url: str) -> list[dict[str, str]]:
    # Its scheme was checked; this is a server for tests, which has no secrets to reach.
    with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as answer:  # noqa: S310
        content = answer.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("too large")
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    return [{str(name): text or "" for name, text in row.items()} for row in reader]


def _item(fields: Json, row: dict[str, str]) -> Json | None:
    """Make a Pipelines item of a row; None if its ids are missing."""
    rest = dict(row)
    type_ = fields["type"]
    person = rest.pop(fields["identifier"], "") if type_ != "object" else "-"
    thing = rest.pop("object_id", "") if type_ in ("object", "relationship") else "-"
    event = rest.pop("event", "") or rest.pop("name", "") if type_ == "event" else "-"
    if not (person and thing and event):
        return None
    if type_ == "people":
        return {"type": "identify", "userId": person, "traits": rest}
    if type_ == "event":
        return {"type": "track", "userId": person, "event": event, "properties": rest}
    whole: Json = {**rest, "object_type_id": fields["object_type_id"]}
    who = {"anonymousId": thing} if type_ == "object" else {"userId": person}
    return {"type": "group", "groupId": thing, "traits": whole, **who}


def _is_due(workspace: SimulatedWorkspace, fields: Json, item: Json) -> bool:
    wanted = fields.get("data_to_process", "all")
    if wanted == "all" or "userId" not in item:
        return True
    is_there = workspace.people.find(str(item["userId"])) is not None
    return is_there is (wanted == "only_existing")


def _shown(one: SimulatedImport) -> Json:
    return {
        "id": one.id,
        **{name: one.fields.get(name, "") for name in ("name", "description", "type")},
        "identifier": one.fields.get("identifier", ""),
        "object_type_id": str(one.fields.get("object_type_id", "")),
        "data_to_process": one.fields.get("data_to_process", "all"),
        "state": one.state,
        "rows_to_import": one.rows,
        "rows_imported": one.imported,
        "error": one.error,
        "created_at": int(one.created_at),
        "updated_at": int(one.created_at),
    }
