"""TLS to scanners: which certificates are trusted, and that nothing is sent to scanners that are not."""

import io
import re
from urllib.parse import urlsplit

import attrs
import pytest
import pytest_twisted
from OpenSSL import SSL
from rich.console import Console

from tests.certificates import Certified
from tests.loopback.clients import scanned
from tests.loopback.gateways import File, tls_listener
from tests.loopback.scanners import UUID, Metadata, grant
from tests.messages import GET, get_job_elements, job_request, status_event, status_response
from tests.peers import Device, ask
from tests.waiting import until
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.cli.discover import search, show
from wsdgateway.cli.scan.securing import Judgement
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_matches
from wsdgateway.http.requests import Request
from wsdgateway.net.discovery.adoption import read_device
from wsdgateway.net.scanners.pins import Pins
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.parsing import Malformed
from wsdgateway.tls.files import pin_of
from wsdgateway.tls.identity import CurrentIdentity, IdentityFiles
from wsdgateway.tls.trust import Caller, Trust

PATH = "/front-desk/scan"


@pytest.fixture
def shows(started):
    """Starts a device with a certificate: `await shows(certified)`."""

    async def start(certified, port=0):
        made = Device()
        made.identity = CurrentIdentity(IdentityFiles(certified.pem, certified.key))
        return await started(made, port, made.identity)

    return start


def answering(device):
    device.handle = lambda asked: asked.answer(status_response("1"))


async def read_status(service, job_id="1"):
    head, body = await ask(service.port, PATH, get_job_elements(job_id))
    return head.status, read(body)


@pytest.mark.parametrize(("name", "trust"), [
    ("127.0.0.1", "ca"), ("other.example", "pin"), ("other.example", "insecure"), ("127.0.0.1", "own")])
@pytest_twisted.ensureDeferred
async def test_which_certificates_are_trusted(gateway, shows, authority, tmp_path, name, trust):
    issuer = None if trust in ("pin", "own") else authority
    certified = Certified(tmp_path, "scanner", name, issuer=issuer)
    device = await shows(certified)
    answering(device)
    service = await gateway(device.url, scanner={"events": "off", **{
        "ca": {"ca": str(authority.pem)}, "pin": {"pin": pin_of(certified.certificate)},
        "insecure": {"insecure": True}, "own": {"ca": str(certified.pem)}}[trust]})
    status, envelope = await read_status(service)
    assert (status, fault_of(envelope)) == (200, None)
    assert device.requests[0].request.host == f"127.0.0.1:{device.port}".encode()


@pytest.mark.parametrize(("name", "trust", "said"), [
    ("127.0.0.2", "ca", "not valid for 127.0.0.1"), ("localhost", "ca", "not valid for 127.0.0.1"),
    ("127.0.0.1", "nobody", "a trusted authority"), ("127.0.0.1", "another", "is not from the configured authority"),
    ("127.0.0.1", "pin", "certificate does not match the pin"), ("127.0.0.1", "expired", "or has expired")])
@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_to_an_untrusted_scanner(gateway, shows, authority, tmp_path, name, trust, said):
    certified = Certified(tmp_path, "scanner", name, issuer=authority, days=-1 if trust == "expired" else 30)
    device = await shows(certified)
    other = Certified(tmp_path, "other", ca=True)
    service = await gateway(device.url, scanner={"events": "off", **{
        "nobody": {}, "another": {"ca": str(other.pem)}, "pin": {"pin": pin_of(other.certificate)}}.get(
            trust, {"ca": str(authority.pem)})})
    status, envelope = await read_status(service)
    assert (status, fault_of(envelope)) == (500, "ServerErrorTemporaryError")
    assert said in reason_of(envelope)
    assert device.requests == []
    assert service.scanner.device.peers == set()


