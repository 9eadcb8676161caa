"""The Statement Execution API over the same engine.

A failed statement is answered 200 with the state FAILED. With `wait_timeout` 0s the answer comes at
once. Else the call waits so long; `on_wait_timeout` then decides whether the statement continues.

Not simulated: external links, Arrow streams, results in several chunks, the limit of 25 MiB for an
inline result, results that expire after an hour.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.doubles.messages import Json, Refused, Request
from tests.doubles.routing import Routes
from tests.doubles.warehouse.executions import Execution
from tests.doubles.warehouse.queries import Parameter, Session
from tests.doubles.warehouse.results import json_rows, type_of

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_API = "/api/2.0/sql/statements"
_MIN_WAIT_SECONDS, _MAX_WAIT_SECONDS = 5, 50


@routes.on("POST", _API, "statements.execute")
def execute(workspace: Workspace, request: Request) -> Json:
    """Run a statement."""
    body = request.json()
    warehouse = workspace.warehouses.get(str(request.field("warehouse_id")))
    if (
        body.get("format", "JSON_ARRAY") != "JSON_ARRAY"
        or body.get("disposition", "INLINE") != "INLINE"
    ):
        text = "The double supports only the disposition INLINE with the format JSON_ARRAY."
        raise Refused(400, "INVALID_PARAMETER_VALUE", text)
    found = re.fullmatch(r"(\d+)s", str(body.get("wait_timeout", "10s")))
    seconds = int(found[1]) if found else -1
    if seconds != 0 and not _MIN_WAIT_SECONDS <= seconds <= _MAX_WAIT_SECONDS:
        raise Refused(400, "INVALID_PARAMETER_VALUE", "wait_timeout must be 0s or 5s to 50s.")
    session = Session(
        str(body.get("catalog") or "main").lower(),
        str(body.get("schema") or "default").lower(),
        request.principal,
    )
    text = str(request.field("statement"))
    if len(text.encode()) > workspace.limits.statement_bytes:
        raise Refused(400, "INVALID_PARAMETER_VALUE", "The statement is longer than 16 MiB.")
    execution = Execution(text)
    with workspace.sessions.lock:
        workspace.sessions.operations[execution.id.bytes] = execution
    warehouse.start()
    parameters = [
        Parameter(one.get("name"), one.get("type") or "STRING", one.get("value"))
        for one in body.get("parameters", [])
    ]
    execution.start(workspace.engine, session, parameters, warehouse.seconds_left())
    if seconds and not execution.wait(seconds) and body.get("on_wait_timeout") == "CANCEL":
        execution.cancel()
    return _as_json(execution)


@routes.on("GET", f"{_API}/{{id}}", "statements.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return the state of a statement, with its rows after a success."""
    return _as_json(_execution(workspace, request))


@routes.on("GET", f"{_API}/{{id}}/result/chunks/{{index}}", "statements.chunk")
def chunk(workspace: Workspace, request: Request) -> Json:
    """Return the rows of a statement; all are in chunk 0."""
    shown = _as_json(_execution(workspace, request))
    if request.arguments["index"] != "0" or "result" not in shown:
        raise Refused(404, "NOT_FOUND", "There is no such chunk.")
    return shown["result"]


@routes.on("GET", "/api/2.0/sql/history/queries", "queries.history")
def history(workspace: Workspace, request: Request) -> Json:
    """List the statements that have not ended; those that have ended are forgotten."""
    workspace.warehouses.get(request.query["filter_by.warehouse_ids"])
    status = request.query.get("filter_by.statuses")
    known = {"PENDING": "QUEUED", "RUNNING": "RUNNING"}
    found = [
        {"query_id": str(one.id), "status": known[one.state]}
        for one in list(workspace.sessions.operations.values())
        if one.state in known and status in {None, known[one.state]}
    ]
    return {"res": found[: int(request.query.get("max_results", 100))]}


@routes.on("POST", f"{_API}/{{id}}/cancel", "statements.cancel")
def cancel(workspace: Workspace, request: Request) -> Json:
    """Cancel a statement."""
    _execution(workspace, request).cancel()


def _execution(workspace: Workspace, request: Request) -> Execution:
    for execution in list(workspace.sessions.operations.values()):
        if str(execution.id) == request.arguments["id"]:
            return execution
    raise Refused(404, "NOT_FOUND", f"The statement {request.arguments['id']} was not found.")


def _as_json(execution: Execution) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "statement_id": str(execution.id),
        "status": {"state": execution.state},
    }
    if execution.state == "FAILED":
        error = {"error_code": "BAD_REQUEST", "message": execution.failure}
        shown["status"] |= {"error": error, "sql_state": execution.sql_state}
    if execution.state == "SUCCEEDED" and execution.rows is not None:
        rows = execution.rows
        columns = [
            {"name": field.name, "position": index, "type_name": name, "type_text": name}
            for index, field in enumerate(rows.schema)
            for name in [type_of(field.type)[1]]
        ]
        shown["manifest"] = {
            "format": "JSON_ARRAY",
            "schema": {"column_count": len(columns), "columns": columns},
            "total_chunk_count": 1,
            "total_row_count": rows.num_rows,
            "truncated": False,
        }
        shown["result"] = {
            "chunk_index": 0,
            "row_offset": 0,
            "row_count": rows.num_rows,
            "data_array": json_rows(rows) if rows.num_columns else [],
        }
    return shown
