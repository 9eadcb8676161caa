"""Components of Design Studio: content blocks that emails share.

Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.design_studio_components import (
    ComponentAnswer,
    ComponentChange,
    NewComponent,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.http.responses import Json
    from core.values import Moment

_LIST = declare("listDesignStudioComponents", "GET", "/v1/design_studio/components")
_LIST_PAGING = Paging("page", "components", max_limit=10_000)
_GET = declare("getDesignStudioComponent", "GET", "/v1/design_studio/components/{id}")
_CREATE = declare("createDesignStudioComponent", "POST", "/v1/design_studio/components")
_UPDATE = declare("updateDesignStudioComponent", "PUT", "/v1/design_studio/components/{id}")
_DELETE = declare("deleteDesignStudioComponent", "DELETE", "/v1/design_studio/components/{id}")


class DesignStudioComponents(Noun):
    """Content blocks that emails share."""

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
        tag: str | None = None,
    ) -> Pages[dict[str, Json]]:
        """Iterate over the components. A page has 1,000 by default, at most 10,000.

        Operation: listDesignStudioComponents
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
                "tag": tag,
            },
        )

    def get(self, id: str) -> ComponentAnswer:
        """Get one component.

        Operation: getDesignStudioComponent
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_GET, ComponentAnswer, path={"id": id})

    def create(self, body: NewComponent) -> ComponentAnswer:
        """Create a component.

        Raises:
            CallError: Another component of the workspace has the same `tag` (409).

        Uncertain: the exact status of success.

        Operation: createDesignStudioComponent
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_CREATE, ComponentAnswer, body=body)

    def update(self, id: str, body: ComponentChange) -> None:
        """Change a component; fields that are absent stay unchanged.

        Uncertain: the exact status of success.

        Operation: updateDesignStudioComponent
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_UPDATE, path={"id": id}, body=body)

    def delete(self, id: str) -> None:
        """Delete a component.

        Uncertain: the exact status of success.

        Operation: deleteDesignStudioComponent
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_DELETE, path={"id": id})
