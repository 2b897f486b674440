"""Subscriptions, sinks, the fan-out and the mailboxes: what goes to whom, and when it is given up."""

from ipaddress import ip_network

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages import SCAN, envelope, status_event
from wsdgateway.bridge.events.deliveryqueue import MAX_REFUSALS, DeliveryQueue, GiveUp, QueuedEvent, Retry, Skip
from wsdgateway.bridge.events.fanout import Event, prepare
from wsdgateway.bridge.events.sinks import BadSink, Sink, admit, literal, parse_sink
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions, Token, paired
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA

STATUS, END, AVAILABLE = (f"{SCAN}/{name}" for name in ("JobStatusEvent", "JobEndStateEvent", "ScanAvailableEvent"))


def subscription(identifier, *wanted, expires_at=100.0, **more):
    return Subscription(identifier, "front-desk", "192.0.2.7", f"http://gw/{identifier}",
                        Sink(EndpointReference(f"http://192.0.2.7/{identifier}"), "192.0.2.7"), None,
                        ActionFilter(wanted or None), expires_at, **more)


def holding(*subscriptions, limit=10):
    table = Subscriptions(limit)
    for one in subscriptions:
        table.put(one)
    return table


def test_who_listens_to_what_until_when():
    table = holding(subscription("a"), subscription("b", STATUS), subscription("c", SCAN, expires_at=50.0))
    assert [one.identifier for one in table.listening(STATUS, 10.0)] == ["a", "b", "c"]
    assert [one.identifier for one in table.listening(END, 10.0)] == ["a", "c"]
    assert [one.identifier for one in table.listening(END, 50.0)] == ["a"]
    assert table.listening(AVAILABLE, 10.0) == []  # goes to the one whose name was chosen
    assert table.next_expiry() == 50.0
    assert [one.identifier for one in table.expired(50.0)] == ["c"]
    assert table.find("c", 49.9) is not None
    assert table.find("c", 50.0) is None
    assert table.get("c") is not None
    assert table.remove("c").identifier == "c"
    assert table.remove("c") is None
    assert table.find(None, 0.0) is None
    assert Subscriptions(1).next_expiry() is None


def test_it_is_full_at_its_limit():
    table = holding(subscription("a"), subscription("b"), limit=2)
    assert table.full
    table.remove("a")
    assert not table.full


DESTINATIONS = Destinations("<d/>", (("ctx", "Name"),))


def named(identifier, given_, current=None, **more):
    return subscription(identifier, AVAILABLE, panel=True, destinations=DESTINATIONS,
                        tokens=(Token("ctx", given_, current or given_),), **more)


def test_a_clients_token_leads_to_the_scanners():
    table = holding(named("a", "t1", "t9"), named("b", "t2"))
    assert table.token("t1")[1].current == "t9"
    assert table.token("t2")[0].identifier == "b"
    assert table.token("t9") is None
    table.remove("a")
    assert table.token("t1") is None


def test_no_two_clients_are_given_the_same_token():
    table = holding(named("a", "t1", "t9"))
    assert table.tokens_for([("c1", "t1"), ("c2", "t2")], iter(["new"])) == (
        Token("c1", "new", "t1"), Token("c2", "t2", "t2"))


@pytest.mark.parametrize(("fresh", "currents"), [
    ([("a", "3"), ("b", "4"), ("a", "5")], ["3", "5", "4"]), ([("b", "4")], ["0", "1", "4"]), ([], ["0", "1", "2"]),
    ([("c", "9")], ["0", "1", "2"])])
def test_tokens_are_paired_by_context_in_order(fresh, currents):
    tokens = (Token("a", "0", "0"), Token("a", "1", "1"), Token("b", "2", "2"))
    assert [token.current for token in paired(tokens, fresh)] == currents


def test_only_the_same_client_with_the_same_names_and_sink_repeats_itself():
    table = holding(named("a", "t1"))
    same = attrs.evolve(named("b", "t2"), notify_to=table.get("a").notify_to)
    assert table.repeated(same).identifier == "a"
    for other in ({"client": "192.0.2.8"}, {"destinations": Destinations("<e/>", ())},
                  {"notify_to": Sink(EndpointReference("http://192.0.2.7/other"), "192.0.2.7")}, {"panel": False}):
        assert table.repeated(attrs.evolve(same, **other)) is None
    assert holding(subscription("a")).repeated(subscription("a")) is None


# Sinks.

