"""Tests of net.discovery.targetservices on a Clock: Hello, Bye, and answers to Probe and Resolve of clients."""

import re

import pytest

from tests.links import StandIn
from tests.wire import BYE, GSOAP_PROBE_MATCHES, RESOLVE_1_1, UUID, WINDOWS_PROBE, WINDOWS_PROXY_PROBE
from wsdgateway.bridge.discovery.appsequences import AppSequences
from wsdgateway.bridge.discovery.presence import TYPES, proxy_service
from wsdgateway.discovery.messages import Sequence, TargetService, read_message
from wsdgateway.discovery.versions import WS_2005_04, WS_2009_01
from wsdgateway.discovery.writing import write_hello, write_probe, write_resolve
from wsdgateway.net.discovery.targetservices import MAX_SEPARATE
from wsdgateway.net.transport.interfaces import POLL_SECONDS
from wsdgateway.net.transport.localaddress import OpenPort
from wsdgateway.soap.namespaces import WSDP


def test_a_probe_is_answered_twice_after_a_random_delay_with_the_address_on_that_link(set_up):
    setup = set_up()
    setup.targets.add("front-desk", StandIn(scopes=("http://floor/3",)))
    setup.say("lan", WINDOWS_PROBE)
    assert setup.answers() == []
    setup.pass_time(0.26)
    [(whom, message)] = setup.answers()
    assert whom == ("192.0.2.77", 50000)
    assert (message.name, message.version) == ("ProbeMatches", WS_2005_04)
    assert message.relates_to == read_message(WINDOWS_PROBE).message_id
    xaddrs = ("http://192.0.2.5:5357/front-desk",)
    assert message.content == (TargetService(UUID, TYPES, ("http://floor/3",), xaddrs, 1),)
    setup.pass_time(1)
    [first, again] = setup.answers()
    assert first[1].message_id == again[1].message_id
    setup.say("lan", WINDOWS_PROBE)  # the client's own repetition
    setup.pass_time(1)
    assert len(setup.answers()) == 2


@pytest.mark.parametrize("clients", [("lan",), ()])
def test_the_log_says_announced_only_if_there_is_a_link_to_clients(set_up, said, clients):
    setup = set_up(clients=clients)
    setup.targets.add("front-desk", StandIn())
    assert [line for line in said if "announced" in line] == (["front-desk: announced to clients"] if clients else [])


def test_a_probe_on_another_link_gets_the_address_on_that_link(set_up):
    setup = set_up(clients=("lan", "vlan"), devices=())
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROBE)
    setup.say("lan", WINDOWS_PROBE, "fe80::77", version=6)
    setup.say("vlan", WINDOWS_PROBE, "198.51.100.77")
    setup.pass_time(1)
    xaddrs = [setup.answers(*key)[0][1].content[0].xaddrs for key in (("lan", 4), ("lan", 6), ("vlan", 4))]
    assert xaddrs == [("http://192.0.2.5:5357/front-desk",), ("http://[fe80::5]:5357/front-desk",),
                      ("http://198.51.100.5:5357/front-desk",)]


def test_a_resolve_is_answered_at_once_in_its_own_version(set_up):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.targets.add("other", StandIn("other", "urn:uuid:other"))
    setup.say("lan", RESOLVE_1_1)
    setup.clock.advance(0)
    [(_, message)] = setup.answers()
    assert (message.name, message.version) == ("ResolveMatches", WS_2009_01)
    assert [one.endpoint for one in message.content] == [UUID]


@pytest.mark.parametrize("data", [
    write_probe(((WSDP, "Printer"),), message_id="m"), write_resolve("urn:uuid:nobody", message_id="m"), BYE,
    write_hello(TargetService("urn:uuid:forged"), sequence=Sequence(99, 1), message_id="m"), GSOAP_PROBE_MATCHES,
    WINDOWS_PROXY_PROBE])
def test_messages_that_are_not_for_the_gateway_have_no_effect(set_up, data):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.pass_time(1)
    before = len(setup.links["lan", 4].sent)
    setup.say("lan", data)
    setup.pass_time(2)
    assert len(setup.links["lan", 4].sent) == before
    assert setup.news == []
    assert setup.dropped == []


def test_the_proxy_matches_only_a_probe_for_a_proxy(set_up):
    setup = set_up(proxy=proxy_service("gw"))
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROXY_PROBE)
    setup.say("lan", write_probe((), message_id="m"))
    setup.pass_time(1)
    (_, proxy), _, (_, plain), _ = sorted(setup.answers(), key=lambda one: one[1].content[0].endpoint == UUID)
    assert proxy.content[0].xaddrs == ("http://192.0.2.5:5357/",)
    assert proxy.content[0].endpoint == proxy_service("gw").endpoint
    assert [one.endpoint for one in plain.content] == [UUID]


