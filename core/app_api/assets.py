"""Assets: images and PDF files for messages.

Source: https://docs.customer.io/integrations/api/app/tag/assets/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import File, Noun
from core.app_api.paging import Paging
from core.app_api.types.assets import Asset, AssetAnswer, AssetChange

if TYPE_CHECKING:
    from core.app_api.paging import Pages

_LIST = declare("listAssets", "GET", "/v1/assets")
_LIST_PAGING = Paging("page", "assets", max_limit=10_000)
_GET = declare("getAsset", "GET", "/v1/assets/files/{id}")
_CREATE = declare("createAsset", "POST", "/v1/assets/files")
_UPDATE = declare("updateAsset", "PUT", "/v1/assets/files/{id}")
_DELETE = declare("deleteAsset", "DELETE", "/v1/assets/files/{id}")


class Assets(Noun):
    """Uploaded files."""

    def list(
        self,
        *,
        parent_folder_id: int | None = None,
        direct_descendants_only: bool | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> Pages[Asset]:
        """Iterate over the files. A page has 1,000 by default, at most 10,000.

        `direct_descendants_only` leaves out the contents of subfolders.

        Operation: listAssets
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        return self._pages(
            _LIST,
            Asset,
            _LIST_PAGING,
            query={
                "parent_folder_id": parent_folder_id,
                "direct_descendants_only": direct_descendants_only,
                "page": page,
                "limit": limit,
            },
        )

    def get(self, id: int) -> AssetAnswer:
        """Get one file, without its content.

        Operation: getAsset
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        return self._call(_GET, AssetAnswer, path={"id": id})

    def create(
        self,
        file: File,
        *,
        name: str | None = None,
        parent_folder_id: int | None = None,
    ) -> AssetAnswer:
        """Upload a bmp, jpg, png, gif or pdf: at most 2 MB and 4,096 pixels a side.

        Operation: createAsset
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        return self._upload(
            _CREATE,
            AssetAnswer,
            file=file,
            fields={"name": name, "parent_folder_id": parent_folder_id},
        )

    def update(self, id: int, body: AssetChange) -> None:
        """Rename or move a file; its content cannot be changed.

        Operation: updateAsset
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        self._done(_UPDATE, path={"id": id}, body=body)

    def delete(self, id: int) -> None:
        """Delete a file.

        Operation: deleteAsset
        Page: https://docs.customer.io/integrations/api/app/tag/assets/
        """
        self._done(_DELETE, path={"id": id})
