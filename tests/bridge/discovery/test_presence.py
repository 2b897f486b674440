"""Tests of bridge.discovery.presence: stand-ins as target services, and their announcements."""

import attrs

from tests.bridge.discovery.services import ONE
from wsdgateway.bridge.discovery.presence import (
    PROXY_TYPES,
    TYPES,
    Bye,
    Hello,
    Presence,
    derived_endpoint,
    is_meant,
    proxy_service,
    stand_in_service,
)
from wsdgateway.discovery.messages import Probe, TargetService
from wsdgateway.soap.namespaces import WSDP


def test_the_endpoint_and_the_probes_of_a_stand_in():
    assert derived_endpoint("urn:uuid:5") == derived_endpoint("URN:UUID:5") != derived_endpoint("urn:uuid:6")
    assert derived_endpoint("uuid:5") == derived_endpoint("urn:uuid:5")
    assert derived_endpoint("front-desk").startswith("urn:uuid:")
    service = stand_in_service("urn:uuid:5", ("http://a/b",), 3)
    assert is_meant(Probe(TYPES[1:]), service)
    assert is_meant(Probe((), ("http://a",)), service)
    assert not is_meant(Probe(((WSDP, "Printer"),)), service)
    assert not is_meant(Probe((), ("http://b",)), service)
    proxy = proxy_service("gw")
    assert all(is_meant(Probe((kind,)), proxy) for kind in PROXY_TYPES)
    assert not is_meant(Probe(((WSDP, "Device"),)), proxy)


def test_hello_and_bye_follow_changes():
    presence = Presence()
    assert presence.update(None) == []
    assert presence.update(ONE) == [Hello(ONE)]
    assert presence.update(ONE) == []
    newer = TargetService(ONE.endpoint, ONE.types, ONE.scopes, ONE.xaddrs, 2)
    assert presence.update(newer) == [Hello(newer)]
    spelled = attrs.evolve(newer, endpoint="uuid:a")  # the same for clients that compare UUIDs: no Bye is needed
    assert presence.update(spelled) == [Hello(spelled)]
    assert presence.update(newer) == [Hello(newer)]
    other = TargetService("urn:uuid:B")
    assert presence.update(other) == [Bye(ONE.endpoint), Hello(other)]
    assert presence.update(None) == [Bye("urn:uuid:B")]
    assert presence.update(None) == []