@pytest.mark.parametrize(("url", "parts"), [
    ("http://192.0.2.7/e", ("http", "192.0.2.7", 80, "192.0.2.7", "/e")),
    ("https://h:8443?x=1", ("https", "h", 8443, "h:8443", "/?x=1")),
    ("https://h/a", ("https", "h", 443, "h", "/a")),
    ("http://[2001:db8::1]:5357/e", ("http", "2001:db8::1", 5357, "[2001:db8::1]:5357", "/e"))])
def test_the_parts_of_a_sink(url, parts):
    assert attrs.astuple(parse_sink(url)) == parts


@pytest.mark.parametrize("url", [
    "ftp://h/", "file:///etc/passwd", "urn:uuid:5", "http://", "http:///x", "http://h:0/", "http://h:99999/",
    "http://[bad/", "http://u:p@h/", "http://h/a b", "http://h/\r\nX: 1", "http://h/é", "h", "",
    "http://h:5[::1]/", "http://h/" + "x" * 2048, "javascript:alert(1)", "http://h/\x00"])
def test_what_is_no_sink(url):
    with pytest.raises(BadSink):
        parse_sink(url)


def admitted(url, found=None, client="192.0.2.7", networks=(), own=()):
    address = parse_sink(url)
    return admit(found or [address.host], address, client=client, networks=[ip_network(n) for n in networks],
                 is_own=lambda ip, port: (str(ip), port) in own)


@pytest.mark.parametrize(("url", "more", "ip"), [
    ("http://192.0.2.7/e", {}, "192.0.2.7"),
    ("http://name/e", {"found": ["198.51.100.1", "192.0.2.7"]}, "192.0.2.7"),
    ("http://192.0.2.7/e", {"client": "::ffff:192.0.2.7"}, "192.0.2.7"),
    ("http://[::ffff:192.0.2.7]/e", {}, "192.0.2.7"),
    ("http://[fe80::1]/e", {"client": "fe80::1%eth0"}, "fe80::1%eth0"),
    ("http://[2001:DB8::1]/e", {"client": "2001:db8::1"}, "2001:db8::1"),
    ("http://198.51.100.9/e", {"networks": ["198.51.100.0/24"]}, "198.51.100.9"),
    ("http://name/e", {"found": ["203.0.113.1", "198.51.100.9"], "networks": ["198.51.100.0/24"]}, "198.51.100.9"),
    ("http://192.0.2.7:5357/e", {"own": [("192.0.2.7", 5358)]}, "192.0.2.7")])
def test_who_may_be_notified(url, more, ip):
    assert admitted(url, **more) == ip


@pytest.mark.parametrize(("url", "more"), [
    ("http://192.0.2.8/e", {}), ("http://name/e", {"found": ["203.0.113.1"]}),
    ("http://127.0.0.1/e", {}), ("http://0.0.0.0/e", {"networks": ["0.0.0.0/0"]}),
    ("http://224.0.0.1/e", {"networks": ["0.0.0.0/0"]}), ("http://255.255.255.255/e", {"networks": ["0.0.0.0/0"]}),
    ("http://192.0.2.7:5357/e", {"own": [("192.0.2.7", 5357)]}),
    ("http://name:5357/e", {"found": ["192.0.2.7"], "own": [("192.0.2.7", 5357)]}),
    ("http://[::1]/e", {"networks": ["127.0.0.0/8"]}), ("http://[::]/e", {"networks": ["::/0"]})])
def test_who_may_not(url, more):
    with pytest.raises(BadSink):
        admitted(url, **more)


def test_what_is_no_ip_address():
    assert literal("name") is None
    assert literal("1.2.3") is None


# The fan-out.

def test_an_event_is_passed_on_as_it_is_but_for_its_way():
    body = ('<v:Odd xmlns:v="urn:v" a="1">wscn:QName &amp; <![CDATA[<raw>]]><!-- c --></v:Odd>')
    raw = envelope(STATUS, body, to="http://gw/front-desk/events/secret", headers=(
        '<v:Vendor xmlns:v="urn:v">kept</v:Vendor><wsa:ReplyTo><wsa:Address>http://198.51.100.20/x</wsa:Address>'
        "</wsa:ReplyTo>"))
    event = prepare(read(raw))
    message = event.to(EndpointReference("http://192.0.2.7/?a=1&b=2", ('<i xmlns="urn:i">7</i>',)), "urn:uuid:9")
    told = read(message)
    assert (told.action, told.to, told.message_id) == (STATUS, "http://192.0.2.7/?a=1&b=2", "urn:uuid:9")
    assert told.header.findtext("{urn:i}i") == "7"
    assert told.header.findtext("{urn:v}Vendor") == "kept"
    assert body.encode() in message
    assert b"secret" not in message
    assert b"198.51.100.20" not in message
    assert message.count(b"<wsa:MessageID") == 1
    assert told.root.nsmap["wscn"] == SCAN


