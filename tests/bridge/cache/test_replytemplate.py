"""Tests of bridge.cache.replytemplate: only the two ids of the answer change; answers with unclear ids get no template.
"""

import pytest

from tests.messages import SCAN, scanner_elements
from wsdgateway.bridge.cache.replytemplate import make_template
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA

TYPE = b"application/soap+xml; charset=utf-8"
PLAIN = scanner_elements("ScannerDescription", note="Büro &amp; Flur")
# Its own prefixes, single quotes, a default namespace, attributes, blanks and line breaks, ids in the other order.
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
def test_only_the_ids_change(body, ids):
    answer = prepared(body).answer("urn:uuid:mine", "urn:uuid:new")
    expected = body.replace(ids[0] + b"</", b"urn:uuid:mine</").replace(ids[1] + b"</", b"urn:uuid:new</")
    assert (answer.body, answer.content_type) == (expected, TYPE)


@pytest.mark.parametrize("message_id", ["a<b>&\"c", "ü", "]]>", "\\1\\g<0>"])
def test_any_message_id_of_a_client_is_escaped(message_id):
    for body in (PLAIN, PLAIN.replace(b"utf-8", b"iso-8859-1").replace("ü".encode(), b"\xfc")):
        answer = read(prepared(body).fill(message_id, "urn:uuid:new"))
        assert (answer.relates_to, answer.message_id) == (message_id, "urn:uuid:new")


def test_a_request_without_an_id_gets_an_empty_relates_to():
    filled = prepared(PLAIN).fill(None, "urn:uuid:new")
    assert b"<wsa:RelatesTo></wsa:RelatesTo>" in filled
    assert read(filled).relates_to is None


@pytest.mark.parametrize("left_out", [b"<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>",
                                      b"<wsa:MessageID>urn:uuid:device-1</wsa:MessageID>"])
def test_ids_that_the_scanner_left_out_are_not_added(left_out):
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
def test_answers_with_unclear_ids_get_no_template(body):
    assert read(body).relates_to is not None
    assert prepared(body) is None
