"""WS-Discovery: messages both ways in both versions, and the matching of types and scopes."""

import pytest
from messages import envelope

from wsdgateway.bridge.presence import TYPES, derived_endpoint, is_meant, match
from wsdgateway.discovery.matching import UnknownRule, matches
from wsdgateway.discovery.messages import (
    MAX_ENVELOPE,
    Match,
    Probe,
    Sequence,
    read_probe,
    read_resolve,
    write_matches,
)
from wsdgateway.discovery.versions import WS_2005_04, WS_2008_09, discovery_request, version_of
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSCN, WSDP

BOTH = [WS_2005_04, WS_2008_09]
A = f"{{{WSA}}}"


def probe(version, content, declared=f'xmlns:wsdp="{WSDP}"'):
    return read(envelope(version.action("Probe"), f'<d:Probe xmlns:d="{version.uri}" {declared}>{content}</d:Probe>'))


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize(("content", "expected"), [
    ("", Probe()),
    ("<d:Types/>", Probe()),
    ("<d:Types>\n wsdp:Device\n\twscn:ScanDeviceType </d:Types>",
     Probe(((WSDP, "Device"), (WSCN, "ScanDeviceType")))),
    (f'<d:Types xmlns="{WSDP}">Device</d:Types>', Probe(((WSDP, "Device"),))),
    ('<d:Scopes MatchBy="urn:rule"> http://a/b  ldap:///x </d:Scopes>',
     Probe((), ("http://a/b", "ldap:///x"), "urn:rule")),
    ("<d:Types>wsdp:Device</d:Types><d:Scopes>http://a</d:Scopes>", Probe(((WSDP, "Device"),), ("http://a",)))])
def test_what_a_probe_looks_for(version, content, expected):
    assert read_probe(probe(version, content), version) == expected


@pytest.mark.parametrize("content", ["<d:Types>nobody:Device</d:Types>", f"<d:Types>{'wsdp:x ' * 65}</d:Types>",
                                     f"<d:Scopes>{'http://a ' * 65}</d:Scopes>"])
def test_what_is_no_probe(content):
    assert read_probe(probe(WS_2005_04, content), WS_2005_04) is None
    assert read_probe(probe(WS_2005_04, ""), WS_2008_09) is None
    assert read_probe(read(envelope(WS_2005_04.action("Probe"))), WS_2005_04) is None


@pytest.mark.parametrize("version", BOTH)
def test_whom_a_resolve_asks_for(version):
    message = read(envelope(version.action("Resolve"), (
        f'<d:Resolve xmlns:d="{version.uri}"><wsa:EndpointReference><wsa:Address> urn:uuid:5\n</wsa:Address>'
        "</wsa:EndpointReference></d:Resolve>")))
    assert read_resolve(message, version) == "urn:uuid:5"
    assert read_resolve(read(envelope("x", f'<d:Resolve xmlns:d="{version.uri}"/>')), version) is None
    assert read_resolve(read(envelope("x")), version) is None


def test_actions_tell_the_version():
    for version in BOTH:
        assert version_of(version.action("Probe")) is version
        assert discovery_request(version.action("Resolve")) == "Resolve"
        assert discovery_request(version.action("Hello")) is None
    assert version_of("urn:x/Probe") is None
    assert discovery_request("urn:x/Probe") is None


OFFERED = {"offered_types": ((WSDP, "Device"), (WSCN, "ScanDeviceType")),
           "offered_scopes": ("http://a.org/floor/3", "ldap:///ou=eng,o=acme,c=us",
                              "urn:uuid:37F86D35-E6AC-4241-964F-1D9AE46FB366")}
D = WS_2005_04.uri


