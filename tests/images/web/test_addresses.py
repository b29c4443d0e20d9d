"""Which addresses count as public."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unprompt.images.web.addresses import IPAddress, is_public

NAT64 = int(IPv6Address("64:ff9b::"))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "2a00::1",
        "64:ff9b::8.8.8.8",
    ],
)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.19.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@given(st.ip_addresses())
@example(ip_address("192.88.99.1"))
def test_nothing_is_public_that_the_standard_library_calls_otherwise(address: IPAddress) -> None:
    assert not is_public(address) or (address.is_global and not address.is_multicast)


@given(st.sampled_from(sorted(ipaddress.IPv4Address._constants._private_networks)).flatmap(  # type: ignore[attr-defined]
    lambda network: st.ip_addresses(network=network)
))  # fmt: skip
def test_no_private_network_is_public_in_any_dress(address: IPv4Address) -> None:
    packed = int(address)
    dresses = [
        packed,
        NAT64 + packed,
        int(IPv6Address("::ffff:0:0")) + packed,
        int(IPv6Address("2002::")) + (packed << 80),
    ]
    assert not is_public(address)
    assert not any(is_public(IPv6Address(dress)) for dress in dresses)
