"""Tests of discovery.writing: written messages are read back with the same contents."""

import pytest

from tests.wire import (
    UUID,
)
from wsdgateway.discovery.messages import (
    MAX_ENVELOPE,
    Probe,
    Resolve,
    Sequence,
    TargetService,
    message_in,
    read_addressed,
    read_message,
)
from wsdgateway.discovery.versions import (
    VERSIONS,
    WS_2009_01,
)
from wsdgateway.discovery.writing import in_envelopes, write_bye, write_hello, write_matches, write_probe, write_resolve
from wsdgateway.soap.namespaces import WSCN, WSDP

SERVICE = TargetService(UUID, ((WSDP, "Device"), ("urn:own&more", "X"), (WSCN, "ScanDeviceType")),
                        ("http://a/<b>", "urn:x"), ("http://192.0.2.5:5357/x", "http://[2001:db8::5]/x"), 7)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["ProbeMatches", "ResolveMatches"])
def test_matches_are_written_and_read(version, name):
    data = write_matches(name, [SERVICE, TargetService("urn:uuid:6")], version=version, sequence=Sequence(12, 3),
                         relates_to="urn:uuid:<q>", message_id="urn:uuid:m")
    read = read_message(data)
    assert (read.version, read.name, read.content) == (version, name, (SERVICE, TargetService("urn:uuid:6")))
    assert (read.relates_to, read.message_id, read.sequence) == ("urn:uuid:<q>", "urn:uuid:m", Sequence(12, 3))
    assert read_addressed(data).to == (
        "http://www.w3.org/2005/08/addressing/anonymous" if version is WS_2009_01 else
        "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous")


def test_announcements_and_questions_are_written_and_read():
    sequence = Sequence(5, 6)
    hello = write_hello(SERVICE, sequence=sequence, message_id="urn:uuid:1")
    assert (read_message(hello).content, read_message(hello).sequence) == ((SERVICE,), sequence)
    bye = write_bye(UUID, sequence=sequence, message_id="urn:uuid:1")
    assert (read_message(bye).name, read_message(bye).content) == ("Bye", (TargetService(UUID),))
    probe = write_probe(((WSDP, "Device"),), message_id="urn:uuid:1")
    assert read_message(probe).content == Probe(((WSDP, "Device"),))
    assert read_message(write_resolve(UUID, message_id="urn:uuid:1")).content == Resolve(UUID)
    for data in (hello, bye, probe):
        assert read_addressed(data).to == "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
    assert b"XAddrs" not in write_hello(TargetService(UUID), sequence=sequence, message_id="urn:uuid:1")


def test_each_envelope_holds_as_many_matches_as_fit():
    many = [TargetService(f"urn:uuid:{number}", SERVICE.types, ("http://a/" + "ü" * 40,), SERVICE.xaddrs, 1)
            for number in range(300)]
    large = TargetService("urn:uuid:x", (), ("y" * MAX_ENVELOPE,))
    split = list(in_envelopes([*many[:100], large, *many[100:]], "&" * 1024))
    assert [one for together in split for one in together] == many
    for number, together in enumerate(split):
        data = write_matches("ResolveMatches", together, version=WS_2009_01, sequence=Sequence(1 << 62, 1 << 62),
                             relates_to="&" * 1024, message_id="m" * 100)
        assert len(data) <= MAX_ENVELOPE
        assert number == len(split) - 1 or len(data) > MAX_ENVELOPE - 1500  # as many as fit
        assert len(message_in(read_addressed(data)).content) == len(together)
    assert 4 <= len(split) < 12
    assert list(in_envelopes([], None)) == []
    assert [len(together) for together in in_envelopes(many[:9], None, at_most=2)] == [2, 2, 2, 2, 1]
