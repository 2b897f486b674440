"""Tests of bridge.dnssd.others: the scanners of other hosts on one link, and the questions about them."""

from ipaddress import ip_address

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bridge.dnssd.link import HOST, OTHER_HOST, SECURE_TYPE, TYPE, claim, instance
from wsdgateway.bridge.dnssd.others import (
    GOODBYE_SECONDS,
    MAX_ADDRESSES,
    MAX_SCANNERS,
    QUESTION_INTERVAL,
    Others,
    OtherScanner,
)
from wsdgateway.dnssd.messages import AAAA, PTR, SRV, TXT, A, Message, Question, Record, name_of
from wsdgateway.dnssd.scannerservice import txt_data

UUID = "4509a320-00a0-008f-00b6-002507510eca"
V4, V6 = ip_address("192.0.2.20"), ip_address("fe80::20")
BOTH_TYPES = (Question(TYPE, PTR), Question(SECURE_TYPE, PTR))


def pointer(name, ttl=4500, kind=TYPE):
    return Record(kind, PTR, instance(name, kind), ttl)


def text(name, uuid=UUID, kind=TYPE):
    return Record(instance(name, kind), TXT, txt_data((b"rs=eSCL", f"UUID=urn:uuid:{uuid}".encode())), 4500, True)


def address(value, ttl=120, host=OTHER_HOST):
    return Record(host, A if value.version == 4 else AAAA, value, ttl, True)


def response(*answers, additionals=()):
    return Message(response=True, answers=answers, additionals=additionals)


CANON = response(pointer("Canon"), additionals=(claim("Canon"), text("Canon"), address(V4), address(V6)))
FOUND = OtherScanner("Canon", "zz-printer.local", UUID, frozenset((V4, V6)))


class Listener:
    """The knowledge of others, with a simulated clock; `asked` has each message with its time."""

    def __init__(self):
        self.now = 1000.0
        self.asked = []
        self.others = Others(self.now, lambda host: host == HOST, lambda: 1.0)

    def hear(self, message):
        self.others.receive(self.now, message)
        return self.others.scanners

    def pass_time(self, seconds, own=()):
        end = self.now + seconds
        while self.others.deadline <= end:
            self.now = max(self.now, self.others.deadline)
            self.asked += [(round(self.now - 1000, 3), one) for one in self.others.advance(self.now, own)]
        self.now = end

    def questions(self):
        return [one.questions for _, one in self.asked]


def test_questions_at_the_start_and_every_hour():
    listener = Listener()
    listener.pass_time(9 + QUESTION_INTERVAL)
    assert [at for at, _ in listener.asked] == [0.1, 1.0, 3.0, 9.0, 9 + QUESTION_INTERVAL]
    assert set(listener.questions()) == {BOTH_TYPES}


def test_own_records_are_known_answers_so_that_the_own_responder_keeps_silent():
    listener = Listener()
    listener.hear(CANON)
    listener.pass_time(0.1, own=(pointer("Front Desk"),))
    (_, question), = listener.asked
    assert [one.data for one in question.answers] == [instance("Front Desk"), instance("Canon")]


@pytest.mark.parametrize("messages", [
    (CANON,), (response(*CANON.additionals, *CANON.answers),),
    (response(pointer("Canon")), response(text("Canon"), claim("Canon")), response(address(V6), address(V4))),
    (response(pointer("canon", kind=TYPE)), attrs.evolve(CANON, answers=()))])
def test_a_scanner_is_known_with_its_uuid_and_addresses(messages):
    listener = Listener()
    for message in messages:
        listener.hear(message)
    assert {attrs.evolve(one, name="Canon") for one in listener.others.scanners} == {FOUND}


def test_services_of_this_gateway_are_none_of_others():
    listener = Listener()
    assert listener.hear(response(pointer("Front Desk"), claim("Front Desk", host=HOST), text("Front Desk"))) == set()


