"""Bodies and answers of `core.app_api.info`."""

from __future__ import annotations

from typing import TypedDict


class IpAddressesAnswer(TypedDict, total=False):
    """The IP addresses that Customer.io calls from."""

    ip_addresses: list[str]
