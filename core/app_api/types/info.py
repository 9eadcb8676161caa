"""Bodies and answers of `core.app_api.info`."""

from __future__ import annotations

from typing import Required, TypedDict


class IpAddressesAnswer(TypedDict, total=False):
    """The IP addresses that Customer.io calls from."""

    ip_addresses: Required[list[str]]
