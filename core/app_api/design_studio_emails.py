"""Emails of Design Studio, which are drafts until they are linked to a message and published.

The workspace has 5 calls a second for render, preview, review, link and publish together.
Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.design_studio_emails import (
    EmailAnswer,
    EmailChange,
    EmailLink,
    EmailLinkAnswer,
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
    from core.app_api.types.design_studio_emails import YesNoAny
    from core.http.responses import Json
    from core.values import Moment

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
# It only renders. It is POST because the sample data is in the body.
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

    def list(
        self,
        *,
        parent_folder_id: str | None = None,
        direct_descendants_only: bool | None = None,
        sort_by: Literal["created", "updated", "name"] | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
        created_before: Moment | None = None,
        created_after: Moment | None = None,
        updated_before: Moment | None = None,
        updated_after: Moment | None = None,
        page: int | None = None,
        limit: int | None = None,
        is_template: YesNoAny | None = None,
        has_translations: YesNoAny | None = None,
        is_linked: YesNoAny | None = None,
    ) -> Pages[dict[str, Json]]:
        """Iterate over the emails. A page has 1,000 by default, at most 10,000.

        Operation: listDesignStudioEmails
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._pages(
            _LIST,
            dict[str, "Json"],
            _LIST_PAGING,
            query={
                "parent_folder_id": parent_folder_id,
                "direct_descendants_only": direct_descendants_only,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "created_before": created_before,
                "created_after": created_after,
                "updated_before": updated_before,
                "updated_after": updated_after,
                "page": page,
                "limit": limit,
                "is_template": is_template,
                "has_translations": has_translations,
                "is_linked": is_linked,
            },
        )

    def get(self, id: str) -> EmailAnswer:
        """Get one email.

        Operation: getDesignStudioEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_GET, EmailAnswer, path={"id": id})

    def create(self, body: NewEmail) -> EmailAnswer:
        """Create an email that is not linked to a message.

        Uncertain: the exact status of success.

        Operation: createDesignStudioEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_CREATE, EmailAnswer, body=body)

    def update(self, id: str, body: EmailChange) -> None:
        """Change the draft of an email; `publish` makes the change live.

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
        """Link an email to one step of a workflow or to one message.

        Raises:
            CallError: One of them is already linked (409), and `force` is not set.

        Operation: linkEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/linkEmail/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/linkEmail/
        """
        return self._call(_LINK, EmailLinkAnswer, path={"id": id}, body=body)

    def publish(self, id: str) -> PublishAnswer:
        """Make a linked email live.

        If the answer is `pending`, poll `publish_status` with its `publish_id`.

        Uncertain: which errors there are.

        Operation: publishEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio/publishEmail/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio/publishEmail/
        """
        return self._call(_PUBLISH, PublishAnswer, path={"id": id})

    def publish_status(self, id: str, *, publish_id: str | None = None) -> PublishStatusAnswer:
        """Get the state of a publish.

        Uncertain: the name of `publish_id`.

        Operation: getPublishStatus
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getPublishStatus/
        """
        return self._call(
            _PUBLISH_STATUS, PublishStatusAnswer, path={"id": id}, query={"publish_id": publish_id}
        )

    def unpublished_changes(self, id: str) -> UnpublishedChangesAnswer:
        """Get whether the draft of a linked email differs from the live version.

        Operation: checkUnpublishedChanges
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio/checkUnpublishedChanges/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio/checkUnpublishedChanges/
        """
        return self._call(_UNPUBLISHED_CHANGES, UnpublishedChangesAnswer, path={"id": id})

    def render(self, id: str) -> RenderAnswer:
        """Get the compiled HTML, AMP and text; Liquid is not evaluated.

        Uncertain: the operation's name.

        Operation: renderEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/renderEmail/
        """
        return self._call(_RENDER, RenderAnswer, path={"id": id})

    def preview(self, id: str, body: SampleData) -> PreviewAnswer:
        """Render an email with sample data for Liquid; nothing is sent or stored.

        Uncertain: the last keys of the body.

        Operation: previewEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/previewemail/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/previewemail/
        """
        return self._call(_PREVIEW, PreviewAnswer, path={"id": id}, body=body)

    def review(self, id: str) -> dict[str, Json]:
        """Check links, compliance and Liquid of an email; each finding has a severity and a state.

        Uncertain: the operation's name, and how the findings are wrapped.

        Operation: reviewEmail
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/reviewEmail/
        """
        return self._call(_REVIEW, dict[str, "Json"], path={"id": id})
