"""Versions of a Design Studio email: saved states that can be restored.

Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.design_studio_versions import (
    NewVersion,
    RestoreAnswer,
    SavedVersionAnswer,
    VersionAnswer,
    VersionsAnswer,
)

_LIST = declare("listVersions", "GET", "/v1/design_studio/emails/{id}/versions")
_GET = declare("getVersion", "GET", "/v1/design_studio/emails/{id}/versions/{version_id}")
_CREATE = declare("saveVersion", "POST", "/v1/design_studio/emails/{id}/versions")
_DELETE = declare("deleteVersion", "DELETE", "/v1/design_studio/emails/{id}/versions/{version_id}")
_RESTORE = declare(
    "restoreVersion", "POST", "/v1/design_studio/emails/{id}/versions/{version_id}/restore"
)


class DesignStudioVersions(Noun):
    """Saved versions of an email; `id` is the email's."""

    def list(self, id: str) -> VersionsAnswer:
        """List all saved versions of an email, in one answer.

        Uncertain: the operation's name.

        Operation: listVersions
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/listVersions/
        """
        return self._call(_LIST, VersionsAnswer, path={"id": id})

    def get(self, id: str, version_id: str) -> VersionAnswer:
        """Get one saved version.

        Uncertain: the operation's name, and the shape of its answer.

        Operation: getVersion
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/getVersion/
        """
        return self._call(_GET, VersionAnswer, path={"id": id, "version_id": version_id})

    def create(self, id: str, body: NewVersion) -> SavedVersionAnswer:
        """Save a version; if nothing has changed, get the latest one with `created` False.

        Operation: saveVersion
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/saveversion/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/saveversion/
        """
        return self._call(_CREATE, SavedVersionAnswer, path={"id": id}, body=body)

    def delete(self, id: str, version_id: str) -> None:
        """Delete a saved version.

        Uncertain: the operation's name.

        Operation: deleteVersion
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/deleteVersion/
        """
        self._done(_DELETE, path={"id": id, "version_id": version_id})

    def restore(self, id: str, version_id: str) -> RestoreAnswer:
        """Restore the draft from a saved version; the live version changes with `publish`.

        Operation: restoreVersion
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/restoreVersion/
        Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/restoreVersion/
        """
        return self._call(_RESTORE, RestoreAnswer, path={"id": id, "version_id": version_id})
