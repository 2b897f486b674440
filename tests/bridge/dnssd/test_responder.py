"""Tests of bridge.dnssd.responder: what one link hears from it, by the second."""

from ipaddress import ip_address

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bridge.dnssd.link import (
    ADDRESSES,
    ASKER,
    HOST,
    OTHER_HOST,
    PTR_QUESTION,
    SECURE_TYPE,
    TYPE,
    Link,
    asked,
    claim,
    instance,
    service,
)
from wsdgateway.bridge.dnssd.packing import MAX_PACKET
from wsdgateway.bridge.dnssd.replies import MAX_WAITING, PER_SOURCE
from wsdgateway.bridge.dnssd.responder import CONFLICT_PAUSE, MAX_CONFLICTS
from wsdgateway.dnssd.messages import (
    AAAA,
    ANY,
    NSEC,
    PTR,
    SRV,
    TXT,
    A,
    Message,
    Question,
    Record,
    Service,
    name_of,
    write_message,
)

NAME = instance("Front Desk")
KEY = ("front-desk", "_uscan._tcp.local")


def kinds(records):
    return [record.kind for record in records]


def names(link):
    return sorted(link.responder.names.values())


def test_three_probes_and_three_announcements():
    link = Link(service())
    link.pass_time(60)
    assert [(at, packet.message.response) for at, packet in link.sent] == [
        (0.125, False), (0.375, False), (0.625, False), (0.875, True), (1.875, True), (3.875, True)]
    probe, announcement = link.packets[0], link.packets[3]
    assert (probe.message.questions, kinds(probe.message.authorities)) == ((Question(NAME, ANY),), [SRV, TXT])
    assert probe.version is None and announcement.version is None
    assert [(one.kind, one.unique, one.ttl) for one in announcement.message.answers] == [
        (PTR, False, 4500), (SRV, True, 120), (TXT, True, 4500), (A, True, 120), (AAAA, True, 120)]
    assert link.named == [("front-desk", "Front Desk")]


def test_nothing_is_answered_before_the_first_announcement():
    link = Link(service())
    link.pass_time(0.7)
    assert link.answers(PTR_QUESTION)[0].ttl == 4500  # the announcement itself, at 0.875
    assert [packet.message.response for packet in link.packets] == [True]
    assert Link().answers(PTR_QUESTION) == []
    assert Link(service(), addresses=()).answers(PTR_QUESTION) == []


def test_a_pointer_comes_with_all_that_its_asker_needs():
    link = Link(service()).settle()
    assert kinds(link.answers(PTR_QUESTION)) == [PTR]
    (_, packet), = link.sent
    assert kinds(packet.message.additionals) == [SRV, TXT, A, AAAA]
    assert (packet.version, packet.host, packet.message.identifier, packet.message.questions) == (4, "", 0, ())


def test_answers_of_several_hosts_wait_a_moment():
    link = Link(service()).settle()
    assert link.say(PTR_QUESTION) == []
    link.pass_time(1)
    assert [at for at, _ in link.sent] == [10.07]


@pytest.mark.parametrize(("question", "expected"), [
    ((NAME, SRV), [SRV]), ((NAME, TXT), [TXT]), ((NAME, ANY), [SRV, TXT]), ((HOST, A), [A]), ((HOST, AAAA), [AAAA]),
    ((HOST, ANY), [A, AAAA]), ((TYPE, ANY), [PTR]), ((name_of("_services._dns-sd._udp.local"), PTR), [PTR]),
    ((instance("front DESK"), SRV), [SRV]), ((name_of("_USCAN._TCP.LOCAL"), PTR), [PTR]),
    ((NAME, A), []), ((TYPE, SRV), []), ((SECURE_TYPE, PTR), []), ((instance("Other"), SRV), []),
    ((name_of("_ipp._tcp.local"), PTR), []), ((OTHER_HOST, A), [])])
def test_questions(question, expected):
    assert kinds(Link(service()).settle().answers(asked(question))) == expected


