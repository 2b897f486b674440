"""The clients' side of discovery, on a Clock: Hello and Bye, answers to Probe and Resolve."""

import re

import pytest

from tests.links import StandIn
from tests.wire import BYE, GSOAP_PROBE_MATCHES, RESOLVE_1_1, UUID, WINDOWS_PROBE, WINDOWS_PROXY_PROBE
from wsdgateway.bridge.discovery.presence import TYPES, proxy_service
from wsdgateway.discovery.messages import Sequence, TargetService, read_message
from wsdgateway.discovery.versions import WS_2005_04, WS_2009_01
from wsdgateway.discovery.writing import write_hello, write_probe, write_resolve
from wsdgateway.net.discovery.targetservices import MAX_SEPARATE
from wsdgateway.net.transport.interfaces import POLL_SECONDS
from wsdgateway.net.transport.localaddress import OpenPort
from wsdgateway.soap.namespaces import WSDP


def test_a_probe_is_answered_after_a_random_delay_twice_with_our_address_on_that_link(world):
    here = world()
    here.targets.add("front-desk", StandIn(scopes=("http://floor/3",)))
    here.say("lan", WINDOWS_PROBE)
    assert here.answers() == []
    here.pass_time(0.26)
    [(whom, message)] = here.answers()
    assert whom == ("192.0.2.77", 50000)
    assert (message.name, message.version) == ("ProbeMatches", WS_2005_04)
    assert message.relates_to == read_message(WINDOWS_PROBE).message_id
    xaddrs = ("http://192.0.2.5:5357/front-desk",)
    assert message.content == (TargetService(UUID, TYPES, ("http://floor/3",), xaddrs, 1),)
    here.pass_time(1)
    [first, again] = here.answers()
    assert first[1].message_id == again[1].message_id
    here.say("lan", WINDOWS_PROBE)  # the client's own repeat
    here.pass_time(1)
    assert len(here.answers()) == 2


@pytest.mark.parametrize("clients", [("lan",), ()])
def test_the_log_says_announced_only_where_there_is_somebody_to_tell(world, said, clients):
    here = world(clients=clients)
    here.targets.add("front-desk", StandIn())
    assert [line for line in said if "announced" in line] == (["front-desk: announced to clients"] if clients else [])


def test_over_another_link_the_same_probe_gets_the_address_there(world):
    here = world(clients=("lan", "vlan"), devices=())
    here.targets.add("front-desk", StandIn())
    here.say("lan", WINDOWS_PROBE)
    here.say("lan", WINDOWS_PROBE, "fe80::77", version=6)
    here.say("vlan", WINDOWS_PROBE, "198.51.100.77")
    here.pass_time(1)
    xaddrs = [here.answers(*key)[0][1].content[0].xaddrs for key in (("lan", 4), ("lan", 6), ("vlan", 4))]
    assert xaddrs == [("http://192.0.2.5:5357/front-desk",), ("http://[fe80::5]:5357/front-desk",),
                      ("http://198.51.100.5:5357/front-desk",)]


def test_a_resolve_is_answered_at_once_in_its_own_version(world):
    here = world()
    here.targets.add("front-desk", StandIn())
    here.targets.add("other", StandIn("other", "urn:uuid:other"))
    here.say("lan", RESOLVE_1_1)
    here.clock.advance(0)
    [(_, message)] = here.answers()
    assert (message.name, message.version) == ("ResolveMatches", WS_2009_01)
    assert [one.endpoint for one in message.content] == [UUID]


@pytest.mark.parametrize("data", [
    write_probe(((WSDP, "Printer"),), message_id="m"), write_resolve("urn:uuid:nobody", message_id="m"), BYE,
    write_hello(TargetService("urn:uuid:forged"), sequence=Sequence(99, 1), message_id="m"), GSOAP_PROBE_MATCHES,
    WINDOWS_PROXY_PROBE])
def test_what_nobody_answers_and_what_changes_nothing(world, data):
    here = world()
    here.targets.add("front-desk", StandIn())
    here.pass_time(1)
    before = len(here.links["lan", 4].sent)
    here.say("lan", data)
    here.pass_time(2)
    assert len(here.links["lan", 4].sent) == before
    assert here.told == []
    assert here.dropped == []