@pytest_twisted.ensureDeferred
async def test_connections_to_an_untrusted_scanner_open_the_circuit(
        gateway, shows, authority, tmp_path, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.scanners.circuitbreaker.FIRST_PAUSE", 60.0)
    device = await shows(Certified(tmp_path, "scanner", "127.0.0.1"))
    service = await gateway(device.url, scanner={"events": "off", "ca": str(authority.pem)})
    for number in range(10):
        assert (await read_status(service, str(number)))[0] == 500
    assert device.factory.connections == 3


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_a_name(gateway, shows, authority, tmp_path):
    device = await shows(Certified(tmp_path, "scanner", "localhost", issuer=authority))
    answering(device)
    service = await gateway(device.url.replace("127.0.0.1", "localhost"), scanner={
        "events": "off", "ca": str(authority.pem)})
    assert (await read_status(service))[0] == 200


@pytest_twisted.ensureDeferred
async def test_a_short_key_is_accepted_if_it_is_pinned(gateway, shows, tmp_path):
    certified = Certified(tmp_path, "scanner", "127.0.0.1", bits=1024)
    device = await shows(Certified(tmp_path, "other", "127.0.0.1"))
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
    context.use_certificate(certified.certificate)
    context.use_privatekey(certified.private)
    device.identity.identity = attrs.evolve(device.identity.identity, context=context)
    answering(device)
    service = await gateway(device.url, scanner={"events": "off", "pin": pin_of(certified.certificate)})
    assert (await read_status(service))[0] == 200


@pytest.mark.parametrize(("plain", "scheme"), [(True, "http"), (False, "https")])
@pytest_twisted.ensureDeferred
async def test_the_address_for_notifications_of_a_scanner_with_tls(gateway, shows, authority, tmp_path, plain, scheme):
    certified = Certified(tmp_path, "scanner", "127.0.0.1", issuer=authority)
    device = await shows(certified)
    secure = tls_listener(certified)
    service = await gateway(device.url, scanner={"ca": str(authority.pem)}, listen=[
        secure, *([{"endpoint": "tcp:0:interface=127.0.0.1:backlog=9"}] if plain else [])])
    asked = await device.next()
    notify_to, *_ = re.findall(rb"<wsa:Address>(https?://127.0.0.1:[^<]*/events/[^<]*)", asked.request.body)
    assert notify_to.startswith(scheme.encode() + b":")
    asked.answer(grant(manager=f"http://127.0.0.1:{device.port}/manager"))
    await until(lambda: service.scanner.bridge.table.listening)
    tls = None if plain else Caller(Trust(ca=authority.pem), "127.0.0.1")
    url = urlsplit(notify_to.decode())
    assert (await ask(url.port, url.path, status_event("4"), tls=tls))[0].status == 202
    assert service.scanner.bridge.table.get("4").status.state == "Processing"


@pytest_twisted.ensureDeferred
async def test_the_address_for_events_may_be_https(gateway, device):
    await gateway(device.url, events={"address": "https://gateway.example:5358"})
    assert b"<wsa:Address>https://gateway.example:5358/front-desk/events/" in (await device.next()).request.body


@pytest.mark.parametrize(("lenient", "answered"), [
    (False, (500, "ServerErrorInternalError")), (True, (200, None))])
@pytest_twisted.ensureDeferred
async def test_an_answer_that_ends_without_close_notify_is_accepted_only_with_lenient(
        gateway, shows, tmp_path, lenient, answered):
    certified = Certified(tmp_path, "scanner", "127.0.0.1")
    device = await shows(certified)
    whole = status_response("1")

    def cut_off(asked):
        asked.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\n\r\n" + whole)
        asked.connection.transport.transport.loseConnection()  # ends TCP without ending TLS

    device.handle = cut_off
    service = await gateway(device.url, scanner={"events": "off", "pin": pin_of(certified.certificate),
                                                 "lenient": lenient})
    status, envelope = await read_status(service)
    assert (status, fault_of(envelope)) == answered


@pytest_twisted.ensureDeferred
async def test_an_image_over_tls_is_relayed_whole(gateway, shows, tmp_path):
    certified = Certified(tmp_path, "scanner", "127.0.0.1")
    device = await shows(certified)
    image = bytes(range(256)) * 40000
    device.handle = lambda asked: asked.answer(image, content_type=b"multipart/related; boundary=x")
    service = await gateway(device.url, scanner={"events": "off", "pin": pin_of(certified.certificate)})
    head, body = await ask(service.port, PATH, job_request("RetrieveImage"))
    assert head.status == 200 and body == image


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_tls_is_explained_in_the_fault(gateway, device):
    service = await gateway(device.url.replace("http:", "https:"), scanner={"events": "off", "insecure": True})
    device.handle = lambda asked: asked.connection.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    status, envelope = await read_status(service)
    assert (status, fault_of(envelope)) == (500, "ServerErrorTemporaryError")
    assert "TLS handshake failed" in reason_of(envelope)


@pytest.fixture
def by_tls(virtual, tmp_path):
    """Starts a virtual scanner with a self-signed certificate."""

    async def start(**settings):
        certified = Certified(tmp_path, "scanner", "somewhere.else")
        scanner = await virtual(certificate=str(certified.pem), key=str(certified.key), name="Copy room", **settings)
        return scanner, pin_of(certified.certificate), certified

    return start


@pytest.mark.parametrize("toml", [False, True])
@pytest_twisted.ensureDeferred
async def test_discover_prints_the_pin(by_tls, toml):
    from twisted.internet import reactor

    scanner, pin, _ = await by_tls()
    said, printed = io.StringIO(), io.StringIO()
    progress = Console(file=said, width=500)
    for pins, lines in ((None, 0), (Pins(reactor), 1)):
        printed.truncate(0)
        found = await search(reactor, (), (scanner.device_url,), seconds=30.0 if pins else 2.0, progress=progress,
                             pins=pins)
        show(found, toml=toml, console=Console(file=printed, width=500), progress=progress, pin=True)
        assert printed.getvalue().count(pin) == (lines if toml else 2 * lines)  # a table also has a line to copy
    assert "a trusted authority" in said.getvalue()
    assert f'pin = "{pin}"' in printed.getvalue() or not toml


@pytest_twisted.ensureDeferred
async def test_discover_shows_a_scanner_whose_endpoint_is_its_address(by_tls):
    from twisted.internet import reactor

    scanner, pin, _ = await by_tls(interfaces=("lo",))
    printed = io.StringIO()
    quiet = Console(file=io.StringIO())
    found = await search(reactor, ("lo",), (), seconds=2.0, progress=quiet, pins=Pins(reactor))
    assert [one.sighting.endpoint for one in found] == [scanner.device_url]
    show(found, toml=True, console=Console(file=printed, width=500), progress=quiet, pin=True)
    assert f'name = "copy-room"\ndevice = "{scanner.device_url}"\npin = "{pin}"\n' in printed.getvalue()


@pytest.mark.parametrize(("endpoint", "metadata_endpoint", "is_it"), [
    ("{url}", UUID, True), ("{url}", "https://192.0.2.1/", True), ("{url}/other", UUID, False), (UUID, UUID, True),
    (UUID, "{url}", False)])
@pytest_twisted.ensureDeferred
async def test_which_metadata_is_accepted_from_an_https_address(shows, tmp_path, endpoint, metadata_endpoint, is_it):
    from twisted.internet import reactor

    device = await shows(Certified(tmp_path, "scanner", "somewhere.else"))
    Metadata(device, metadata_endpoint.format(url=device.url))
    sighting = Sighting(endpoint.format(url=device.url), (), (), (device.url,), 1, None, "lo", 0.0)
    looking = read_device(reactor, sighting, lambda: "urn:uuid:n", trust_in=Pins(reactor).trust)
    if is_it:
        assert (await looking).device == device.url
    else:
        with pytest.raises(Malformed, match="another device"):
            await looking


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_a_uuid_is_not_adopted_and_logged_once(gateway, by_tls, said):
    scanner, pin, _ = await by_tls(interfaces=("lo",))
    found = {"discovery": {"device_interfaces": ["lo"], "adopt": True, "search": 0.1, "announce_rate": 10000}}

    def seen(service):
        return service.discovery.client.sightings.get(scanner.device_url)

    service = await gateway(None, **found)
    await until(lambda: seen(service))
    first = seen(service).at
    await until(lambda: seen(service).at > first)
    assert service.scanners == []
    assert len([line for line in said if "adopted" in line and f'device = "{scanner.device_url}"' in line]) == 1
    said.clear()
    service = await gateway(None, scanner={"device": scanner.device_url, "pin": pin}, **found)
    await until(lambda: service.scanner.monitor.sighting)  # its announcements are matched to its section
    await until(lambda: service.scanner.bridge.table.listening)
    assert len(service.scanners) == 1 and not any("not adopted" in line for line in said)


@pytest.mark.parametrize("has_section", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_directed_probe_uses_the_trust_of_the_section_with_that_host(gateway, by_tls, has_section):
    scanner, pin, _ = await by_tls()
    service = await gateway(None, scanner={"device": scanner.device_url, "pin": pin} if has_section else None,
                            discovery={"directed": [scanner.base]})
    search = service.discovery.client
    await until(lambda: search.sightings.get(scanner.device_url) if has_section else search.failed)
    assert scanner.soap.asked["Probe"] == has_section
    assert has_section or "a trusted authority" in search.failed[scanner.base]


@pytest_twisted.ensureDeferred
async def test_a_changed_pin_takes_effect_before_the_next_search(running, shows, device, tmp_path, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.discovery.client.FIRST_PAUSES", ())  # one search, the next one in a minute
    certified = Certified(tmp_path, "scanner", "somewhere.else")
    scanner = await shows(certified)
    Metadata(scanner)

    def match(asked):
        asked.answer(write_matches(
            "ProbeMatches", [TargetService(UUID, (), (), (scanner.url,), 1)], version=WS_2005_04,
            sequence=Sequence(1, 1), relates_to=read(asked.request.body).message_id, message_id="urn:uuid:m"))

    device.handle = match
    file = File(tmp_path / "g.toml", running)
    found = f'[discovery]\ndirected = ["{device.url}"]\n[[scanner]]\nname = "front-desk"\nuuid = "{UUID}"\n'
    service = await file.start(f'{found}pin = "sha256/{"A" * 43}="\n')
    await until(lambda: service.discovery.client.sightings.get(UUID))
    former = service.scanners[0]
    for trust in (f'pin = "{pin_of(certified.certificate)}"\n', "insecure = true\n"):
        await file.reload(found + trust)
        assert service.scanners[0] is not former
        former = service.scanners[0]
        await until(lambda: service.scanners[0].bridge.device == scanner.url)
    assert len(device.requests) == 1


@pytest_twisted.ensureDeferred
async def test_the_virtual_scanner_with_tls_behind_the_gateway(gateway, by_tls):
    scanner, pin, _ = await by_tls()
    service = await gateway(None, scanner={"device": scanner.device_url, "pin": pin})
    await until(lambda: service.scanner.bridge.table.listening)
    assert service.scanner.bridge.device == scanner.scan_url
    head, body = await ask(service.port, "/front-desk", GET)
    assert head.status == 200 and f":{service.port}/front-desk/scan".encode() in body and b"https:" not in body


@pytest.mark.parametrize(("options", "status"), [
    ({"pin": True}, 0), ({"insecure": True}, 0), ({}, 3), ({"pin": "sha256/" + "A" * 43 + "="}, 3), ({"ca": "own"}, 3),
    ({"ca": "/nowhere"}, 2)])
@pytest_twisted.ensureDeferred
async def test_scan_directly_from_a_scanner_with_tls(by_tls, tmp_path, options, status):
    scanner, pin, certified = await by_tls()
    given = {"pin": {True: pin}.get(options.get("pin"), options.get("pin")), "insecure": options.get("insecure", False),
             "ca": str(certified.pem) if options.get("ca") == "own" else options.get("ca")}
    ran = await scanned(scanner.scan_url, str(tmp_path / "out.pdf"), judgement=Judgement(**given))
    assert ran.status == status, ran.error
    assert (tmp_path / "out.pdf").exists() is (status == 0)


@pytest.mark.parametrize("trust", ["pin", "ca", "insecure"])
@pytest_twisted.ensureDeferred
async def test_metadata_with_http_addresses_does_not_bypass_tls(gateway, device, shows, authority, tmp_path, trust):
    certified = Certified(tmp_path, "scanner", "127.0.0.1", issuer=authority)
    secure = await shows(certified)
    Metadata(secure).device = device  # the metadata has an http address for its scan service
    device.handle = lambda asked: asked.abort()  # it does not speak TLS
    service = await gateway(None, scanner={"device": secure.url, "events": "off", **{
        "pin": {"pin": pin_of(certified.certificate)}, "insecure": {"insecure": True}}.get(
            trust, {"ca": str(authority.pem)})})
    await until(lambda: service.scanner.bridge.device is not None)
    assert (await read_status(service))[0] == 500
    assert not [one for one in device.requests if isinstance(one.request, Request)]


@pytest.mark.parametrize("section", [{"pin": "sha256/" + "A" * 43 + "="}, {"insecure": True}])
@pytest_twisted.ensureDeferred
async def test_a_scanner_found_at_an_http_address_is_not_used_if_tls_is_required(gateway, device, section):
    metadata = Metadata(device)
    service = await gateway(None, scanner={"uuid": metadata.endpoint, **section}, discovery={
        "directed": [f"http://127.0.0.1:{device.port}"], "search": 0.1})
    await until(lambda: len(device.requests) > 2)  # Probes, which belong to no section
    assert metadata.asked == 0 and service.scanner.bridge.device is None


@pytest_twisted.ensureDeferred
async def test_a_handshake_that_times_out_counts_as_a_failed_connection(gateway, device):
    device.handle = lambda asked: None  # it accepts connections, and does not answer the client hello
    service = await gateway(device.url.replace("http:", "https:"),
                            scanner={"events": "off", "insecure": True, "timeout": 1.0})
    for number in range(3):
        head, answer = await ask(service.port, PATH, get_job_elements(str(number)))
        assert head.status == 500 and b"no TLS handshake within 0.9 s" in answer
    assert service.scanner.device.reachable is False
    assert b"does not answer; next attempt within" in (await ask(service.port, PATH, get_job_elements("4")))[1]
