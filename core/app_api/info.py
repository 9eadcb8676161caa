"""Info: information about Customer.io.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.info import IpAddressesAnswer

_IP_ADDRESSES = declare("getCioAllowlist", "GET", "/v1/info/ip_addresses")


class Info(Noun):
    """Information about Customer.io."""

    def ip_addresses(self) -> IpAddressesAnswer:
        """List the IP addresses that Customer.io calls from, for firewall rules.

        Operation: getCioAllowlist
        Page: https://docs.customer.io/integrations/api/app/tag/info/getCioAllowlist/
        """
        return self._call(_IP_ADDRESSES, IpAddressesAnswer)
