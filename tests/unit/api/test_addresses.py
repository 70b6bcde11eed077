"""The address that a request counts for."""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.addresses import client, forwarded

MAPPED = "::ffff:"  # an address of IPv4 written as one of IPv6
PROXIES = [ip_network("192.0.2.0/28"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("192.0.2.77", [], "192.0.2.77"),
        ("192.0.2.77", [b"192.0.2.101"], "192.0.2.77"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", [b""], "192.0.2.1"),
        ("192.0.2.1", [b"192.0.2.101"], "192.0.2.101"),
        ("192.0.2.1", [b"made-up, 192.0.2.101"], "192.0.2.101"),
        ("192.0.2.1", [b"192.0.2.201, 192.0.2.101"], "192.0.2.101"),
        ("192.0.2.1", [b"192.0.2.201", b"192.0.2.101"], "192.0.2.101"),
        ("192.0.2.1", [b"192.0.2.201, 192.0.2.101, 192.0.2.2"], "192.0.2.101"),
        ("192.0.2.1", [b"192.0.2.101, made-up"], "192.0.2.1"),
        ("192.0.2.1", [b"192.0.2.3, 192.0.2.2"], "192.0.2.3"),
        ("192.0.2.1", [b"192.0.2.101:4711"], "192.0.2.101"),
        ("192.0.2.1", [b"[2001:db8::1]:4711"], "2001:db8::/64"),
        ("::1", [b"2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (MAPPED + "192.0.2.1", [MAPPED.encode() + b"192.0.2.101"], "192.0.2.101"),
        ("2001:db8::ffff:1", [b"192.0.2.101"], "2001:db8::/64"),
        ("2001:db8::1%eth0", [], "2001:db8::/64"),
        ("/run/api.sock", [b"192.0.2.101"], "/run/api.sock"),
        ("", [b"192.0.2.101"], ""),
    ],
)
def test_only_what_a_trusted_proxy_says_is_believed(peer: str, headers: list[bytes], address: str) -> None:
    said = forwarded([(b"X-Forwarded-For", value) for value in headers] + [(b"forwarded", b"for=192.0.2.9")])

    assert client(peer, said, PROXIES) == address


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert client("127.0.0.1", [b"192.0.2.101"], []) == "127.0.0.1"


@given(st.ip_addresses(network="192.0.2.128/25"), st.lists(st.binary(max_size=20), max_size=5))
def test_who_is_no_proxy_can_say_what_he_wants(peer: IPv4Address, said: list[bytes]) -> None:
    assert client(str(peer), said, PROXIES) == str(peer)
