"""ESP suppression: addresses that the mail service refuses to send to.

It is not the suppression of a person in the workspace, which is an event of the Data Pipelines
API.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.esp_suppression import (
    Suppression,
    SuppressionQuery,
    SuppressionsAnswer,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.esp_suppression import Reason
    from core.http.responses import Json

_SEARCH = declare("getSuppression", "GET", "/v1/esp/search_suppression/{email_address}")
_LIST = declare("getSuppressionByType", "GET", "/v1/esp/suppression/{suppression_type}")
_LIST_PAGING = Paging("offset", "suppressions", max_limit=1_000)
_DOMAIN = declare(
    "getDomainSuppressionsByType",
    "GET",
    "/v1/esp/domains/{domain_name}/suppression/{suppression_type}",
)
_DOMAIN_PAGING = Paging("start", "suppressions", max_limit=1_000)
_CREATE = declare(
    "postSuppression",
    "POST",
    "/v1/esp/suppression/{suppression_type}/{email_address}",
    is_repeatable=True,
)
_DELETE = declare(
    "deleteSuppression", "DELETE", "/v1/esp/suppression/{suppression_type}/{email_address}"
)


class EspSuppression(Noun):
    """Addresses that the mail service refuses to send to."""

    def search(self, email_address: str) -> SuppressionsAnswer:
        """Look up whether an address is suppressed, and why.

        Operation: getSuppression
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/getSuppression/
        """
        return self._call(_SEARCH, SuppressionsAnswer, path={"email_address": email_address})

    def list(
        self, suppression_type: Reason, **query: Unpack[SuppressionQuery]
    ) -> Pages[Suppression]:
        """Walk the addresses suppressed for one reason; a page holds 100 of them, at most 1,000.

        The vendor counts an `offset` here: what is suppressed or freed during a walk shifts it, so
        an address can come twice or not at all. `domain` walks by marks.

        Operation: getSuppressionByType
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/getSuppressionByType/
        """
        return self._pages(
            _LIST,
            Suppression,
            _LIST_PAGING,
            path={"suppression_type": suppression_type},
            query=query,
        )

    def domain(
        self,
        domain_name: str,
        suppression_type: str,
        *,
        limit: int | None = None,
        email: str | None = None,
        start: str | None = None,
    ) -> Pages[Suppression]:
        """Walk the addresses suppressed for one sending domain; a page holds 1,000 at most.

        The vendor lists no words for `suppression_type` here; the answer's `category` is `bounces`
        or `spam`.

        Operation: getDomainSuppressionsByType
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/getDomainSuppressionsByType/
        """
        return self._pages(
            _DOMAIN,
            Suppression,
            _DOMAIN_PAGING,
            path={"domain_name": domain_name, "suppression_type": suppression_type},
            query={"limit": limit, "email": email, "start": start},
        )

    def create(self, suppression_type: Reason, email_address: str) -> dict[str, Json]:
        """Suppress an address; doing it twice does no harm.

        Operation: postSuppression
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/postSuppression/
        """
        return self._call(
            _CREATE,
            dict[str, "Json"],
            path={"suppression_type": suppression_type, "email_address": email_address},
        )

    def delete(self, suppression_type: Reason, email_address: str) -> None:
        """Free an address that is suppressed.

        Operation: deleteSuppression
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/deleteSuppression/
        """
        self._done(
            _DELETE, path={"suppression_type": suppression_type, "email_address": email_address}
        )
