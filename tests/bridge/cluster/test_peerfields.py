"""The header fields of the link between gateways, written and read."""

import pytest

from wsdgateway.bridge.cluster.peerfields import (
    AnswerFields,
    BadFields,
    Passed,
    Record,
    clients_fields,
    read_answer,
    read_owner,
    read_passed,
    read_record,
    without_own,
    write_owner,
    write_passed,
    write_record,
)
from wsdgateway.bridge.cluster.values import Registration

PASSED = Passed("server-b", "front-desk", "subscriptions", "/a\x00\xff\"\r\n", "POST", "[::1]:80", "http://[::1]:80",
                80, True)
RECORD = Record("GetJobElements", "device", "front-desk", "Fault", "urn:a", "urn:uuid:1", "7", "escl", "rule", "Job",
                True, True)


def test_what_is_written_is_read():
    assert read_passed(write_passed(PASSED)) == PASSED
    assert read_record(write_record(RECORD)) == RECORD
    assert read_record(write_record(Record("other", "refused"))) == Record("other", "refused")
    owner = Registration("id", "server-ä", "https://192.0.2.5:5360", "")
    assert read_owner(write_owner(owner)) == owner


def test_a_value_is_one_line_of_ascii_and_bounded():
    for value in (write_passed(PASSED), write_record(Record("o" * 9000, "ü" * 9000))):
        assert value.isascii()
        assert not set(value) & set(range(32))
    assert len(read_record(write_record(Record("o" * 9000, "s"))).operation) == 4096


@pytest.mark.parametrize("value", [
    b"", b"{}", b"[]", b"null", b"[" * 5000, b'["a"]', write_record(RECORD)[:-1], b'"' + b"a" * 20000 + b'"', b"\xff",
    write_record(RECORD).replace(b"true", b"1"), write_record(RECORD).replace(b'"GetJobElements"', b"null"),
    write_record(RECORD).replace(b'"urn:a"', b"7"), b"[" + b'"' + b"a" * 5000 + b'"' + write_record(RECORD)[17:]])
def test_anything_else_is_refused(value):
    with pytest.raises(BadFields, match="must be a list of 12 values"):
        read_record(value)
    with pytest.raises(BadFields, match="must be a list of 10 values"):
        read_passed(value)


def test_half_of_a_surrogate_pair_is_no_text():
    """It could not be written in UTF-8, on a page or as the label of a metric."""
    for half in (b'"\\ud800"', b'"a\\uDFFF"'):
        with pytest.raises(BadFields):
            read_record(write_record(RECORD).replace(b'"GetJobElements"', half))
        with pytest.raises(BadFields):
            read_passed(write_passed(PASSED).replace(b'"front-desk"', half))
        with pytest.raises(BadFields):
            read_owner(b'["id",%b,"http://192.0.2.5:5360"]' % half)
    assert read_record(write_record(Record("\N{GRINNING FACE}", "s"))).operation == "\N{GRINNING FACE}"


@pytest.mark.parametrize("value", [
    b"", b"[]", b'["a","b"]', b'["a","b",7]', b'["a","b","ftp://x"]', b'["a","b","http://"]', b"[" * 5000])
def test_an_owner_needs_an_http_url(value):
    with pytest.raises(BadFields, match="an http URL"):
        read_owner(value)


def test_the_fields_of_an_answer():
    assert read_answer([(b"Server", b"x")]) == AnswerFields()
    assert read_answer([(b"WSDGateway-Token", b"17"), (b"WSDGateway-Body", b"3")]) == AnswerFields(17, body=3)
    assert read_answer([(b"WSDGateway-Length", b"chunked")]).length == -1
    assert read_answer([(b"WSDGateway-Length", b"0")]).length == 0
    assert read_answer([(b"WSDGateway-Record", write_record(RECORD))]).record == RECORD
    owner = Registration("id", "b", "http://b", "")
    assert read_answer([(b"WSDGateway-Owner", write_owner(owner))]).owner == owner


@pytest.mark.parametrize("field", [
    (b"WSDGateway-Token", b"-1"), (b"WSDGateway-Token", b"1" * 21), (b"WSDGateway-Token", b""),
    (b"WSDGateway-Length", b"1" * 16), (b"WSDGateway-Body", b"0x1"), (b"WSDGateway-Token", b"\xb2")])
def test_numbers_are_bounded(field):
    with pytest.raises(BadFields, match="must be a number of at most"):
        read_answer([field])


def test_only_the_clients_own_fields_are_passed():
    given = [(b"Host", b"x"), (b"Connection", b"close, X-Hop"), (b"X-Hop", b"1"), (b"Content-Length", b"5"),
             (b"X", b"1"), (b"Expect", b"100-continue"), (b"wsdGATEWAY-Client", b"1"),
             (b"Transfer-Encoding", b"chunked")]
    assert clients_fields(given) == [(b"X", b"1")]
    assert without_own(((b"WSDGateway-Token", b"1"), (b"X", b"1"))) == ((b"X", b"1"),)
