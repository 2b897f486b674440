"""Outages of a scanner: cached answers from before are not given before the scanner has been asked again."""

from ipaddress import ip_interface

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.loopback.gateways import sample
from tests.messages import (
    GET,
    envelope,
    get_job_elements,
    get_scanner_elements,
    job_request,
    scanner_elements,
    status_response,
)
from tests.peers import Device, ask, connect, post
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.writing import write_bye, write_hello
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.net.transport.interfaces import Interface
from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSDP, WSX, WXF

UUID = "urn:uuid:4509a320-00a0-008f-00b6-002507510eca"
SCAN = "/front-desk/scan"
ELEMENTS = get_scanner_elements("ScannerConfiguration")
LONG = {"poll_interval": 600.0, "elements": 600.0, "max_age": 600.0}


class Scanner(Device):
    """Scanner whose configuration is `note`; it answers other requests with `job`, or fails as `fails` says."""

    def __init__(self):
        super().__init__()
        self.note, self.job, self.fails = "before", status_response("1", "Processing"), None
        self.handle = self.take
        self.elements = self.gets = 0

    @property
    def device_url(self):
        return f"http://127.0.0.1:{self.port}/{UUID[9:]}"

    def take(self, asked):
        action = read(asked.request.body).action.rpartition("/")[2]
        if self.fails is not None:
            self.fails(asked)
        elif action == "Get":
            self.gets += 1
            asked.answer(envelope(f"{WXF}/GetResponse", (
                f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:ThisDevice><d:FriendlyName>{self.note}'
                "</d:FriendlyName></d:ThisDevice><d:Relationship><d:Host><wsa:EndpointReference><wsa:Address>"
                f"{UUID}</wsa:Address></wsa:EndpointReference></d:Host><d:Hosted><wsa:EndpointReference><wsa:Address>"
                f"{self.url}</wsa:Address></wsa:EndpointReference><d:Types>wscn:ScannerServiceType</d:Types></d:Hosted>"
                "</d:Relationship></m:Metadata>")))
        elif action == "GetScannerElements":
            self.elements += 1
            asked.answer(scanner_elements("ScannerConfiguration", note=self.note))
        else:
            asked.answer(self.job)


@pytest.fixture
def scanners():
    """Starts scanners: `await scanners()`."""
    started = []

    async def start(port=0):
        made = Scanner()
        started.append(made)
        await made.start(port)
        return made

    yield start
    for made in started:
        pytest_twisted.blockon(ensureDeferred(made.stop()))


async def configuration(service):
    """Returns the status of a client's request, and the configuration in the answer."""
    head, body = await ask(service.port, SCAN, ELEMENTS)
    found = next((note for note in ("before", "after") if f">{note}<".encode() in body), None)
    return head.status, found


async def check_that_elements_are_cached(service, scanner):
    """Checks that clients get the scanner's elements from the cache."""
    assert await configuration(service) == (200, "before")
    asked = scanner.elements
    assert await configuration(service) == (200, "before")
    assert scanner.elements == asked


@pytest.mark.parametrize("outage", ["refused connections", "no answers", "incomplete answers", "invalid answers"])
@pytest_twisted.ensureDeferred
async def test_after_a_noticed_outage_the_scanner_is_asked_again(gateway, scanners, outage):
    scanner = await scanners()
    service = await gateway(scanner.url, scanner={"events": "off", "timeout": 1.0}, cache=LONG)
    await check_that_elements_are_cached(service, scanner)
    if outage == "refused connections":
        await scanner.stop()
    else:
        scanner.fails = {"no answers": lambda asked: None, "incomplete answers": lambda asked: asked.abort(),
                         "invalid answers": lambda asked: asked.write(b"what?\r\n\r\n")}[outage]
    head, _ = await ask(service.port, SCAN, get_job_elements("7"))  # makes the gateway notice the outage
    assert head.status == 500
    status, answered = await configuration(service)
    assert (status, answered) == (500, None)  # the scanner cannot be asked
    scanner.note, scanner.fails = "after", None
    if outage == "refused connections":
        await scanner.start(scanner.port)
    for _ in range(3):
        assert await configuration(service) == (200, "after")
    assert scanner.elements == 2  # and the answer is cached again


@pytest_twisted.ensureDeferred
async def test_the_gateways_own_requests_notice_an_outage(gateway, scanners):
    scanner = await scanners()
    service = await gateway(None, scanner={"device": scanner.device_url, "events": "off"}, cache=LONG)
    await until(lambda: service.scanner.bridge.device)
    await check_that_elements_are_cached(service, scanner)
    await scanner.stop()
    service.scanner.stand_in.metadata.check()
    await until(lambda: service.scanner.monitor.reachable is False)
    scanner.note = "after"
    await scanner.start(scanner.port)
    assert await configuration(service) == (200, "after")


