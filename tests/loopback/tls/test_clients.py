"""TLS to clients: announced addresses, client certificates, and certificates that change during connections."""

import attrs
import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion, trustRootFromCertificates
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, readBody

from tests.certificates import Certified
from tests.loopback.clients import Granted, found, probe, resolve
from tests.loopback.gateways import LOOPBACK, File, tls_listener
from tests.messages import GET, envelope, get_job_elements, subscribe
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.bridge.discovery.presence import derived_endpoint
from wsdgateway.scan.documentparameters import DocumentParameters, write_scan_ticket
from wsdgateway.scan.jobs import read_created, write_create, write_retrieve
from wsdgateway.scan.operations import action_of
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSA, WSDP
from wsdgateway.tls.files import pin_of
from wsdgateway.tls.trust import Caller, Trust

PATH = "/front-desk/scan"


@pytest.fixture
def server(tmp_path, authority):
    return Certified(tmp_path, "server", "127.0.0.1", issuer=authority)


@pytest.fixture
def secured(gateway, virtual, server, authority):
    """Starts a gateway with a TLS listener and a plain one, in front of a virtual scanner."""

    async def start(plain=True, scanner=None, **tls):
        device = await virtual(name="Copy room")
        service = await gateway(None, scanner={"device": device.device_url, **(scanner or {})}, listen=[
            tls_listener(server, **tls), *([{"endpoint": "tcp:0:interface=127.0.0.1:backlog=9"}] if plain else [])])
        await until(lambda: service.scanner.bridge.table.listening)
        service.virtual = device
        service.tls = Caller(Trust(ca=authority.pem), "127.0.0.1")
        return service

    return start


@pytest_twisted.ensureDeferred
async def test_over_tls_addresses_are_https_and_the_endpoint_is_the_address(secured):
    service = await secured()
    here = f"https://127.0.0.1:{service.port}/front-desk"
    uuid = derived_endpoint(f"urn:uuid:{service.virtual.settings.uuid}")
    for path in ("/", "/front-desk"):
        assert await found(service, path, probe(), tls=service.tls) == [(here, here)]
        assert await found(service, path, resolve(here), tls=service.tls) == [(here, here)]
        assert await found(service, path, resolve(uuid), tls=service.tls) == [(uuid, here)]
        assert await found(service, path, resolve("https://127.0.0.1/front-desk"), tls=service.tls) == []
    _, body = await ask(service.port, "/front-desk", GET, tls=service.tls)
    addresses = [address.text for address in read(body).body.iter(f"{{{WSA}}}Address")]
    assert set(addresses) == {here, f"{here}/scan"}
    assert read(body).body.findtext(f".//{{{WSDP}}}Host//{{{WSA}}}Address") == here
    assert b"http://127" not in body
    _, body = await ask(service.port, PATH, subscribe("http://127.0.0.1:9/x"), tls=service.tls)
    assert read(body).body.find(f".//{{{WSA}}}Address").text.startswith(f"{here}/subscriptions/")


@pytest_twisted.ensureDeferred
async def test_over_plain_http_the_endpoint_is_the_uuid(secured):
    service = await secured()
    uuid = derived_endpoint(f"urn:uuid:{service.virtual.settings.uuid}")
    [plain] = [listener.address[1] for listener in service.listeners if listener.identity is None]
    client = await connect(plain)
    client.send(post("/front-desk", probe()))
    _, body = await client.answer()
    client.transport.abortConnection()
    await client.end()
    match = read(body).body
    assert match.find(f".//{{{WSA}}}Address").text == uuid
    assert f"http://127.0.0.1:{plain}/front-desk".encode() in body and b"https:" not in body


