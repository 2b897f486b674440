"""A scanner's answer made ready for many: only the two ids change, byte for byte; what can't be told is left alone."""

import pytest

from tests.messages import SCAN, scanner_elements
from wsdgateway.bridge.cache.replytemplate import make_template
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA

TYPE = b"application/soap+xml; charset=utf-8"
PLAIN = scanner_elements("ScannerDescription", note="Büro &amp; Flur")
# Its own prefixes, single quotes, a default namespace, attributes, blanks and line breaks, the ids in another order.
ODD = (f"<?xml version='1.0' encoding='UTF-8'?>\r\n<SOAP-ENV:Envelope xmlns:SOAP-ENV='{SOAP}' xmlns:wsa5=\"{WSA}\"\n"
       f"  xmlns='{SCAN}'><SOAP-ENV:Header><wsa5:MessageID SOAP-ENV:mustUnderstand = 'false'> urn:uuid:dev \n"
       "</wsa5:MessageID><wsa5:RelatesTo RelationshipType='wsa5:Reply'>\turn:uuid:1\n</wsa5:RelatesTo>"
       f"<wsa5:Action>{SCAN}/GetScannerElementsResponse</wsa5:Action></SOAP-ENV:Header><SOAP-ENV:Body>"
       "<GetScannerElementsResponse a='&quot;'><!-- x --><v:y xmlns:v='u:v'><![CDATA[<z>]]></v:y>"
       "</GetScannerElementsResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>").encode()


def prepared(body):
    return make_template(read(body), body, TYPE)


@pytest.mark.parametrize(("body", "ids"), [
    (PLAIN, (b"urn:uuid:1", b"urn:uuid:device-1")), (ODD, (b"\turn:uuid:1\n", b" urn:uuid:dev \n"))])
def test_only_the_ids_are_others(body, ids):
    answer = prepared(body).answer("urn:uuid:mine", "urn:uuid:new")
    expected = body.replace(ids[0] + b"</", b"urn:uuid:mine</").replace(ids[1] + b"</", b"urn:uuid:new</")
    assert (answer.body, answer.content_type) == (expected, TYPE)


@pytest.mark.parametrize("message_id", ["a<b>&\"c", "ü", "]]>", "\\1\\g<0>"])
def test_whatever_a_client_calls_its_request(message_id):
    for body in (PLAIN, PLAIN.replace(b"utf-8", b"iso-8859-1").replace("ü".encode(), b"\xfc")):
        answer = read(prepared(body).fill(message_id, "urn:uuid:new"))
        assert (answer.relates_to, answer.message_id) == (message_id, "urn:uuid:new")


def test_a_request_without_an_id_is_related_to_nothing():
    filled = prepared(PLAIN).fill(None, "urn:uuid:new")
    assert b"<wsa:RelatesTo></wsa:RelatesTo>" in filled
    assert read(filled).relates_to is None


@pytest.mark.parametrize("left_out", [b"<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>",
                                      b"<wsa:MessageID>urn:uuid:device-1</wsa:MessageID>"])
def test_what_the_scanner_did_not_say_is_not_added(left_out):
    body = PLAIN.replace(left_out, b"")
    filled = prepared(body).fill("urn:uuid:mine", "urn:uuid:new")
    assert b"RelatesTo" not in filled or b"MessageID" not in filled
    assert b"urn:uuid:mine" in filled or b"urn:uuid:new" in filled


@pytest.mark.parametrize("body", [
    PLAIN.decode().replace("utf-8", "utf-16").encode("utf-16"),
    PLAIN.replace(b"<soap:Body>", b"<!-- <RelatesTo>x</RelatesTo> --><soap:Body>"),
    PLAIN.replace(b"<soap:Body>", b"<soap:Body><v:MessageID xmlns:v='u:v'>x</v:MessageID>"),
    PLAIN.replace(b"urn:uuid:1</", b"<![CDATA[urn:uuid:1]]></"),
    PLAIN.replace(b"urn:uuid:1</", b"<!-- x -->urn:uuid:1</"),
    PLAIN.replace(b"<wsa:RelatesTo>", b"<wsa:RelatesTo a='>'>"),
    PLAIN.replace(b"<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>",
                  b"<!-- <RelatesTo>x</RelatesTo> --><wsa:RelatesTo><wsa:Address>urn:uuid:1</wsa:Address>"
                  b"</wsa:RelatesTo>"),
    PLAIN.replace(b"<wsa:RelatesTo>", b"<v:RelatesTo xmlns:v='u:v'>x</v:RelatesTo><wsa:RelatesTo>"),
])
def test_what_is_not_certain_is_not_prepared(body):
    assert read(body).relates_to is not None
    assert prepared(body) is None
