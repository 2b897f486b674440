"""Tests of net.events.orphans: subscriptions that earlier starts left at a scanner are resumed or ended."""

import attrs
import pytest

from tests.net.events.eventsource import SCAN_URL
from wsdgateway.net.events.orphans import Orphans
from wsdgateway.net.transport.errors import Unavailable

AWAY = Unavailable("192.0.2.20", "it is away")


@pytest.fixture
def orphans(subscriber):
    endings = []

    async def request(client, url, operation, body):
        return await subscriber.scanner.send(url, operation, body)

    made = Orphans(subscriber.clock, make_client=object, request=request,
                   eventing_client=lambda where: attrs.evolve(subscriber.client, where=where), on_ending=endings.append)
    made.endings = endings
    yield made
    for one in endings:
        one.give_up()


def test_a_resumed_subscription_is_no_longer_an_orphan(orphans, held):
    orphans.restore([held])
    assert orphans.take("client") is None
    assert orphans.take("") == held
    assert orphans.end_all() == []
    assert orphans.client is None


def test_orphans_are_ended_at_the_address_where_they_were_granted(subscriber, scanner, orphans, held):
    scanner.manager = None
    former = attrs.evolve(held, address="http://192.0.2.99/scan", manager=attrs.evolve(held.manager, address=""))
    orphans.restore([former])
    [tried] = orphans.end_all()
    assert tried.called
    assert scanner.requests[-1][1:3] == ("http://192.0.2.99/scan", "Unsubscribe")
    assert subscriber.client.address == SCAN_URL


def test_end_all_waits_for_one_attempt_per_orphan(subscriber, scanner, orphans, held):
    scanner.fails["Unsubscribe"] = AWAY
    orphans.restore([held])
    [tried] = orphans.end_all()
    assert tried.called
    assert orphans.endings[0].waits
