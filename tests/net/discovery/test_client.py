"""Tests of net.discovery.client on a Clock: searches, matches and announcements of scanners."""

import pytest

from tests.net.discovery.messages import matches
from tests.wire import BYE, UUID
from wsdgateway.bridge.discovery.sightings import Left, News
from wsdgateway.discovery.messages import Probe, Resolve, Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_bye, write_hello, write_matches, write_probe, write_resolve
from wsdgateway.net.discovery.client import FIRST_PAUSES, probe_url
from wsdgateway.soap.namespaces import WSDP


def test_a_missing_scanner_is_searched_for_after_growing_pauses(set_up):
    setup = set_up(missing=[UUID])
    setup.pass_time(1)
    sent = setup.links["vlan", 4].sent
    assert [(kind, message.content) for kind, message in sent if isinstance(message.content, Resolve)] == [
        ("ask", Resolve(UUID))] * 2
    assert setup.links["vlan", 4].names().count("Probe") == 2
    assert {message.content for _, message in sent} == {Probe(((WSDP, "Device"),)), Resolve(UUID)}
    setup.pass_time(sum(FIRST_PAUSES))
    assert setup.links["vlan", 4].names().count("Resolve") == 2 + 2 * len(FIRST_PAUSES)
    setup.missing.clear()
    setup.pass_time(61)
    assert setup.links["vlan", 4].names().count("Resolve") == 2 + 2 * len(FIRST_PAUSES)
    assert setup.links["vlan", 4].names().count("Probe") == 4 + 2 * len(FIRST_PAUSES)


def test_matches_and_byes_of_scanners_are_reported(set_up):
    setup = set_up()
    setup.say("vlan", matches("urn:uuid:own-1"), answer=True)
    [news] = setup.news
    assert isinstance(news, News)
    assert (news.sighting.endpoint, news.sighting.via, news.resolved) == (UUID, "vlan", True)
    setup.say("vlan", matches("urn:uuid:somebody"), answer=True)
    assert setup.dropped == ["unasked"]
    setup.say("vlan", BYE)
    assert setup.news[1:] == [Left(UUID)]
    setup.say("lan", matches("urn:uuid:own-1"))  # on the link to clients
    assert len(setup.news) == 2
    assert ("device", "ProbeMatches") in setup.counted


def named(number, message_id="urn:uuid:own-1", relates_to="urn:uuid:own-1", name="ProbeMatches"):
    """Returns an answer of a device with a host name in its address, by default with the query's own MessageID."""
    return write_matches(name, [TargetService(f"urn:uuid:{number}", (), (), (f"http://acme-{number}:8018/wsd",), 1)],
                         version=WS_2005_04, sequence=Sequence(5, 1), relates_to=relates_to, message_id=message_id)


@pytest.mark.parametrize("name", ["ProbeMatches", "ResolveMatches"])
@pytest.mark.parametrize("relates_to", ["urn:uuid:own-1", None, "urn:uuid:somebody"])
def test_answers_that_repeat_the_querys_message_id_are_accepted_from_each_device(set_up, name, relates_to):
    setup = set_up()
    for number in (1, 2, 1):  # the last one is a repetition
        setup.say("vlan", named(number, relates_to=relates_to, name=name), f"198.51.100.{20 + number}", answer=True)
    # another device at the same host
    setup.say("vlan", named(3, relates_to=relates_to, name=name), "198.51.100.21", answer=True)
    assert [(one.sighting.endpoint, one.sighting.xaddrs) for one in setup.news] == [
        ("urn:uuid:1", ("http://198.51.100.21:8018/wsd",)), ("urn:uuid:2", ("http://198.51.100.22:8018/wsd",)),
        ("urn:uuid:3", ("http://198.51.100.21:8018/wsd",))]
    assert setup.dropped == []


def test_the_log_names_scanners_that_do_not_answer(set_up, said):
    """A scanner that answers with an unusable address is not listed; its locator logs that."""
    setup = set_up(missing=(UUID, "urn:uuid:2"))
    setup.say("vlan", matches("urn:uuid:own-1", TargetService(UUID, (), (), ("ftp://x",), 1)), answer=True)
    setup.pass_time(sum(FIRST_PAUSES) + 1)
    [line] = [line for line in said if "no answer on the interfaces" in line]
    assert line.startswith("urn:uuid:2: ")


@pytest.mark.parametrize("name", ["ProbeMatches", "ResolveMatches"])
@pytest.mark.parametrize("has_message_id", [True, False])
def test_an_answer_without_relates_to_is_accepted_at_the_querys_socket(set_up, name, has_message_id):
    setup = set_up()
    data = named(1, message_id="urn:uuid:m", relates_to=None, name=name)
    if not has_message_id:
        data = data.replace(b"<wsa:MessageID>urn:uuid:m</wsa:MessageID>", b"")
    setup.say("vlan", data, "198.51.100.21", answer=True)
    assert [one.sighting.endpoint for one in setup.news] == ["urn:uuid:1"]
    setup.say("vlan", data, "198.51.100.22", answer=False)  # at the well-known port
    assert (len(setup.news), setup.dropped) == (1, ["unasked"])


def test_the_gateways_own_multicasts_are_ignored(set_up):
    setup = set_up(clients=("vlan",))
    service = TargetService("urn:uuid:1", (), (), ("http://198.51.100.5/x",), 1)
    for data in (write_hello(service, sequence=Sequence(9, 1), message_id="urn:uuid:own-7"),
                 write_bye(service.endpoint, sequence=Sequence(9, 2), message_id="urn:uuid:own-8"),
                 write_probe(((WSDP, "Device"),), message_id="urn:uuid:own-9"),
                 write_resolve(service.endpoint, message_id="urn:uuid:own-10")):
        setup.say("vlan", data, "198.51.100.5")
    setup.pass_time(1)
    assert (setup.news, setup.answers("vlan")) == ([], [])


def test_a_host_name_in_an_announcement_is_the_senders_address(set_up):
    setup = set_up(devices=("lan",))
    setup.say("lan", write_hello(TargetService("urn:uuid:1", (), (), ("http://acme-1:8018/wsd",), 1),
                                sequence=Sequence(5, 1), message_id="m"), "fe80::20%lan", version=6)
    assert setup.news[0].sighting.xaddrs == ("http://[fe80::20]:8018/wsd",)


def test_resolve_spells_the_endpoint_as_the_device_does(set_up):
    setup = set_up(missing=[UUID])
    setup.say("vlan", write_hello(TargetService(UUID.removeprefix("urn:").upper()), sequence=Sequence(5, 1),
                                 message_id="m"))
    del setup.links["vlan", 4].sent[:]
    setup.client.resolve(UUID)
    setup.pass_time(1)
    assert {message.content for _, message in setup.links["vlan", 4].sent if message.name == "Resolve"} == {
        Resolve(UUID.removeprefix("urn:").upper())}


def test_a_silent_scanner_is_reported_as_unanswered(set_up):
    setup = set_up()
    setup.say("vlan", matches("urn:uuid:own-1"), answer=True)
    setup.pass_time(59)
    assert setup.unanswered == []
    setup.pass_time(7)
    assert setup.unanswered == [UUID]


def test_the_url_of_a_directed_probe():
    stable = "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"
    assert probe_url("http://192.0.2.1") == probe_url("http://192.0.2.1/") == f"http://192.0.2.1{stable}"
    assert probe_url("http://192.0.2.1/x") == "http://192.0.2.1/x"