def test_a_host_without_addresses_of_one_version_of_ip_says_so():
    record, = Link(service(), addresses=ADDRESSES[:1]).settle().answers(asked((HOST, AAAA)))
    assert record == Record(HOST, NSEC, b"\x07wsdgw-1\x05local\0\0\x01\x40", 120, True)
    record, = Link(service(), addresses=ADDRESSES[1:]).settle().answers(asked((HOST, A)))
    assert record.data == b"\x07wsdgw-1\x05local\0\0\x04\0\0\0\x08"


def test_the_address_in_urls_is_one_of_the_link():
    for addresses, expected in ((ADDRESSES, b"http://192.0.2.5:8400/"), (ADDRESSES[1:], b"http://[fe80::5]:8400/"),
                                ((*ADDRESSES[1:], ip_address("fd00::5")), b"http://[fd00::5]:8400/")):
        link = Link(service(admin_url="http://{host}:8400/"), addresses=addresses).settle()
        text, = link.answers(asked((NAME, TXT)))
        assert expected in text.data


def test_a_question_for_a_unicast_answer():
    link = Link(service()).settle()
    packet, = link.say(asked((TYPE, PTR), unicast=True), version=6, host="fe80::77")
    assert (packet.version, packet.host, packet.port) == (6, "fe80::77", 5353)
    assert packet.message.answers[0].ttl == 4500 and packet.message.questions == ()


def test_an_ordinary_dns_client():
    link = Link(service()).settle()
    packet, = link.say(attrs.evolve(PTR_QUESTION, identifier=0x1234), port=40000)
    assert (packet.host, packet.port, packet.message.identifier) == (ASKER, 40000, 0x1234)
    assert packet.message.questions == PTR_QUESTION.questions
    assert {(one.ttl, one.unique) for one in (*packet.message.answers, *packet.message.additionals)} == {(10, False)}


@pytest.mark.parametrize(("ttl", "expected"), [(4500, []), (2250, []), (2249, [PTR])])
def test_known_answers_are_left_out(ttl, expected):
    link = Link(service()).settle()
    assert kinds(link.answers(attrs.evolve(PTR_QUESTION, answers=(Record(TYPE, PTR, NAME, ttl),)))) == expected


def test_known_answers_that_follow_a_truncated_question():
    link = Link(service(), service("other", "Other")).settle()
    link.say(attrs.evolve(PTR_QUESTION, truncated=True))
    link.pass_time(0.3)
    link.say(Message(answers=(Record(TYPE, PTR, NAME, 4500),)))
    link.pass_time(1)
    assert [one.data for packet in link.packets for one in packet.message.answers] == [instance("Other")]


def test_an_answer_is_not_repeated_within_a_second():
    link = Link(service()).settle()
    for host in ("192.0.2.77", "192.0.2.78"):
        link.say(PTR_QUESTION, host=host)
        link.pass_time(0.3)
    assert len(link.sent) == 1
    link.pass_time(1)
    link.say(PTR_QUESTION)
    link.pass_time(0.3)
    assert len(link.sent) == 2


def test_a_goodbye_is_said_twice_and_a_scanner_may_come_back():
    link = Link(service(), service("other", "Other")).settle()
    link.do("withdraw", KEY)
    link.do("announce", service())
    link.pass_time(10)
    assert [(at, {(one.name, one.ttl) for one in packet.message.answers if one.kind == SRV})
            for at, packet in link.sent if packet.message.response] == [
        (10.0, {(NAME, 0)}), (10.25, {(NAME, 0)}), (10.875, {(NAME, 120)}), (11.875, {(NAME, 120)}),
        (13.875, {(NAME, 120)})]
    assert names(link) == ["Front Desk", "Other"]


def test_a_service_that_another_host_announces_from_now_on_has_no_goodbye():
    link = Link(service(), service("other", "Other")).settle()
    link.responder.hand_over(KEY)
    link.pass_time(10)
    assert link.sent == []
    assert [one.data for one in link.answers(PTR_QUESTION) if one.kind == PTR] == [instance("Other")]
    link.say(Message(response=True, answers=(claim("Front Desk"),)))
    assert (names(link), link.conflicts) == (["Other"], [])


