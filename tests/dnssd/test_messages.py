"""Tests of dnssd.messages: bytes to values and back, and bytes that are no message."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.dnssd.messages import (
    AAAA,
    ANY,
    MAX_MESSAGE,
    MAX_RECORDS,
    PTR,
    SRV,
    TXT,
    A,
    BadMessage,
    Message,
    Question,
    Record,
    Service,
    count_records,
    folded,
    name_of,
    plain_data,
    read_message,
    write_message,
)

TYPE = name_of("_uscan._tcp.local")
HOST = name_of("wsdgw-1.local")
NAME = (b"HP 4.5 Dr. X", *TYPE)
HEADER = struct.Struct("!6H")

# Avahi's answer to a PTR question, as seen on the wire.
AVAHI = bytes.fromhex(
    "000084000000000500000000065f757363616e045f746370056c6f63616c00000c00010000119400080554616b656ec00cc0290010800100001194"
    "00080772733d6553434cc0290021800100000078001000000000270f07636c69656e7473c018c057001c8001000000780010fe80000000000000"
    "202501fffed33472c05700018001000000780004c000024d")


def test_an_answer_of_avahi():
    name, host = (b"Taken", *TYPE), name_of("clients.local")
    assert read_message(AVAHI) == Message(response=True, answers=(
        Record(TYPE, PTR, name, 4500), Record(name, TXT, b"\x07rs=eSCL", 4500, True),
        Record(name, SRV, Service(host, 9999), 120, True),
        Record(host, AAAA, ip_address("fe80::2025:1ff:fed3:3472"), 120, True),
        Record(host, A, ip_address("192.0.2.77"), 120, True)))


@pytest.mark.parametrize("message", [
    Message(),
    Message(identifier=0x1234, truncated=True, questions=(Question(TYPE, PTR), Question(NAME, ANY, unicast=True))),
    Message(response=True, answers=(
        Record(TYPE, PTR, NAME, 4500), Record(NAME, SRV, Service(HOST, 8400), 120, True),
        Record(NAME, TXT, b"\x09txtvers=1", 4500, True)), authorities=(Record(HOST, 99, b"other", 0),),
        additionals=(Record(HOST, A, ip_address("192.0.2.5"), 120, True),
                     Record(HOST, AAAA, ip_address("fe80::5"), 120, True)))])
def test_a_message_is_read_as_it_was_written(message):
    assert read_message(write_message(message)) == message


def test_a_dot_in_an_instance_name_is_no_border_of_labels():
    written = write_message(Message(questions=(Question(NAME, ANY),)))
    assert b"\x0cHP 4.5 Dr. X\x06_uscan\x04_tcp\x05local\x00" in written


def test_names_are_compressed_and_plain_data_are_not():
    record = Record(NAME, SRV, Service(HOST, 8400), 120)
    assert write_message(Message(answers=(Record(TYPE, PTR, NAME, 1), record))).count(b"_uscan") == 1
    assert plain_data(record) == b"\0\0\0\0\x20\xd0\x07wsdgw-1\x05local\0"


def test_names_are_compared_without_case():
    assert folded((b"Front DESK", *TYPE)) == folded((b"front desk", b"_USCAN", b"_tcp", b"Local"))


def test_classes_other_than_internet_are_left_out():
    data = write_message(Message(response=True, answers=(Record(TYPE, PTR, NAME, 1),)))
    at = data.index(struct.pack("!HHI", PTR, 1, 1)) + 2
    assert read_message(data[:at] + b"\0\x03" + data[at + 2:]) == Message(response=True)


def _question(name):
    return HEADER.pack(0, 0, 1, 0, 0, 0) + name + b"\0\x0c\0\x01"


@pytest.mark.parametrize("data", [
    b"", b"\0" * 11, HEADER.pack(0, 0, 1, 0, 0, 0), _question(b"\xc0\x0c"), _question(b"\xc0\x20"),
    _question(b"\x40" + b"x" * 64), _question(b"\x80\0"), _question(b"\x3fshort"),
    _question((b"\x3f" + b"x" * 63) * 4 + b"\0"), HEADER.pack(0, 0, 0, MAX_RECORDS + 1, 0, 0),
    HEADER.pack(0, 0x8400, 0, 1, 0, 0) + b"\0\0\x01\0\x01\0\0\0\x01\0\x03abc",
    HEADER.pack(0, 0x8400, 0, 1, 0, 0) + b"\0\0\x63\0\x01\0\0\0\x01\0\x09abc", b"\0" * (MAX_MESSAGE + 1)])
def test_what_is_no_message(data):
    with pytest.raises(BadMessage):
        read_message(data)


@given(data=st.binary(max_size=300), cut=st.integers(0, len(AVAHI)))
def test_any_bytes_are_read_or_refused(data, cut):
    for one in (data, AVAHI[:cut] + data, AVAHI[:cut] + data + AVAHI[cut:]):
        try:
            message = read_message(one)
        except BadMessage:
            continue
        read_message(write_message(message))


def test_chains_of_pointers_are_bounded():
    # Without a bound, the names of these 400 questions take 240,000 steps.
    chain = b"".join(struct.pack("!H", 0xC000 | max(0, 10 + 2 * place)) for place in range(1, 1200))
    with pytest.raises(BadMessage):
        read_message(HEADER.pack(0, 0, 400, 0, 0, 0) + b"\xc0\0" + chain)


def test_records_are_counted_before_a_message_is_read():
    name = name_of("a.local")
    message = Message(questions=(Question(name, A),), answers=(Record(name, TXT, b"", 1),) * 3)
    assert count_records(write_message(message)) == 4
    for data in (b"", bytes(11), bytes(MAX_MESSAGE + 1), struct.pack("!6H", 0, 0, MAX_RECORDS, 1, 0, 0)):
        assert count_records(data) == 0
