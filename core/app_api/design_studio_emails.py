"""Emails of Design Studio: drafts until they are linked to a message and published.

Render, preview, review, link and publish share 5 calls a second with the whole workspace.
Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.design_studio_emails import (
    EmailAnswer,
    EmailChange,
    EmailLink,
    EmailLinkAnswer,
    EmailQuery,
    NewEmail,
    PreviewAnswer,
    PublishAnswer,
    PublishStatusAnswer,
    RenderAnswer,
    SampleData,
    UnpublishedChangesAnswer,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.http.responses import Json

_LIST = declare("listDesignStudioEmails", "GET", "/v1/design_studio/emails")
_LIST_PAGING = Paging("page", "emails", max_limit=10_000)
_GET = declare("getDesignStudioEmail", "GET", "/v1/design_studio/emails/{id}")
_CREATE = declare("createDesignStudioEmail", "POST", "/v1/design_studio/emails")
_UPDATE = declare("updateDesignStudioEmail", "PUT", "/v1/design_studio/emails/{id}")
_DELETE = declare("deleteDesignStudioEmail", "DELETE", "/v1/design_studio/emails/{id}")
_LINK = declare("linkEmail", "POST", "/v1/design_studio/emails/{id}/link", rate="design_studio")
_PUBLISH = declare(
    "publishEmail", "POST", "/v1/design_studio/emails/{id}/publish", rate="design_studio"
)
_PUBLISH_STATUS = declare("getPublishStatus", "GET", "/v1/design_studio/emails/{id}/publish_status")
_UNPUBLISHED_CHANGES = declare(
    "checkUnpublishedChanges", "GET", "/v1/design_studio/emails/{id}/unpublished_changes"
)
_RENDER = declare(
    "renderEmail", "GET", "/v1/design_studio/emails/{id}/render", rate="design_studio"
)
_PREVIEW = declare(
    "previewEmail",
    "POST",
    "/v1/design_studio/emails/{id}/preview",
    rate="design_studio",
    is_repeatable=True,
)
_REVIEW = declare(
    "reviewEmail", "GET", "/v1/design_studio/emails/{id}/review", rate="design_studio"
)


class DesignStudioEmails(Noun):
    """Emails of Design Studio."""

    def list(self, **query: Unpack[EmailQuery]) -> Pages[dict[str, Json]]:
        """Walk the emails; a page holds 1,000 of them, at most 10,000.

        Operation: listDesignStudioEmails
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._pages(_LIST, dict[str, "Json"], _LIST_PAGING, query=query)

    def get(self, id: str) -> EmailAnswer:
        """Get one email.

        Operation: getDesignStudioEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_GET, EmailAnswer, path={"id": id})

    def create(self, body: NewEmail) -> EmailAnswer:
        """Create an email, bound to no message yet.

        Uncertain: the exact status of success.

        Operation: createDesignStudioEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_CREATE, EmailAnswer, body=body)

    def update(self, id: str, body: EmailChange) -> None:
        """Change an email; what is live changes when it is published.

        Uncertain: the exact status of success.

        Operation: updateDesignStudioEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_UPDATE, path={"id": id}, body=body)

    def delete(self, id: str) -> None:
        """Delete an email.

        Uncertain: the exact status of success.

        Operation: deleteDesignStudioEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_DELETE, path={"id": id})

    def link(self, id: str, body: EmailLink) -> EmailLinkAnswer:
        """Bind an email to one step of a workflow or to one message.

        Raises:
            CallError: One of them is bound already (409), and `force` does not say to replace it.

        Operation: linkEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/linkEmail/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/linkEmail/
        """
        return self._call(_LINK, EmailLinkAnswer, path={"id": id}, body=body)

    def publish(self, id: str) -> PublishAnswer:
        """Make a linked email live.

        The answer `pending` is not the end: ask `publish_status` with its `publish_id`.

        Uncertain: which errors there are.

        Operation: publishEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio/publishEmail/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio/publishEmail/
        """
        return self._call(_PUBLISH, PublishAnswer, path={"id": id})

    def publish_status(self, id: str, *, publish_id: str | None = None) -> PublishStatusAnswer:
        """Get how far a publish is.

        Uncertain: the name of `publish_id`.

        Operation: getPublishStatus
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getPublishStatus/
        """
        return self._call(
            _PUBLISH_STATUS, PublishStatusAnswer, path={"id": id}, query={"publish_id": publish_id}
        )

    def unpublished_changes(self, id: str) -> UnpublishedChangesAnswer:
        """Tell whether a linked email differs from what is live.

        Operation: checkUnpublishedChanges
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio/checkUnpublishedChanges/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio/checkUnpublishedChanges/
        """
        return self._call(_UNPUBLISHED_CHANGES, UnpublishedChangesAnswer, path={"id": id})

    def render(self, id: str) -> RenderAnswer:
        """Get the compiled HTML, AMP and text, with Liquid left in place.

        Uncertain: the operation's name.

        Operation: renderEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/renderEmail/
        """
        return self._call(_RENDER, RenderAnswer, path={"id": id})

    def preview(self, id: str, body: SampleData) -> PreviewAnswer:
        """Render an email with Liquid evaluated for sample data; nothing is sent or kept.

        Uncertain: the last keys of the body.

        Operation: previewEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/previewemail/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/previewemail/
        """
        return self._call(_PREVIEW, PreviewAnswer, path={"id": id}, body=body)

    def review(self, id: str) -> dict[str, Json]:
        """Check an email's links, compliance and Liquid; each finding has a severity and a state.

        Uncertain: the operation's name, and how the findings are wrapped.

        Operation: reviewEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/reviewEmail/
        """
        return self._call(_REVIEW, dict[str, "Json"], path={"id": id})
