"""Tests of net.presence.reachability on a Clock."""

from twisted.internet.task import Clock

from wsdgateway.bridge.discovery.announcements import AGAIN_SECONDS, BYE_SECONDS
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.net.presence.reachability import Reachability


class Client:
    """Stands in for a client of a scanner that has answered."""

    reachable = True
    last_received = 0.0


def test_a_bye_counts_until_the_scanner_answers_and_is_not_extended_by_repetitions():
    clock, client, checks = Clock(), Client(), []

    def check():
        checks.append(clock.seconds())
        client.last_received = clock.seconds() + 0.1

    reachability = Reachability(clock, seconds=clock.seconds, device=client, check=check)
    assert reachability.reachable is True
    for _ in range(10):
        reachability.said_bye()
        assert (reachability.reachable is False) is (clock.seconds() < BYE_SECONDS)
        clock.advance(0.5)
    assert checks == [BYE_SECONDS]
    clock.advance(AGAIN_SECONDS)
    reachability.said_bye()
    assert reachability.reachable is False
    reachability.sighted(Sighting("urn:uuid:5", (), (), (), 1, None, "eth1", 0.0))
    assert reachability.reachable is True
    assert reachability.silent_for() == 0.0
    reachability.stop()
    assert clock.getDelayedCalls() == []