def test_hello_has_no_addresses_and_links_to_scanners_get_neither_hello_nor_bye(set_up):
    setup = set_up()
    stand_in = StandIn()
    setup.targets.add("front-desk", stand_in)
    setup.pass_time(1)
    for version in (4, 6):
        sent = setup.links["lan", version].sent
        assert [(kind, message.name) for kind, message in sent] == [("all", "Hello")] * 2
        assert sent[0][1].content == (TargetService(UUID, TYPES, (), (), 1),)
        assert sent[0][1].message_id == sent[1][1].message_id
    setup.targets.changed("front-desk")
    setup.pass_time(1)
    assert len(setup.links["lan", 4].sent) == 2
    stand_in.service = None
    setup.targets.changed("front-desk")
    setup.pass_time(1)
    assert setup.links["lan", 4].names() == ["Hello", "Hello", "Bye", "Bye"]
    setup.say("lan", WINDOWS_PROBE)  # while it is gone, it does not answer
    setup.pass_time(1)
    assert setup.answers() == []
    assert set(setup.links["vlan", 4].names()) == {"Probe"}
    numbers = [message.sequence.message_number for _, message in setup.links["lan", 4].sent]
    assert numbers == sorted(numbers)


def test_with_tls_the_endpoint_and_the_only_address_are_https(set_up):
    setup = set_up()
    setup.open_ports = [OpenPort("::", 5357), OpenPort("::", 5358, secure=True)]
    stand_in, address = StandIn(), "https://192.0.2.5:5358/front-desk"
    setup.targets.add("front-desk", stand_in)
    setup.say("lan", WINDOWS_PROBE)
    setup.pass_time(1)
    [match] = setup.answers()[0][1].content
    assert (match.endpoint, match.xaddrs) == (address, (address,))
    for asked, answered in ((address, address), (UUID, UUID), (address.replace("https", "http"), None)):
        del setup.links["lan", 4].sent[:]
        setup.say("lan", write_resolve(asked, message_id=f"urn:uuid:{asked[:5]}"))
        setup.pass_time(1)
        matches = [message.content[0] for _, message in setup.answers()]
        assert [(one.endpoint, one.xaddrs) for one in matches] == ([(answered, (address,))] * 2 if answered else [])
    stand_in.service = None
    setup.targets.changed("front-desk")
    setup.pass_time(1)
    received = [message for _, message in setup.links["lan", 6].sent]
    at_v6 = "https://[fe80::5]:5358/front-desk"
    assert [(one.name, one.content[0].endpoint if one.name == "Hello" else one.content) for one in received[:2]] == [
        ("Hello", at_v6)] * 2
    assert [one.name for one in received[2:]] == ["Bye", "Bye"]
    assert at_v6 in str(received[-1].content)


def test_clients_denied_probe_get_no_match(set_up):
    setup = set_up(allows=lambda client, scanner, operation: (client, scanner, operation) != (
        "192.0.2.77", "front-desk", "Probe"))
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROBE)
    setup.say("lan", WINDOWS_PROBE.replace(b"29cf10da", b"29cf10db"), "192.0.2.78")
    setup.pass_time(1)
    assert {whom[0] for whom, _ in setup.answers()} == {"192.0.2.78"}


def test_many_scanners_are_announced_at_a_limited_rate_and_say_bye_in_time(set_up):
    setup = set_up(rate=20.0)
    for number in range(100):
        setup.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    setup.pass_time(1)
    assert 18 <= len(setup.links["lan", 4].sent) <= 22
    setup.pass_time(12)
    assert len(setup.links["lan", 4].sent) == 200
    stopping = setup.discovery.stopService()
    setup.pass_time(2.3)
    assert stopping.called
    assert setup.links["lan", 4].names().count("Bye") == 200


def test_many_matches_are_combined_into_messages_of_bounded_size(set_up):
    setup = set_up()
    for number in range(300):
        setup.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    setup.say("lan", write_probe((), message_id="m"))
    setup.pass_time(1)
    answers = {message.message_id: message for _, message in setup.answers()}
    assert 3 < len(answers) < 9
    assert len({one.endpoint for message in answers.values() for one in message.content}) == 300


