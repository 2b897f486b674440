"""Tests of bridge.cluster.bases."""

from ipaddress import ip_interface

import pytest

from wsdgateway.bridge.cluster.bases import MAX_OTHERS, near_bases, other_bases
from wsdgateway.bridge.cluster.values import Registration

HERE = tuple(map(ip_interface, ("192.0.2.5/24", "fd00:a::5/64", "fe80::5/64", "127.0.0.1/8")))
BASE = "http://192.0.2.5:5357"
OWN = Registration("1", "one", "", "", {"front-desk": ""}, bases=(BASE, "http://198.51.100.5:5357"))


def others(*bases, base=BASE, sections=("front-desk",), own=OWN):
    other = Registration("2", "two", "", "", dict.fromkeys(sections, ""), bases=bases)
    return other_bases(near_bases(base, HERE, (own, other)), "front-desk")


@pytest.mark.parametrize(("base", "there", "found"), [
    (BASE, ("http://198.51.100.6:5357", "http://192.0.2.6:5357"), ("http://192.0.2.6:5357",)),
    (BASE, ("http://192.0.2.6:5357", "http://192.0.2.6:80"), ("http://192.0.2.6:5357",)),
    (BASE, ("https://192.0.2.6:5358",), ()),
    ("https://192.0.2.5:5358", ("http://192.0.2.6:5357", "https://192.0.2.6:5358"), ("https://192.0.2.6:5358",)),
    (BASE, ("http://[fd00:a::6]:5357",), ()),
    ("http://[fd00:a::5]:5357", ("http://192.0.2.6:5357", "http://[fd00:a::6]:5357"), ("http://[fd00:a::6]:5357",)),
    ("http://[fe80::5]:5357", ("http://[fe80::6]:5357",), ()),
    ("http://scan.example.org:5357", ("http://192.0.2.6:5357",), ()),
    (BASE, ("http://scan.example.org:5357", "nonsense", "http://["), ()),
    (BASE, (), ()),
])
def test_bases_in_the_network_of_the_client(base, there, found):
    own = Registration("1", "one", "", "", {"front-desk": ""}, bases=(base,))
    assert others(*there, base=base, own=own) == found


def test_a_gateway_that_is_not_configured_for_the_scanner():
    assert others("http://192.0.2.6:5357", sections=("other",)) == ()


def test_a_client_of_another_gateway_gets_that_of_the_owner_second():
    """The owner answers a directed Probe that was passed on."""
    assert others("http://192.0.2.6:5357", base="http://192.0.2.6:5357") == (BASE,)


def test_the_number_is_bounded():
    gateways = [Registration(str(one), str(one), "", "", {"front-desk": ""}, bases=(f"http://192.0.2.{one}:5357",))
                for one in range(10, 30)]
    assert len(other_bases(near_bases(BASE, HERE, gateways), "front-desk")) == MAX_OTHERS
