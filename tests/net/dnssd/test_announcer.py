"""Tests of net.dnssd.announcer on a Clock: interfaces, links, and what is sent on which."""

from ipaddress import ip_address, ip_interface

import attrs
import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.bridge.dnssd.link import PTR_QUESTION, TYPE, claim, instance, service
from wsdgateway.dnssd.messages import (
    AAAA,
    PTR,
    SRV,
    A,
    Message,
    Question,
    Record,
    Service,
    name_of,
    read_message,
    write_message,
)
from wsdgateway.net.dnssd.announcer import RECORDS_PER_POLL, Announcer, host_name
from wsdgateway.net.transport.interfaces import POLL_SECONDS, Interface

LAN = Interface("lan", 2, (ip_interface("192.0.2.5/24"), ip_interface("fe80::5/64")))
WIFI = Interface("wifi", 3, (ip_interface("203.0.113.5/24"),))
CLIENT = "192.0.2.77"
CANON = Message(response=True, answers=(
    Record(TYPE, PTR, instance("Canon"), 4500), claim("Canon"), Record(name_of("zz-printer.local"), A,
                                                                      ip_address("192.0.2.20"), 120)))


class FakeLink:
    """A link that records each sent message, and the host it goes to."""

    def __init__(self, setup, interface, version, on_datagram):
        if (interface.name, version) in setup.refused:
            raise OSError(1, "Operation not permitted")
        self.interface, self.version, self.on_datagram = interface, version, on_datagram
        self.sent, self.failed, self.closed = [], False, False
        setup.links[interface.name, version] = self

    def send(self, data, host="", port=5353):
        self.sent.append((host, read_message(data)))

    def close(self):
        self.closed = True
        return succeed(None)

    def records(self, kind):
        return [one for _, message in self.sent if message.response for one in message.answers if one.kind == kind]


class Setup:
    """An announcer with fake links and a simulated clock."""

    def __init__(self, *interfaces):
        self.clock = Clock()
        self.interfaces = {"lan": LAN, "wifi": WIFI}
        self.links, self.named, self.conflicts, self.heard, self.refused = {}, [], [], [], set()
        self.announcer = Announcer(
            self.clock, interfaces or ("lan",), "gateway-1", on_name=lambda *what: self.named.append(what),
            on_conflict=lambda *what: self.conflicts.append(what), on_others=lambda *what: self.heard.append(what),
            seconds=self.clock.seconds, draw=lambda: 0.5, read=lambda: self.interfaces,
            open_link=lambda reactor, *arguments: FakeLink(self, *arguments))

    def start(self, *services):
        for one in services:
            self.announcer.announce(one)
        self.announcer.start()
        return self

    def pass_time(self, seconds):
        self.clock.pump([0.05] * round(seconds * 20))

    def say(self, message, where="lan", version=4, host=CLIENT, port=5353):
        link = self.links[where, version]
        link.on_datagram(link, message if isinstance(message, bytes) else write_message(message), host, port)

    def stop(self):
        stopped = []
        self.announcer.stop().addCallback(lambda nothing: stopped.append(True))
        return stopped


@pytest.fixture
def setup():
    return Setup().start(service())


def test_each_interface_has_its_own_host_and_addresses():
    setup = Setup("lan", "wifi").start(service())
    setup.pass_time(1)
    for name, version, addresses in (("lan", 4, ("192.0.2.5", "fe80::5")), ("lan", 6, ("192.0.2.5", "fe80::5")),
                                     ("wifi", 4, ("203.0.113.5",))):
        announcement = next(message for _, message in setup.links[name, version].sent if message.response)
        hosts = [one for one in announcement.answers if not isinstance(one.data, bytes | tuple | Service)]
        assert {one.name for one in hosts} == {name_of(host_name("gateway-1", name))}
        assert [one.data for one in hosts] == [ip_address(one) for one in addresses]
    assert ("wifi", 6) not in setup.links
    assert host_name("gateway-1", "lan") != host_name("gateway-1", "wifi") != host_name("gateway-2", "wifi")
    assert setup.announcer.names("front-desk") == {"lan": "Front Desk", "wifi": "Front Desk"}
    assert setup.named == [("lan", service(), "Front Desk"), ("wifi", service(), "Front Desk")]


def test_no_other_interface_is_opened(setup):
    setup.pass_time(10)
    assert set(setup.links) == {("lan", 4), ("lan", 6)}


def test_loopback_is_never_opened():
    setup = Setup("lo", "lan")
    setup.interfaces["lo"] = Interface("lo", 1, (ip_interface("127.0.0.1/8"), ip_interface("::1/128")))
    setup.start(service()).pass_time(10)
    assert set(setup.links) == {("lan", 4), ("lan", 6)}


