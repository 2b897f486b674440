"""Both sides of discovery on a Clock, with links that only take down what is sent."""

import re
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.links import VLAN, StandIn, World
from tests.wire import BYE, GSOAP_PROBE_MATCHES, RESOLVE_1_1, UUID, WINDOWS_PROBE, WINDOWS_PROXY_PROBE
from wsdgateway.bridge.discovery.presence import TYPES, proxy_service
from wsdgateway.bridge.discovery.sightings import Left, News
from wsdgateway.discovery.messages import MAX_ENVELOPE, Probe, Resolve, Sequence, TargetService, read_message
from wsdgateway.discovery.versions import WS_2005_04, WS_2009_01
from wsdgateway.discovery.writing import write_bye, write_hello, write_matches, write_probe, write_resolve
from wsdgateway.net.discovery import links as discovery_module
from wsdgateway.net.discovery.client import FIRST_ROUNDS, probe_url
from wsdgateway.net.discovery.retransmission import MAX_PENDING, Retransmission
from wsdgateway.net.discovery.targetservices import MOST_ALONE
from wsdgateway.net.transport.interfaces import POLL_SECONDS, Interface, read_interfaces
from wsdgateway.net.transport.localaddress import OpenPort, local_base, zoned
from wsdgateway.soap.namespaces import WSDP


@pytest.fixture
def world(monkeypatch):
    """`world(...)` makes one and starts it."""
    made = []

    def make(**more):
        made.append(World(monkeypatch, **more).start())
        return made[-1]

    yield make
    for one in made:
        stopping = one.discovery.stopService()
        one.pass_time(4)
        assert stopping.called
        assert one.clock.getDelayedCalls() == []
        assert all(link.closed for link in one.links.values())


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
def test_the_log_says_announced_only_where_there_is_somebody_to_tell(world, clients):
    from twisted.logger import globalLogPublisher

    here = world(clients=clients)
    said = []

    def observe(event):
        if event.get("what") is not None:
            said.append(event["what"])

    globalLogPublisher.addObserver(observe)
    here.targets.add("front-desk", StandIn())
    globalLogPublisher.removeObserver(observe)
    assert said == (["announced to clients"] if clients else [])


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
    here.doors = [OpenPort("::", 5357), OpenPort("::", 5358, secure=True)]
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
    for number in range(MOST_ALONE):
        here.targets.add(str(number), StandIn(str(number), f"urn:uuid:{number}"))
    for question in range(10):
        here.say("lan", write_probe((), message_id=f"urn:uuid:{question}"))
    here.pass_time(1)
    assert here.dropped == []
    answered = {}
    for _, message in here.answers():
        answered.setdefault(message.relates_to, {})[message.message_id] = message.content
    sizes = [sorted(len(content) for content in answers.values()) for answers in answered.values()]
    assert sorted(sizes) == [[1] * MOST_ALONE, *[[MOST_ALONE]] * 9]


def test_answers_are_limited_for_each_source(world):
    here = world()
    here.targets.add("front-desk", StandIn())
    for number in range(100):
        here.say("lan", write_probe((), message_id=f"urn:uuid:{number}"), port=40000 + number)
    here.say("lan", write_probe((), message_id="urn:uuid:other"), "192.0.2.78")
    assert here.dropped == ["rate"] * 80
    here.pass_time(1)
    assert len(here.answers()) == 42


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "malformed"), (b"\xff" * 2000, "malformed"), (b"<" * 30000, "malformed"),
    (b"x" * (MAX_ENVELOPE + 1), "oversize"),
    (WINDOWS_PROBE.replace(b"<wsd:Types>", b'<wsd:Scopes MatchBy="urn:x"/><wsd:Types>'), "rule")])
def test_what_is_of_no_use_is_dropped_and_counted(world, data, reason):
    here = world()
    here.targets.add("front-desk", StandIn())
    here.say("lan", data)
    assert here.dropped == [reason]
    here.pass_time(1)
    assert here.answers() == []


@pytest.mark.parametrize("host", ["203.0.113.9", "198.51.100.20", "2001:db8::1", "0.0.0.0"])
def test_whoever_is_not_on_the_link_is_not_answered(world, host):
    here = world()
    here.targets.add("front-desk", StandIn())
    here.say("lan", WINDOWS_PROBE, host)
    here.pass_time(1)
    assert (here.answers(), here.dropped) == ([], ["foreign"])


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


@given(data=st.binary(max_size=200), cut=st.integers(0, len(WINDOWS_PROBE)))
def test_no_datagram_raises(data, cut):
    with pytest.MonkeyPatch.context() as patch:
        here = World(patch, clients=("lan", "vlan"), devices=("lan", "vlan")).start()
        here.targets.add("front-desk", StandIn())
        here.say("lan", WINDOWS_PROBE[:cut] + data + WINDOWS_PROBE[cut:])
        here.say("vlan", GSOAP_PROBE_MATCHES[:cut] + data + GSOAP_PROBE_MATCHES[cut:], answer=True)


