"""Imports: people, events, objects and relationships from a CSV file that the vendor fetches.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.imports import ImportAnswer, NewImport

_CREATE = declare("import", "POST", "/v1/imports")
_GET = declare("getImport", "GET", "/v1/imports/{import_id}")


class Imports(Noun):
    """Imports of the workspace."""

    def create(self, body: NewImport) -> ImportAnswer:
        """Start an import; the URL of its file must stay readable for about two hours.

        Operation: import
        Page: https://docs.customer.io/integrations/api/app/tag/imports/import/
        """
        return self._call(_CREATE, ImportAnswer, body=body)

    def get(self, import_id: int) -> ImportAnswer:
        """Get the state of an import, and the URLs of the rows that failed.

        Operation: getImport
        Page: https://docs.customer.io/integrations/api/app/tag/imports/getImport/
        """
        return self._call(_GET, ImportAnswer, path={"import_id": import_id})
