"""WS-Discovery: messages both ways in every version and style, matching, schedules and limits."""

from itertools import pairwise

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
from wsdgateway.discovery.matching import UnknownRule, check_rule, matches
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
from wsdgateway.discovery.pacing import MAX_WAITING, Pacing
from wsdgateway.discovery.schedule import sending_times
from wsdgateway.discovery.versions import (
    VERSIONS,
    WS_2005_04,
    WS_2008_09,
    WS_2009_01,
    discovery_request,
    name_of,
    version_of,
)
from wsdgateway.discovery.writing import in_envelopes, write_bye, write_hello, write_matches, write_probe, write_resolve
from wsdgateway.soap.envelope import compose
from wsdgateway.soap.namespaces import WSCN, WSDP
from wsdgateway.soap.parsing import Malformed
from wsdgateway.tokenbucket import MAX_SOURCES, SourceLimit, TokenBucket

WPRT = "http://schemas.microsoft.com/windows/2006/08/wdp/print"
SERVICE = TargetService(UUID, ((WSDP, "Device"), ("urn:own&more", "X"), (WSCN, "ScanDeviceType")),
                        ("http://a/<b>", "urn:x"), ("http://192.0.2.5:5357/x", "http://[2001:db8::5]/x"), 7)


def message(version, name, content, declared=f'xmlns:wsdp="{WSDP}" xmlns:wscn="{WSCN}"'):
    return read_message(compose(
        action=version.action(name), message_id="urn:uuid:q", to=version.everybody, addressing=version.addressing,
        body=f"<d:{name} {declared}>{content}</d:{name}>", namespaces={"d": version.uri}))


# Messages of makers.

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


def test_what_stands_around_a_message():
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
def test_what_a_probe_looks_for(version, content, expected):
    assert message(version, "Probe", content).content == expected


@pytest.mark.parametrize(("name", "content"), [
    ("Probe", "<d:Types>nobody:Device</d:Types>"), ("Probe", "<d:Types>wsdp:</d:Types>"),
    ("Probe", f"<d:Types>{'wsdp:x ' * 65}</d:Types>"),
    ("Probe", f"<d:Scopes>{'http://a ' * 65}</d:Scopes>"), ("Resolve", ""), ("Hello", ""), ("Bye", "<d:Types/>"),
    ("ProbeMatches", "<d:ProbeMatch/>"), ("ProbeMatches", "<d:ProbeMatch/>" * 1001),
    ("Resolve", f"<wsa:EndpointReference><wsa:Address>{'x' * 257}</wsa:Address></wsa:EndpointReference>")])
def test_what_can_not_be_used(name, content):
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
def test_what_is_no_message(data):
    with pytest.raises(Malformed):
        read_message(data)


@given(st.binary(max_size=300), st.integers(0, len(GSOAP_PROBE_MATCHES)), st.integers(0, 300))
def test_whatever_comes_is_a_message_or_malformed(noise, start, length):
    data = GSOAP_PROBE_MATCHES[:start] + noise + GSOAP_PROBE_MATCHES[start + length:]
    try:
        assert read_message(data).name
    except Malformed:
        pass


def test_scopes_are_carried_over_within_bounds():
    many = [f"http://a/{'x' * 100}{number}" for number in range(60)]
    data = GSOAP_PROBE_MATCHES.replace(b"ldap:///ou=floor3,o=acme", " ".join(many).encode())
    [service] = read_message(data).content
    assert 10 < len(service.scopes) < 21
    assert service.scopes == tuple(many[:len(service.scopes)])


def test_what_nobody_wants_is_not_read():
    assert read_message(BYE, frozenset(("Probe",))) is None
    assert read_message(BYE.replace(b"<d:Bye>", b"<d:Buy>").replace(b"</d:Bye>", b"</d:Buy>"),
                        frozenset(("Probe",))) is None
    with pytest.raises(Malformed):
        read_message(envelope("urn:x"), frozenset(("Probe",)))


def test_numbers_that_are_none():
    data = GSOAP_PROBE_MATCHES.replace(b'InstanceId="1763800000"', b'InstanceId="-5"').replace(
        b"<wsdis:MetadataVersion>3<", b"<wsdis:MetadataVersion>" + b"9" * 30 + b"<")
    read = read_message(data)
    assert read.sequence is None
    assert read.content[0].metadata_version == 0


def test_actions_tell_version_and_name():
    for version in VERSIONS:
        assert version_of(version.action("Probe")) is version
        assert name_of(version.action("Hello")) == "Hello"
        assert discovery_request(version.action("Resolve")) == "Resolve"
        assert discovery_request(version.action("Hello")) is None
    assert version_of("urn:x/Probe") is None
    assert discovery_request("urn:x/Probe") is None
    assert name_of(WS_2005_04.action("Fault")) is None


# Messages of ours.

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


def test_as_many_as_fit():
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


# Matching.

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
    ((), ("http://a.org/%66loor",), f"{D}/rfc2396", True), ((), ("http://a.org",), f"{WS_2009_01.uri}/rfc3986", True),
    ((), ("urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366",), f"{D}/uuid", True), ((), ("x",), f"{D}/uuid", False),
    ((), ("http://a.org/floor/3",), f" {D}/strcmp0 ", True),
    ((), ("http://a.org/floor",), f"{D}/strcmp0", False),
    ((), ("ldap:///o=Acme,c=us",), f"{D}/ldap", True), ((), ("ldap:///ou=eng",), f"{D}/ldap", False),
    ((), ("ldap:///ou=eng,o=acme,c=us",), f"{D}/ldap", True),
    ((), ("http://[x",), f"{D}/ldap", False), ((), (), f"{WS_2009_01.uri}/none", False)])