def test_on_a_link_with_both_it_never_answers_itself(world):
    here = world(clients=("lan",), devices=("lan",))
    here.targets.add("front-desk", StandIn())
    here.pass_time(1)
    link = here.links["lan", 4]
    own = [message for kind, message in link.sent if kind != "ask"]
    assert {message.name for message in own} == {"Hello"}
    here.say("lan", write_hello(StandIn().service, sequence=Sequence(9, 500), message_id="urn:uuid:own-500"))
    here.say("lan", write_hello(TargetService("urn:uuid:another"), sequence=Sequence(9, 501), message_id="urn:uuid:x"))
    assert [one.sighting.endpoint for one in here.told] == ["urn:uuid:another"]
    here.say("lan", write_probe(((WSDP, "Device"),), message_id="urn:uuid:own-501"))
    here.pass_time(1)
    assert here.answers() == []


def test_who_is_missing_is_searched_for_soon_and_then_now_and_then(world):
    here = world(missing=[UUID])
    here.pass_time(1)
    sent = here.links["vlan", 4].sent
    assert [(kind, message.content) for kind, message in sent if isinstance(message.content, Resolve)] == [
        ("ask", Resolve(UUID))] * 2
    assert here.links["vlan", 4].names().count("Probe") == 2
    assert {message.content for _, message in sent} == {Probe(((WSDP, "Device"),)), Resolve(UUID)}
    here.pass_time(sum(FIRST_ROUNDS))
    assert here.links["vlan", 4].names().count("Resolve") == 2 + 2 * len(FIRST_ROUNDS)
    here.missing.clear()
    here.pass_time(61)
    assert here.links["vlan", 4].names().count("Resolve") == 2 + 2 * len(FIRST_ROUNDS)
    assert here.links["vlan", 4].names().count("Probe") == 4 + 2 * len(FIRST_ROUNDS)


def matches(relates_to, service=None):
    return write_matches("ProbeMatches", [service or TargetService(UUID, (), (), ("http://198.51.100.20/x",), 1)],
                         version=WS_2005_04, sequence=Sequence(5, 1), relates_to=relates_to, message_id="urn:uuid:m")


def test_what_is_heard_of_devices(world):
    here = world()
    here.say("vlan", matches("urn:uuid:own-1"), answer=True)
    [news] = here.told
    assert isinstance(news, News)
    assert (news.sighting.endpoint, news.sighting.via, news.resolved) == (UUID, "vlan", True)
    here.say("vlan", matches("urn:uuid:somebody"), answer=True)
    assert here.dropped == ["unasked"]
    here.say("vlan", BYE)
    assert here.told[1:] == [Left(UUID)]
    here.say("lan", matches("urn:uuid:own-1"))  # from the clients' side
    assert len(here.told) == 2
    assert ("device", "ProbeMatches") in here.counted


def named(number, message_id="urn:uuid:own-1", relates_to="urn:uuid:own-1", name="ProbeMatches"):
    """An answer that carries the question's own MessageID, from a device that knows itself by a name."""
    return write_matches(name, [TargetService(f"urn:uuid:{number}", (), (), (f"http://acme-{number}:8018/wsd",), 1)],
                         version=WS_2005_04, sequence=Sequence(5, 1), relates_to=relates_to, message_id=message_id)


@pytest.mark.parametrize("name", ["ProbeMatches", "ResolveMatches"])
@pytest.mark.parametrize("relates_to", ["urn:uuid:own-1", None, "urn:uuid:somebody"])
def test_answers_with_the_questions_message_id_are_taken_from_each_device(world, name, relates_to):
    here = world()
    for number in (1, 2, 1):  # the last is a repeat
        here.say("vlan", named(number, relates_to=relates_to, name=name), f"198.51.100.{20 + number}", answer=True)
    here.say("vlan", named(3, relates_to=relates_to, name=name), "198.51.100.21", answer=True)  # at the same host
    assert [(one.sighting.endpoint, one.sighting.xaddrs) for one in here.told] == [
        ("urn:uuid:1", ("http://198.51.100.21:8018/wsd",)), ("urn:uuid:2", ("http://198.51.100.22:8018/wsd",)),
        ("urn:uuid:3", ("http://198.51.100.21:8018/wsd",))]
    assert here.dropped == []


