"""The Thrift protocol of a SQL warehouse, with the generated code of the connector.

Not simulated: cloud fetch (results are inline), LZ4, staging operations (PUT, GET, REMOVE),
queries for metadata (GetTables and others), sessions that expire by time.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.doubles.messages import Answer, Json, Refused, Request
from tests.doubles.routing import Routes
from tests.doubles.warehouse import generated
from tests.doubles.warehouse.executions import Execution
from tests.doubles.warehouse.generated import types as ttypes
from tests.doubles.warehouse.queries import Parameter, Session
from tests.doubles.warehouse.results import batches, column_descriptions, named

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_DIRECT_SECONDS = 10.0
_POLL_SECONDS = 1.0
_OK = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
_STATES = {
    "PENDING": ttypes.TOperationState.PENDING_STATE,
    "RUNNING": ttypes.TOperationState.RUNNING_STATE,
    "SUCCEEDED": ttypes.TOperationState.FINISHED_STATE,
    "FAILED": ttypes.TOperationState.ERROR_STATE,
    "CANCELED": ttypes.TOperationState.CANCELED_STATE,
}


def describe(request: Request) -> None:
    """Set operation and statement of a Thrift request from its body, for faults and counters."""
    if request.operation == "sql.thrift":
        name, arguments, _ = _decoded(request.body)
        request.operation = f"sql.{name}"
        request.statement = getattr(arguments.req, "statement", None) or ""


@routes.on("POST", "/sql/1.0/warehouses/{id}", "sql.thrift")
def call(workspace: Workspace, request: Request) -> Json:
    """Answer one call of the protocol."""
    name, arguments, sequence = _decoded(request.body)
    warehouse = workspace.warehouses.get(request.arguments["id"])
    if warehouse.state != "RUNNING":
        warehouse.start()
        if warehouse.seconds_left() > 0:
            text = f"The warehouse {warehouse.id} is starting."
            headers = {"Retry-After": "1", "X-Thriftserver-Error-Message": text}
            raise Refused(503, "TEMPORARILY_UNAVAILABLE", text, headers=headers)
    handle = _CALLS.get(name)
    if handle is None:
        kind = generated.problem.UNKNOWN_METHOD
        unknown = generated.problem(kind, f"The double does not support {name}")
        return _encoded(name, generated.message.EXCEPTION, sequence, unknown)
    result = getattr(generated.service, f"{name}_result")()
    result.success = handle(workspace, request.principal, arguments.req)
    return _encoded(name, generated.message.REPLY, sequence, result)


def _open_session(workspace: Workspace, principal: str, req: Any) -> Any:
    session = Session(principal=principal)
    if namespace := req.initialNamespace:
        session.catalog = (namespace.catalogName or session.catalog).lower()
        session.schema = (namespace.schemaName or session.schema).lower()
    key = uuid.uuid4().bytes
    with workspace.sessions.lock:
        workspace.sessions.sessions[key] = session
    identifier = ttypes.THandleIdentifier(guid=key, secret=uuid.uuid4().bytes)
    return ttypes.TOpenSessionResp(
        status=_OK,
        serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V8,
        sessionHandle=ttypes.TSessionHandle(sessionId=identifier),
        configuration={},
        initialNamespace=req.initialNamespace,
        canUseMultipleCatalogs=True,
    )


def _close_session(workspace: Workspace, _principal: str, req: Any) -> Any:
    found = workspace.sessions.sessions.pop(req.sessionHandle.sessionId.guid, None)
    return ttypes.TCloseSessionResp(status=_OK if found else _invalid("session"))


def _execute(workspace: Workspace, _principal: str, req: Any) -> Any:
    session = workspace.sessions.sessions.get(req.sessionHandle.sessionId.guid)
    if session is None:
        return ttypes.TExecuteStatementResp(status=_invalid("session"))
    execution = Execution(req.statement)
    with workspace.sessions.lock:
        workspace.sessions.operations[execution.id.bytes] = execution
    execution.start(workspace.engine, session, [_parameter(one) for one in req.parameters or []])
    handle = ttypes.TOperationHandle(
        operationId=ttypes.THandleIdentifier(guid=execution.id.bytes, secret=uuid.uuid4().bytes),
        operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
        hasResultSet=True,
    )
    response = ttypes.TExecuteStatementResp(status=_OK, operationHandle=handle)
    if req.getDirectResults is not None:
        execution.wait(_DIRECT_SECONDS)
        direct = ttypes.TSparkDirectResults(operationStatus=_status_of(execution))
        if execution.state == "SUCCEEDED":
            direct.resultSetMetadata = _metadata_of(execution)
            direct.resultSet = _page(execution, req.getDirectResults.maxRows)
            if not direct.resultSet.hasMoreRows:
                workspace.sessions.operations.pop(execution.id.bytes, None)
                direct.closeOperation = ttypes.TCloseOperationResp(status=_OK)
        response.directResults = direct
    return response


def _status(workspace: Workspace, _principal: str, req: Any) -> Any:
    execution = _operation(workspace, req)
    if execution is None:
        return ttypes.TGetOperationStatusResp(status=_invalid("operation"))
    execution.wait(_POLL_SECONDS)
    return _status_of(execution)


def _metadata(workspace: Workspace, _principal: str, req: Any) -> Any:
    execution = _operation(workspace, req)
    if execution is None:
        return ttypes.TGetResultSetMetadataResp(status=_invalid("operation"))
    return _metadata_of(execution)


def _fetch(workspace: Workspace, _principal: str, req: Any) -> Any:
    execution = _operation(workspace, req)
    if execution is None or execution.rows is None:
        return ttypes.TFetchResultsResp(status=_invalid("operation"))
    page = _page(execution, req.maxRows)
    if req.includeResultSetMetadata:
        page.resultSetMetadata = _metadata_of(execution)
    return page


def _cancel(workspace: Workspace, _principal: str, req: Any) -> Any:
    execution = _operation(workspace, req)
    if execution is not None:
        execution.cancel()
    return ttypes.TCancelOperationResp(status=_OK if execution else _invalid("operation"))


def _close(workspace: Workspace, _principal: str, req: Any) -> Any:
    execution = workspace.sessions.operations.pop(req.operationHandle.operationId.guid, None)
    if execution is not None:
        execution.cancel()
    return ttypes.TCloseOperationResp(status=_OK if execution else _invalid("operation"))


_CALLS = {
    "OpenSession": _open_session,
    "CloseSession": _close_session,
    "ExecuteStatement": _execute,
    "GetOperationStatus": _status,
    "GetResultSetMetadata": _metadata,
    "FetchResults": _fetch,
    "CancelOperation": _cancel,
    "CloseOperation": _close,
}


def _operation(workspace: Workspace, req: Any) -> Execution | None:
    return workspace.sessions.operations.get(req.operationHandle.operationId.guid)


def _invalid(what: str) -> Any:
    text = f"Invalid {what.title()}Handle: the {what} is closed or does not exist."
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.INVALID_HANDLE_STATUS, sqlState="HY000", errorMessage=text
    )


def _status_of(execution: Execution) -> Any:
    status = ttypes.TGetOperationStatusResp(
        status=_OK, operationState=_STATES[execution.state], hasResultSet=True
    )
    if execution.state == "FAILED":
        status.sqlState = execution.sql_state
        status.errorMessage = status.displayMessage = execution.failure
        status.diagnosticInfo = execution.failure
    if execution.rows is not None and "num_affected_rows" in execution.rows.column_names:
        status.numModifiedRows = execution.rows.column("num_affected_rows")[0].as_py()
    return status


def _metadata_of(execution: Execution) -> Any:
    rows = named(execution.rows)
    return ttypes.TGetResultSetMetadataResp(
        status=_OK,
        schema=ttypes.TTableSchema(columns=column_descriptions(rows.schema)),
        resultFormat=ttypes.TSparkRowSetType.ARROW_BASED_SET,
        lz4Compressed=False,
        arrowSchema=rows.schema.serialize().to_pybytes(),
        isStagingOperation=False,
    )


def _page(execution: Execution, max_rows: int) -> Any:
    rows = named(execution.rows)
    start = execution.position
    page = rows.slice(start, max_rows)
    execution.position = start + page.num_rows
    return ttypes.TFetchResultsResp(
        status=_OK,
        hasMoreRows=execution.position < rows.num_rows,
        results=ttypes.TRowSet(startRowOffset=start, rows=[], arrowBatches=batches(page)),
    )


def _parameter(given: Any) -> Parameter:
    if given.arguments:
        text = "The double does not support nested parameters."
        raise Refused(400, "INVALID_PARAMETER_VALUE", text)
    value = given.value.stringValue if given.value is not None else None
    return Parameter(given.name, given.type or "STRING", value)


def _decoded(body: bytes) -> tuple[str, Any, int]:
    protocol = generated.protocol(generated.buffer(body))
    name, _, sequence = protocol.readMessageBegin()
    arguments = getattr(generated.service, f"{name}_args")()
    arguments.read(protocol)
    protocol.readMessageEnd()
    return name, arguments, sequence


def _encoded(name: str, kind: int, sequence: int, value: Any) -> Answer:
    buffer = generated.buffer()
    protocol = generated.protocol(buffer)
    protocol.writeMessageBegin(name, kind, sequence)
    value.write(protocol)
    protocol.writeMessageEnd()
    return Answer(200, buffer.getvalue(), {"Content-Type": "application/x-thrift"})
