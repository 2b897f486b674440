"""Tests of net.presence.locator on a Clock: where it looks for a scanner, and when."""

import pytest
from twisted.internet.task import Clock

from tests.messages import envelope
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.discovery.backoff import LONGEST_AWAY
from wsdgateway.bridge.discovery.location import LONGEST_PAUSE
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.bridge.health.causes import NO_USABLE_ADDRESS
from wsdgateway.net.presence.locator import Locator
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.soap.namespaces import WSDP, WSX, WXF

UUID = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca"


class Pool:
    """Stands in for the client of a device."""

    reachable = None
    zone = ""


@pytest.fixture
def locating():
    """Locator whose device answers at the URLs in `there`.

    `all` holds the URLs that were found, the URLs that were asked, `there`, the clock and the client.
    """
    clock, there, asked, found_at = Clock(), set(), [], []

    async def send(url, operation, body):
        asked.append(url)
        if locator.refusing:
            return Reply(503, b"text/plain", b"starting")
        if url not in there:
            raise Unavailable(url, "nobody is there")
        pool.reachable = True
        return Reply(200, b"application/soap+xml", envelope(f"{WXF}/GetResponse", (
            f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:Relationship><d:Hosted><wsa:EndpointReference>'
            f"<wsa:Address>{url}/scan</wsa:Address></wsa:EndpointReference><d:Types>wscn:ScannerServiceType</d:Types></d:Hosted>"
            "</d:Relationship></m:Metadata>")))

    pool = Pool()
    locator = Locator(clock, scanner="front-desk", client=pool, send=send, send_beside=send,
                      new_id=lambda: "urn:uuid:m", endpoint=UUID, found=found_at.append)
    locator.refusing = False
    locator.all = found_at, asked, there, clock, pool
    return locator


def seen(locator, *xaddrs, changed=False, via="eth1"):
    locator.sighted(Sighting(UUID, (), (), xaddrs, 1, None, via, 0.0), changed=changed)


V4, V4_NEW, V6 = "http://198.51.100.20/d", "http://198.51.100.30/d", "http://[fe80::20]/d"


def test_a_link_local_address_waits_for_a_better_one(locating):
    found_at, asked, there, clock, _ = locating.all
    there |= {V4, V6}
    seen(locating, V6)
    clock.advance(0.5)
    assert asked == []
    seen(locating, V4)
    seen(locating, V6)
    clock.advance(5)
    assert found_at == [f"{V4}/scan"]
    seen(locating, V6, changed=True)  # it is asked at its present address
    assert asked == [V4, V4]
    assert found_at == [f"{V4}/scan"] * 2


def test_a_link_local_address_is_used_until_a_better_one_is_seen(locating):
    found_at, _, there, clock, _ = locating.all
    there |= {V4, V6}
    seen(locating, V6)
    clock.advance(1.1)
    assert found_at == [f"{V6}/scan"]
    seen(locating, V4)
    assert found_at[1:] == [f"{V4}/scan"]


def test_dead_addresses_are_skipped_and_retried_after_growing_pauses(locating):
    found_at, asked, there, clock, _ = locating.all
    seen(locating, V4, V4_NEW)
    assert asked == [V4, V4_NEW]
    for _ in range(5):
        seen(locating, V4, V4_NEW)  # the same sighting, repeatedly
    assert len(asked) == 2
    clock.pump([1, 2, 4])
    assert len(asked) == 8
    there.add(V4_NEW)
    clock.advance(8)
    assert found_at == [f"{V4_NEW}/scan"]
    assert clock.getDelayedCalls() == []


def test_an_unusable_address_is_logged_once(locating, said):
    for _ in range(3):
        seen(locating, "http://127.0.0.1/d", "http://239.255.255.250/d")
        seen(locating)
    [line] = [line for line in said if "no usable address" in line]
    assert "only http://127.0.0.1/d http://239.255.255.250/d; " in line
    assert (locating.cause, locating.was_tried) == (NO_USABLE_ADDRESS, False)


def test_a_search_without_success_is_logged_when_its_reason_changes(locating, said):
    _, _, there, clock, _ = locating.all
    seen(locating, V4)
    clock.pump([1.0] * 60)
    assert (locating.was_tried, locating.cause) == (True, None)  # the error has none
    locating.refusing = True
    clock.pump([1.0] * 60)
    assert locating.cause.words == "answered 503"
    why = [line.partition("not found: ")[2].partition(";")[0] for line in said if "was not found" in line]
    assert why == [f"{V4}: nobody is there", f"{V4}: it answered 503"]
    locating.refusing = False
    there.add(V4)
    clock.advance(LONGEST_PAUSE)
    assert locating.cause is None


def test_a_scanner_that_is_not_ready_is_asked_less_often_than_one_that_does_not_answer(locating):
    found_at, asked, there, clock, _ = locating.all
    seen(locating, V4)
    clock.pump([1.0] * 60)
    away = len(asked)
    assert 60 / LONGEST_AWAY <= away <= 60 / LONGEST_AWAY + 3
    locating.refusing = True
    clock.pump([1.0] * 60)
    assert 60 / LONGEST_PAUSE <= len(asked) - away <= 60 / LONGEST_PAUSE + 2
    locating.refusing = False
    there.add(V4)
    clock.advance(LONGEST_PAUSE)
    assert found_at == [f"{V4}/scan"]


def test_a_new_address_is_adopted_only_after_the_scanner_answers_there(locating):
    found_at, asked, there, clock, _ = locating.all
    there.add(V4)
    seen(locating, V4)
    seen(locating, V4_NEW)
    assert asked == [V4, V4_NEW]
    assert locating.device == V4
    clock.advance(100)
    assert len(asked) == 2
    there.add(V4_NEW)
    seen(locating, V4_NEW)
    assert found_at == [f"{V4}/scan", f"{V4_NEW}/scan"]
    seen(locating, "http://203.0.113.5/d", via="eth2")  # it has an address on another link, too
    assert len(asked) == 3
    locating.stop()


def test_a_scanner_that_is_not_ready_after_a_change_is_asked_again(locating):
    found_at, asked, there, clock, _ = locating.all
    there.add(V4)
    seen(locating, V4)
    there.clear()
    seen(locating, V4, changed=True)
    seen(locating, V4)
    assert len(asked) == 2
    there.add(V4)
    clock.advance(1.1)
    assert found_at == [f"{V4}/scan"] * 2
