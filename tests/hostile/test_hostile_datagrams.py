"""Hostile datagrams on both sides of discovery: garbage, floods, forgeries and loops."""

from functools import partial

import pytest

from tests.links import DiscoverySetup, StandIn
from tests.wire import BYE, GSOAP_PROBE_MATCHES, RESOLVE_1_1, UUID, WINDOWS_PROBE
from wsdgateway.bridge.discovery.sightings import MAX_SIGHTINGS, Left, News
from wsdgateway.discovery.messages import MAX_ENDPOINT, MAX_ENVELOPE, MAX_ITEMS, Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04, WS_2009_01
from wsdgateway.discovery.writing import write_bye, write_hello, write_matches, write_probe
from wsdgateway.soap.addressing import MAX_MESSAGE_ID
from wsdgateway.soap.namespaces import SOAP, WSD, WSDP

PROBE = write_probe(((WSDP, "Device"),), message_id="urn:uuid:asker-1")
TYPES = b"wsdp:Device\n"
BODY = b"<wsd:Probe>"
OBLIGED = f'<v:x xmlns:v="urn:v" xmlns:s="{SOAP}" s:mustUnderstand="1"/>'.encode()


def probe(types=None, scopes="", match_by=None):
    """Returns a Probe in the style of Windows with other types and scopes."""
    match_by = "" if match_by is None else f' MatchBy="{match_by}"'
    data = WINDOWS_PROBE if types is None else WINDOWS_PROBE.replace(b"wsdp:Device", types.encode())
    return data.replace(b"</wsd:Probe>", f"<wsd:Scopes{match_by}>{scopes}</wsd:Scopes></wsd:Probe>".encode())


def resolve(endpoint):
    """Returns a Resolve for that endpoint."""
    return RESOLVE_1_1.replace(UUID.encode(), endpoint.encode())


def announced(**more):
    """Returns a Hello of an unknown device with these parts."""
    service = TargetService(
        **{"endpoint": "urn:uuid:forged", "xaddrs": ("http://198.51.100.66/",), "metadata_version": 1, **more}
    )
    return write_hello(service, sequence=Sequence(7, 7), message_id="urn:uuid:forged-1")