def test_at_the_end_everything_is_withdrawn_with_the_host():
    link = Link(service(), service("other", "Other")).settle()
    packet, = link.responder.stop()
    assert {one.ttl for one in packet.message.answers} == {0}
    assert sorted(kinds(packet.message.answers)) == [A, PTR, PTR, TXT, TXT, AAAA, SRV, SRV]
    assert (link.answers(PTR_QUESTION), link.responder.deadline) == ([], None)


def test_what_was_never_announced_is_not_withdrawn():
    link = Link(service())
    link.pass_time(0.5)
    link.sent.clear()
    link.do("withdraw", KEY)
    assert (link.sent, link.responder.stop()) == ([], [])


def test_a_change_is_announced_without_probes():
    link = Link(service()).settle()
    link.do("announce", service())
    assert link.sent == []
    link.do("announce", service(port=8401))
    link.pass_time(10)
    assert [at for at, _ in link.sent] == [10.0, 11.0, 13.0]
    assert {one.data for packet in link.packets for one in packet.message.answers if one.kind == SRV} == {
        Service(HOST, 8401)}


def test_a_new_name_is_probed_after_a_goodbye_of_the_old_one():
    link = Link(service()).settle()
    link.do("announce", service(name="Hall"))
    link.pass_time(10)
    assert [packet.message.response for packet in link.packets] == [True, False, True, False, False, True, True, True]
    assert names(link) == ["Hall"]


def test_addresses_that_change():
    link = Link(service()).settle()
    link.do("set_addresses", (ip_address("192.0.2.6"), ADDRESSES[1]))
    goodbye, announcement = link.packets
    assert goodbye.message.answers == (Record(HOST, A, ADDRESSES[0], 0),)
    assert [one.data for one in announcement.message.answers if one.kind == A] == [ip_address("192.0.2.6")]
    link.do("set_addresses", ())
    link.settle()
    assert link.answers(PTR_QUESTION) == []
    link.do("set_addresses", ADDRESSES)
    link.pass_time(5)
    assert [packet.message.response for packet in link.packets] == [False] * 3 + [True] * 3


def test_another_host_has_the_name():
    link = Link(service())
    link.pass_time(0.2)
    link.say(Message(response=True, answers=(claim("front desk"),)))
    link.pass_time(5)
    assert (names(link), link.conflicts) == (["Front Desk (2)"], [("front-desk", "Front Desk")])
    link.say(Message(response=True, answers=(claim("Front Desk"),)))
    link.pass_time(5)
    assert names(link) == ["Front Desk (2)"]


def test_another_host_takes_the_name_later_and_keeps_it():
    link = Link(service()).settle()
    conflict = Message(response=True, answers=(claim("Front Desk"),))
    link.say(conflict)
    link.say(conflict, version=6)
    link.pass_time(0.2)
    assert link.packets[0].message.questions == (Question(NAME, ANY),)
    link.say(conflict)
    link.pass_time(5)
    assert names(link) == ["Front Desk (2)"]


def test_another_host_takes_the_name_later_and_gives_it_up():
    link = Link(service()).settle()
    link.say(Message(response=True, answers=(claim("Front Desk"),)))
    link.pass_time(5)
    assert names(link) == ["Front Desk"]


@pytest.mark.parametrize("message", [
    Message(response=True, answers=(claim("Front Desk", host=HOST),)),  # its own, on its way back
    Message(response=True, answers=(claim("Front Desk", ttl=0),)),
    Message(response=True, answers=(claim("Front Desk", kind=SECURE_TYPE),)),
    Message(response=True, answers=(claim("Front Desk (2)"),)), Message(answers=(claim("Front Desk"),))])
def test_what_is_no_conflict(message):
    link = Link(service())
    link.pass_time(0.2)
    link.say(message)
    link.pass_time(5)
    assert (names(link), link.conflicts) == (["Front Desk"], [])


def test_no_conflict_from_a_port_other_than_5353():
    link = Link(service())
    link.pass_time(0.2)
    link.say(Message(response=True, answers=(claim("Front Desk"),)), port=40000)
    link.pass_time(5)
    assert names(link) == ["Front Desk"]