def test_the_log_names_those_that_nobody_answers_to(world):
    """One that answers, with an address that can not be used, is named by its locator."""
    from twisted.logger import globalLogPublisher

    here = world(missing=(UUID, "urn:uuid:2"))
    said = []

    def observe(event):
        if "nobody answers" in str(event.get("log_format")):
            said.append(event["endpoint"])

    globalLogPublisher.addObserver(observe)
    here.say("vlan", matches("urn:uuid:own-1", TargetService(UUID, (), (), ("ftp://x",), 1)), answer=True)
    here.pass_time(sum(FIRST_ROUNDS) + 1)
    globalLogPublisher.removeObserver(observe)
    assert said == ["urn:uuid:2"]


@pytest.mark.parametrize("name", ["ProbeMatches", "ResolveMatches"])
@pytest.mark.parametrize("has_message_id", [True, False])
def test_an_answer_that_relates_to_nothing_is_taken_where_the_question_went_out(world, name, has_message_id):
    here = world()
    data = named(1, message_id="urn:uuid:m", relates_to=None, name=name)
    if not has_message_id:
        data = data.replace(b"<wsa:MessageID>urn:uuid:m</wsa:MessageID>", b"")
    here.say("vlan", data, "198.51.100.21", answer=True)
    assert [one.sighting.endpoint for one in here.told] == ["urn:uuid:1"]
    here.say("vlan", data, "198.51.100.22", answer=False)  # at the port that everybody knows
    assert (len(here.told), here.dropped) == (1, ["unasked"])


def test_what_we_have_said_to_everybody_is_not_heard(world):
    here = world(clients=("vlan",))
    service = TargetService("urn:uuid:1", (), (), ("http://198.51.100.5/x",), 1)
    for data in (write_hello(service, sequence=Sequence(9, 1), message_id="urn:uuid:own-7"),
                 write_bye(service.endpoint, sequence=Sequence(9, 2), message_id="urn:uuid:own-8"),
                 write_probe(((WSDP, "Device"),), message_id="urn:uuid:own-9"),
                 write_resolve(service.endpoint, message_id="urn:uuid:own-10")):
        here.say("vlan", data, "198.51.100.5")
    here.pass_time(1)
    assert (here.told, here.answers("vlan")) == ([], [])


def test_a_host_name_in_an_announcement_is_the_senders_address(world):
    here = world(devices=("lan",))
    here.say("lan", write_hello(TargetService("urn:uuid:1", (), (), ("http://acme-1:8018/wsd",), 1),
                                sequence=Sequence(5, 1), message_id="m"), "fe80::20%lan", version=6)
    assert here.told[0].sighting.xaddrs == ("http://[fe80::20]:8018/wsd",)


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


def test_a_device_is_asked_by_its_endpoint_as_it_spells_it(world):
    here = world(missing=[UUID])
    here.say("vlan", write_hello(TargetService(UUID.removeprefix("urn:").upper()), sequence=Sequence(5, 1),
                                 message_id="m"))
    del here.links["vlan", 4].sent[:]
    here.search.resolve(UUID)
    here.pass_time(1)
    assert {message.content for _, message in here.links["vlan", 4].sent if message.name == "Resolve"} == {
        Resolve(UUID.removeprefix("urn:").upper())}


def test_who_has_not_been_heard_of_is_overdue(world):
    here = world()
    here.say("vlan", matches("urn:uuid:own-1"), answer=True)
    here.pass_time(59)
    assert here.overdue == []
    here.pass_time(7)
    assert here.overdue == [UUID]


def test_where_nobody_reaches_us_nothing_is_announced_until_somebody_does(world):
    here = world()
    here.doors = [OpenPort("198.51.100.5", 5357)]
    here.pass_time(POLL_SECONDS + 1)
    here.targets.linked(here.links["lan", 4])
    here.targets.linked(here.links["lan", 6])
    here.targets.add("front-desk", StandIn())
    here.say("lan", WINDOWS_PROBE)
    here.pass_time(1)
    assert here.links["lan", 4].sent == []
    assert here.dropped == ["no_address"]
    here.doors = [OpenPort("192.0.2.5", 5357)]
    here.pass_time(POLL_SECONDS + 1)
    assert here.links["lan", 4].names() == ["Hello", "Hello"]
    assert here.links["lan", 6].sent == []


def test_interfaces_come_change_and_go(world):
    here = world()
    here.targets.add("front-desk", StandIn())
    here.pass_time(1)
    link = here.links["lan", 4]
    assert len(link.sent) == 2
    moved = Interface("lan", 2, (ip_interface("192.0.2.6/24"), ip_interface("fe80::5/64")))
    here.interfaces = {"lan": moved, "vlan": VLAN}
    here.pass_time(POLL_SECONDS + 1)
    assert here.links["lan", 4] is link
    assert len(link.sent) == 4  # everybody is told once more
    here.say("lan", WINDOWS_PROBE)
    here.pass_time(1)
    assert here.answers()[0][1].content[0].xaddrs == ("http://192.0.2.6:5357/front-desk",)
    here.interfaces = {"vlan": VLAN}
    here.pass_time(POLL_SECONDS + 1)
    assert link.closed
    here.interfaces = {"lan": Interface("lan", 7, moved.addresses), "vlan": VLAN}
    here.pass_time(POLL_SECONDS + 1)
    assert here.links["lan", 4] is not link
    assert here.links["lan", 4].names() == ["Hello", "Hello"]


