"""Whom the engine may call: a URL from outside must not lead it to what only the engine can reach."""

from __future__ import annotations

import pytest

from engine.rules.addresses import host_fault, is_allowed, read_networks

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:db8::1",
    "fec0::1",
    "64:ff9b:1::7f00:1",
    "3fff::1",
    "5f00::1",
    "192.88.99.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_not_called(address: str) -> None:
    """Also where IPv6 only wraps it."""
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ["8.8.8.8", "223.5.5.5", "2400:3200::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_called(address: str) -> None:
    """Without anybody naming them."""
    assert is_allowed(address, ())


def test_a_named_network_is_called_and_its_neighbour_is_not() -> None:
    """A provincial system sits in a private net of its own."""
    networks = read_networks(" 10.20.0.0/16, fd00:1::/32 ")

    assert is_allowed("10.20.255.255", networks)
    assert is_allowed("::ffff:10.20.0.1", networks)
    assert is_allowed("fd00:1::5", networks)
    assert not is_allowed("10.21.0.0", networks)
    assert not is_allowed("127.0.0.1", networks)


def test_a_translated_address_is_called_only_where_it_leads_to_may_be() -> None:
    """NAT64: naming the prefix opens what is public behind it, and no private net."""
    networks = read_networks("64:ff9b::/96")

    assert is_allowed("64:ff9b::808:808", networks)
    assert not is_allowed("64:ff9b::a00:1", networks)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example.org", "10.0.0.0/8 fd00::/8"])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    """A typing error must not open more, or less, than was meant."""
    with pytest.raises(ValueError, match=text.split("/")[0]):
        read_networks(text)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "2130706433"])
def test_what_is_no_address_is_never_called(text: str) -> None:
    """Only what a name was resolved to is asked about."""
    assert not is_allowed(text, read_networks("0.0.0.0/0, ::/0"))


def test_a_host_is_judged_by_what_it_says_itself() -> None:
    """A name is judged when it is resolved, each time anew; an address at once."""
    assert host_fault("receiver.example", ()) == ""
    assert host_fault("8.8.8.8", ()) == ""
    assert "10.0.0.1" in host_fault("10.0.0.1", ())
    assert "LIANKAO_COURIER_NETWORKS" in host_fault("[::1]", ())
    assert host_fault("[::1]", read_networks("::1/128")) == ""
    assert "IPv6" in host_fault("[1.2.3]", ())
