"""Objects such as companies or accounts, and their relationships to people.

Objects are created and changed through the Data Pipelines API, not here.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.arguments import check_names
from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.objects import (
    ObjectAnswer,
    ObjectIdentifiers,
    ObjectRelationship,
    ObjectSearch,
    ObjectTypesAnswer,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.objects import ObjectIdType
    from core.values import Id

_TYPES = declare("getObjectTypes", "GET", "/v1/object_types")
# It only reads. It is POST because its filter is in the body.
_SEARCH = declare("getObjectsFilter", "POST", "/v1/objects", is_repeatable=True)
_SEARCH_PAGING = Paging("start", "identifiers")
_ATTRIBUTES = declare(
    "getObjectAttributes", "GET", "/v1/objects/{object_type_id}/{object_id}/attributes"
)
_RELATIONSHIPS = declare(
    "getObjectRelationships", "GET", "/v1/objects/{object_type_id}/{object_id}/relationships"
)
_RELATIONSHIPS_PAGING = Paging("start", "cio_relationships")


class Objects(Noun):
    """Objects of the workspace, and their types."""

    def types(self) -> ObjectTypesAnswer:
        """List all types of objects, in one answer.

        Operation: getObjectTypes
        Page: https://docs.customer.io/integrations/api/app/tag/objects/getObjectTypes/
        """
        return self._call(_TYPES, ObjectTypesAnswer)

    def search(
        self, body: ObjectSearch, *, start: str | None = None, limit: int | None = None
    ) -> Pages[ObjectIdentifiers]:
        """Iterate over the objects of one type that match a filter.

        The `body` of each page also has `ids`, a list of the plain ids.

        Operation: getObjectsFilter
        Page: https://docs.customer.io/integrations/api/app/tag/objects/getObjectsFilter/
        """
        check_names(body, ObjectSearch)
        return self._pages(
            _SEARCH,
            ObjectIdentifiers,
            _SEARCH_PAGING,
            query={"start": start, "limit": limit},
            body=body,
        )

    def attributes(
        self, object_type_id: int, object_id: Id, *, id_type: ObjectIdType | None = None
    ) -> ObjectAnswer:
        """Get the attributes of one object; `id_type` is the kind of the `object_id`.

        Operation: getObjectAttributes
        Page: https://docs.customer.io/integrations/api/app/tag/objects/getObjectAttributes/
        """
        return self._call(
            _ATTRIBUTES,
            ObjectAnswer,
            path={"object_type_id": object_type_id, "object_id": object_id},
            query={"id_type": id_type},
        )

    def relationships(
        self,
        object_type_id: int,
        object_id: Id,
        *,
        start: str | None = None,
        limit: int | None = None,
        id_type: ObjectIdType | None = None,
    ) -> Pages[ObjectRelationship]:
        """Iterate over the people of one object; `id_type` is the kind of the `object_id`.

        Operation: getObjectRelationships
        Page: https://docs.customer.io/integrations/api/app/tag/objects/getObjectRelationships/
        """
        return self._pages(
            _RELATIONSHIPS,
            ObjectRelationship,
            _RELATIONSHIPS_PAGING,
            path={"object_type_id": object_type_id, "object_id": object_id},
            query={"start": start, "limit": limit, "id_type": id_type},
        )
