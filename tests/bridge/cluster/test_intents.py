"""Tests of bridge.cluster.intents: a CreateScanJob that an earlier owner of the scanner may have sent."""

import pytest

from tests.bridge.bridges import FAILED, Bridge
from tests.messages import create_scan_job, created_job, fault
from wsdgateway.bridge.cache.duplicates import MAX_REPLY
from wsdgateway.bridge.cluster.intents import Record, decide, intent_key, read_record, record_of, write_record
from wsdgateway.bridge.decisions import Reply
from wsdgateway.soap.addressing import MAX_MESSAGE_ID

KIND = b"application/soap+xml"


def reply(body=None, status=200):
    return Reply(status, KIND, created_job("5") if body is None else body, b"OK", ((b"X-Any", b"\xff"),))


def parts(reply):
    return reply.status, reply.content_type, reply.body, reply.reason, reply.headers


def test_a_record_is_read_as_it_was_written():
    assert write_record(Record(17)) == b"sent 17"
    assert read_record(b"sent 17") == Record(17)
    read = read_record(write_record(Record(17, reply(b"<a>\n</a>"))))
    assert (read.token, parts(read.reply)) == (17, parts(reply(b"<a>\n</a>")))


@pytest.mark.parametrize("data", [b"", b"sent ", b"sent x", b"reply ", b"reply []\n", b"reply [1]\n", b"other",
    b"reply 5\n", b"reply " + b"[" * 100000 + b"\n", b'reply ["1", 200, "", "", []]\n', b'reply [1, "x", "", "", []]\n',
    b'reply [1, 20, "", "", []]\n', b"reply [1, 200, 5, 5, 5]\n", b'reply [1, 200, "", "", [5]]\n',
    b'reply [1, 200, "", "DQo=", []]\n', b'reply [1, 200, "", "", [["eA==", "DQo="]]]\n'])
def test_other_data_is_no_record(data):
    with pytest.raises(ValueError):
        read_record(data)


def test_the_key_depends_on_client_message_id_and_bytes():
    bridge = Bridge()
    questions = [bridge.question(create_scan_job("urn:uuid:1")), bridge.question(create_scan_job("urn:uuid:2")),
                 bridge.question(create_scan_job("urn:uuid:1"), "192.0.2.2"),
                 bridge.question(create_scan_job("urn:uuid:1") + b"\n")]
    assert len({intent_key(one) for one in questions}) == 4
    assert intent_key(questions[0]) == intent_key(bridge.question(create_scan_job("urn:uuid:1")))
    assert intent_key(bridge.question(create_scan_job("x" * (MAX_MESSAGE_ID + 1)))) is None


def test_only_a_job_that_cannot_be_running_yet_is_sent():
    answer = reply()
    assert decide(None, 8) is None
    assert decide(Record(8), 8) is None
    assert decide(Record(7, answer), 8) is answer
    assert decide(Record(8, answer), 8) is answer
    refused = decide(Record(7), 8)
    assert (refused.subcode, "may be running; start it again in a minute" in refused.reason) == (
        "wscn:ServerErrorTemporaryError", True)


def test_the_record_after_the_outcome():
    answer = reply()
    assert record_of(answer, 8, was_sent=True) == Record(8, answer)
    assert record_of(FAILED, 8, was_sent=True) == Record(8)
    assert record_of(FAILED, 8, was_sent=False) is None
    for refusal in (reply(fault("wscn:ServerErrorNotAcceptingJobs"), 500), reply(fault("wscn:X")), reply(b"", 503)):
        assert record_of(refusal, 8, was_sent=True) is None
    for unclear in (reply(b"no SOAP"), reply(b"x" * (MAX_REPLY + 1))):
        assert record_of(unclear, 8, was_sent=True) == Record(8)
