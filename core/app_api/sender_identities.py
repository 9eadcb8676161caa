"""Sender identities: names and addresses of senders of e-mails.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.sender_identities import (
    SenderIdentity,
    SenderIdentityAnswer,
    SenderUsage,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages

_LIST = declare("listSenders", "GET", "/v1/sender_identities")
_LIST_PAGING = Paging("start", "sender_identities")
_GET = declare("getSender", "GET", "/v1/sender_identities/{sender_id}")
_USED_BY = declare("getSenderUsage", "GET", "/v1/sender_identities/{sender_id}/used_by")


class SenderIdentities(Noun):
    """Sender identities of the workspace."""

    def list(
        self,
        *,
        start: str | None = None,
        limit: int | None = None,
        sort: Literal["asc", "desc"] | None = None,
        hidden: bool | None = None,
    ) -> Pages[SenderIdentity]:
        """Iterate over the sender identities.

        Operation: listSenders
        Page: https://docs.customer.io/integrations/api/app/tag/sender-identities/listSenders/
        """
        return self._pages(
            _LIST,
            SenderIdentity,
            _LIST_PAGING,
            query={"start": start, "limit": limit, "sort": sort, "hidden": hidden},
        )

    def get(self, sender_id: int) -> SenderIdentityAnswer:
        """Get one sender identity.

        Operation: getSender
        Page: https://docs.customer.io/integrations/api/app/tag/sender-identities/getSender/
        """
        return self._call(_GET, SenderIdentityAnswer, path={"sender_id": sender_id})

    def used_by(self, sender_id: int) -> SenderUsage:
        """List the ids of the campaigns and newsletters that use a sender identity.

        Operation: getSenderUsage
        Page: https://docs.customer.io/integrations/api/app/tag/sender-identities/getSenderUsage/
        """
        return self._call(_USED_BY, SenderUsage, path={"sender_id": sender_id})
