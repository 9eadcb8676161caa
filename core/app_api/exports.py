"""Exports: people or deliveries as a file, which the vendor writes in its own time.

Start one, ask `get` until its status is `done`, then fetch the address that `download` gives.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.exports import (
    CustomersExport,
    DeliveriesExport,
    DownloadAnswer,
    ExportAnswer,
    ExportsAnswer,
)

_LIST = declare("listExports", "GET", "/v1/exports")
_GET = declare("getExport", "GET", "/v1/exports/{export_id}")
_DOWNLOAD = declare("downloadExport", "GET", "/v1/exports/{export_id}/download")
_CUSTOMERS = declare("exportPeopleData", "POST", "/v1/exports/customers")
_DELIVERIES = declare("exportDeliveriesData", "POST", "/v1/exports/deliveries")


class Exports(Noun):
    """Exports of the workspace."""

    def list(self) -> ExportsAnswer:
        """List all exports, in one answer.

        Operation: listExports
        Page: https://docs.customer.io/integrations/api/app/tag/exports/listExports/
        """
        return self._call(_LIST, ExportsAnswer)

    def get(self, export_id: int) -> ExportAnswer:
        """Get how far one export is.

        Operation: getExport
        Page: https://docs.customer.io/integrations/api/app/tag/exports/getExport/
        """
        return self._call(_GET, ExportAnswer, path={"export_id": export_id})

    def download(self, export_id: int) -> DownloadAnswer:
        """Get a signed address of a finished export; it expires after 15 minutes.

        `AppClient.download` writes what it holds into a file.

        Raises:
            NotFoundError: The vendor has no file of it.

        Operation: downloadExport
        Page: https://docs.customer.io/integrations/api/app/tag/exports/downloadExport/
        """
        return self._call(_DOWNLOAD, DownloadAnswer, path={"export_id": export_id})

    def customers(self, body: CustomersExport) -> ExportAnswer:
        """Start an export of the people whom a filter finds.

        Operation: exportPeopleData
        Page: https://docs.customer.io/integrations/api/app/tag/exports/exportPeopleData/
        """
        return self._call(_CUSTOMERS, ExportAnswer, body=body)

    def deliveries(self, body: DeliveriesExport) -> ExportAnswer:
        """Start an export of the deliveries of one newsletter, campaign, action or template.

        Without `start` and `end` the last 6 months; at most 12.

        Operation: exportDeliveriesData
        Page: https://docs.customer.io/integrations/api/app/tag/exports/exportDeliveriesData/
        """
        return self._call(_DELIVERIES, ExportAnswer, body=body)
