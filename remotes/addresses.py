"""To which addresses this server connects on somebody's word. Pure.

    a public address, at an ordinary port                 yes
    what HARBORLITE_OUTBOUND_ALLOW has                    yes
    anything else: loopback, private, link-local, ...     no

An entry there is HOST, *.DOMAIN, ADDRESS or CIDR, and after a colon a port, a range of ports, or `*`; without one it
means the ordinary ports. An IPv6 address or CIDR that a port follows stands in brackets.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

ORDINARY_PORTS = frozenset({80, 443, 5000, 8080, 8443})
_ENTRY = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+(?:/\d{1,3})?\]|[^:\[\]]+?)(?::(?P<ports>\*|\d{1,5}(?:-\d{1,5})?))?", re.ASCII
)
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?", re.ASCII)
_CARRIERS = tuple(
    # Of addresses that carry an IPv4 address inside, wherever a gateway may take them.
    ip_network(text)
    for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Allowed:
    """An entry: addresses of `network`, or whatever addresses `host` has."""

    network: Network | None
    host: str
    ports: range | None
    """None for the ordinary ones."""

    def covers(self, host: str, address: Address, port: int) -> bool:
        if port not in (ORDINARY_PORTS if self.ports is None else self.ports):
            return False
        if self.network is not None:
            return address in self.network
        host = host.lower().rstrip(".")
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host


def allowed(text: str) -> Allowed:
    """The entry that `text` is. ValueError when it is none."""
    try:
        return Allowed(ip_network(text, strict=False), "", None)
    except ValueError:
        found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no host, address or CIDR with or without a port")
    host, ports = found["host"].strip("[]").lower(), _ports(found["ports"])
    try:
        return Allowed(ip_network(host, strict=False), "", ports)
    except ValueError:
        if not _HOST.fullmatch(host) or re.fullmatch(r"[0-9.]+", host):
            raise ValueError(f"{text!r} is no host, address or CIDR with or without a port") from None
    return Allowed(None, host.rstrip("."), ports)


def _ports(text: str | None) -> range | None:
    if text is None:
        return None
    low, _, high = ("1-65535" if text == "*" else text).partition("-")
    ports = range(int(low), int(high or low) + 1)
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise ValueError(f"{text!r} is no port and no range of ports")
    return ports


def is_public(address: Address) -> bool:
    """Whether it is an address of somebody else's on the internet."""
    if isinstance(address, IPv6Address) and (address.is_site_local or any(address in n for n in _CARRIERS)):
        return False
    return address.is_global and not address.is_multicast and not address.is_unspecified


def may_reach(host: str, port: int, addresses: Iterable[str], rules: Iterable[Allowed]) -> bool:
    """Whether `host` may be connected to at `port`, whichever of its `addresses` is taken; of none, no."""
    found = [_address(text) for text in addresses]
    return bool(found) and all(
        any(rule.covers(host, address, port) for rule in rules) or (is_public(address) and port in ORDINARY_PORTS)
        for address in found
    )


def _address(text: str) -> Address:
    """What it really is: without its zone, and an IPv4 address in IPv6's clothes as IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
