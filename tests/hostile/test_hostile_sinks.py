"""Sinks that must be refused, and reference parameters that must not be sent.

WS-Addressing 2004/08, sections 2 and 4.3; WS-Eventing 2004/08, section 3.1.
"""

import socket

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import DEVICE_PATH, EVENTS, SCAN_PATH
from tests.messages import manage, subscribe
from wsdgateway.soap.addressing import MAX_PARAMETER, MAX_PARAMETERS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA, WSE

SINK = "http://127.0.0.1:9/x"
W = f"{{{WSE}}}"

SINKS = [
    "",
    " ",
    "x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/_x",
    "ftp://127.0.0.1/",
    "javascript:alert(1)",
    "urn:uuid:5",
    "ldap://127.0.0.1/",
    "unix:/run/docker.sock",
    "data:,x",
    "//127.0.0.1:9/",
    "/events",
    "http:/127.0.0.1",
    "http://",
    "http:///x",
    "http://[::1",
    "http://[x]:9/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:x/",
    "http://127.0.0.1:0/",
    "http://0.0.0.0:9/",
    "http://[::]:9/",
    "http://255.255.255.255:9/",
    "http://224.0.0.1:9/",
    "http://239.255.255.250:3702/",
    "http://[ff02::c]:9/",
    "http://169.254.169.254/latest/",
    "http://192.0.2.66/",
    "http://[2001:db8::66]/",
    "http://user:password@127.0.0.1:9/",
    "http://user@127.0.0.1:9/",
    "http://@127.0.0.1:9/",
    "http://127.0.0.1:9 /x",
    "http://127.0.0.1:9/a b",
    "http://127.0.0.1:9/a&#13;&#10;Host: x",
    "http://127.0.0.1\\@192.0.2.66/",
    "http://127.0.0.1:9/\u202e",
    "http://\uff11\uff12\uff17.0.0.1:9/",
    "http://" + "a" * 64 + ".test/",
    "http://a..test/",
    "http://127.0.0.1:9/" + "x" * 5000,
    "http://x:" + "9" * 5000 + "/",
    "https://192.0.2.66/",
    "mailto:front-desk@example.org",
    "http://sink.invalid/events",
    # Special addresses of WS-Addressing, in each of its versions.
    f"{WSA}/role/anonymous",
    f"{WSA}/role/anonymous/",
    f"{WSA}/role/none",
    "http://schemas.xmlsoap.org/ws/2003/03/addressing/role/anonymous",
    "HTTP://Schemas.XmlSoap.org:80/ws/2004/08/addressing/role/anonymous?x",
    "https://schemas.xmlsoap.org./ws/2004/08/addressing/role/Anonymous",
    "http://www.w3.org/2005/08/addressing/anonymous",
    "http://www.w3.org/2005/08/addressing/none",
    "http://www.w3.org/2005/08/addressing/role/anonymous",
    # The gateway itself, in various spellings.
    "http://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/front-desk/scan",
    "http://127.0.0.1:{admin}/metrics",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://127.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "https://127.0.0.1:{admin}/",
]

PARAMETERS = {
    "too-many": "<v:p xmlns:v='urn:v'/>" * (MAX_PARAMETERS + 1),
    "flood": "<wse:p/>" * 20000,
    "too-long": f"<v:p xmlns:v='urn:v'>{'x' * MAX_PARAMETER}</v:p>",
    "megabyte": f"<v:p xmlns:v='urn:v'>{'x' * 1000000}</v:p>",
    "long-attribute": f"<v:p xmlns:v='urn:v' a='{'x' * MAX_PARAMETER}'/>",
    "to": "<wsa:To>http://192.0.2.66/</wsa:To>",
    "action": "<wsa:Action>urn:x</wsa:Action>",
    "soap": "<soap:Body/>",
    "fault-to": "<wsa:FaultTo/>",
    "long-name": f"<v:{'p' * MAX_PARAMETER} xmlns:v='urn:v'/>",
    "prefixes": "<v:p xmlns:v='urn:v' " + " ".join(f"xmlns:n{n}='urn:{'u' * 100}'" for n in range(200)) + ">"
    + " ".join(f"n{n}:x" for n in range(200)) + "</v:p>",
    "long-namespace": f"<v:p xmlns:v='urn:{'v' * 2 * MAX_PARAMETER}'/>",
}


@pytest.mark.parametrize("address", [
    f"{WSA}/role/anonymous", "http://www.w3.org/2005/08/addressing/anonymous",
    "http://www.w3.org/2005/08/addressing/none", "urn:uuid:5", "mailto:a@example.org", "ftp://example.org/", "/events",
    "http://name.invalid/", "http://example.org:0/"])
@pytest_twisted.ensureDeferred
async def test_addresses_without_a_host_are_refused_without_a_lookup(attacked, monkeypatch, address):
    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: looked_up.append(host) or [])
    await attacked.refuses(SCAN_PATH, subscribe(address), "DestinationUnreachable")
    await attacked.refuses(SCAN_PATH, subscribe("http://name.example/", end_to=address), "DestinationUnreachable")
    assert not looked_up


@pytest.mark.parametrize("address", SINKS, ids=lambda address: repr(address[:40]))
@pytest_twisted.ensureDeferred
async def test_forbidden_sinks_are_refused(attacked, address):
    address = address.format(port=attacked.port, admin=attacked.admin_port)
    code = "DestinationUnreachable" if address.strip() else "InvalidMessage"
    await attacked.refuses(SCAN_PATH, subscribe(address), code)
    await attacked.refuses(DEVICE_PATH, subscribe(SINK, end_to=address or " "), code)


@pytest_twisted.ensureDeferred
async def test_the_gateways_address_for_notifications_is_refused_as_a_sink(attacked):
    address = f"http://127.0.0.1:{attacked.port}{attacked.paths[EVENTS]}"
    await attacked.refuses(SCAN_PATH, subscribe(address), "DestinationUnreachable")


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
@pytest_twisted.ensureDeferred
async def test_reference_parameters(attacked, parameters):
    message = subscribe(SINK, parameters=parameters)
    if len(message) > attacked.service.config.limits.request_body:
        assert (await attacked.send(SCAN_PATH, message)).status == 413
        return
    await attacked.refuses(SCAN_PATH, message, "InvalidMessage")
    await attacked.refuses(SCAN_PATH, message.replace(b"ReferenceParameters", b"ReferenceProperties"), "InvalidMessage")


@pytest_twisted.ensureDeferred
async def test_reference_parameters_with_markup_are_escaped(attacked):
    parameter = "<v:p xmlns:v='urn:v' xmlns:wsa='urn:not-addressing' wsa:x='&lt;/soap:Header&gt;'>&lt;wsa:To&gt;</v:p>"
    outcome = await attacked.send(SCAN_PATH, subscribe(SINK, parameters=parameter))
    made = read(outcome.body).body.find(f"{W}SubscriptionManager")
    identifier = made.findtext(f"{{{WSA}}}ReferenceParameters/{W}Identifier")
    assert (await attacked.send(SCAN_PATH, manage("Unsubscribe", identifier))).status == 200