def test_prefixes_may_be_bound_otherwise_and_the_encoding_be_another():
    raw = (f'<?xml version="1.0" encoding="utf-16"?><Envelope xmlns="{SOAP}"><Header><a:Action xmlns:a="{WSA}">{STATUS}'
           f'</a:Action></Header><Body><wsa xmlns="urn:x">\u00e9</wsa></Body></Envelope>').encode("utf-16")
    told = read(prepare(read(raw)).to(EndpointReference("http://s/", ('<p xmlns="">1</p>',)), "urn:uuid:9"))
    assert (told.to, told.message_id, told.body.text) == ("http://s/", "urn:uuid:9", "\u00e9")
    assert told.header.findtext("p") == "1"


# The mailbox.

def letters(count):
    return [QueuedEvent(Event("a", b"", b""), str(number)) for number in range(count)]


def box(limit=3, give_up_after=100.0):
    return DeliveryQueue(limit=limit, give_up_after=give_up_after, random=lambda: 1.0)


def test_one_is_on_its_way_at_a_time_in_order():
    mailbox = box()
    assert mailbox.take() is None
    first, second, _ = sent = letters(3)
    assert all(mailbox.put(letter) for letter in sent)
    assert mailbox.take() is first
    assert mailbox.take() is None
    mailbox.delivered()
    assert mailbox.take() is second
    assert len(mailbox) == 2


def test_the_oldest_makes_room():
    mailbox = box(limit=2)
    first, second, third = letters(3)
    mailbox.put(first)
    mailbox.take()
    assert mailbox.put(second)
    assert not mailbox.put(third)
    assert isinstance(mailbox.failed(0.0, refused=False), Retry)
    assert mailbox.take() is first
    mailbox.delivered()
    assert mailbox.take() is third


def test_pauses_grow_and_have_a_limit():
    mailbox = box(give_up_after=1e9)
    mailbox.put(letters(1)[0])
    pauses = []
    for _ in range(12):
        mailbox.take()
        pauses.append(mailbox.failed(0.0, refused=False).after)
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert pauses[-1] == 60
    mailbox.take()
    mailbox.delivered()
    assert mailbox.failures == 0


def test_who_can_not_be_reached_is_given_up_in_time():
    mailbox = box()
    for letter in letters(3):
        mailbox.put(letter)
    mailbox.take()
    assert isinstance(mailbox.failed(10.0, refused=False), Retry)
    mailbox.take()
    assert isinstance(mailbox.failed(109.9, refused=False), Retry)
    mailbox.take()
    assert mailbox.failed(110.0, refused=False) == GiveUp(3)
    assert len(mailbox) == 0


def test_a_success_begins_the_time_anew():
    mailbox = box()
    for letter in letters(3):
        mailbox.put(letter)
    mailbox.take()
    mailbox.failed(10.0, refused=False)
    mailbox.take()
    mailbox.delivered()
    mailbox.take()
    assert isinstance(mailbox.failed(200.0, refused=False), Retry)


def test_an_event_that_is_refused_does_not_keep_the_others_from_coming():
    mailbox = box()
    first, second, _ = sent = letters(3)
    for letter in sent:
        mailbox.put(letter)
    for _ in range(MAX_REFUSALS - 1):
        assert mailbox.take() is first
        assert isinstance(mailbox.failed(0.0, refused=True), Retry)
    mailbox.take()
    assert isinstance(mailbox.failed(0.0, refused=True), Skip)
    assert mailbox.take() is second
    mailbox.failed(200.0, refused=True)  # refusing everything is no delivery: it is given up in time, too
    assert len(mailbox) == 0


@given(st.lists(st.sampled_from(["put", "ok", "away", "no"]), max_size=60))
def test_order_and_number_hold_whatever_happens(deeds):
    mailbox = box(limit=4)
    put = lost = 0
    arrived = []
    for deed in deeds:
        if deed == "put":
            lost += not mailbox.put(QueuedEvent(Event("a", b"", b""), str(put)))
            put += 1
        else:
            letter = mailbox.take()
            if letter is None:
                continue
            if deed == "ok":
                mailbox.delivered()
                arrived.append(int(letter.message_id))
            else:
                lost += isinstance(mailbox.failed(0.0, refused=deed == "no"), Skip)
    assert arrived == sorted(set(arrived))
    assert put == len(arrived) + lost + len(mailbox)
    assert len(mailbox) <= 4


def test_the_bytes_of_an_event_are_shared():
    event = prepare(read(status_event()))
    assert isinstance(event.before, bytes)
    assert len(event.before) + len(event.after) > 400
