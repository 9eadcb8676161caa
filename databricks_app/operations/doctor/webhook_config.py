"""The check of what Customer.io was told: is there a reporting webhook, and where does it post?"""

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

_FIX = "correct the webhook on Customer.io's page Reporting Webhooks"


def webhook(context: DoctorContext) -> CheckResult:
    """An enabled reporting webhook posts to the endpoint, in each workspace."""
    chosen = context.app_api.workspace
    known = names(context.variables)
    if chosen is not None or len(known) == 1:
        return _of(chosen, context)
    return together({name: _of(name, context) for name in known})


def _of(workspace: str | None, context: DoctorContext) -> CheckResult:
    """What one workspace says; None is the only one."""
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
        return skipped(f"Customer.io is not asked: {error}")
    except CustomerIOError as error:
        return failure(
            f"Customer.io's App API cannot be asked ({type(error).__name__})",
            f"check that {found.variable} holds an App API key of this region (--region)",
        )
    return _judged([one for one in webhooks if is_webhook_path(_path(one))], context)


def _judged(ours: list[ReportingWebhook], context: DoctorContext) -> CheckResult:
    if not ours:
        return failure(f"Customer.io has no reporting webhook that posts to {WEBHOOK_PATH}", _FIX)
    enabled = [one for one in ours if not one.get("disabled")]
    if not enabled:
        return failure("the reporting webhook is disabled in Customer.io", "enable it there")
    origins = sorted({_origin(one) for one in enabled})
    told = ", ".join(origins)
    if not context.is_public or context.destination is None:
        return ok(f"Customer.io posts to {told}; name that with --url to check it")
    if _normal(base_url(context.destination)) not in origins:
        return failure(
            f"Customer.io posts to {told}, not to {_normal(base_url(context.destination))}", _FIX
        )
    return ok(f"Customer.io posts to {_normal(base_url(context.destination))}")


def _path(one: ReportingWebhook) -> str:
    # A query may hold what is secret, and is never shown.
    return unquote(urlsplit(one.get("endpoint", "")).path)


def _origin(one: ReportingWebhook) -> str:
    return _normal(one.get("endpoint", ""))


def _normal(url: str) -> str:
    """Scheme, host and, where it is not the usual one, port."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
