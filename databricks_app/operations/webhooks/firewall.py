"""Customer.io's sending addresses in the words of firewalls. Pure."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias

from databricks_app.errors import ReceiverError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Network: TypeAlias = IPv4Network | IPv6Network

_PORT = 443
_NAME = "Customer.io"


class AddressError(ReceiverError):
    """What should be an address is none."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
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


def rules(form: str, given: Sequence[Network]) -> str:
    """Write networks in one of `FORMS`, without a newline at the end."""
    return "\n".join(FORMS[form](given))


def _plain(given: Sequence[Network]) -> Iterator[str]:
    for one in given:
        is_single = one.num_addresses == 1
        yield str(one.network_address) if is_single else str(one)


def _cidr(given: Sequence[Network]) -> Iterator[str]:
    yield from map(str, given)


def _nginx(given: Sequence[Network]) -> Iterator[str]:
    yield from (f"allow {one};" for one in given)
    yield "deny all;"


def _iptables(given: Sequence[Network]) -> Iterator[str]:
    for one in given:
        command = "iptables" if one.version == 4 else "ip6tables"
        yield f"{command} -A INPUT -p tcp --dport {_PORT} -s {one} -j ACCEPT"


def _nft(given: Sequence[Network]) -> Iterator[str]:
    for version in (4, 6):
        members = ", ".join(str(one) for one in given if one.version == version)
        if members:
            kind = f"type ipv{version}_addr; flags interval"
            yield f"set customerio{version} {{ {kind}; elements = {{ {members} }} }}"


def _aws(given: Sequence[Network]) -> Iterator[str]:
    rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": _PORT, "ToPort": _PORT}
    for version, ranges, key in ((4, "IpRanges", "CidrIp"), (6, "Ipv6Ranges", "CidrIpv6")):
        found = [{key: str(one), "Description": _NAME} for one in given if one.version == version]
        if found:
            rule[ranges] = found
    yield json.dumps([rule], indent=2)


def _terraform(given: Sequence[Network]) -> Iterator[str]:
    for version, name in ((4, "cidr_blocks"), (6, "ipv6_cidr_blocks")):
        found = [one for one in given if one.version == version]
        if found:
            yield f"{name} = ["
            yield from (f'  "{one}",' for one in found)
            yield "]"


FORMS: dict[str, Callable[[Sequence[Network]], Iterator[str]]] = {
    "plain": _plain,
    "cidr": _cidr,
    "nginx": _nginx,
    "iptables": _iptables,
    "nft": _nft,
    "aws": _aws,
    "terraform": _terraform,
}
