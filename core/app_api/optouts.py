"""Opt-outs from senders of SMS and WhatsApp messages.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.optouts import OptoutChanges, OptoutsAnswer, PersonOptouts

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.people import IdType
    from core.values import Id

_LIST = declare("getOptouts", "GET", "/v1/optouts")
_LIST_PAGING = Paging("start", "optouts")
_GET = declare("getPersonOptouts", "GET", "/v1/customers/{customer_id}/optouts")
_UPDATE = declare("updatePersonOptouts", "PUT", "/v1/customers/{customer_id}/optouts")


class Optouts(Noun):
    """Opt-outs from senders of SMS and WhatsApp messages."""

    def list(
        self,
        *,
        from_: str | None = None,
        start: str | None = None,
        limit: int | None = None,
    ) -> Pages[PersonOptouts]:
        """Iterate over the people who opted out of any sender, or of the sender `from_`.

        Operation: getOptouts
        Page: https://docs.customer.io/integrations/api/app/tag/opt-outs/getOptouts/
        """
        return self._pages(
            _LIST,
            PersonOptouts,
            _LIST_PAGING,
            query={"from": from_, "start": start, "limit": limit},
        )

    def get(self, customer_id: Id, *, id_type: IdType | None = None) -> OptoutsAnswer:
        """List the senders that a person opted out of, in one answer.

        Operation: getPersonOptouts
        Page: https://docs.customer.io/integrations/api/app/tag/opt-outs/getPersonOptouts/
        """
        return self._call(
            _GET, OptoutsAnswer, path={"customer_id": customer_id}, query={"id_type": id_type}
        )

    def update(
        self,
        customer_id: Id,
        body: OptoutChanges,
        *,
        id_type: IdType | None = None,
    ) -> None:
        """Opt a person out of senders, or back in.

        Uncertain: the operation's name.

        Operation: updatePersonOptouts
        Page: https://docs.customer.io/integrations/api/app/tag/opt-outs/updatePersonOptouts/
        """
        self._done(
            _UPDATE, path={"customer_id": customer_id}, query={"id_type": id_type}, body=body
        )