@pytest_twisted.ensureDeferred
async def test_a_complete_job_over_tls(secured, sink):
    service = await secured()
    listening = await sink()
    granted = Granted(*await ask(service.port, PATH, subscribe(listening.url), tls=service.tls))
    assert granted.manager.startswith("https:")
    ticket = write_scan_ticket(DocumentParameters(), job_name="a", user="b")
    _, body = await ask(service.port, PATH, envelope(action_of("CreateScanJob"), write_create(ticket)), tls=service.tls)
    job = read_created(read(body).body)
    head, image = await ask(service.port, PATH, envelope(
        action_of("RetrieveImage"), write_retrieve(job, "a")), tls=service.tls)
    assert head.status == 200 and b"\xff\xd8" in image and len(image) > 10000
    head, body = await ask(service.port, PATH, get_job_elements(job.job_id), tls=service.tls)
    assert head.status == 200 and fault_of(read(body)) is None
    await until(lambda: "JobStatusEvent" in listening.events)


@pytest.mark.parametrize("version", [TLSVersion.TLSv1_0, TLSVersion.TLSv1_1])
@pytest_twisted.ensureDeferred
async def test_old_tls_versions_are_refused(secured, version):
    service = await secured(plain=False)
    options = CertificateOptions(insecurelyLowerMinimumTo=version, lowerMaximumSecurityTo=version)
    context = options.getContext()
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    with pytest.raises((SSL.Error, EOFError)):
        await refused(service, context)


@pytest.mark.parametrize(("offered", "chosen"), [
    ([b"h2", b"http/1.1"], b"http/1.1"), ([b"http/1.1"], b"http/1.1"), ([b"h2"], b""), ([b"x"], b"")])
@pytest_twisted.ensureDeferred
async def test_alpn_negotiates_http_1_1(secured, authority, offered, chosen):
    service = await secured(plain=False)
    context = Trust(ca=authority.pem).context
    context.set_alpn_protos(offered)
    client = await connect(service.port, Caller(Own(context), "127.0.0.1"))
    client.send(post("/front-desk", GET))
    assert (await client.answer())[0].status == 200
    assert client.transport.getHandle().get_alpn_proto_negotiated() == chosen
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_ciphers_without_forward_secrecy_are_refused(secured):
    service = await secured(plain=False)
    context = CertificateOptions(lowerMaximumSecurityTo=TLSVersion.TLSv1_2,
                                 insecurelyLowerMinimumTo=TLSVersion.TLSv1_2).getContext()
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA:AES128-SHA:AES128-GCM-SHA256")
    with pytest.raises((SSL.Error, EOFError)):
        await refused(service, context)


async def refused(service, context):
    await ask(service.port, PATH, GET, tls=Caller(Own(context), "127.0.0.1"))


@attrs.frozen
class Own:
    """Stands in for a Trust, with the test's own context."""

    context: SSL.Context


@pytest_twisted.ensureDeferred
async def test_with_client_ca_only_its_clients_are_accepted(secured, authority, tmp_path):
    service = await secured(plain=True, client_ca=str(authority.pem))
    assert all(one.notify_to.startswith("http://127.0.0.") for one in [service.scanner.subscriptions.own.held])
    stranger = Certified(tmp_path, "stranger")
    known = Certified(tmp_path, "known", issuer=authority)

    def caller(one):
        trust = Trust(insecure=True) if one is None else Own(
            CertificateOptions(privateKey=one.private, certificate=one.certificate).getContext())
        return Caller(trust, "127.0.0.1")

    for one in (None, stranger):
        with pytest.raises((SSL.Error, EOFError)):
            await ask(service.port, "/front-desk", GET, tls=caller(one))
    head, _ = await ask(service.port, "/front-desk", GET, tls=caller(known))
    assert head.status == 200


@pytest_twisted.ensureDeferred
async def test_bytes_that_are_not_tls_leave_no_connection(secured):
    service = await secured(plain=False)
    for garbage in (post(PATH, GET), b"\x16\x03\x01\xff\xff" + b"\x00" * 600, b"\x00" * 5):
        client = await connect(service.port)
        client.send(garbage)
        client.transport.loseWriteConnection()
        await client.end()
    assert (await ask(service.port, "/front-desk", GET, tls=service.tls))[0].status == 200
    await until(lambda: not service.server.connections)