def test_a_scanner_added_later_is_announced(setup):
    setup.pass_time(5)
    setup.announcer.announce(service("other", "Other", 8401))
    setup.pass_time(2)
    assert setup.announcer.names("other") == {"lan": "Other"}


def test_without_interfaces_no_socket_is_opened():
    setup = Setup()
    setup.announcer = Announcer(setup.clock, (), "gateway-1", read=lambda: pytest.fail("read"))
    setup.start(service())
    setup.pass_time(10)
    assert setup.stop() == [True]


def test_a_question_is_answered_on_the_link_it_came_from(setup):
    setup.pass_time(10)
    for link in setup.links.values():
        link.sent.clear()
    setup.say(PTR_QUESTION, version=6, host="fe80::77%lan")
    setup.pass_time(0.5)
    assert (setup.links["lan", 4].sent, len(setup.links["lan", 6].sent)) == ([], 1)
    setup.say(PTR_QUESTION, port=40000)
    assert [host for host, _ in setup.links["lan", 4].sent] == [CLIENT]


@pytest.mark.parametrize("host", ["198.51.100.20", "203.0.113.9", "0.0.0.0"])
def test_senders_outside_the_link_are_not_answered(setup, host):
    setup.pass_time(10)
    setup.links["lan", 4].sent.clear()
    setup.say(PTR_QUESTION, host=host, port=40000)
    setup.say(CANON, host=host)
    setup.pass_time(0.5)
    assert (setup.links["lan", 4].sent, setup.heard) == ([], [])


@pytest.mark.parametrize("data", [b"", b"\xff" * 600, b"\0" * 9001])
def test_bytes_that_are_no_message_change_nothing(setup, data):
    setup.say(data)
    setup.pass_time(1)
    assert setup.announcer.names("front-desk") == {"lan": "Front Desk"}


def test_a_service_is_left_out_on_an_interface():
    setup = Setup("lan", "wifi").start(service())
    setup.pass_time(5)
    setup.announcer.announce(service(), leave_out=frozenset(("lan",)))
    setup.pass_time(1)
    assert setup.announcer.names("front-desk") == {"wifi": "Front Desk"}
    assert [one.ttl for one in setup.links["lan", 4].records(PTR)][-2:] == [0, 0]
    assert 0 not in [one.ttl for one in setup.links["wifi", 4].records(PTR)]
    setup.announcer.announce(service())
    setup.pass_time(5)
    assert setup.announcer.names("front-desk") == {"lan": "Front Desk", "wifi": "Front Desk"}


def test_a_scanner_is_withdrawn_with_both_types(setup):
    setup.announcer.announce(service(secure=True, port=8401))
    setup.pass_time(5)
    setup.announcer.withdraw("front-desk")
    setup.announcer.withdraw("unknown")
    setup.pass_time(1)
    assert sorted(str(one.name[0]) for one in setup.links["lan", 4].records(PTR) if one.ttl == 0) == [
        "b'_uscan'"] * 2 + ["b'_uscans'"] * 2
    assert setup.announcer.names("front-desk") == {}


def test_a_scanner_that_another_host_announces_from_now_on_has_no_goodbye(setup):
    setup.announcer.announce(service(secure=True, port=8401))
    setup.pass_time(5)
    setup.announcer.hand_over("front-desk")
    setup.announcer.hand_over("unknown")
    assert setup.announcer.names("front-desk") == {}
    assert setup.stop() == [True]
    assert [one for one in setup.links["lan", 4].records(PTR) if one.ttl == 0] == []


def test_addresses_follow_the_interface(setup):
    setup.pass_time(5)
    setup.interfaces = {"lan": attrs.evolve(LAN, addresses=(ip_interface("192.0.2.6/24"), LAN.addresses[1]))}
    setup.pass_time(POLL_SECONDS)
    assert [(str(one.data), one.ttl) for one in setup.links["lan", 6].records(A)][-2:] == [
        ("192.0.2.5", 0), ("192.0.2.6", 120)]


def test_an_interface_goes_and_comes_back(setup, said):
    setup.pass_time(5)
    before = dict(setup.links)
    setup.interfaces = {}
    setup.pass_time(POLL_SECONDS)
    assert [link.closed for link in before.values()] == [True, True]
    assert setup.announcer.names("front-desk") == {}
    setup.interfaces = {"lan": attrs.evolve(LAN, index=9)}
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.announcer.names("front-desk") == {"lan": "Front Desk"}
    assert setup.links["lan", 4] is not before["lan", 4]
    assert len([line for line in said if "lan: there is no such interface" in line]) == 1


