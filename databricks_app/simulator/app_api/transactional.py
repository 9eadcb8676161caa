"""Transactional messages: list them, and the messages that were sent from them."""

from __future__ import annotations

from databricks_app.simulator.app_api.messages import messages_page
from databricks_app.simulator.messages import ApiRequest, Json, Refused
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.templates import TEMPLATES, Template
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()
_PATH = "/v1/transactional/{transactional_id}"
_CREATED = 1_700_000_000


@routes("listTransactional", "GET", "/v1/transactional")
def list_(_workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """List all transactional messages."""
    return {"messages": [_template_json(template) for template in TEMPLATES]}


@routes("getTransactional", "GET", _PATH)
def get(_workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """Return one transactional message."""
    return {"message": _template_json(_template(request))}


@routes("transactionalMessages", "GET", f"{_PATH}/messages")
def messages(workspace: SimulatedWorkspace, request: ApiRequest) -> Json:
    """List the messages that were sent from one of them, newest first, in pages."""
    number = _template(request).id
    return messages_page(workspace, request, lambda sent: sent.template_id == number)


def _template(request: ApiRequest) -> Template:
    number = request.id("transactional_id")
    found = next((template for template in TEMPLATES if template.id == number), None)
    if found is None:
        raise Refused(404, "not found")
    return found


def _template_json(template: Template) -> Json:
    return {
        "id": template.id,
        "name": template.name,
        "trigger_name": template.trigger_name,
        "description": f"Sent by {template.channel}",
        "send_to_unsubscribed": True,
        "link_tracking": True,
        "open_tracking": True,
        "hide_message_body": False,
        "queue_drafts": False,
        "created_at": _CREATED,
        "updated_at": _CREATED,
    }
