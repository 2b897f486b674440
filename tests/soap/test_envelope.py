"""Tests of soap.envelope: reading and writing of envelopes."""

import pytest

from tests.messages import envelope
from wsdgateway.soap.encodings import MAX_MENDED, MAX_UNDECLARED
from wsdgateway.soap.envelope import DoubledHeader, compose, read, read_leniently, readdressed, write
from wsdgateway.soap.faults import (
    unreadable,
)
from wsdgateway.soap.namespaces import SOAP, WSA
from wsdgateway.soap.parsing import MAX_WHY, Malformed


def test_headers_are_read_trimmed():
    message = read(envelope("\n  http://a/b \n", "<wscn:X/>", message_id=" urn:uuid:5\n", relates_to=" urn:uuid:4 "))
    assert (message.action, message.message_id, message.relates_to) == ("http://a/b", "urn:uuid:5", "urn:uuid:4")
    assert message.to == "http://gateway.test:5357/front-desk/scan"
    assert message.body.tag.endswith("}X")
    assert not message.obliges


@pytest.mark.parametrize("data", [
    b"<a/>",
    b"<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body/></Envelope>",
    f"<s:Envelope xmlns:s='{SOAP}'/>".encode(),
    f"<s:Envelope xmlns:s='{SOAP}'><s:Header/></s:Envelope>".encode(),
    f"<s:Envelope xmlns:s='{SOAP}'><s:Body/><s:Body/></s:Envelope>".encode(),
    f"<s:Envelope xmlns:s='{SOAP}'><s:Header/><s:Header/><s:Body/></s:Envelope>".encode(),
    f"<s:Envelope xmlns:s='{SOAP}'><s:Body/><s:Header/></s:Envelope>".encode(),
])
def test_other_documents_than_soap_are_malformed(data):
    with pytest.raises(Malformed):
        read(data)


def test_the_reason_is_short_however_long_a_name_is():
    with pytest.raises(Malformed) as caught:
        read(f"<{'a' * 40000}/>".encode())
    assert str(caught.value).startswith("the root element is aaa") and len(str(caught.value)) == MAX_WHY


@pytest.mark.parametrize(("name", "message_id"), [("Action", "urn:uuid:5"), ("To", "urn:uuid:5"), ("MessageID", None)])
def test_to_action_and_message_id_must_occur_once(name, message_id):
    with pytest.raises(DoubledHeader, match=f"more than one wsa:{name}") as raised:
        read(envelope("a", message_id="urn:uuid:5", headers=f"<wsa:{name}>b</wsa:{name}>"))
    assert raised.value.message_id == message_id
    assert unreadable("request", raised.value).subcode == "wsa:InvalidMessageInformationHeader"
    assert unreadable("request", Malformed("x")).subcode == "wscn:InvalidArgs"


def test_relates_to_may_occur_more_than_once():
    twice = "<wsa:RelatesTo>a</wsa:RelatesTo><wsa:RelatesTo>b</wsa:RelatesTo>"
    assert read(envelope("a", headers=twice)).relates_to == "b"


def test_headers_of_the_other_addressing_must_occur_once_too():
    newer = "http://www.w3.org/2005/08/addressing"
    message = read(envelope(None, headers=f"<n:Action xmlns:n='{newer}'>a</n:Action>" * 2))
    with pytest.raises(DoubledHeader):
        readdressed(message, newer)


def test_without_a_header_there_is_no_action():
    message = read(f"<s:Envelope xmlns:s='{SOAP}'><s:Body/></s:Envelope>".encode())
    assert (message.header, message.action, message.body) == (None, None, None)


def test_default_namespaces_and_other_prefixes_are_read():
    message = read(
        f"<Envelope xmlns='{SOAP}'><Header><Action xmlns='{WSA}'>a</Action><!-- c --></Header>"
        f"<Body><!-- c --><b xmlns='u:b'/></Body></Envelope>".encode())
    assert (message.action, message.body.tag) == ("a", "{u:b}b")


@pytest.mark.parametrize(("header", "obliges"), [
    ("<v:x xmlns:v='u:v' soap:mustUnderstand='1'/>", True),
    ("<v:x xmlns:v='u:v' soap:mustUnderstand=' true '/>", True),
    ("<v:x xmlns:v='u:v' soap:mustUnderstand='0'/>", False),
    ("<v:x xmlns:v='u:v' mustUnderstand='1'/>", False),
    ("<wsa:From soap:mustUnderstand='1'><wsa:Address>a</wsa:Address></wsa:From>", False),
    ("<wsa:Nonsense soap:mustUnderstand='1'/>", True),
])
def test_must_understand_counts_outside_addressing(header, obliges):
    assert read(envelope("a", headers=header)).obliges is obliges


