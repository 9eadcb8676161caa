"""Reporting webhooks: URLs that Customer.io posts message events to.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.reporting_webhooks import (
    ReportingWebhook,
    ReportingWebhookFields,
    ReportingWebhooksAnswer,
)

_LIST = declare("listWebhooks", "GET", "/v1/reporting_webhooks")
_GET = declare("getWebhook", "GET", "/v1/reporting_webhooks/{webhook_id}")
_CREATE = declare("createWebhook", "POST", "/v1/reporting_webhooks")
_UPDATE = declare("updateWebhook", "PUT", "/v1/reporting_webhooks/{webhook_id}")
_DELETE = declare("deleteWebhook", "DELETE", "/v1/reporting_webhooks/{webhook_id}")


class ReportingWebhooks(Noun):
    """Reporting webhooks of the workspace."""

    def list(self) -> ReportingWebhooksAnswer:
        """List all reporting webhooks, in one answer.

        Operation: listWebhooks
        Page: https://docs.customer.io/integrations/api/app/tag/reporting-webhooks/listWebhooks/
        """
        return self._call(_LIST, ReportingWebhooksAnswer)

    def get(self, webhook_id: int) -> ReportingWebhook:
        """Get one reporting webhook.

        Operation: getWebhook
        Page: https://docs.customer.io/integrations/api/app/tag/reporting-webhooks/getWebhook/
        """
        return self._call(_GET, ReportingWebhook, path={"webhook_id": webhook_id})

    def create(self, body: ReportingWebhookFields) -> ReportingWebhook:
        """Create a reporting webhook; the answer does not contain its signing key.

        Operation: createWebhook
        Page: https://docs.customer.io/integrations/api/app/tag/reporting-webhooks/createWebhook/
        """
        return self._call(_CREATE, ReportingWebhook, body=body)

    def update(self, webhook_id: int, body: ReportingWebhookFields) -> ReportingWebhook:
        """Replace a reporting webhook: `name`, `endpoint` and `events` are all required.

        Operation: updateWebhook
        Page: https://docs.customer.io/integrations/api/app/tag/reporting-webhooks/updateWebhook/
        """
        return self._call(_UPDATE, ReportingWebhook, path={"webhook_id": webhook_id}, body=body)

    def delete(self, webhook_id: int) -> None:
        """Delete a reporting webhook.

        Operation: deleteWebhook
        Page: https://docs.customer.io/integrations/api/app/tag/reporting-webhooks/deleteWebhook/
        """
        self._done(_DELETE, path={"webhook_id": webhook_id})
