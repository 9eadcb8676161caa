"""Customer.io's IP addresses, checked before they are used in firewall rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from databricks_app.errors import ReceiverError


class AddressError(ReceiverError):
    """The list of addresses is empty or not valid."""


def networks(texts: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read addresses and ranges, each once, IPv4 first.

    Raises:
        AddressError: One of them is not an address or range, or there are none. Firewall rules
            made from such a list would block Customer.io.
    """
    try:
        found = {ip_network(text.strip()) for text in texts}
    except ValueError:
        raise AddressError(
            "Customer.io's answer contains a text that is not an IP address or range: do not "
            "change the firewall"
        ) from None
    if not found:
        raise AddressError("Customer.io's answer contains no addresses: do not change the firewall")
    return tuple(sorted(found, key=lambda one: (one.version, int(one.network_address))))


def plain(network: IPv4Network | IPv6Network) -> str:
    """Write a single address without a prefix length, and a range with it."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)