def test_a_proxy_is_only_found_by_who_looks_for_one(world):
    here = world(proxy=proxy_service("gw"))
    here.targets.add("front-desk", StandIn())
    here.say("lan", WINDOWS_PROXY_PROBE)
    here.say("lan", write_probe((), message_id="m"))
    here.pass_time(1)
    (_, proxy), _, (_, plain), _ = sorted(here.answers(), key=lambda one: one[1].content[0].endpoint == UUID)
    assert proxy.content[0].xaddrs == ("http://192.0.2.5:5357/",)
    assert proxy.content[0].endpoint == proxy_service("gw").endpoint
    assert [one.endpoint for one in plain.content] == [UUID]


def test_hello_without_addresses_bye_and_nothing_to_the_scanners(world):
    here = world()
    stand_in = StandIn()
    here.targets.add("front-desk", stand_in)
    here.pass_time(1)
    for version in (4, 6):
        sent = here.links["lan", version].sent
        assert [(kind, message.name) for kind, message in sent] == [("all", "Hello")] * 2
        assert sent[0][1].content == (TargetService(UUID, TYPES, (), (), 1),)
        assert sent[0][1].message_id == sent[1][1].message_id
    here.targets.changed("front-desk")
    here.pass_time(1)
    assert len(here.links["lan", 4].sent) == 2
    stand_in.service = None
    here.targets.changed("front-desk")
    here.pass_time(1)
    assert here.links["lan", 4].names() == ["Hello", "Hello", "Bye", "Bye"]
    here.say("lan", WINDOWS_PROBE)  # while it is gone, it is silent
    here.pass_time(1)
    assert here.answers() == []
    assert set(here.links["vlan", 4].names()) == {"Probe"}
    numbers = [message.sequence.message_number for _, message in here.links["lan", 4].sent]
    assert numbers == sorted(numbers)


def test_where_there_is_tls_the_endpoint_is_an_https_address_and_there_is_no_other(world):
    here = world()
    here.open_ports = [OpenPort("::", 5357), OpenPort("::", 5358, secure=True)]
    stand_in, address = StandIn(), "https://192.0.2.5:5358/front-desk"
    here.targets.add("front-desk", stand_in)
    here.say("lan", WINDOWS_PROBE)
    here.pass_time(1)
    [match] = here.answers()[0][1].content
    assert (match.endpoint, match.xaddrs) == (address, (address,))
    for asked, answered in ((address, address), (UUID, UUID), (address.replace("https", "http"), None)):
        del here.links["lan", 4].sent[:]
        here.say("lan", write_resolve(asked, message_id=f"urn:uuid:{asked[:5]}"))
        here.pass_time(1)
        matches = [message.content[0] for _, message in here.answers()]
        assert [(one.endpoint, one.xaddrs) for one in matches] == ([(answered, (address,))] * 2 if answered else [])
    stand_in.service = None
    here.targets.changed("front-desk")
    here.pass_time(1)
    told = [message for _, message in here.links["lan", 6].sent]
    at_v6 = "https://[fe80::5]:5358/front-desk"
    assert [(one.name, one.content[0].endpoint if one.name == "Hello" else one.content) for one in told[:2]] == [
        ("Hello", at_v6)] * 2
    assert [one.name for one in told[2:]] == ["Bye", "Bye"]
    assert at_v6 in str(told[-1].content)


def test_whoever_may_not_ask_for_it_does_not_find_it(world):
    here = world(allows=lambda client, scanner, operation: (client, scanner, operation) != (
        "192.0.2.77", "front-desk", "Probe"))
    here.targets.add("front-desk", StandIn())
    here.say("lan", WINDOWS_PROBE)
    here.say("lan", WINDOWS_PROBE.replace(b"29cf10da", b"29cf10db"), "192.0.2.78")
    here.pass_time(1)
    assert {whom[0] for whom, _ in here.answers()} == {"192.0.2.78"}