def test_two_hosts_that_probe_at_a_time():
    first, second = Link(service()), Link(service())
    second.responder.host = OTHER_HOST  # a name later in order
    second.do("withdraw", KEY)
    second.do("announce", service())
    for link in (first, second):
        link.pass_time(0.2)
    probes = first.packets[0].message, second.packets[0].message
    first.say(probes[1])
    second.say(probes[0])
    second.pass_time(2)
    first.say(next(packet.message for packet in second.packets if packet.message.response))
    first.pass_time(5)
    assert (names(first), names(second)) == (["Front Desk"], ["Front Desk"])
    # The first one, which waits, hears the answer to its next probe.
    answer, = second.say(first.packets[1].message)
    assert answer.message.answers[0].data == Service(OTHER_HOST, 8400)


def test_a_defence_is_immediate():
    link = Link(service()).settle()
    link.answers(asked((NAME, ANY)))
    probe = Message(questions=(Question(NAME, ANY),), authorities=(attrs.evolve(claim("Front Desk"), unique=False),))
    for _ in range(2):
        packet, = link.say(probe)
        assert kinds(packet.message.answers) == [SRV, TXT]


def test_endless_conflicts_slow_down():
    link = Link(service())
    for _ in range(MAX_CONFLICTS):
        link.pass_time(0.15)
        link.say(Message(response=True, answers=(
            *(claim(f"Front Desk ({number})") for number in range(2, 40)), claim("Front Desk"))))
    link.sent.clear()
    link.pass_time(CONFLICT_PAUSE - 0.01)
    assert link.sent == []


def test_two_scanners_with_one_name_and_both_types_of_one_scanner():
    link = Link(service(), service(secure=True), service("other", port=8401)).settle()
    assert link.responder.names == {
        KEY: "Front Desk", ("front-desk", "_uscans._tcp.local"): "Front Desk",
        ("other", "_uscan._tcp.local"): "Front Desk (2)"}


def test_a_conflict_of_one_type_renames_both():
    link = Link(service(), service(secure=True))
    link.pass_time(0.2)
    link.say(Message(response=True, answers=(claim("Front Desk", kind=SECURE_TYPE),)))
    link.pass_time(5)
    assert names(link) == ["Front Desk (2)", "Front Desk (2)"]


def test_many_scanners_take_several_packets():
    link = Link(*(service(f"s{number}", f"Scanner {number}", 8400 + number) for number in range(100))).settle()
    pointers = link.answers(PTR_QUESTION)
    assert len({one.data for one in pointers}) == 100
    assert max(len(write_message(packet.message)) for packet in link.packets) <= MAX_PACKET
    for packet in link.packets:
        assert {A, AAAA} <= set(kinds(packet.message.additionals))


def test_one_host_gets_so_many_answers_a_second():
    link = Link(service()).settle()
    answered = sum(len(link.say(PTR_QUESTION, port=40000)) for _ in range(500))
    assert answered == PER_SOURCE
    assert len(link.say(PTR_QUESTION, port=40000, host="192.0.2.78")) == 1


def test_questions_that_wait_are_bounded():
    link = Link(service()).settle()
    for number in range(300):
        link.say(attrs.evolve(PTR_QUESTION, truncated=True), host=f"192.0.2.{number % 250}", port=5353, version=4)
        link.say(attrs.evolve(PTR_QUESTION, truncated=True), host=f"fe80::{number}", port=5353, version=6)
    link.pass_time(1)
    assert len(link.sent) <= MAX_WAITING


def test_announcing_again():
    link = Link(service()).settle()
    link.do("announce_again")
    link.pass_time(5)
    assert [packet.message.response for packet in link.packets] == [True] * 3


@given(st.lists(st.tuples(st.sampled_from(["Front Desk", "Front Desk (2)", "Other"]), st.sampled_from([0, 120]),
                          st.booleans(), st.floats(0, 2)), max_size=20))
def test_it_always_comes_to_rest(conflicts):
    link = Link(service(), service("other", "Other"))
    for name, ttl, response, seconds in conflicts:
        record = claim(name, ttl=ttl)
        link.say(Message(response=True, answers=(record,)) if response else
                 Message(questions=(Question(record.name, ANY),), authorities=(record,)))
        link.pass_time(seconds)
    link.pass_time(60)
    assert link.responder.deadline is None
    assert len(set(names(link))) == 2
