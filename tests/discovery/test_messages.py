"""Tests of discovery.messages: reading of discovery messages in the styles of several makers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages import envelope
from tests.wire import (
    BYE,
    DEFAULT_NAMESPACE_HELLO,
    GSOAP_PROBE_MATCHES,
    RESOLVE_1_1,
    UUID,
    WINDOWS_PROBE,
    WINDOWS_PROXY_PROBE,
)
from wsdgateway.discovery.messages import (
    Probe,
    Resolve,
    Sequence,
    TargetService,
    read_message,
)
from wsdgateway.discovery.versions import (
    VERSIONS,
    WS_2005_04,
    WS_2008_09,
    WS_2009_01,
)
from wsdgateway.soap.envelope import compose
from wsdgateway.soap.namespaces import WSCN, WSDP
from wsdgateway.soap.parsing import Malformed

WPRT = "http://schemas.microsoft.com/windows/2006/08/wdp/print"


def message(version, name, content, declared=f'xmlns:wsdp="{WSDP}" xmlns:wscn="{WSCN}"'):
    return read_message(compose(
        action=version.action(name), message_id="urn:uuid:q", to=version.everybody, addressing=version.addressing,
        body=f"<d:{name} {declared}>{content}</d:{name}>", namespaces={"d": version.uri}))


@pytest.mark.parametrize(("data", "name", "content"), [
    (WINDOWS_PROBE, "Probe", Probe(((WSDP, "Device"),))),
    (WINDOWS_PROXY_PROBE, "Probe", Probe(((WS_2008_09.uri, "DiscoveryProxy"),))),
    (GSOAP_PROBE_MATCHES, "ProbeMatches", (TargetService(
        UUID, ((WSDP, "Device"), (WPRT, "PrintDeviceType"), (WSCN, "ScanDeviceType")),
        ("ldap:///ou=floor3,o=acme", "http://acme.example/floor/3"),
        ("http://198.51.100.20:80/StableWSDiscoveryEndpoint/x", "http://[fe80::21b:82ff:feaa:1]:80/x"), 3),)),
    (DEFAULT_NAMESPACE_HELLO, "Hello", (TargetService(UUID, ((WSCN, "ScanDeviceType"),), (), (), 12),)),
    (BYE, "Bye", (TargetService(UUID),)), (RESOLVE_1_1, "Resolve", Resolve(UUID))])
def test_messages_in_the_styles_of_makers(data, name, content):
    read = read_message(data)
    assert (read.name, read.content) == (name, content)
    assert read.message_id is not None


def test_the_headers_of_a_message():
    read = read_message(GSOAP_PROBE_MATCHES)
    assert (read.version, read.relates_to) == (WS_2005_04, "urn:uuid:asked")
    assert read.sequence == Sequence(1763800000, 7, "urn:uuid:5")
    assert read_message(DEFAULT_NAMESPACE_HELLO).sequence is None
    assert read_message(RESOLVE_1_1).version is WS_2009_01
    assert read_message(RESOLVE_1_1).message_id == "urn:uuid:r"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("content", "expected"), [
    ("", Probe()), ("<d:Types/>", Probe()),
    ("<d:Types>\n wsdp:Device\n\twscn:ScanDeviceType </d:Types>",
     Probe(((WSDP, "Device"), (WSCN, "ScanDeviceType")))),
    (f'<d:Types xmlns="{WSDP}">Device</d:Types>', Probe(((WSDP, "Device"),))),
    ('<d:Scopes MatchBy="urn:rule"> http://a/b  ldap:///x </d:Scopes>',
     Probe((), ("http://a/b", "ldap:///x"), "urn:rule")),
    ("<d:Types>wsdp:Device</d:Types><d:Scopes>http://a</d:Scopes>", Probe(((WSDP, "Device"),), ("http://a",)))])
def test_the_contents_of_a_probe(version, content, expected):
    assert message(version, "Probe", content).content == expected


@pytest.mark.parametrize(("name", "content"), [
    ("Probe", "<d:Types>nobody:Device</d:Types>"), ("Probe", "<d:Types>wsdp:</d:Types>"),
    ("Probe", f"<d:Types>{'wsdp:x ' * 65}</d:Types>"),
    ("Probe", f"<d:Scopes>{'http://a ' * 65}</d:Scopes>"), ("Resolve", ""), ("Hello", ""), ("Bye", "<d:Types/>"),
    ("ProbeMatches", "<d:ProbeMatch/>"), ("ProbeMatches", "<d:ProbeMatch/>" * 1001),
    ("Resolve", f"<wsa:EndpointReference><wsa:Address>{'x' * 257}</wsa:Address></wsa:EndpointReference>")])
def test_unusable_contents_are_malformed(name, content):
    with pytest.raises(Malformed):
        message(WS_2005_04, name, content)


BAD_MATCHES = [
    "<d:ProbeMatch/>", "<d:ProbeMatch><wsa:EndpointReference/></d:ProbeMatch>",
    f"<d:ProbeMatch><wsa:EndpointReference><wsa:Address>{'x' * 257}</wsa:Address></wsa:EndpointReference>"
    "</d:ProbeMatch>",
    f"<d:ProbeMatch><wsa:EndpointReference><wsa:Address>urn:uuid:b</wsa:Address></wsa:EndpointReference><d:XAddrs>"
    f"{'http://a ' * 65}</d:XAddrs></d:ProbeMatch>"]


@pytest.mark.parametrize("bad", BAD_MATCHES)
@pytest.mark.parametrize("name", ["Probe", "Resolve"])
def test_a_bad_match_does_not_hide_the_others(name, bad):
    good = "".join(f"<d:{name}Match><wsa:EndpointReference><wsa:Address>{UUID}{number}</wsa:Address>"
                   f"</wsa:EndpointReference></d:{name}Match>" for number in (1, 2))
    bad = bad.replace("ProbeMatch", f"{name}Match")
    for content in (bad + good, good + bad, bad + good + bad):
        found = message(WS_2005_04, f"{name}Matches", content).content
        assert found == (TargetService(f"{UUID}1"), TargetService(f"{UUID}2"))
    with pytest.raises(Malformed):
        message(WS_2005_04, f"{name}Matches", bad)
    assert message(WS_2005_04, f"{name}Matches", "").content == ()


@pytest.mark.parametrize("data", [
    b"", b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"<a/>", envelope("urn:x/Probe"),
    envelope(WS_2005_04.action("Other")), envelope(WS_2005_04.action("Probe")),
    envelope(WS_2005_04.action("Probe"), f'<d:Probe xmlns:d="{WS_2008_09.uri}"/>'),
    envelope(WS_2009_01.action("Probe"), f'<d:Probe xmlns:d="{WS_2008_09.uri}"/>'),
    b'<!DOCTYPE x [<!ENTITY a "b">]>' + WINDOWS_PROBE.partition(b"?>")[2],
    WINDOWS_PROBE.replace(b"29cf10da", b"2" * 1025)])
def test_other_data_is_malformed(data):
    with pytest.raises(Malformed):
        read_message(data)


@given(st.binary(max_size=300), st.integers(0, len(GSOAP_PROBE_MATCHES)), st.integers(0, 300))
def test_any_data_is_a_message_or_malformed(noise, start, length):
    data = GSOAP_PROBE_MATCHES[:start] + noise + GSOAP_PROBE_MATCHES[start + length:]
    try:
        assert read_message(data).name
    except Malformed:
        pass


def test_the_size_of_scopes_is_limited():
    many = [f"http://a/{'x' * 100}{number}" for number in range(60)]
    data = GSOAP_PROBE_MATCHES.replace(b"ldap:///ou=floor3,o=acme", " ".join(many).encode())
    [service] = read_message(data).content
    assert 10 < len(service.scopes) < 21
    assert service.scopes == tuple(many[:len(service.scopes)])


def test_unwanted_messages_are_not_read():
    assert read_message(BYE, frozenset(("Probe",))) is None
    assert read_message(BYE.replace(b"<d:Bye>", b"<d:Buy>").replace(b"</d:Bye>", b"</d:Buy>"),
                        frozenset(("Probe",))) is None
    with pytest.raises(Malformed):
        read_message(envelope("urn:x"), frozenset(("Probe",)))


def test_invalid_numbers_are_ignored():
    data = GSOAP_PROBE_MATCHES.replace(b'InstanceId="1763800000"', b'InstanceId="-5"').replace(
        b"<wsdis:MetadataVersion>3<", b"<wsdis:MetadataVersion>" + b"9" * 30 + b"<")
    read = read_message(data)
    assert read.sequence is None
    assert read.content[0].metadata_version == 0
