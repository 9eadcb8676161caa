"""Folders of assets.

Source: https://docs.customer.io/integrations/api/app/tag/assets/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.asset_folders import AssetFolderAnswer, NewAssetFolder
from core.app_api.types.assets import AssetChange

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.http.responses import Json

_LIST = declare("listAssetFolders", "GET", "/v1/assets/folders")
_LIST_PAGING = Paging("page", "folders", max_limit=10_000)
_GET = declare("getAssetFolder", "GET", "/v1/assets/folders/{id}")
_CREATE = declare("createAssetFolder", "POST", "/v1/assets/folders")
_UPDATE = declare("updateAssetFolder", "PUT", "/v1/assets/folders/{id}")
_DELETE = declare("deleteAssetFolder", "DELETE", "/v1/assets/folders/{id}")


class AssetFolders(Noun):
    """Folders of uploaded files."""

    def list(
        self,
        *,
        parent_folder_id: int | None = None,
        direct_descendants_only: bool | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> Pages[dict[str, Json]]:
        """Iterate over the folders. A page has 1,000 by default, at most 10,000.

        `direct_descendants_only` leaves out the contents of subfolders.

        Operation: listAssetFolders
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        return self._pages(
            _LIST,
            dict[str, "Json"],
            _LIST_PAGING,
            query={
                "parent_folder_id": parent_folder_id,
                "direct_descendants_only": direct_descendants_only,
                "page": page,
                "limit": limit,
            },
        )

    def get(self, id: int) -> AssetFolderAnswer:
        """Get one folder.

        Operation: getAssetFolder
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        return self._call(_GET, AssetFolderAnswer, path={"id": id})

    def create(self, body: NewAssetFolder) -> AssetFolderAnswer:
        """Create a folder, at the top level unless `parent_folder_id` is given.

        Operation: createAssetFolder
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        return self._call(_CREATE, AssetFolderAnswer, body=body)

    def update(self, id: int, body: AssetChange) -> None:
        """Rename or move a folder.

        Operation: updateAssetFolder
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        self._done(_UPDATE, path={"id": id}, body=body)

    def delete(self, id: int) -> None:
        """Delete a folder.

        Operation: deleteAssetFolder
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        self._done(_DELETE, path={"id": id})
