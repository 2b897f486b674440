"""Tests of bridge.discovery.location: where and when to search for a scanner after a sighting."""

import pytest

from wsdgateway.bridge.discovery.location import MOST_ADDRESSES, MOST_AT_ONCE, Location, Next

V4, V4_NEW, V6_NEW = "http://198.51.100.20/d", "http://198.51.100.30/d", "http://[2001:db8::30]/d"
LINK, LINK_NEW = "http://[fe80::20]/d", "http://[fe80::30]/d"


def located(device, urls=None, via="eth1"):
    """Returns a location at which an earlier search has found the scanner."""
    location = Location()
    location.name(urls if urls is not None else (device,) if device else ())
    location.via = via
    if device:
        location.found(device)
    return location


def sight(location, *urls, via="eth1", changed=False, reachable=True, is_waiting=False):
    return location.sighted(urls, via, changed=changed, reachable=reachable, is_waiting=is_waiting)


@pytest.mark.parametrize(("device", "urls", "more", "then"), [
    (None, (V4,), {}, Next.SEARCH), (None, (), {}, Next.NOTHING), (None, (V4, LINK), {}, Next.SEARCH),
    # a link-local address waits for a better one, once
    (None, (LINK,), {}, Next.WAIT), (None, (LINK,), {"is_waiting": True}, Next.SEARCH),
    # the address has not changed
    (V4, (V4,), {}, Next.NOTHING), (V4, (V4, V4_NEW), {}, Next.STAY), (V4, (), {"changed": True}, Next.SEARCH),
    # the metadata at the address has changed
    (V4, (V4,), {"changed": True}, Next.SEARCH), (V4, (LINK,), {"changed": True}, Next.SEARCH),
    # another address counts on the same link and with the same version of IP
    (V4, (V4_NEW,), {}, Next.SEARCH), (V4, (V4_NEW,), {"via": "eth2"}, Next.NOTHING), (V4, (V6_NEW,), {}, Next.NOTHING),
    (V4, (LINK,), {}, Next.NOTHING),
    # any address counts if the known one does not answer
    (V4, (V4_NEW,), {"via": "eth2", "reachable": False}, Next.SEARCH),
    (V4, (V6_NEW,), {"reachable": False}, Next.SEARCH),
    (V4, (V4_NEW,), {"via": "eth2", "reachable": None}, Next.NOTHING),
    # a link-local address is given up for a better one
    (LINK, (V4,), {"via": "eth2"}, Next.SEARCH), (LINK, (LINK_NEW,), {"via": "eth2"}, Next.NOTHING),
    (LINK, (LINK_NEW,), {}, Next.SEARCH)])
def test_the_next_step_after_a_sighting(device, urls, more, then):
    assert sight(located(device), *urls, **more) is then


def test_the_same_addresses_are_not_searched_before_the_next_attempt():
    location = located(None)
    assert sight(location, V4) is Next.SEARCH
    assert sight(location, V4, is_waiting=True) is Next.NOTHING
    assert sight(location, V4, changed=True, is_waiting=True) is Next.SEARCH
    assert sight(location, V4_NEW, is_waiting=True) is Next.SEARCH


def test_the_known_address_comes_first_and_the_number_of_addresses_is_limited():
    location = located(V4)
    assert sight(location, V4_NEW, V4, changed=True) is Next.SEARCH
    assert location.urls == (V4, V4_NEW)
    assert sight(location, LINK, changed=True) is Next.SEARCH
    assert (location.urls, location.via) == ((V4, LINK), "eth1")
    assert sight(location, *(f"http://198.51.100.{number}/d" for number in range(100)), via="eth2",
                 reachable=False) is Next.SEARCH
    assert (len(location.urls), location.via) == (MOST_ADDRESSES, "eth2")


def test_a_link_local_address_does_not_disturb_a_search_at_a_better_one():
    location = located(None)
    sight(location, V4)
    assert location.begin() == (V4,)
    assert sight(location, LINK) is Next.NOTHING
    assert location.urls == (V4,)


def test_each_search_is_made_once_and_the_number_of_parallel_searches_is_limited():
    location = Location()
    assert location.begin() is None
    assert location.name((V4,))
    assert not location.name((V4,)) and not location.name(())
    assert location.begin() == (V4,)
    assert location.begin() is None  # it is in progress
    others = [(f"http://198.51.100.{number}/d",) for number in range(MOST_AT_ONCE)]
    for urls in others[1:]:
        location.name(urls)
        assert location.begin() == urls
    location.name(others[0])
    assert location.begin() is None  # too many searches are in progress
    assert location.end((V4,)) is True
    assert location.begin() == others[0]
    assert location.end(others[1]) is False
    assert location.end(others[0]) is False
    assert location.begin() == others[0]


def test_new_addresses_do_not_matter_while_the_former_one_answers():
    location = located(V4)
    location.name((V4_NEW,))
    assert location.is_still_at_former(reachable=True)
    assert not location.is_still_at_former(reachable=False)
    location.name((V4, V4_NEW))
    assert not location.is_still_at_former(reachable=True)