@pytest_twisted.ensureDeferred
async def test_a_refusal_arrives_and_the_connection_ends(secured):
    service = await secured(plain=False)
    client = await connect(service.port, service.tls)
    client.send(b"POST /front-desk HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
    head, _ = await client.answer()
    assert head.status == 413
    await client.end()
    await until(lambda: not service.server.connections)


@pytest_twisted.ensureDeferred
async def test_an_incomplete_handshake_times_out(gateway, server):
    service = await gateway(None, listen=[tls_listener(server)], limits={"header_timeout": 0.1})
    client = await connect(service.port)
    client.send(b"\x16\x03\x01")
    await client.end()
    await until(lambda: not service.server.connections)


@pytest_twisted.ensureDeferred
async def test_replacing_a_certificate_closes_no_connection(running, tmp_path, authority):
    first = Certified(tmp_path, "server", "127.0.0.1", issuer=authority)
    file = File(tmp_path / "g.toml", running)
    section = f'[[listen]]\nendpoint = "{LOOPBACK}"\ncertificate = "server.pem"\nkey = "server.key"\n'
    text = f'[gateway]\nstate = "memory:"\n{section}[admin]\nendpoint = "{LOOPBACK}"\n'
    file.write = lambda more: file.path.write_text(text + more)
    service = await file.start("")
    caller = Caller(Trust(insecure=True), "127.0.0.1")

    async def begin():
        client = await connect(service.port, caller)
        client.send(post("/", probe()))
        assert (await client.answer())[0].status == 200
        shown = client.transport.getHandle().get_peer_certificate(as_cryptography=True)
        return client, pin_of(shown)

    old, pin = await begin()
    assert pin == pin_of(first.certificate)
    second = Certified(tmp_path, "server", "127.0.0.1", issuer=authority)
    await file.reload("")
    new, pin = await begin()
    assert pin == pin_of(second.certificate)
    second.key.write_text("nonsense")
    await file.reload("")
    another, pin = await begin()
    assert pin == pin_of(second.certificate)
    for client in (old, new, another):
        client.send(post("/", probe()))
        assert (await client.answer())[0].status == 200
        client.transport.abortConnection()
        await client.end()


@pytest_twisted.ensureDeferred
async def test_other_certificate_files_take_effect_without_a_restart(running, tmp_path, authority):
    _, two = (Certified(tmp_path, name, "127.0.0.1", issuer=authority) for name in ("one", "two"))
    file = File(tmp_path / "g.toml", running)
    section = '[[listen]]\nendpoint = "{}"\ncertificate = "{}.pem"\nkey = "{}.key"\n'
    file.write = lambda name: file.path.write_text(
        f'[gateway]\nstate = "memory:"\n{section.format(LOOPBACK, name, name)}[admin]\nendpoint = "{LOOPBACK}"\n')
    service = await file.start("one")
    await file.reload("two")
    client = await connect(service.port, Caller(Trust(pin=pin_of(two.certificate)), "127.0.0.1"))
    client.send(post("/", probe()))
    assert (await client.answer())[0].status == 200
    assert pin_of(client.transport.getHandle().get_peer_certificate(as_cryptography=True)) == pin_of(two.certificate)
    client.transport.abortConnection()
    await client.end()


@pytest_twisted.ensureDeferred
async def test_the_admin_site_over_tls(gateway, server, authority):
    from twisted.internet import reactor

    service = await gateway(None, admin={
        "endpoint": f"ssl:0:interface=127.0.0.1:certKey={server.pem}:privateKey={server.key}",
        "token": "0123456789abcdef"})
    root = trustRootFromCertificates([Certificate.loadPEM(authority.pem.read_bytes())])
    agent = Agent(reactor, BrowserLikePolicyForHTTPS(root))
    answer = await agent.request(b"GET", b"https://127.0.0.1:%d/healthz" % service.admin_port)
    assert (answer.code, await readBody(answer)) == (200, b"ok\n")


@pytest_twisted.ensureDeferred
async def test_a_hundred_handshakes_at_once(secured):
    service = await secured(plain=False)
    answers = await gatherResults([
        Deferred.fromCoroutine(ask(service.port, "/front-desk", GET, tls=service.tls)) for _ in range(100)])
    assert {head.status for head, _ in answers} == {200}