def test_many_are_announced_at_a_rate_and_leave_in_time(world):
    here = world(rate=20.0)
    for number in range(100):
        here.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    here.pass_time(1)
    assert 18 <= len(here.links["lan", 4].sent) <= 22
    here.pass_time(12)
    assert len(here.links["lan", 4].sent) == 200
    stopping = here.discovery.stopService()
    here.pass_time(2.3)
    assert stopping.called
    assert here.links["lan", 4].names().count("Bye") == 200


def test_many_matches_in_a_few_messages_each_of_a_size_that_is_taken(world):
    here = world()
    for number in range(300):
        here.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    here.say("lan", write_probe((), message_id="m"))
    here.pass_time(1)
    answers = {message.message_id: message for _, message in here.answers()}
    assert 3 < len(answers) < 9
    assert len({one.endpoint for message in answers.values() for one in message.content}) == 300


def test_few_matches_have_a_message_each_while_the_client_does_not_ask_too_often(world):
    here = world()
    for number in range(MAX_SEPARATE):
        here.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    for question in range(10):
        here.say("lan", write_probe((), message_id=f"urn:uuid:{question}"))
    here.pass_time(1)
    assert here.dropped == []
    answered = {}
    for _, message in here.answers():
        answered.setdefault(message.relates_to, {})[message.message_id] = message.content
    sizes = [sorted(len(content) for content in answers.values()) for answers in answered.values()]
    assert sorted(sizes) == [[1] * MAX_SEPARATE, *[[MAX_SEPARATE]] * 9]


def test_answers_are_limited_for_each_source(world):
    here = world()
    here.targets.add("front-desk", StandIn())
    for number in range(100):
        here.say("lan", write_probe((), message_id=f"urn:uuid:{number}"), port=40000 + number)
    here.say("lan", write_probe((), message_id="urn:uuid:other"), "192.0.2.78")
    assert here.dropped == ["rate"] * 80
    here.pass_time(1)
    assert len(here.answers()) == 42


def test_a_stop_says_bye_for_what_was_said_whatever_waits(world):
    here = world(rate=1.0)
    stand_in = StandIn()
    here.targets.add("front-desk", stand_in)
    here.pass_time(3)
    service, stand_in.service = stand_in.service, None
    here.targets.changed("front-desk")  # this Bye waits for its turn
    stopping = here.discovery.stopService()
    here.pass_time(3)
    assert stopping.called
    assert here.links["lan", 4].names()[-1] == "Bye"
    assert service.endpoint == UUID


@pytest.mark.parametrize("data", [WINDOWS_PROBE, write_resolve(UUID, message_id="urn:uuid:q")])
def test_a_question_without_message_id_gets_no_answer(world, data):
    here = world()
    here.targets.add("front-desk", StandIn())
    without = re.sub(rb"<wsa:MessageID>[^<]*</wsa:MessageID>", b"", data)
    empty = re.sub(rb"<wsa:MessageID>[^<]*</wsa:MessageID>", b"<wsa:MessageID> </wsa:MessageID>", data)
    for asked in (without, empty):
        here.say("lan", asked)
    here.pass_time(1)
    assert (here.answers(), here.dropped) == ([], ["malformed"] * 2)
    here.say("lan", data)
    here.pass_time(1)
    assert len(here.answers()) == 2


def test_where_nobody_reaches_us_nothing_is_announced_until_somebody_does(world):
    here = world()
    here.open_ports = [OpenPort("198.51.100.5", 5357)]
    here.pass_time(POLL_SECONDS + 1)
    here.targets.link_opened(here.links["lan", 4])
    here.targets.link_opened(here.links["lan", 6])
    here.targets.add("front-desk", StandIn())
    here.say("lan", WINDOWS_PROBE)
    here.pass_time(1)
    assert here.links["lan", 4].sent == []
    assert here.dropped == ["no_address"]
    here.open_ports = [OpenPort("192.0.2.5", 5357)]
    here.pass_time(POLL_SECONDS + 1)
    assert here.links["lan", 4].names() == ["Hello", "Hello"]
    assert here.links["lan", 6].sent == []