def test_what_could_not_be_sent_is_sent_again_less_and_less_often(world):
    here = world()
    here.targets.add("front-desk", StandIn())
    here.pass_time(1)
    link = here.links["lan", 4]
    counts = []
    for _ in range(40):
        link.troubled = True
        here.pass_time(POLL_SECONDS)
        counts.append(len(link.sent))
    assert counts[0] >= 3
    assert counts[-1] < 2 + 2 * 7


def test_a_socket_that_can_not_be_opened_is_tried_again(world, monkeypatch):
    here = world(clients=(), devices=("vlan",))
    refused = []

    def refuse(reactor, interface, version, **more):
        refused.append(interface.name)
        raise OSError("no")

    here.interfaces = {"vlan": Interface("vlan", 9, VLAN.addresses)}
    monkeypatch.setattr(discovery_module, "Link", refuse)
    here.pass_time(POLL_SECONDS * 3)
    assert len(refused) >= 2
    monkeypatch.setattr(discovery_module, "Link", here.link)
    here.pass_time(POLL_SECONDS + 1)
    assert here.links["vlan", 4].interface.index == 9


def test_what_waits_to_be_answered_is_bounded():
    clock = Clock()
    waiting = Retransmission(clock)
    sent = []
    assert all(waiting.send(lambda: b"x", sent.append, [0.5, 0.6]) for _ in range(MAX_PENDING))
    assert not waiting.send(lambda: b"x", sent.append, [0.5, 0.6])
    clock.pump([1, 1])
    assert len(sent) == 2 * MAX_PENDING
    assert waiting.send(lambda: b"x", sent.append, [0.5, 0.6])
    waiting.stop()
    assert clock.getDelayedCalls() == []


ADDRESSES = tuple(map(ip_interface, ("192.0.2.5/24", "203.0.113.5/24", "fe80::5/64", "2001:db8::5/64")))


@pytest.mark.parametrize(("client", "listeners", "found"), [
    ("192.0.2.77", [("0.0.0.0", 80)], ("192.0.2.5", 80)), ("203.0.113.77", [("", 80)], ("203.0.113.5", 80)),
    ("10.0.0.1", [("::", 80)], ("192.0.2.5", 80)), ("fe80::77%lan", [("::", 80)], ("fe80::5", 80)),
    ("2001:db8::77", [("::", 80)], ("2001:db8::5", 80)), ("2001:db9::77", [("::", 80)], ("2001:db8::5", 80)),
    ("fe80::77", [("0.0.0.0", 80)], None), ("192.0.2.77", [("203.0.113.5", 1), ("192.0.2.5", 2)],
                                                        ("192.0.2.5", 2)),
    ("192.0.2.77", [("203.0.113.5", 1)], ("203.0.113.5", 1)), ("192.0.2.77", [("198.51.100.5", 1)], None),
    ("192.0.2.77", [], None)])
def test_our_address_for_a_client(client, listeners, found):
    doors = [OpenPort(*listener) for listener in listeners]
    assert local_base(ADDRESSES, client, doors) == (OpenPort(*found) if found else None)


PLAIN, SECURE, GUARDED = OpenPort("0.0.0.0", 1), OpenPort("0.0.0.0", 2, True), OpenPort("0.0.0.0", 3, True, True)


@pytest.mark.parametrize(("doors", "port"), [
    ([PLAIN, GUARDED, SECURE], 2), ([GUARDED, PLAIN], 1), ([PLAIN, GUARDED], 1), ([GUARDED], 3), ([PLAIN, SECURE], 2)])
def test_clients_are_told_of_tls_and_of_a_door_that_most_can_not_open_only_if_there_is_no_other(doors, port):
    assert local_base(ADDRESSES, "192.0.2.77", doors).port == port


def test_small_things():
    assert zoned("FE80::1", "eth1") == "FE80::1%eth1"
    assert zoned("fe80::1%x", "eth1") == "fe80::1%x"
    assert zoned("2001:db8::1", "eth1") == "2001:db8::1"
    assert zoned("192.0.2.1", "") == "192.0.2.1"
    stable = "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"
    assert probe_url("http://192.0.2.1") == probe_url("http://192.0.2.1/") == f"http://192.0.2.1{stable}"
    assert probe_url("http://192.0.2.1/x") == "http://192.0.2.1/x"
    assert any(address.is_loopback for address in read_interfaces()["lo"].addresses)