def test_writing_keeps_unknown_contents():
    data = (f"<?xml version='1.0' encoding='ASCII'?>\n<!-- before -->"
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:q="u:q" xmlns:un="u:used-in-text">'
            '<s:Header><q:h q:a="1">q:name</q:h></s:Header><s:Body><q:b xmlns:q="u:q"><![CDATA[<&>]]>&#228;</q:b>'
            "</s:Body></s:Envelope>").encode()
    assert write(read(data).root) == data


def test_composed_messages_are_escaped():
    message = read(compose(action="a&b", message_id="<1>", to="t", relates_to="r\"&", body="", namespaces={}))
    assert (message.action, message.message_id, message.relates_to) == ("a&b", "<1>", 'r"&')


def named(name, declared=' encoding="utf-8"'):
    """Returns a message whose text has these bytes."""
    return envelope("urn:a", "<wscn:X>NAME</wscn:X>", prolog=f'<?xml version="1.0"{declared}?>').replace(b"NAME", name)


@pytest.mark.parametrize(("data", "charset", "name"), [
    (named("Büro".encode("latin-1")), None, "Büro"), (named("Büro".encode("latin-1")), "utf-8", "Büro"),
    (named("Büro".encode("latin-1"), ""), None, "Büro"), (named(b"\x80 5", ' encoding="ASCII"'), "utf-8", "€ 5"),
    (named("Büro Kü".encode()[:-1]), "utf-8", "Büro KÃ"), (named(b"a\x81\xff"), None, "a\x81ÿ"),
    (b"\xef\xbb\xbf" + named(b"\xfc") + b"\0", "utf8", "ü"), (named("ü".encode()), "utf-8", "ü"),
    (named(b"\xfc"), "iso-8859-1", "ü"), (named(b"\xa4", ' encoding="iso-8859-15"'), "utf-8", "€"),
    (named(b"R&D & &amp;&#38;&#x26;&lt;&"), None, "R&D & &&&<&"), (named(b"a&nbsp;b&x"), "utf-8", "a&nbsp;b&x"),
    (named(b"\x01a\x1fb\tc"), None, "ab\tc"), (named("R&D Büro".encode("latin-1")), None, "R&D Büro"),
    (named(b"R&D \xfc", ' encoding="iso-8859-1"'), None, "R&D ü"),
    (named(b"<km:x km:y='z: a'/>").replace(b"<soap:Header>", b"<soap:Header dn:a = '1'><ex.1:b/>"), None, None)])
def test_text_that_needs_to_be_mended(data, charset, name):
    assert read_leniently(data, charset).body.text == name


@pytest.mark.parametrize("data", [
    b"\xfc", b"<a>\xfc", b"<a/>\xfc", b"<!DOCTYPE a>" + named(b"\xfc", "")[len('<?xml version="1.0"?>'):],
    named(b"\xfc</wscn:X><wscn:X>").replace(b"</soap:Body>", b""), "<a>\u00fc".encode("utf-16"), b"<a>&", b"&<a/>",
    b"<!DOCTYPE a [<!ENTITY e 'x'>]>" + named(b"&e;", "")[len('<?xml version="1.0"?>'):], named(b"&#0;"),
    named(b"a\0b"), named(b"<a xmlns:km='u'/><km:b/>"),
    named(b"".join(b"<a%d:b/>" % number for number in range(MAX_UNDECLARED + 1)))])
def test_other_messages_of_a_scanner_are_malformed(data):
    with pytest.raises(Malformed):
        read_leniently(data)


def test_large_messages_are_not_mended():
    most = b"&" * (MAX_MENDED - len(named(b"")))
    assert read_leniently(named(most)).body.text == most.decode()
    with pytest.raises(Malformed):
        read_leniently(named(most + b"&"))


@pytest.mark.parametrize("name", [b"\xfc", b"R&D", b"&nbsp;", b"\x01"])
def test_requests_are_not_mended(name):
    with pytest.raises(Malformed):
        read(named(name), "utf-8")