@pytest.mark.parametrize(("types", "scopes", "rule", "found"), [
    ((), (), None, True), (((WSDP, "Device"),), (), None, True),
    (((WSDP, "Device"), (WSCN, "ScanDeviceType")), (), None, True), (((WSDP, "Printer"),), (), None, False),
    (((WSCN, "Device"),), (), None, False),
    ((), ("http://a.org/floor",), None, True), ((), ("http://A.ORG/floor/3",), None, True),
    ((), ("http://a.org/floo",), None, False), ((), ("http://a.org/floor/3/x",), None, False),
    ((), ("http://a.org/FLOOR",), None, False), ((), ("https://a.org/floor",), None, False),
    ((), ("http://a.org/x/../floor",), None, False), ((), ("http://[bad",), None, False),
    ((), ("http://a.org/floor", "http://b.org"), None, False),
    ((), ("http://a.org/%66loor",), f"{D}/rfc2396", True), ((), ("http://a.org",), f"{WS_2008_09.uri}/rfc3986", True),
    ((), ("urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366",), f"{D}/uuid", True), ((), ("x",), f"{D}/uuid", False),
    ((), ("http://a.org/floor/3",), f" {D}/strcmp0 ", True), ((), ("http://a.org/floor",), f"{D}/strcmp0", False),
    ((), ("ldap:///o=Acme,c=us",), f"{D}/ldap", True), ((), ("ldap:///ou=eng",), f"{D}/ldap", False),
    ((), ("ldap:///ou=eng,o=acme,c=us",), f"{D}/ldap", True)])
def test_matching(types, scopes, rule, found):
    assert matches(types, scopes, rule, **OFFERED) is found


@pytest.mark.parametrize("rule", ["urn:x", f"{D}/none", f"{D}/soundex", ""])
def test_rules_that_nobody_knows(rule):
    with pytest.raises(UnknownRule):
        matches((), ("x",), rule, **OFFERED)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("kind", ["Probe", "Resolve"])
def test_matches_are_written(version, kind):
    one = Match("urn:uuid:5", TYPES, ("http://a/<b>",), ("http://192.0.2.5:5357/x", "http://[2001:db8::5]/x"), 7)
    told = read(write_matches(kind, [one], version=version, sequence=Sequence(12, 3), relates_to="urn:uuid:q",
                              message_id="urn:uuid:m"))
    assert (told.action, told.relates_to, told.message_id) == (version.action(f"{kind}Matches"), "urn:uuid:q",
                                                               "urn:uuid:m")
    sequence = told.header.find(version.tag("AppSequence"))
    assert dict(sequence.attrib) == {"InstanceId": "12", "MessageNumber": "3"}
    [found] = told.body
    assert found.tag == version.tag(f"{kind}Match")
    assert found.findtext(f"{A}EndpointReference/{A}Address") == "urn:uuid:5"
    assert found.findtext(version.tag("Scopes")) == "http://a/<b>"
    assert found.findtext(version.tag("XAddrs")).split() == list(one.xaddrs)
    assert found.findtext(version.tag("MetadataVersion")) == "7"
    types = found.find(version.tag("Types"))
    assert [(types.nsmap[name.partition(":")[0]], name.partition(":")[2]) for name in types.text.split()] == list(TYPES)


def test_as_many_as_fit():
    many = [match(f"urn:uuid:{number}", f"http://192.0.2.5:5357/{number}") for number in range(300)]
    data = write_matches("Probe", many, version=WS_2005_04, sequence=Sequence(1, 1), relates_to=None, message_id="m")
    assert len(data) <= MAX_ENVELOPE
    assert 60 < len(read(data).body) < 300
    none = write_matches("Probe", [], version=WS_2005_04, sequence=Sequence(1, 1), relates_to=None, message_id="m")
    assert len(read(none).body) == 0


def test_who_a_stand_in_is():
    assert derived_endpoint("urn:uuid:5") == derived_endpoint("URN:UUID:5") != derived_endpoint("urn:uuid:6")
    assert derived_endpoint("front-desk").startswith("urn:uuid:")
    assert is_meant(Probe(TYPES[1:]))
    assert not is_meant(Probe(((WSDP, "Printer"),)))
    assert not is_meant(Probe((), ("http://a",)))
