"""Collections: tables whose values messages can use.

A collection has at most 10 MB, a row at most 10 KB.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.collections import (
    CollectionAnswer,
    CollectionChange,
    CollectionsAnswer,
    NewCollection,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.http.responses import Json

_LIST = declare("getCollections", "GET", "/v1/collections")
_GET = declare("getCollection", "GET", "/v1/collections/{collection_id}")
_CREATE = declare("addCollection", "POST", "/v1/collections")
_UPDATE = declare("updateCollection", "PUT", "/v1/collections/{collection_id}")
_DELETE = declare("deleteCollection", "DELETE", "/v1/collections/{collection_id}")
_CONTENT = declare("getCollectionContents", "GET", "/v1/collections/{collection_id}/content")
_UPDATE_CONTENT = declare(
    "updateCollectionContents", "PUT", "/v1/collections/{collection_id}/content"
)


class Collections(Noun):
    """Collections of the workspace."""

    def list(self) -> CollectionsAnswer:
        """List all collections without their rows, in one answer.

        Operation: getCollections
        Page: https://docs.customer.io/integrations/api/app/tag/collections/getCollections/
        """
        return self._call(_LIST, CollectionsAnswer)

    def get(self, collection_id: int) -> CollectionAnswer:
        """Get one collection without its rows; for these, see `content`.

        Operation: getCollection
        Page: https://docs.customer.io/integrations/api/app/tag/collections/getCollection/
        """
        return self._call(_GET, CollectionAnswer, path={"collection_id": collection_id})

    def create(self, body: NewCollection) -> CollectionAnswer:
        """Create a collection from the rows in `data`, or from rows at `url`.

        Operation: addCollection
        Page: https://docs.customer.io/integrations/api/app/tag/collections/addCollection/
        """
        return self._call(_CREATE, CollectionAnswer, body=body)

    def update(self, collection_id: int, body: CollectionChange) -> CollectionAnswer:
        """Rename a collection, or replace all its rows with `data` or the rows at `url`.

        Operation: updateCollection
        Page: https://docs.customer.io/integrations/api/app/tag/collections/updateCollection/
        """
        return self._call(
            _UPDATE, CollectionAnswer, path={"collection_id": collection_id}, body=body
        )

    def delete(self, collection_id: int) -> None:
        """Delete a collection.

        Operation: deleteCollection
        Page: https://docs.customer.io/integrations/api/app/tag/collections/deleteCollection/
        """
        self._done(_DELETE, path={"collection_id": collection_id})

    def content(self, collection_id: int) -> dict[str, Json]:
        """Get the rows of a collection; the vendor does not document the fields of the answer.

        Operation: getCollectionContents
        Page: https://docs.customer.io/integrations/api/app/tag/collections/getCollectionContents/
        """
        return self._call(_CONTENT, dict[str, "Json"], path={"collection_id": collection_id})

    def update_content(self, collection_id: int, body: Mapping[str, Json]) -> CollectionAnswer:
        """Replace all rows of a collection; the vendor does not document the fields of the body.

        Operation: updateCollectionContents
        Page: https://docs.customer.io/integrations/api/app/tag/collections/updateCollectionContents/
        """
        return self._call(
            _UPDATE_CONTENT, CollectionAnswer, path={"collection_id": collection_id}, body=body
        )
