"""Tests of net.discovery.links on a Clock: interfaces, sockets and dropped datagrams."""

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.links import VLAN, DiscoverySetup, StandIn
from tests.wire import GSOAP_PROBE_MATCHES, WINDOWS_PROBE
from wsdgateway.discovery.messages import MAX_ENVELOPE, Sequence, TargetService
from wsdgateway.discovery.writing import write_hello, write_probe
from wsdgateway.net.discovery import links as discovery_module
from wsdgateway.net.transport.interfaces import POLL_SECONDS, Interface
from wsdgateway.soap.namespaces import WSDP


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "malformed"), (b"\xff" * 2000, "malformed"), (b"<" * 30000, "malformed"),
    (b"x" * (MAX_ENVELOPE + 1), "oversize"),
    (WINDOWS_PROBE.replace(b"<wsd:Types>", b'<wsd:Scopes MatchBy="urn:x"/><wsd:Types>'), "rule")])
def test_unusable_datagrams_are_dropped_and_counted(set_up, data, reason):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", data)
    assert setup.dropped == [reason]
    setup.pass_time(1)
    assert setup.answers() == []


@pytest.mark.parametrize("host", ["203.0.113.9", "198.51.100.20", "2001:db8::1", "0.0.0.0"])
def test_senders_outside_the_link_are_not_answered(set_up, host):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROBE, host)
    setup.pass_time(1)
    assert (setup.answers(), setup.dropped) == ([], ["foreign"])


@given(data=st.binary(max_size=200), cut=st.integers(0, len(WINDOWS_PROBE)))
def test_no_datagram_raises(data, cut):
    with pytest.MonkeyPatch.context() as patch:
        setup = DiscoverySetup(patch, clients=("lan", "vlan"), devices=("lan", "vlan")).start()
        setup.targets.add("front-desk", StandIn())
        setup.say("lan", WINDOWS_PROBE[:cut] + data + WINDOWS_PROBE[cut:])
        setup.say("vlan", GSOAP_PROBE_MATCHES[:cut] + data + GSOAP_PROBE_MATCHES[cut:], answer=True)


def test_on_a_link_with_clients_and_scanners_the_gateway_ignores_itself(set_up):
    setup = set_up(clients=("lan",), devices=("lan",))
    setup.targets.add("front-desk", StandIn())
    setup.pass_time(1)
    link = setup.links["lan", 4]
    own = [message for kind, message in link.sent if kind != "ask"]
    assert {message.name for message in own} == {"Hello"}
    setup.say("lan", write_hello(StandIn().service, sequence=Sequence(9, 500), message_id="urn:uuid:own-500"))
    setup.say("lan", write_hello(TargetService("urn:uuid:another"), sequence=Sequence(9, 501), message_id="urn:uuid:x"))
    assert [one.sighting.endpoint for one in setup.news] == ["urn:uuid:another"]
    setup.say("lan", write_probe(((WSDP, "Device"),), message_id="urn:uuid:own-501"))
    setup.pass_time(1)
    assert setup.answers() == []


def test_added_changed_and_removed_interfaces(set_up):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.pass_time(1)
    link = setup.links["lan", 4]
    assert len(link.sent) == 2
    moved = Interface("lan", 2, (ip_interface("192.0.2.6/24"), ip_interface("fe80::5/64")))
    setup.interfaces = {"lan": moved, "vlan": VLAN}
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.links["lan", 4] is link
    assert len(link.sent) == 4  # announced again at the new address
    setup.say("lan", WINDOWS_PROBE)
    setup.pass_time(1)
    assert setup.answers()[0][1].content[0].xaddrs == ("http://192.0.2.6:5357/front-desk",)
    setup.interfaces = {"vlan": VLAN}
    setup.pass_time(POLL_SECONDS + 1)
    assert link.closed
    setup.interfaces = {"lan": Interface("lan", 7, moved.addresses), "vlan": VLAN}
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.links["lan", 4] is not link
    assert setup.links["lan", 4].names() == ["Hello", "Hello"]


def test_failed_sends_are_retried_after_growing_pauses(set_up):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.pass_time(1)
    link = setup.links["lan", 4]
    counts = []
    for _ in range(40):
        link.failed = True
        setup.pass_time(POLL_SECONDS)
        counts.append(len(link.sent))
    assert counts[0] >= 3
    assert counts[-1] < 2 + 2 * 7


def test_opening_a_socket_is_retried(set_up, monkeypatch):
    setup = set_up(clients=(), devices=("vlan",))
    refused = []

    def refuse(reactor, interface, version, **more):
        refused.append(interface.name)
        raise OSError("no")

    setup.interfaces = {"vlan": Interface("vlan", 9, VLAN.addresses)}
    monkeypatch.setattr(discovery_module, "Link", refuse)
    setup.pass_time(POLL_SECONDS * 3)
    assert len(refused) >= 2
    monkeypatch.setattr(discovery_module, "Link", setup.link)
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.links["vlan", 4].interface.index == 9