@pytest_twisted.ensureDeferred
async def test_metadata_is_requested_again_after_an_outage(gateway, scanners):
    from twisted.internet import reactor

    scanner = await scanners()
    service = await gateway(None, scanner={"device": scanner.device_url, "events": "off"}, cache=LONG)
    await until(lambda: service.scanner.bridge.device)
    for _ in range(2):
        _, body = await ask(service.port, "/front-desk", GET)
        assert b">before<" in body
    await scanner.stop()
    for _ in range(2):
        head, body = await ask(service.port, SCAN, ELEMENTS)
        assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError")
    head, body = await ask(service.port, "/front-desk", GET)
    assert (head.status, fault_of(read(body))) == (500, "ServerErrorTemporaryError")
    scanner.note = "after"
    await scanner.start(scanner.port)
    asked = scanner.gets
    for _ in range(100):  # after so many failures the scanner is not tried at once
        head, body = await ask(service.port, "/front-desk", GET)
        if head.status == 200:
            break
        await deferLater(reactor, 0.02)
    for _ in range(3):
        assert b">after<" in body
        head, body = await ask(service.port, "/front-desk", GET)
    assert scanner.gets <= asked + 2  # once more because it has come back in the meantime


@pytest.mark.parametrize("happens", ["Bye", "another address", "Bye in another spelling", "Hello"])
@pytest_twisted.ensureDeferred
async def test_after_a_bye_a_move_or_a_hello_the_scanner_is_asked_again(gateway, scanners, happens):
    from twisted.internet import reactor

    link = Link(reactor, Interface("lo", 1, (ip_interface("127.0.0.1/8"),)), 4, has_own_port=False,
                on_datagram=lambda *said: None)
    scanner = await scanners()
    service = await gateway(None, scanner={"uuid": UUID, "events": "off"}, cache=LONG, discovery={
        "device_interfaces": ["lo"], "search": 60})

    def hello(number, url):
        link.announce(write_hello(TargetService(UUID, (), (), (url,), 1), sequence=Sequence(1, number),
                                  message_id=f"urn:uuid:test-{number}"))

    try:
        hello(1, scanner.device_url)
        await until(lambda: service.scanner.bridge.device)
        await check_that_elements_are_cached(service, scanner)
        if happens == "another address":
            await scanner.stop()
            scanner = await scanners()
            scanner.note = "after"
            hello(2, scanner.device_url)
            service.scanner.stand_in.metadata.check()
            await until(lambda: service.scanner.bridge.device == scanner.url)
        elif happens == "Hello":  # switched off and on, with the same InstanceId again
            scanner.note = "after"
            sightings = service.discovery.client.sightings
            hello(2, scanner.device_url)
            await until(lambda: sightings.get(UUID).sequence.message_number == 2)
        else:
            scanner.note = "after"
            link.announce(write_bye(UUID.removeprefix("urn:") if "spelling" in happens else UUID,
                                    sequence=Sequence(1, 2), message_id="urn:uuid:test-2"))
            await until(lambda: service.scanner.monitor.reachable is False)
        assert await configuration(service) == (200, "after")
    finally:
        await link.close()


@pytest_twisted.ensureDeferred
async def test_a_client_that_disconnects_is_not_an_outage(gateway, scanners, monkeypatch):
    monkeypatch.setattr("wsdgateway.net.scanners.keepalive.IDLE_SECONDS", 0.5)
    scanner = await scanners()
    service = await gateway(scanner.url, scanner={"events": "off"}, cache=LONG)
    await check_that_elements_are_cached(service, scanner)
    scanner.handle = lambda asked: None
    client = await connect(service.port)
    client.send(post(SCAN, job_request("RetrieveImage", "1")))
    await until(lambda: len(scanner.requests) == 2)
    client.transport.abortConnection()
    await until(lambda: not scanner.factory.open)
    assert await configuration(service) == (200, "before")
    assert scanner.elements == 1


@pytest_twisted.ensureDeferred
async def test_the_first_answer_after_an_outage_is_cached(gateway, scanners):
    """The job is read only once: the recovery is known before the request is sent."""
    scanner = await scanners()
    service = await gateway(scanner.url, scanner={"events": "off"}, cache={"poll_interval": 0.1})
    assert (await ask(service.port, SCAN, get_job_elements("1")))[0].status == 200
    service.scanner.bridge.rebooted()  # so that the scanner has to be asked
    await scanner.stop()
    while service.scanner.device.reachable is not False:
        await ask(service.port, SCAN, get_scanner_elements("ScannerDescription"))
    for _ in range(3):
        await ask(service.port, SCAN, get_scanner_elements("ScannerDescription"))
    await scanner.start(scanner.port)
    asked = len(scanner.requests)
    for _ in range(500):
        head, _ = await ask(service.port, SCAN, get_job_elements("1"))
        if head.status == 200:
            break
        from twisted.internet import reactor

        await deferLater(reactor, 0.02)
    assert head.status == 200
    assert [one for one in scanner.requests[asked:] if b"GetJobElements" in one.request.body][1:] == []


@pytest_twisted.ensureDeferred
async def test_requests_to_a_scanner_that_is_off_count_as_errors(gateway):
    port = free_port()
    service = await gateway(f"http://127.0.0.1:{port}/scan", scanner={"events": "off"})
    for number in range(5):  # the last of them are not tried, because the scanner is known not to be there
        head, answer = await ask(service.port, SCAN, job_request("CancelJob", str(number)))
        assert (head.status, fault_of(read(answer))) == (500, "ServerErrorTemporaryError")
    assert sample(service, "wsdgateway_device_requests_total", operation="CancelJob", outcome="error") == 5
    with pytest.raises(Unavailable):
        await service.scanner.requests.send(f"http://127.0.0.1:{port}/scan", GET_SCANNER_ELEMENTS, ELEMENTS)
    assert sample(service, "wsdgateway_device_requests_total", operation="GetScannerElements", outcome="error") == 1
