"""Components of Design Studio: content blocks that emails share.

Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.design_studio_components import (
    ComponentAnswer,
    ComponentChange,
    ComponentQuery,
    NewComponent,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.http.responses import Json

_LIST = declare("listDesignStudioComponents", "GET", "/v1/design_studio/components")
_LIST_PAGING = Paging("page", "components", max_limit=10_000)
_GET = declare("getDesignStudioComponent", "GET", "/v1/design_studio/components/{id}")
_CREATE = declare("createDesignStudioComponent", "POST", "/v1/design_studio/components")
_UPDATE = declare("updateDesignStudioComponent", "PUT", "/v1/design_studio/components/{id}")
_DELETE = declare("deleteDesignStudioComponent", "DELETE", "/v1/design_studio/components/{id}")


class DesignStudioComponents(Noun):
    """Content blocks that emails share."""

    def list(self, **query: Unpack[ComponentQuery]) -> Pages[dict[str, Json]]:
        """Iterate over the components. A page has 1,000 by default, at most 10,000.

        Operation: listDesignStudioComponents
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._pages(_LIST, dict[str, "Json"], _LIST_PAGING, query=query)

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