def test_matching(types, scopes, rule, found):
    assert matches(types, scopes, rule, **OFFERED) is found


def test_the_rule_for_those_without_scopes():
    for version in (WS_2008_09, WS_2009_01):
        assert matches((), (), f"{version.uri}/none", offered_types=(), offered_scopes=())
        assert not matches(((WSDP, "X"),), (), f"{version.uri}/none", offered_types=(), offered_scopes=())
        check_rule(f"{version.uri}/none")


def test_those_without_scopes_are_in_the_implied_one():
    for scope in (f"{D}/adhoc", f"{WS_2009_01.uri}/DefaultScope"):
        assert matches((), (scope,), None, offered_types=(), offered_scopes=())
        assert not matches((), (scope,), None, **OFFERED)


@pytest.mark.parametrize("rule", ["urn:x", f"{D}/none", f"{D}/soundex", ""])
def test_rules_that_nobody_knows(rule):
    with pytest.raises(UnknownRule):
        matches((), ("x",), rule, **OFFERED)
    with pytest.raises(UnknownRule):
        check_rule(rule)


# When, and how much.

@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.integers(0, 6))
def test_the_retransmission_schedule(chances, repeats):
    times = sending_times(iter(chances).__next__, first=0.5, repeats=repeats)
    assert len(times) == repeats + 1
    assert 0 <= times[0] <= 0.5
    pauses = [later - earlier for earlier, later in pairwise(times)]
    if pauses:
        assert 0.0499 <= pauses[0] <= 0.2501
    for former, pause in pairwise(pauses):
        assert pause == pytest.approx(min(former * 2, 0.5))


def test_at_most_so_many_answers_a_second_for_each_source():
    limit = SourceLimit(20)
    assert sum(limit.spend("192.0.2.1", 0.0) for _ in range(100)) == 20
    assert not limit.allows("192.0.2.1", 0.01)
    assert limit.allows("192.0.2.2", 0.01)
    assert sum(limit.spend("192.0.2.1", 0.01 * tick) for tick in range(1, 103)) == 20
    assert sum(limit.spend("192.0.2.1", 100.0) for _ in range(100)) == 20


def test_a_bucket_says_how_long_to_wait_and_owes_no_more_than_a_second():
    bucket = TokenBucket(4.0)
    for _ in range(4):
        assert bucket.wait(100.0) == 0.0
        bucket.spend(100.0)
    assert bucket.wait(100.0) == pytest.approx(0.25)
    assert bucket.wait(100.0 + bucket.wait(100.0)) == 0.0
    for _ in range(100):
        bucket.spend(100.0)
    assert bucket.wait(100.0) == pytest.approx(1.25)
    assert bucket.wait(200.0) == 0.0
    assert TokenBucket(0.5).wait(0.0) == 0.0  # less than one a second, and one at first


def test_what_costs_several_answers_is_given_whole_or_not_at_all():
    limit = SourceLimit(20)
    assert [limit.spend("192.0.2.1", 0.0, 8.0) for _ in range(4)] == [True, True, False, False]
    assert limit.left("192.0.2.1", 0.0) == 4.0
    assert limit.spend("192.0.2.1", 0.2, 8.0)


def test_sources_are_bounded():
    limit = SourceLimit(1)
    for number in range(MAX_SOURCES + 1):
        assert limit.spend(str(number), 0.0)
    assert limit.allows("0", 0.0)  # forgotten
    assert not limit.allows("1", 0.0)


def spent(pacing, now, until):
    """What is sent until then: (time, data)."""
    sent = []
    while (wait := pacing.wait(now)) is not None and now + wait <= until:
        now += wait
        data = pacing.take(now)
        if data is not None:
            sent.append((now, data))
    return sent


def test_announcements_are_spread():
    pacing = Pacing(20, lambda: 0.5)
    for number in range(30):
        assert pacing.put(str(number), lambda number=number: b"%d" % number)
    sent = spent(pacing, 0.0, 100.0)
    assert len(sent) == 60
    assert sorted(data for _, data in sent) == sorted(b"%d" % number for number in range(30) for _ in range(2))
    times = [time for time, _ in sent]
    assert all(later - earlier >= 0.0499 for earlier, later in pairwise(times))
    assert pacing.wait(100.0) is None


def test_one_announcement_and_its_repeat():
    pacing = Pacing(20, lambda: 0.5)
    pacing.put("x", lambda: b"x")
    assert spent(pacing, 10.0, 11.0) == [(10.0, b"x"), (pytest.approx(10.15), b"x")]


def test_in_a_hurry():
    pacing = Pacing(1, lambda: 0.0)
    for number in range(100):
        pacing.put(str(number), lambda: b"x")
    pacing.hurry(2.0)
    assert len(spent(pacing, 0.0, 2.2)) == 200
    pacing.put("x", lambda: b"x")
    pacing.clear()
    assert pacing.wait(3.0) is None


def test_what_waits_is_bounded():
    pacing = Pacing(1, lambda: 0.0)
    assert all(pacing.put(str(number), lambda: b"old") for number in range(MAX_WAITING))
    assert not pacing.put("another", lambda: b"")
    assert pacing.put("0", lambda: b"new")
    assert pacing.take(0.0) == b"new"
