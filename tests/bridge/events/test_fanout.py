"""Tests of bridge.events.fanout: the message that each subscriber gets for an event."""

import pytest

from tests.messages import SCAN, envelope, status_event
from wsdgateway.bridge.events.fanout import MAX_EVENT, Event, prepare
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA

STATUS = f"{SCAN}/JobStatusEvent"


def test_an_event_is_passed_on_with_new_addressing_headers():
    body = ('<v:Odd xmlns:v="urn:v" a="1">wscn:QName &amp; <![CDATA[<raw>]]><!-- c --></v:Odd>')
    raw = envelope(STATUS, body, to="http://gw/front-desk/events/secret", headers=(
        '<v:Vendor xmlns:v="urn:v">kept</v:Vendor><wsa:ReplyTo><wsa:Address>http://198.51.100.20/x</wsa:Address>'
        "</wsa:ReplyTo>"))
    event = prepare(read(raw))
    message = event.to(EndpointReference("http://192.0.2.7/?a=1&b=2", ('<i xmlns="urn:i">7</i>',)), "urn:uuid:9")
    answer = read(message)
    assert (answer.action, answer.to, answer.message_id) == (STATUS, "http://192.0.2.7/?a=1&b=2", "urn:uuid:9")
    assert answer.header.findtext("{urn:i}i") == "7"
    assert answer.header.findtext("{urn:v}Vendor") == "kept"
    assert body.encode() in message
    assert b"secret" not in message
    assert b"198.51.100.20" not in message
    assert message.count(b"<wsa:MessageID") == 1
    assert answer.root.nsmap["wscn"] == SCAN


def test_other_prefixes_and_encodings_are_supported():
    raw = (f'<?xml version="1.0" encoding="utf-16"?><Envelope xmlns="{SOAP}"><Header><a:Action xmlns:a="{WSA}">{STATUS}'
           f'</a:Action></Header><Body><wsa xmlns="urn:x">\u00e9</wsa></Body></Envelope>').encode("utf-16")
    message = read(prepare(read(raw)).to(EndpointReference("http://s/", ('<p xmlns="">1</p>',)), "urn:uuid:9"))
    assert (message.to, message.message_id, message.body.text) == ("http://s/", "urn:uuid:9", "\u00e9")
    assert message.header.findtext("p") == "1"


def test_the_bytes_of_an_event_are_shared():
    event = prepare(read(status_event()))
    assert isinstance(event.before, bytes)
    assert len(event.before) + len(event.after) > 400


PLACES = [" <!--{mark}--> ", "<?target <!--{mark}-->?>", "<![CDATA[<!--{mark}-->]]>", "<!--{mark}--><?p {mark}?>",
          '<odd a="&lt;!--{mark}-->"><![CDATA[<!--{mark}-->]]></odd>']


@pytest.mark.parametrize("length", [1, 2, 9, 10, 40, 200])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("where", ["{}<soap:Header>", "<soap:Header>{}"])
def test_comments_before_the_headers_do_not_misplace_the_new_ones(where, place, length):
    inserted = where.replace("{}", place.replace("{mark}", "x" * length))
    raw = status_event().replace(b"<soap:Header>", inserted.encode(), 1)
    message = read(prepare(read(raw)).to(EndpointReference("http://s/", ("<p>1</p>",)), "urn:uuid:9"))
    assert (message.to, message.message_id, message.header.findtext("p")) == ("http://s/", "urn:uuid:9", "1")
    assert [child.tag for child in message.header if child.tag in (f"{{{WSA}}}To", "p")] == [f"{{{WSA}}}To", "p"]


def test_preparing_an_event_is_repeatable():
    first, second = (prepare(read(status_event())) for _ in range(2))
    assert (first.before, first.after) == (second.before, second.after)


@pytest.mark.parametrize(("before", "after", "is_too_large"), [
    (0, 0, False), (MAX_EVENT, 0, False), (1, MAX_EVENT - 1, False), (MAX_EVENT, 1, True), (0, MAX_EVENT + 1, True)])
def test_an_event_may_be_too_large_to_be_passed_on(before, after, is_too_large):
    assert Event(STATUS, b"x" * before, b"x" * after).is_too_large is is_too_large
