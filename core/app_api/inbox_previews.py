"""Inbox previews: screenshots of an email in real mail clients.

Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.inbox_previews import (
    ClientsAnswer,
    CreditsAnswer,
    PreviewJob,
    PreviewOrder,
    PreviewOrderAnswer,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.http.responses import Json

_CREATE = declare("submitInboxPreview", "POST", "/v1/design_studio/emails/{id}/inbox_previews")
_GET = declare("getInboxPreviewJob", "GET", "/v1/design_studio/emails/{id}/inbox_previews/{run_id}")
_CAPTURE = declare(
    "getInboxPreviewCapture",
    "GET",
    "/v1/design_studio/emails/{id}/inbox_previews/{run_id}/captures/{client_id}",
)
_CLIENTS = declare("listInboxPreviewClients", "GET", "/v1/design_studio/inbox_previews/clients")
_CREDITS = declare("getInboxPreviewCredits", "GET", "/v1/design_studio/inbox_previews/credits")
_JOBS = declare("listInboxPreviewJobs", "GET", "/v1/design_studio/inbox_previews/jobs")
_JOBS_PAGING = Paging("cursor", "preview_jobs", max_limit=200)


class InboxPreviews(Noun):
    """Screenshots of emails in real mail clients; `id` is the email's."""

    def create(self, id: str, body: PreviewOrder) -> PreviewOrderAnswer:
        """Order screenshots; an order costs credits.

        A second identical order on the same UTC day is free: its answer has `replayed` True.

        Operation: submitInboxPreview
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/submitinboxpreview/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/submitinboxpreview/
        """
        return self._call(_CREATE, PreviewOrderAnswer, path={"id": id}, body=body)

    def get(self, id: str, run_id: int) -> PreviewJob:
        """Get the state of an order; poll until `is_processed`.

        Operation: getInboxPreviewJob
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getinboxpreviewjob/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getinboxpreviewjob/
        """
        return self._call(_GET, PreviewJob, path={"id": id, "run_id": run_id})

    def capture(self, id: str, run_id: int, client_id: str) -> bytes:
        """Get one screenshot as an image.

        Uncertain: the operation's name.

        Operation: getInboxPreviewCapture
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getInboxPreviewCapture/
        """
        return self._read(_CAPTURE, path={"id": id, "run_id": run_id, "client_id": client_id})

    def clients(self) -> ClientsAnswer:
        """List the mail clients and devices that can be ordered, in one answer.

        Operation: listInboxPreviewClients
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/listInboxPreviewClients/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/listInboxPreviewClients/
        """
        return self._call(_CLIENTS, ClientsAnswer)

    def credits(self) -> CreditsAnswer:
        """List the remaining credits with their expiry.

        Operation: getInboxPreviewCredits
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getInboxPreviewCredits/
        """
        return self._call(_CREDITS, CreditsAnswer)

    def jobs(
        self,
        *,
        node_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Pages[dict[str, Json]]:
        """Iterate over the latest orders. A page has 50 by default, at most 200.

        `node_id` selects the orders of one email.

        Operation: listInboxPreviewJobs
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/listinboxpreviewjobs/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/listinboxpreviewjobs/
        """
        return self._pages(
            _JOBS,
            dict[str, "Json"],
            _JOBS_PAGING,
            query={"node_id": node_id, "limit": limit, "cursor": cursor},
        )
