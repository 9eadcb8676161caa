"""Folders of Design Studio.

Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.design_studio_folders import (
    DesignStudioFolderAnswer,
    DesignStudioFolderChange,
    NewDesignStudioFolder,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.http.responses import Json
    from core.values import Moment

_LIST = declare("listDesignStudioFolders", "GET", "/v1/design_studio/folders")
_LIST_PAGING = Paging("page", "folders", max_limit=10_000)
_GET = declare("getDesignStudioFolder", "GET", "/v1/design_studio/folders/{id}")
_CREATE = declare("createDesignStudioFolder", "POST", "/v1/design_studio/folders")
_UPDATE = declare("updateDesignStudioFolder", "PUT", "/v1/design_studio/folders/{id}")
_DELETE = declare("deleteDesignStudioFolder", "DELETE", "/v1/design_studio/folders/{id}")


class DesignStudioFolders(Noun):
    """Folders of emails and components."""

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
    ) -> Pages[dict[str, Json]]:
        """Iterate over the folders. A page has 1,000 by default, at most 10,000.

        Operation: listDesignStudioFolders
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
            },
        )

    def get(self, id: str) -> DesignStudioFolderAnswer:
        """Get one folder.

        Operation: getDesignStudioFolder
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_GET, DesignStudioFolderAnswer, path={"id": id})

    def create(self, body: NewDesignStudioFolder) -> DesignStudioFolderAnswer:
        """Create a folder, at the top level unless `parent_folder_id` is given.

        Uncertain: the exact status of success.

        Operation: createDesignStudioFolder
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_CREATE, DesignStudioFolderAnswer, body=body)

    def update(self, id: str, body: DesignStudioFolderChange) -> None:
        """Rename or move a folder.

        Uncertain: the exact status of success.

        Operation: updateDesignStudioFolder
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_UPDATE, path={"id": id}, body=body)

    def delete(self, id: str) -> None:
        """Delete a folder.

        Uncertain: the exact status of success.

        Operation: deleteDesignStudioFolder
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_DELETE, path={"id": id})
