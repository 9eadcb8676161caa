"""ESP suppression: addresses that the email service provider does not send to, by kind.

They are kept and listed. Sends of the simulator do not look at them.
"""

from __future__ import annotations

from databricks_app.simulator.messages import ApiReply, ApiRequest, Json, Refused, page
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
KINDS = ("blocks", "bounces", "spam_reports", "invalid_emails")
_ONE = "/v1/esp/suppression/{suppression_type}/{email_address}"


@routes("getSuppression", "GET", "/v1/esp/search_suppression/{email_address}")
def search(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Every kind that an address is suppressed for."""
    address = request.values["email_address"].lower()
    kinds = [kind for kind in KINDS if address in workspace.suppressions.get(kind, {})]
    rows = [_shown(kind, address, workspace.suppressions[kind][address]) for kind in kinds]
    return {"category": kinds[0] if kinds else "", "suppressions": rows}


@routes("getSuppressionByType", "GET", "/v1/esp/suppression/{suppression_type}")
def list_(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """The addresses of one kind, oldest first, by offset."""
    kind, rows = _listed(workspace, request)
    first = request.number("offset", 0, 1 << 40)
    limit = max(request.number("limit", 100, 1000), 1)
    return {"category": kind, "suppressions": rows[first : first + limit]}


@routes(
    "getDomainSuppressionsByType",
    "GET",
    "/v1/esp/domains/{domain_name}/suppression/{suppression_type}",
)
def domain(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """The same by tokens: here every sending domain has the same list."""
    kind, rows = _listed(workspace, request)
    items, then = page(rows, request, 100, 1000)
    return {"category": kind, "suppressions": items, "next": then}


@routes("postSuppression", "POST", _ONE)
def create(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Suppress an address; a second time changes nothing."""
    kept = workspace.suppressions.setdefault(_kind(request), {})
    kept.setdefault(request.values["email_address"].lower(), int(workspace.clock.now()))
    return {}


@routes("deleteSuppression", "DELETE", _ONE)
def delete(workspace: SimulatedWorkspace, request: ApiRequest) -> ApiReply:
    """End the suppression of an address."""
    kept = workspace.suppressions.get(_kind(request), {})
    if kept.pop(request.values["email_address"].lower(), None) is None:
        raise Refused(404, "not found")
    return ApiReply(204)


def _listed(workspace: SimulatedWorkspace, request: ApiRequest) -> tuple[str, list[Json]]:
    kind = _kind(request)
    address, domain_name = request.query.get("email", ""), request.query.get("domain", "")
    rows = [
        _shown(kind, one, created)
        for one, created in workspace.suppressions.get(kind, {}).items()
        if address.lower() in ("", one) and one.endswith(f"@{domain_name}" if domain_name else "")
    ]
    return kind, rows


def _kind(request: ApiRequest) -> str:
    kind = request.values["suppression_type"]
    if kind not in KINDS:
        raise Refused(400, f"suppression_type must be one of {', '.join(KINDS)}")
    return kind


def _shown(kind: str, address: str, created: int) -> Json:
    return {"created": created, "email": address, "reason": kind, "status": ""}
