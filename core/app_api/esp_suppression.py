"""ESP suppression: addresses that the email service provider does not send to.

Not the suppression of a person in the workspace: that is an event of the Data Pipelines API.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.esp_suppression import (
    Suppression,
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
# A suppressed address stays suppressed, so a second call does no harm.
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
    """Addresses that the email service provider does not send to."""

    def search(self, email_address: str) -> SuppressionsAnswer:
        """Look up whether an address is suppressed, and why.

        Operation: getSuppression
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/getSuppression/
        """
        return self._call(_SEARCH, SuppressionsAnswer, path={"email_address": email_address})

    def list(
        self,
        suppression_type: Reason,
        *,
        limit: int | None = None,
        offset: int | None = None,
        domain: str | None = None,
        email: str | None = None,
    ) -> Pages[Suppression]:
        """Iterate over addresses suppressed for a reason. A page has 100 by default, at most 1,000.

        The vendor pages by `offset` here. If the list changes during the iteration, an address can
        appear twice or be missing. `domain` has no such problem, because it pages by tokens.

        Operation: getSuppressionByType
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/getSuppressionByType/
        """
        return self._pages(
            _LIST,
            Suppression,
            _LIST_PAGING,
            path={"suppression_type": suppression_type},
            query={"limit": limit, "offset": offset, "domain": domain, "email": email},
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
        """Iterate over the addresses suppressed for one sending domain. A page has at most 1,000.

        The vendor does not list the values of `suppression_type` here. The `category` in the answer
        is `bounces` or `spam`.

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
        """Suppress an address; a second call does no harm.

        Operation: postSuppression
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/postSuppression/
        """
        return self._call(
            _CREATE,
            dict[str, "Json"],
            path={"suppression_type": suppression_type, "email_address": email_address},
        )

    def delete(self, suppression_type: Reason, email_address: str) -> None:
        """Remove an address from the suppression list.

        Operation: deleteSuppression
        Page: https://docs.customer.io/integrations/api/app/tag/esp-suppression/deleteSuppression/
        """
        self._done(
            _DELETE, path={"suppression_type": suppression_type, "email_address": email_address}
        )