def test_few_matches_get_a_message_each_unless_the_client_probes_too_often(set_up):
    setup = set_up()
    for number in range(MAX_SEPARATE):
        setup.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    for question in range(10):
        setup.say("lan", write_probe((), message_id=f"urn:uuid:{question}"))
    setup.pass_time(1)
    assert setup.dropped == []
    answered = {}
    for _, message in setup.answers():
        answered.setdefault(message.relates_to, {})[message.message_id] = message.content
    sizes = [sorted(len(content) for content in answers.values()) for answers in answered.values()]
    assert sorted(sizes) == [[1] * MAX_SEPARATE, *[[MAX_SEPARATE]] * 9]


def test_answers_are_limited_for_each_source(set_up):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    for number in range(100):
        setup.say("lan", write_probe((), message_id=f"urn:uuid:{number}"), port=40000 + number)
    setup.say("lan", write_probe((), message_id="urn:uuid:other"), "192.0.2.78")
    assert setup.dropped == ["rate"] * 80
    setup.pass_time(1)
    assert len(setup.answers()) == 42


def test_stopping_sends_bye_for_every_announced_scanner_despite_the_backlog(set_up):
    setup = set_up(rate=1.0)
    stand_in = StandIn()
    setup.targets.add("front-desk", stand_in)
    setup.pass_time(3)
    service, stand_in.service = stand_in.service, None
    setup.targets.changed("front-desk")  # this Bye waits for its turn
    stopping = setup.discovery.stopService()
    setup.pass_time(3)
    assert stopping.called
    assert setup.links["lan", 4].names()[-1] == "Bye"
    assert service.endpoint == UUID


def test_no_bye_for_a_scanner_that_another_gateway_announces_from_now_on(set_up):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    setup.pass_time(3)
    setup.targets.leave("front-desk")
    setup.targets.leave("unknown")
    stopping = setup.discovery.stopService()
    setup.pass_time(3)
    assert stopping.called and set(setup.links["lan", 4].names()) == {"Hello"}


@pytest.mark.parametrize(("port", "endpoint"), [
    (OpenPort("::", 5357), UUID), (OpenPort("::", 5358, secure=True), "https://192.0.2.5:5358/front-desk")])
def test_bye_for_a_scanner_that_another_gateway_has_announced(set_up, port, endpoint):
    setup = set_up()
    setup.open_ports = [port]
    setup.targets.withdraw("front-desk", UUID, "/front-desk")
    stopping = setup.discovery.stopService()  # the Bye still waits for its turn
    setup.pass_time(3)
    assert stopping.called
    sent = [message for _, message in setup.links["lan", 4].sent]
    assert [one.name for one in sent] == ["Bye", "Bye"]
    assert {one.content[0].endpoint for one in sent} == {endpoint}


@pytest.mark.parametrize("data", [WINDOWS_PROBE, write_resolve(UUID, message_id="urn:uuid:q")])
def test_a_query_without_message_id_is_dropped(set_up, data):
    setup = set_up()
    setup.targets.add("front-desk", StandIn())
    without = re.sub(rb"<wsa:MessageID>[^<]*</wsa:MessageID>", b"", data)
    empty = re.sub(rb"<wsa:MessageID>[^<]*</wsa:MessageID>", b"<wsa:MessageID> </wsa:MessageID>", data)
    for asked in (without, empty):
        setup.say("lan", asked)
    setup.pass_time(1)
    assert (setup.answers(), setup.dropped) == ([], ["malformed"] * 2)
    setup.say("lan", data)
    setup.pass_time(1)
    assert len(setup.answers()) == 2


def test_nothing_is_announced_on_a_link_until_a_port_is_open_there(set_up):
    setup = set_up()
    setup.open_ports = [OpenPort("198.51.100.5", 5357)]
    setup.pass_time(POLL_SECONDS + 1)
    setup.targets.link_opened(setup.links["lan", 4])
    setup.targets.link_opened(setup.links["lan", 6])
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROBE)
    setup.pass_time(1)
    assert setup.links["lan", 4].sent == []
    assert setup.dropped == ["no_address"]
    setup.open_ports = [OpenPort("192.0.2.5", 5357)]
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.links["lan", 4].names() == ["Hello", "Hello"]
    assert setup.links["lan", 6].sent == []


class Shared:
    """A gateway among others: the scanners for which it has drawn an InstanceId, and those that it owns."""

    def __init__(self, *drawn, owned=("front-desk", "other")):
        self.owned = set(owned)
        self.sequences = AppSequences(1, each_begins=True)
        self.sequences.drawn(20)
        for name in drawn:
            self.sequences.begin(name)

    def set_up(self, set_up, **more):
        return set_up(sequences=self.sequences, speaks=lambda name: name == "" or name in self.owned, **more)


