"""The addresses that Customer.io sends from, checked before a firewall is built on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from databricks_app.errors import ReceiverError


class AddressError(ReceiverError):
    """What should be an address is none."""


def networks(texts: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read addresses and ranges, each once, those of IPv4 first.

    Raises:
        AddressError: One of them is neither, or there are none; rules made of that would lock
            Customer.io out.
    """
    try:
        found = {ip_network(text.strip()) for text in texts}
    except ValueError:
        raise AddressError("Customer.io's answer holds what is no IP address or range") from None
    if not found:
        raise AddressError("Customer.io names no addresses: leave the firewall as it is")
    return tuple(sorted(found, key=lambda one: (one.version, int(one.network_address))))


def plain(network: IPv4Network | IPv6Network) -> str:
    """A single address without a prefix length, a range with it."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)
