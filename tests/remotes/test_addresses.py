"""To which addresses the server connects on somebody's word."""

import socket
from contextlib import suppress
from ipaddress import ip_address

import pytest

from remotes.addresses import allowed, is_public, may_reach

PRIVATE = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "169.254.169.254", "fd00:ec2::254", "100.100.100.200",
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "169.254.0.1", "224.0.0.1", "239.1.1.1", "ff02::1", "240.0.0.1", "255.255.255.255",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::",  # gateways to IPv4
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_reached(address: str) -> None:
    assert not may_reach("registry.example.com", 443, [address], [])


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert may_reach("registry.example.com", 443, [address], [])


@pytest.mark.parametrize("private", PRIVATE)
def test_one_private_address_among_others_is_enough_to_refuse(private: str) -> None:
    """Which one is connected to, nobody knows before."""
    assert not may_reach("registry.example.com", 443, [*PUBLIC, private], [])


def test_a_name_without_addresses_is_not_reached() -> None:
    assert not may_reach("registry.example.com", 443, [], [allowed("0.0.0.0/0:*")])


@pytest.mark.parametrize(
    "name", ["localhost", "localhost.", "0.0.0.0", "2130706433", "0x7f.1", "127.1", "017700000001", "0"]
)
def test_other_spellings_of_this_machine_are_this_machine(name: str) -> None:
    """The resolver reads them, so what it says is what is checked."""
    found = []
    with suppress(socket.gaierror):  # not every resolver knows every spelling
        found = [entry[4][0] for entry in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)]
    assert not may_reach(name, 443, [str(address) for address in found], [])


@pytest.mark.parametrize("port", [1, 21, 22, 23, 25, 111, 2375, 3306, 5432, 6379, 9200, 11211, 27017])
def test_ports_of_other_services_are_not_reached(port: int) -> None:
    assert not may_reach("registry.example.com", port, ["1.1.1.1"], [])
    assert may_reach("registry.example.com", port, ["1.1.1.1"], [allowed(f"registry.example.com:{port}")])


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "is_reached"),
    [
        ("10.0.0.0/8", "r", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "r", "10.1.2.3", 6379, False),
        ("10.0.0.0/8", "r", "11.1.2.3", 443, True),  # a public one
        ("10.0.0.0/8", "r", "192.168.0.1", 443, False),
        ("10.0.0.0/8:*", "r", "10.1.2.3", 6379, True),
        ("10.0.0.0/8:5000-5010", "r", "10.1.2.3", 5005, True),
        ("10.0.0.0/8:5000-5010", "r", "10.1.2.3", 5011, False),
        ("10.0.0.0/8:5000-5010", "r", "10.1.2.3", 443, False),
        ("10.1.2.3", "r", "10.1.2.3", 443, True),
        ("10.1.2.3", "r", "10.1.2.4", 443, False),
        ("10.0.0.0/8", "r", "::ffff:10.1.2.3", 443, True),
        ("fd00::/8", "r", "fd00::1", 443, True),
        ("[fd00::/8]:5000", "r", "fd00::1", 5000, True),
        ("[fd00::/8]:5000", "r", "fd00::1", 443, False),
        ("[::1]:*", "r", "::1", 22, True),
        ("registry.internal", "registry.internal", "10.1.2.3", 443, True),
        ("registry.internal", "REGISTRY.internal.", "10.1.2.3", 443, True),
        ("registry.internal", "evil.registry.internal", "10.1.2.3", 443, False),
        ("registry.internal:5000", "registry.internal", "10.1.2.3", 5000, True),
        ("*.internal", "registry.internal", "10.1.2.3", 443, True),
        ("*.internal", "internal", "10.1.2.3", 443, False),
        ("*.internal", "evilinternal", "10.1.2.3", 443, False),
    ],
)
def test_what_the_operator_allows(entry: str, host: str, address: str, port: int, *, is_reached: bool) -> None:
    assert may_reach(host, port, [address], [allowed(entry)]) is is_reached


@pytest.mark.parametrize(
    "entry",
    ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/8:x", "10.0.0.0/8:0", "10.0.0.0/8:70000", "10.0.0.0/8:9-1", "a b", "*",
     "http://registry.internal", "registry.internal/path", "[::1", "::1]:5", "*.", "a:b:c"],
)  # fmt: skip
def test_entries_that_are_none(entry: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        allowed(entry)


def test_is_public_knows_both_kinds() -> None:
    assert [is_public(ip_address(text)) for text in ("1.1.1.1", "10.0.0.1", "2606:4700::1", "fd00::1")] == [
        True, False, True, False,
    ]  # fmt: skip