def test_one_version_of_ip_goes(setup):
    setup.pass_time(5)
    setup.interfaces = {"lan": attrs.evolve(LAN, addresses=LAN.addresses[:1])}
    setup.pass_time(POLL_SECONDS)
    assert (setup.links["lan", 6].closed, setup.links["lan", 4].closed) == (True, False)


def test_a_socket_that_cannot_be_opened_is_tried_again_and_logged_once(said):
    setup = Setup()
    setup.refused = {("lan", 4), ("lan", 6)}
    setup.start(service())
    setup.pass_time(3 * POLL_SECONDS)
    assert len([line for line in said if "retrying" in line]) == 2
    setup.refused = set()
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.announcer.names("front-desk") == {"lan": "Front Desk"}


def test_what_could_not_be_sent_is_announced_again(setup):
    setup.pass_time(10)
    link = setup.links["lan", 6]
    link.failed = True
    link.sent.clear()
    setup.pass_time(POLL_SECONDS)
    assert link.records(SRV) and not link.failed


def test_the_end_is_two_goodbyes_and_closed_sockets(setup):
    setup.pass_time(5)
    for link in setup.links.values():
        link.sent.clear()
    stopped = setup.stop()
    assert stopped == []
    setup.pass_time(0.3)
    assert stopped == [True]
    for link in setup.links.values():
        assert ([one.ttl for one in link.records(PTR)], link.closed) == ([0, 0], True)
    assert setup.clock.getDelayedCalls() == []


def test_the_end_before_anything_was_announced_is_silent(setup):
    stopped = setup.stop()
    assert (stopped, setup.links["lan", 4].records(PTR)) == ([True], [])
    assert setup.clock.getDelayedCalls() == []


def test_scanners_of_others_are_told_with_uuid_and_addresses(setup):
    setup.say(CANON)
    (where, (scanner,)), = setup.heard
    assert (where, scanner.name, scanner.addresses) == ("lan", "Canon", {ip_address("192.0.2.20")})
    setup.say(CANON, version=6, host="fe80::77%lan")
    assert (len(setup.heard), setup.announcer.others("lan")) == (1, {scanner})
    setup.say(Message(response=True, answers=(Record(TYPE, PTR, instance("Canon"), 0),)))
    setup.pass_time(2)
    assert setup.heard[1:] == [("lan", frozenset())]


def test_own_announcements_on_another_interface_are_no_others():
    setup = Setup("lan", "wifi").start(service())
    setup.pass_time(5)
    for _, message in list(setup.links["wifi", 4].sent):
        setup.say(message, host="192.0.2.6")
    setup.pass_time(5)
    assert setup.heard == []
    # Both interfaces are on one link: one of them gets another name.
    assert setup.announcer.names("front-desk")["wifi"] == "Front Desk"


def test_a_conflict_is_told_and_logged(setup, said):
    setup.pass_time(0.3)
    setup.say(Message(response=True, answers=(claim("Front Desk"),)))
    setup.pass_time(2)
    assert setup.conflicts == [("lan", service(), "Front Desk")]
    assert setup.announcer.names("front-desk") == {"lan": "Front Desk (2)"}
    assert any("another host on lan announces the name Front Desk" in line for line in said)


@pytest.mark.parametrize("questions", [0, 99])
def test_a_flood_is_dropped_until_the_next_poll(setup, questions):
    message = Message(questions=(Question(name_of("x.local"), A),) * questions)
    for _ in range(RECORDS_PER_POLL // (1 + questions)):
        setup.say(message)
    setup.say(CANON)
    assert setup.heard == []
    setup.pass_time(POLL_SECONDS)
    setup.say(CANON)
    assert len(setup.heard) == 1


def test_addresses_at_which_nothing_is_served_are_left_out():
    setup = Setup()
    served = {ip_address("fe80::5")}
    setup.announcer = Announcer(
        setup.clock, ("lan",), "gateway-1", seconds=setup.clock.seconds, draw=lambda: 0.5,
        read=lambda: setup.interfaces, open_link=lambda reactor, *arguments: FakeLink(setup, *arguments),
        serves=lambda interface, address: interface == "lan" and address in served)
    setup.start(service()).pass_time(2)
    assert {one.data for one in setup.links["lan", 4].records(AAAA)} == served
    assert not setup.links["lan", 4].records(A)
    served.add(ip_address("192.0.2.5"))
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.links["lan", 4].records(A)[0].data == ip_address("192.0.2.5")
    served.clear()
    setup.pass_time(POLL_SECONDS + 1)
    assert setup.announcer.names("front-desk") == {}
