"""Exports: files with people or deliveries, which the vendor creates in the background.

Start an export, poll `get` until its status is `done`, then download the URL of `download`.
`core.app_api.flows.jobs.save` waits and downloads.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.arguments import check_names
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
        """Get the state of one export.

        Operation: getExport
        Page: https://docs.customer.io/integrations/api/app/tag/exports/getExport/
        """
        return self._call(_GET, ExportAnswer, path={"export_id": export_id})

    def download(self, export_id: int) -> DownloadAnswer:
        """Get a signed URL of a finished export; it expires after 15 minutes.

        `AppClient.download` downloads it to a file.

        Raises:
            NotFoundError: The export has no file.

        Operation: downloadExport
        Page: https://docs.customer.io/integrations/api/app/tag/exports/downloadExport/
        """
        return self._call(_DOWNLOAD, DownloadAnswer, path={"export_id": export_id})

    def customers(self, body: CustomersExport) -> ExportAnswer:
        """Start an export of the people who match a filter.

        Operation: exportPeopleData
        Page: https://docs.customer.io/integrations/api/app/tag/exports/exportPeopleData/
        """
        check_names(body, CustomersExport)
        return self._call(_CUSTOMERS, ExportAnswer, body=body)

    def deliveries(self, body: DeliveriesExport) -> ExportAnswer:
        """Start an export of the deliveries of one newsletter, campaign, action or template.

        The time range is `start` to `end`: by default the last 6 months, at most 12 months.

        Operation: exportDeliveriesData
        Page: https://docs.customer.io/integrations/api/app/tag/exports/exportDeliveriesData/
        """
        check_names(body, DeliveriesExport)
        return self._call(_DELIVERIES, ExportAnswer, body=body)