@pytest.mark.parametrize("message", [
    response(pointer("Canon")), response(claim("Canon"), text("Canon"), address(V4)),
    response(Record(name_of("_ipp._tcp.local"), PTR, instance("Canon", name_of("_ipp._tcp.local")), 4500)),
    response(Record(TYPE, PTR, name_of("canon.local"), 4500)), response(Record(TYPE, PTR, (), 4500))])
def test_what_names_no_scanner_with_a_host(message):
    assert Listener().hear(message) == set()


def test_both_types():
    listener = Listener()
    secure = response(pointer("Canon", kind=SECURE_TYPE), claim("Canon", kind=SECURE_TYPE),
                      text("Canon", kind=SECURE_TYPE), address(V4))
    assert listener.hear(secure) == {attrs.evolve(FOUND, addresses=frozenset((V4,)))}


def test_a_goodbye():
    listener = Listener()
    listener.hear(CANON)
    listener.hear(response(pointer("Canon", ttl=0), attrs.evolve(claim("Canon"), ttl=0)))
    listener.pass_time(GOODBYE_SECONDS - 0.1)
    assert listener.others.scanners == {FOUND}
    listener.pass_time(0.2)
    assert listener.others.scanners == set()


def test_it_is_asked_again_before_it_expires():
    listener = Listener()
    listener.pass_time(10)
    listener.asked.clear()
    listener.hear(response(pointer("Canon", ttl=100), *CANON.additionals))
    listener.pass_time(85)
    listener.hear(response(pointer("Canon", ttl=100)))
    listener.pass_time(101)
    assert [(at, len(one.answers)) for at, one in listener.asked] == [(90.0, 1), (175.0, 1), (185.0, 0)]
    assert listener.others.scanners == set()


def test_what_an_announcement_lacks_is_asked_for():
    listener = Listener()
    listener.pass_time(10)
    listener.asked.clear()
    listener.hear(response(pointer("Canon")))
    listener.pass_time(1)
    listener.hear(response(claim("Canon"), text("Canon")))
    listener.pass_time(3)
    listener.hear(response(address(V4)))
    listener.pass_time(60)
    assert listener.asked == [
        (10.5, Message(questions=(Question(instance("Canon"), SRV), Question(instance("Canon"), TXT)))),
        (12.0, Message(questions=(Question(OTHER_HOST, A), Question(OTHER_HOST, AAAA))))]


def test_addresses_are_replaced_for_each_version_of_ip():
    listener = Listener()
    listener.hear(CANON)
    new = ip_address("192.0.2.21")
    assert listener.hear(response(address(new), address(V4, ttl=0), address(V4, host=name_of("x.local")))) == {
        attrs.evolve(FOUND, addresses=frozenset((new, V6)))}
    many = [address(ip_address(f"192.0.2.{number}")) for number in range(100, 200)]
    scanner, = listener.hear(response(*many))
    assert len(scanner.addresses) == MAX_ADDRESSES


def test_another_host_takes_over_a_name():
    listener = Listener()
    listener.hear(CANON)
    assert listener.hear(response(claim("Canon", host=name_of("new.local")))) == {
        OtherScanner("Canon", "new.local", UUID, frozenset())}


def test_so_many_are_known():
    listener = Listener()
    for number in range(MAX_SCANNERS + 50):
        listener.hear(response(pointer(f"s{number}"), claim(f"s{number}")))
    assert len(listener.others.scanners) == MAX_SCANNERS


@given(st.lists(st.tuples(st.sampled_from([
    *CANON.answers, *CANON.additionals, pointer("Canon", ttl=0), pointer("Canon", ttl=1), pointer("HP", ttl=2 ** 31),
    claim("HP", host=HOST), text("HP"), Record(instance("HP"), TXT, b"\xff", 1)]), st.floats(0, 5000)), max_size=20))
def test_any_order_of_records(records):
    listener = Listener()
    for record, seconds in records:
        listener.hear(response(record))
        listener.pass_time(seconds)
        assert listener.others.scanners <= {
            attrs.evolve(FOUND, uuid=uuid, addresses=frozenset(addresses)) for uuid in ("", UUID)
            for addresses in ((), (V4,), (V6,), (V4, V6))}
        assert listener.others.deadline > listener.now
