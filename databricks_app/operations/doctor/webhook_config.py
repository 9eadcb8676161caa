"""The check of Customer.io's configuration: a reporting webhook exists and posts to us."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from databricks_app.endpoint import WEBHOOK_PATH, is_webhook_path
from databricks_app.operations.doctor.endpoint import base_url
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, together
from databricks_app.operations.workspaces.app_api import NoAppApiKey, access, names

if TYPE_CHECKING:
    from core.app_api.types.reporting_webhooks import ReportingWebhook
    from databricks_app.operations.doctor.context import DoctorContext

_FIX = "correct the webhook in Customer.io, on the page Reporting Webhooks"


def webhook(context: DoctorContext) -> CheckResult:
    """Check that in each workspace an enabled reporting webhook posts to the endpoint."""
    chosen = context.app_api.workspace
    known = names(context.variables)
    if chosen is not None or len(known) == 1:
        return _of(chosen, context)
    return together({name: _of(name, context) for name in known})


def _of(workspace: str | None, context: DoctorContext) -> CheckResult:
    """Check one workspace; None means the only one."""
    from core.app_api.client import AppClient
    from core.errors import CustomerIOError
    from core.http.retries import NO_RETRIES

    where = replace(context.app_api, workspace=workspace)
    try:
        found = access(context.variables, where)
        with AppClient(
            found.key, region=found.region, base_url=where.base_url, retries=NO_RETRIES
        ) as client:
            webhooks = client.reporting_webhooks.list().get("reporting_webhooks", [])
    except NoAppApiKey as error:
        return skipped(f"the App API was not called: {error}")
    except CustomerIOError as error:
        return failure(
            f"a call of Customer.io's App API failed ({type(error).__name__})",
            f"check that {found.variable} holds an App API key of this region (--region)",
        )
    ours = [
        one for one in webhooks if is_webhook_path(unquote(urlsplit(one.get("endpoint", "")).path))
    ]
    return _result(ours, context)


def _result(ours: list[ReportingWebhook], context: DoctorContext) -> CheckResult:
    if not ours:
        return failure(f"Customer.io has no reporting webhook that posts to {WEBHOOK_PATH}", _FIX)
    enabled = [one for one in ours if not one.get("disabled")]
    if not enabled:
        return failure(
            "the reporting webhook is disabled in Customer.io",
            "enable it: `ciolake webhooks enable`, or the page Reporting Webhooks",
        )
    # Only scheme, host and port are printed: the query of an endpoint may hold a secret.
    origins = sorted({_origin(one.get("endpoint", "")) for one in enabled})
    listed = ", ".join(origins)
    if not context.is_public or context.destination is None:
        return ok(f"Customer.io posts to {listed}; to check that address, name it with --url")
    if _origin(base_url(context.destination)) not in origins:
        return failure(
            f"Customer.io posts to {listed}, not to {_origin(base_url(context.destination))}", _FIX
        )
    return ok(f"Customer.io posts to {_origin(base_url(context.destination))}")


def _origin(url: str) -> str:
    """Return scheme, host and port; without the default port of the scheme."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
