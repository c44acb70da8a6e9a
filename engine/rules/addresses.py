"""Which addresses the engine may call: public ones, and networks that the operator names.

A webhook's URL comes from outside. Without this rule it could make the engine knock at what only the engine's own
network can reach: databases, metadata services, itself.
"""

from __future__ import annotations

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_NOT_PUBLIC = (
    ipaddress.IPv6Network("fec0::/10"),  # RFC 3879: site-local of old, still routed where somebody never changed it
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215: a translator's own use, into whatever net it stands in
    ipaddress.IPv6Network("3fff::/20"),  # RFC 9637: documentation
    ipaddress.IPv6Network("5f00::/16"),  # RFC 9602: segments of a provider's own routing
    ipaddress.IPv4Network("192.88.99.0/24"),  # RFC 7526: relays that lead into IPv6, given up
)


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, separated by commas. Raises ValueError naming the one that is none."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_allowed(text: str, networks: tuple[Network, ...]) -> bool:
    """Whether a connection may be made to this address; False for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        address = ipaddress.IPv6Address(address.packed)
    # An address that carries another one may lead there: then both have to be allowed.
    return all(_is_public(each) or any(each in network for network in networks) for each in _carried(address))


def host_fault(host: str, networks: tuple[Network, ...]) -> str:
    """What is wrong with a URL's host as far as it says so itself; a name is looked at when it has been resolved."""
    bare = host.strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        if bare != host:
            return "expected an IPv6 address in the brackets"
        # Some readers take 127.1, 2130706433 or 0x7f.0.0.1 for an address, others for a name.
        is_number = _NUMBER.fullmatch(host.rpartition(".")[2]) is not None
        return "expected an IPv4 address as four decimal numbers" if is_number else ""
    return (
        "" if is_allowed(bare, networks) else f"expected a public address, or one of LIANKAO_COURIER_NETWORKS: {bare}"
    )


def _carried(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:  # only another way to write it
        return [address.ipv4_mapped]
    found: list[Address] = [address]
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.append(address.teredo[1])
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(address.packed[-4:]))
    return found


def _is_public(address: Address) -> bool:
    # Networks of which Python's versions differ in what they know, or which it takes for public.
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