# On either side: dropped for this reason, without an answer.
DROPPED = {
    "nothing": (b"", "malformed"),
    "one-byte": (b"<", "malformed"),
    "zeros": (bytes(1000), "malformed"),
    "noise": (bytes(range(256)) * 20, "malformed"),
    "text": (b"hello", "malformed"),
    "http": (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + PROBE, "malformed"),
    "ssdp": (b'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\n\r\n', "malformed"),
    "mdns": (b"\0\0\0\0\0\1" + bytes(30), "malformed"),
    "json": (b'{"Probe": {}}', "malformed"),
    "gzip": (b"\x1f\x8b\x08" + bytes(60), "malformed"),
    "cut": (PROBE[:-1], "malformed"),
    "half": (PROBE[: len(PROBE) // 2], "malformed"),
    "twice": (PROBE + PROBE, "malformed"),
    "utf-16-named-only": (PROBE.replace(b'"utf-8"', b'"utf-16"'), "malformed"),
    "doctype-after-nulls": (b"\0\r\n" + PROBE.replace(b"?>", b"?><!DOCTYPE a>", 1), "malformed"),
    "oversize": (PROBE + b" " * MAX_ENVELOPE, "oversize"),
    "as-large-as-can-be": (b"x" * 65507, "oversize"),
    "just-over": (PROBE.ljust(MAX_ENVELOPE + 1), "oversize"),
    "doctype": (PROBE.replace(b"?>", b'?><!DOCTYPE a SYSTEM "http://198.51.100.66/">', 1), "malformed"),
    "laughs": (PROBE.replace(b"?>", b"?><!DOCTYPE a [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]>", 1), "malformed"),
    "deep": (b"<a>" * 10000, "malformed"),
    "prefixes": (
        PROBE.replace(b"Envelope ", b"Envelope " + b" ".join(b"xmlns:n%d='u'" % n for n in range(1500)) + b" ", 1),
        "malformed",
    ),
    "soap-1.1": (PROBE.replace(SOAP.encode(), b"http://schemas.xmlsoap.org/soap/envelope/"), "malformed"),
    "not-soap": (b"<Probe/>", "malformed"),
    "no-header": (f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(), "malformed"),
    "two-bodies": (PROBE.replace(b"<soap:Body>", b"<soap:Body/><soap:Body>"), "malformed"),
    "two-actions": (PROBE.replace(b"</soap:Header>", b"<wsa:Action>x</wsa:Action></soap:Header>"), "malformed"),
    "two-ids": (PROBE.replace(b"</soap:Header>", b"<wsa:MessageID>x</wsa:MessageID></soap:Header>"), "malformed"),
    "two-actions-1.1": (RESOLVE_1_1.replace(b"<s:Header>", b"<s:Header><a:Action>x</a:Action>"), "malformed"),
    "must-understand": (PROBE.replace(b"</soap:Header>", OBLIGED + b"</soap:Header>"), "malformed"),
    "must-understand-1.1": (RESOLVE_1_1.replace(b"</s:Header>", OBLIGED + b"</s:Header>"), "malformed"),
    "long-id": (PROBE.replace(b"asker-1", b"x" * (MAX_MESSAGE_ID + 1)), "malformed"),
    "unknown-action": (PROBE.replace(b"/Probe<", b"/Prober<"), "malformed"),
    "unknown-version": (PROBE.replace(WSD.encode(), b"urn:other"), "malformed"),
    "body-of-another": (PROBE.replace(b"/Probe<", b"/Resolve<"), "malformed"),
    "version-of-another": (
        WINDOWS_PROBE.replace(f"{WSD}/Probe".encode(), WS_2009_01.action("Probe").encode()),
        "malformed",
    ),
    "types-flood": (probe("wsdp:Device " * (MAX_ITEMS + 1)), "malformed"),
    "thousands-of-types": (probe("wsdp:x " * 4000), "malformed"),
    "scopes-flood": (probe(scopes="http://a/ " * (MAX_ITEMS + 1)), "malformed"),
    "thousands-of-scopes": (probe(scopes="u " * 15000), "malformed"),
    "undeclared-type": (probe("nobody:Device"), "malformed"),
    "long-endpoint": (resolve("urn:" + "x" * MAX_ENDPOINT), "malformed"),
    "no-endpoint": (resolve(" "), "malformed"),
    "resolve-nothing": (
        RESOLVE_1_1[: RESOLVE_1_1.index(b"<a:EndpointReference")] + b"</d:Resolve></s:Body></s:Envelope>",
        "malformed",
    ),
}

# Well-formed, but matching nothing here or with an unknown rule: not answered, and counted under this reason.
UNANSWERED = {
    "another-type": (probe("wsdp:Printer"), None),
    "type-without-namespace": (probe("Device"), None),
    "type-two-colons": (probe("wsdp:x wsdp:Device"), None),
    "scope": (probe(scopes="http://cellar"), None),
    "scope-dots": (probe(scopes="http://floor/3/.."), None),
    "scope-encoded-dots": (probe(scopes="http://floor/%2e%2e/3"), None),
    "scope-bad": (probe(scopes="http://[::1"), None),
    "scope-of-nothing": (probe(scopes=":"), None),
    "scope-long": (probe(scopes="http://floor/" + "x/" * 10000), "malformed"),
    "ldap": (probe(scopes="ldap:///o=other", match_by=f"{WSD}/ldap"), None),
    "ldap-bad": (probe(scopes="ldap://[", match_by=f"{WSD}/ldap"), None),
    "ldap-commas": (probe(scopes="ldap:///" + "," * 10000, match_by=f"{WSD}/ldap"), "malformed"),
    "strcmp0": (probe(scopes="HTTP://FLOOR/3", match_by=f"{WSD}/strcmp0"), None),
    "uuid": (probe(scopes="urn:uuid:x", match_by=f"{WSD}/uuid"), None),
    "uuid-long": (probe(scopes="9" * 20000, match_by=f"{WSD}/uuid"), "malformed"),
    "rule-unknown": (probe(scopes="x", match_by="urn:x"), "rule"),
    "rule-empty": (probe(scopes="x", match_by=""), "rule"),
    "rule-of-nobody": (probe(scopes="x", match_by="http://a/rfc2396"), "rule"),
    "rule-long": (probe(scopes="x", match_by="x" * 20000), "rule"),
    "rule-case": (probe(scopes="x", match_by=f"{WSD}/STRCMP0"), "rule"),
    "rule-none-of-2005": (probe(scopes="", match_by=f"{WSD}/none"), "rule"),
    "resolve-nobody": (resolve("urn:uuid:nobody"), None),
    "resolve-url": (resolve("http://198.51.100.20/"), None),
    "resolve-almost": (resolve(UUID + "0"), None),
    "hello-from-clients": (announced(), None),
    "bye-from-clients": (BYE, None),
    "matches-from-clients": (GSOAP_PROBE_MATCHES, None),
    "our-own-probe": (PROBE.replace(b"urn:uuid:asker-1", b"urn:uuid:own-9"), None),
}

# From the scanners' side: the attributes of the sighting that results.
HELLOS = {
    "addresses-flood": (announced(xaddrs=tuple(f"http://a/{n}" for n in range(MAX_ITEMS + 1))), "malformed", None),
    "thousands-of-addresses": (announced(xaddrs=("u",) * 12000), "malformed", None),
    "types-flood": (announced(types=((WSDP, "x"),) * 65), "malformed", None),
    "nobody": (announced(endpoint=""), "malformed", None),
    "long-endpoint": (announced(endpoint="u" * (MAX_ENDPOINT + 1)), "malformed", None),
    "scopes-flood": (announced(scopes=("http://a",) * 65), "malformed", None),
    "long-scope": (announced(scopes=("u" * 20000,)), None, {"scopes": ()}),
    "absurd-addresses": (
        announced(xaddrs=("file:///etc/passwd", "gopher://x", "x", "http://[")),
        None,
        {"xaddrs": ("file:///etc/passwd", "gopher://x", "x", "http://[")},
    ),
    "no-addresses": (announced(xaddrs=()), None, {"xaddrs": ()}),
    "undeclared-type": (
        announced().replace(b"<wsd:XAddrs", b"<wsd:Types>nobody:Device</wsd:Types><wsd:XAddrs"),
        None,
        {"types": ()},
    ),
    "version-huge": (announced(metadata_version=10**30), None, {"metadata_version": 0}),
    "version-negative": (announced(metadata_version=-1), None, {"metadata_version": 0}),
    "instance-negative": (announced().replace(b'InstanceId="7"', b'InstanceId="-7"'), None, {"sequence": None}),
    "instance-huge": (announced().replace(b'InstanceId="7"', b'InstanceId="%d"' % 10**40), None, {"sequence": None}),
    "instance-text": (announced().replace(b'InstanceId="7"', b'InstanceId="now"'), None, {"sequence": None}),
    "number-absurd": (
        announced().replace(b'MessageNumber="7"', b'MessageNumber="-1"'),
        None,
        {"sequence": Sequence(7, 0)},
    ),
    "bye-of-nobody": (
        write_bye("urn:uuid:forged", sequence=Sequence(7, 7), message_id="urn:uuid:forged-1"),
        None,
        None,
    ),
    "unasked-matches": (GSOAP_PROBE_MATCHES, "unasked", None),
    "matches-flood": (
        write_matches(
            "ProbeMatches",
            [TargetService(f"u{n}") for n in range(180)],
            version=WS_2005_04,
            sequence=Sequence(1, 1),
            relates_to="urn:uuid:other",
            message_id="urn:uuid:m",
        ),
        "unasked",
        None,
    ),
    "our-own-hello": (announced().replace(b"urn:uuid:forged-1", b"urn:uuid:own-5"), None, None),
}


@pytest.fixture
def discovery(monkeypatch):
    """Discovery between clients and scanners with an announced scanner; it must still work after the case."""
    setup = DiscoverySetup(monkeypatch).start()
    setup.targets.add("front-desk", StandIn(scopes=("http://floor/3",)))
    setup.pass_time(3)
    sent = {where: len(link.sent) for where, link in setup.links.items()}
    setup.said = lambda: [
        message for where, link in setup.links.items() for kind, message in link.sent[sent[where] :] if kind != "ask"
    ]
    yield setup
    setup.pass_time(60)
    before = len(setup.answers())
    setup.say("lan", WINDOWS_PROBE.replace(b"29cf10da", b"99999999"))
    setup.pass_time(2)
    assert [message.content[0].xaddrs for _, message in setup.answers()[before:]] == [
        ("http://192.0.2.5:5357/front-desk",)
    ] * 2
    stopping = setup.discovery.stopService()
    setup.pass_time(4)
    assert stopping.called
    assert setup.clock.getDelayedCalls() == []


@pytest.mark.parametrize("where", ["lan", "vlan"])
@pytest.mark.parametrize(("data", "reason"), DROPPED.values(), ids=DROPPED)
def test_a_datagram_is_dropped_without_an_answer(discovery, where, data, reason):
    discovery.say(where, data)
    discovery.pass_time(3)
    assert (discovery.dropped, discovery.counted, discovery.said()) == ([reason], [], [])
    assert discovery.client.sightings.all() == []


@pytest.mark.parametrize(("data", "reason"), UNANSWERED.values(), ids=UNANSWERED)
def test_a_datagram_is_not_answered(discovery, data, reason):
    discovery.say("lan", data)
    discovery.pass_time(3)
    assert (discovery.dropped, discovery.said()) == ([] if reason is None else [reason], [])
    assert discovery.client.sightings.all() == []


@pytest.mark.parametrize(("data", "reason", "known"), HELLOS.values(), ids=HELLOS)
def test_the_sighting_of_a_forged_hello_is_bounded(discovery, data, reason, known):
    discovery.say("vlan", data)
    discovery.pass_time(3)
    assert discovery.dropped == ([] if reason is None else [reason])
    assert discovery.said() == []
    sightings = discovery.client.sightings.all()
    assert len(sightings) == (known is not None)
    for name, value in (known or {}).items():
        assert getattr(sightings[0], name) == value


@pytest.mark.parametrize(
    "host", ["203.0.113.9", "198.51.100.9", "0.0.0.0", "255.255.255.255", "127.0.0.1", "::1", "2001:db8::9"]
)
def test_senders_outside_the_link_are_not_answered(discovery, host):
    discovery.say("lan", WINDOWS_PROBE, host)
    discovery.pass_time(3)
    assert discovery.said() == []
    assert discovery.dropped in (["foreign"], [])


def test_answers_to_a_flooding_client_are_bounded_and_others_unaffected(discovery):
    for number in range(5000):
        discovery.say("lan", PROBE.replace(b"asker-1", b"asker-%d" % number))
    discovery.say("lan", PROBE.replace(b"asker-1", b"other"), "192.0.2.78")
    discovery.pass_time(3)
    assert len([1 for whom, _ in discovery.answers() if whom[0] == "192.0.2.77"]) <= 2 * 20
    assert len([1 for whom, _ in discovery.answers() if whom[0] == "192.0.2.78"]) == 2


def test_a_probe_repeated_a_thousand_times_is_answered_once(discovery):
    for _ in range(1000):
        discovery.say("lan", PROBE)
    discovery.pass_time(3)
    assert len(discovery.said()) == 2


def test_a_flood_of_devices_is_bounded(discovery):
    for number in range(MAX_SIGHTINGS + 200):
        discovery.say("vlan", announced(endpoint=f"urn:uuid:{number}").replace(b"forged-1", b"forged-%d" % number))
    assert len(discovery.client.sightings.all()) == MAX_SIGHTINGS


def test_forged_restarts_and_byes_of_a_known_device_are_rate_limited(discovery):
    hello = partial(write_hello, TargetService(UUID, (), (), ("http://198.51.100.20/",), 1))
    for number in range(1, 100):
        discovery.say("vlan", hello(sequence=Sequence(number, 1), message_id=f"urn:uuid:h{number}"))
        discovery.say("vlan", write_bye(UUID, sequence=Sequence(number, 2), message_id=f"urn:uuid:b{number}"))
    news = [one for one in discovery.news if isinstance(one, News) and one.started]
    assert len(news) <= 1
    assert len([one for one in discovery.news if isinstance(one, Left)]) == 1


def test_older_announcements_are_ignored(discovery):
    hello = partial(write_hello, TargetService(UUID, (), (), ("http://198.51.100.20/",), 1))
    discovery.say("vlan", hello(sequence=Sequence(7, 7), message_id="urn:uuid:1"))
    before = len(discovery.news)
    for sequence in (Sequence(7, 6), Sequence(6, 9), Sequence(0, 0)):
        discovery.say(
            "vlan", hello(sequence=sequence, message_id=f"urn:uuid:{sequence.instance_id}-{sequence.message_number}")
        )
    assert len(discovery.news) == before


AROUND = {
    "null-at-end": lambda data: data + b"\0",
    "nulls-and-lines-at-end": lambda data: data + b"\r\n\0\0\r\n",
    "lines-before": lambda data: b"\r\n\r\n" + data,
    "null-before": lambda data: b"\0" + data,
    "mark-before": lambda data: b"\xef\xbb\xbf" + data,
    "two-marks-before": lambda data: b"\xef\xbb\xbf \xef\xbb\xbf" + data,
    "everything-around": lambda data: b"\0 \xef\xbb\xbf\r\n" + data + b"\xef\xbb\xbf\0 \n",
    "utf-16-and-nulls": lambda data: data.decode().replace("utf-8", "utf-16").encode("utf-16") + b"\0\0",
}


@pytest.mark.parametrize("made", AROUND.values(), ids=AROUND)
def test_bytes_around_a_message_are_skipped(discovery, made):
    """Embedded senders put line breaks, NULs and byte order marks around their messages."""
    discovery.say("lan", made(PROBE))
    discovery.say("vlan", made(announced()))
    discovery.pass_time(3)
    assert (discovery.dropped, len(discovery.answers())) == ([], 2)
    [seen] = discovery.client.sightings.all()
    assert seen.endpoint == "urn:uuid:forged"