def instances(setup):
    """The messages to IPv4 clients, with its InstanceId."""
    return [(message.name, message.sequence.instance_id) for _, message in setup.links["lan", 4].sent]


def numbers(setup, name):
    """The MessageNumbers of what was sent about a stand-in, in any order."""
    found = {}
    for link in setup.links.values():
        for _, message in link.sent:
            if message.name in ("Hello", "ProbeMatches") and message.content[0].endpoint == name:
                found[message.message_id] = message.sequence.message_number
    return sorted(found.values())


def test_nothing_is_said_about_a_scanner_without_an_instance_id(set_up):
    shared = Shared()
    setup = shared.set_up(set_up)
    stand_in = StandIn()
    setup.targets.add("front-desk", stand_in)
    setup.say("lan", WINDOWS_PROBE)
    setup.pass_time(1)
    stand_in.service, service = None, stand_in.service
    setup.targets.changed("front-desk")  # no Bye either
    setup.pass_time(1)
    assert instances(setup) == []
    stand_in.service = service
    shared.sequences.begin("front-desk")
    setup.targets.changed("front-desk")
    setup.pass_time(1)
    assert instances(setup) == [("Hello", 20)] * 2


def test_each_stand_in_has_its_own_sequence(set_up):
    shared = Shared("front-desk")
    setup = shared.set_up(set_up, proxy=proxy_service("gw"))
    shared.sequences.drawn(30)
    shared.sequences.begin("other")
    setup.targets.add("front-desk", StandIn())
    setup.targets.add("other", StandIn("other", "urn:uuid:other"))
    setup.say("lan", WINDOWS_PROXY_PROBE)
    setup.say("lan", write_probe((), message_id="urn:uuid:all"))
    setup.pass_time(2)
    assert set(instances(setup)) == {("Hello", 20), ("Hello", 30), ("ProbeMatches", 20), ("ProbeMatches", 30),
                                     ("ProbeMatches", 1)}
    assert numbers(setup, UUID) == numbers(setup, "urn:uuid:other") == [1, 2, 3]
    assert numbers(setup, proxy_service("gw").endpoint) == [1]


def test_an_owner_whose_lease_does_not_hold_is_silent(set_up):
    shared = Shared("front-desk")
    setup = shared.set_up(set_up)
    setup.targets.add("front-desk", StandIn())
    setup.pass_time(1)
    setup.say("lan", WINDOWS_PROBE)
    shared.owned.clear()  # before the answer is sent
    setup.pass_time(1)
    setup.say("lan", write_resolve(UUID, message_id="urn:uuid:again"))
    setup.pass_time(1)
    assert {name for name, _ in instances(setup)} == {"Hello"}
    del setup.links["lan", 4].sent[:]
    setup.discovery.stopService()
    setup.pass_time(4)
    assert instances(setup) == []


def test_a_scanner_that_another_gateway_takes_over_gets_no_hello_any_more_and_no_bye(set_up):
    shared = Shared("front-desk", "other")
    setup = shared.set_up(set_up, rate=1.0)
    setup.targets.add("front-desk", StandIn())
    setup.targets.add("other", StandIn("other", "urn:uuid:other"))
    setup.targets.leave("other")  # its Hello waits for the rate
    setup.pass_time(5)
    setup.targets.leave("front-desk")
    setup.pass_time(5)
    assert instances(setup) == [("Hello", 20)] * 2


def test_the_other_gateways_are_further_addresses(set_up):
    setup = set_up(others=lambda name, base, link: [base.replace(".5:", ".6:")] if link.version == 4 else ())
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROBE)
    setup.pass_time(1)
    [match] = setup.answers()[0][1].content
    assert (match.endpoint, match.xaddrs) == (
        UUID, ("http://192.0.2.5:5357/front-desk", "http://192.0.2.6:5357/front-desk"))


def test_with_tls_the_endpoint_is_the_first_of_the_addresses(set_up):
    setup = set_up(others=lambda name, base, link: ["https://192.0.2.6:5358"])
    setup.open_ports = [OpenPort("::", 5358, secure=True)]
    setup.targets.add("front-desk", StandIn())
    setup.say("lan", WINDOWS_PROBE)
    setup.pass_time(1)
    [match] = setup.answers()[0][1].content
    assert (match.endpoint, match.xaddrs) == (
        "https://192.0.2.5:5358/front-desk", ("https://192.0.2.5:5358/front-desk", "https://192.0.2.6:5358/front-desk"))
