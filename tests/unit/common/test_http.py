"""Which addresses a webhook may live at."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_common.http import ForbiddenAddressError, may_connect

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "162.159.128.233",
    "172.15.255.255",
    "172.32.0.1",
    "223.255.255.255",
    "2606:4700::6810:85e5",
    "2a00:1450:4001:80e::200e",
    "::ffff:1.1.1.1",
    "2002:101:101::1",  # 6to4 of 1.1.1.1
    "64:ff9b::1.1.1.1",  # NAT64 of 1.1.1.1
]

FORBIDDEN = [
    "0.0.0.0",  # noqa: S104 - nothing listens on it
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::2",
    "::10.0.0.1",  # IPv4-compatible
    "::127.0.0.1",
    "::1.1.1.1",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:224.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::224.0.0.1",
    "64:ff9b:1::1.1.1.1",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:a00:1::1",  # 6to4 of 10.0.0.1
    "2002:a9fe:a9fe::",
    "2002:e000:1::",
    "4000::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]

LOOPBACK = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_webhook_may_live_at_a_public_address(address):
    assert may_connect(ipaddress.ip_address(address), allow_local=False)
    assert may_connect(ipaddress.ip_address(address), allow_local=True)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_webhook_lives_at_an_address_that_is_not_public(address):
    assert not may_connect(ipaddress.ip_address(address), allow_local=False)
    assert not may_connect(ipaddress.ip_address(address), allow_local=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_reached_only_where_it_is_allowed(address):
    assert not may_connect(ipaddress.ip_address(address), allow_local=False)
    assert may_connect(ipaddress.ip_address(address), allow_local=True)


@settings(max_examples=50, deadline=None)
@given(st.ip_addresses(v=4), st.booleans())
def test_ipv4_inside_ipv6_is_judged_as_itself(address, allow_local):
    direct = may_connect(address, allow_local=allow_local)

    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    nat64 = ipaddress.IPv6Address(f"64:ff9b::{address}")
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))
    for wrapped in (mapped, nat64, six_to_four):
        assert may_connect(wrapped, allow_local=allow_local) is direct


@settings(max_examples=50, deadline=None)
@given(st.ip_addresses())
def test_what_python_calls_not_global_is_never_connected_to(address):
    if may_connect(address, allow_local=False):
        assert address.is_global or address in ipaddress.ip_network("2002::/16") or address.ipv4_mapped


def test_a_forbidden_address_counts_as_a_failed_connection():
    assert issubclass(ForbiddenAddressError, OSError)
