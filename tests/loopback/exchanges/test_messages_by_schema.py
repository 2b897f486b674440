"""Schema validation of every message that the virtual scanner or the gateway writes.

Messages are read as a client, a sink or a device receives them. `tests/test_schema.py` shows that the schema rejects
invalid messages.
"""

import re
from itertools import count

import pytest
import pytest_twisted

from tests.messages import SCAN, envelope, get_job_elements, get_scanner_elements, job_request, manage, subscribe
from tests.peers import ask
from tests.schema import checked
from tests.waiting import until
from wsdgateway.discovery.versions import VERSIONS
from wsdgateway.discovery.writing import write_probe, write_resolve
from wsdgateway.metadata.messages import write_get
from wsdgateway.mtom.multipart import boundary_of
from wsdgateway.scan.operations import EVENTS
from wsdgateway.scan.reading import attribute, tag
from wsdgateway.simulator.conditions import KINDS, STATES
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSE

ELEMENTS = ("ScannerDescription", "ScannerConfiguration", "ScannerStatus", "DefaultScanTicket")
SUBSCRIBED = f"{{{WSE}}}SubscribeResponse"


def ticket(source="Platen", *, format="jfif", color="RGB24", resolution=75, images=0, name="Letter", root="ScanTicket"):
    """Returns a ticket for a small page."""
    return (f"<wscn:{root}><wscn:JobDescription><wscn:JobName>{name}</wscn:JobName><wscn:JobOriginatingUserName>me"
            "</wscn:JobOriginatingUserName></wscn:JobDescription><wscn:DocumentParameters>"
            f"<wscn:Format>{format}</wscn:Format><wscn:ImagesToTransfer>{images}</wscn:ImagesToTransfer>"
            f"<wscn:InputSource>{source}</wscn:InputSource><wscn:MediaSides><wscn:MediaFront><wscn:ScanRegion>"
            "<wscn:ScanRegionWidth>1000</wscn:ScanRegionWidth><wscn:ScanRegionHeight>500</wscn:ScanRegionHeight>"
            f"</wscn:ScanRegion><wscn:ColorProcessing>{color}</wscn:ColorProcessing><wscn:Resolution><wscn:Width>"
            f"{resolution}</wscn:Width></wscn:Resolution></wscn:MediaFront></wscn:MediaSides>"
            f"</wscn:DocumentParameters></wscn:{root}>")


NUMBERS = count(1)


def request(operation, content):
    """Returns a request with a MessageID of its own, as an equal one would count as a repetition."""
    return envelope(f"{SCAN}/{operation}", f"<wscn:{operation}Request>{content}</wscn:{operation}Request>",
                    message_id=f"urn:uuid:schema-{next(NUMBERS)}")


def create(source="Platen", *, before="", **more):
    return request("CreateScanJob", before + ticket(source, **more))


def retrieve(job_id, token):
    return request("RetrieveImage", f"<wscn:JobId>{job_id}</wscn:JobId><wscn:JobToken>{token}</wscn:JobToken>"
                   "<wscn:DocumentDescription><wscn:DocumentName>1</wscn:DocumentName></wscn:DocumentDescription>")


class Client:
    """Client of a scan service, directly or through the gateway, that checks each answer."""

    def __init__(self, port, scan, device):
        self.port, self.paths = port, {"scan": scan, "device": device}

    async def ask(self, body, status=200, path="scan"):
        head, answer = await ask(self.port, self.paths.get(path, path), body)
        assert head.status == status, answer
        return checked(answer)

    async def create(self, source="Platen", **more):
        """Creates a job and returns its id and token."""
        body = (await self.ask(create(source, **more))).body
        return body.findtext(tag("JobId")), body.findtext(tag("JobToken"))

    async def retrieve(self, job):
        """Retrieves an image and returns the root part of the answer."""
        head, answer = await ask(self.port, self.paths["scan"], retrieve(*job))
        assert head.status == 200, answer
        boundary = boundary_of(dict(head.headers)[b"Content-Type"])
        return checked(answer.split(b"--" + boundary)[1].partition(b"\r\n\r\n")[2].rstrip(b"\r\n"))


@pytest.fixture(params=["straight", "gateway"])
def client(request, gateway, virtual):
    """Starts a client of the virtual scanner, directly or through a gateway: `await client(**settings)`."""

    async def start(**settings):
        scanner = await virtual(**settings)
        if request.param == "straight":
            port = int(scanner.base.rpartition(":")[2])
            made = Client(port, "/WDP/SCAN", f"/{scanner.settings.uuid}")
        else:
            service = await gateway(None, scanner={"device": scanner.device_url})
            await until(lambda: service.scanner.bridge.table.listening or (
                settings.get("events") == "none" and scanner.soap.asked["Subscribe"]))
            made = Client(service.port, "/front-desk/scan", "/front-desk")
        made.scanner = scanner
        return made

    return start


def names_in(envelope):
    """Returns Name and Valid of each ElementData."""
    return [(data.get("Name"), attribute(data, "Valid")) for data in envelope.body.iter(tag("ElementData"))]


@pytest.mark.parametrize("settings", [
    {}, {"feeder_pages": 0}, {"refill": False, "feeder_pages": 1}, {"events": "jobs"}, {"events": "none"},
    {"chunked": False}, {"name": "Ünï <&> \"x\" " + "n" * 100}, {"scopes": ("http://example.org/floor/3",)},
    {"metadata_version": 7}])
@pytest_twisted.ensureDeferred
async def test_the_elements_of_the_scanner(client, settings):
    made = await client(**settings)
    for wanted in (*((name,) for name in ELEMENTS), ELEMENTS):
        message = names_in(await made.ask(get_scanner_elements(*wanted)))
        assert message == [(f"wscn:{name}", "true") for name in wanted]


CONDITIONS = {**{name: kind.reason for name, kind in KINDS.items() if kind.component},
              "feeder?pages=0": "InputTrayEmpty"}


@pytest.mark.parametrize("trouble", [
    (), ("feeder?pages=0",), *((name,) for name in KINDS), ("jam", "cover", "feeder?pages=0"), ("jam", "clear")])
@pytest_twisted.ensureDeferred
async def test_the_status_in_every_condition(client, trouble):
    made = await client()
    port = int(made.scanner.base.rpartition(":")[2])
    for deed in trouble:
        assert (await ask(port, f"/control/{deed}", b""))[0].status == 200
    status = (await made.ask(get_scanner_elements("ScannerStatus"))).body
    conditions = {element.findtext(tag("Name")) for element in status.iter(tag("DeviceCondition"))}
    active = () if "clear" in trouble else trouble
    assert conditions == {CONDITIONS[deed] for deed in active if deed in CONDITIONS}
    history = [element.findtext(tag("Name")) for element in status.iter(tag("ConditionHistoryEntry"))]
    assert history == (["MediaJam"] if "clear" in trouble else [])
    state = max([KINDS[deed].state for deed in active if deed in KINDS], key=STATES.index, default="Idle")
    assert status.findtext(f".//{tag('ScannerState')}") == state
    if state != "Idle":
        assert fault_of(await made.ask(create(), 500)) == "ServerErrorNotAcceptingJobs"


@pytest_twisted.ensureDeferred
async def test_a_repeated_condition_has_a_new_id(virtual):
    scanner = await virtual()
    ids = []
    for _ in range(2):
        scanner.device.jam()
        head, answer = await ask(int(scanner.base.rpartition(":")[2]), "/WDP/SCAN",
                                 get_scanner_elements("ScannerStatus"))
        ids += [element.get("Id") for element in checked(answer).body.iter(tag("DeviceCondition"))]
        scanner.device.clear()
    assert (head.status, ids) == (200, ["1", "2"])


@pytest_twisted.ensureDeferred
async def test_unknown_elements_are_marked_invalid(client):
    made = await client()
    names = ("wscn:VendorSection", "ScannerStatus", "v:Section")
    raw = get_scanner_elements(*names).replace(b"<wscn:RequestedElements>",
                                               b'<wscn:RequestedElements xmlns:v="urn:example:v">')
    answer = await made.ask(raw)
    assert names_in(answer) == [("wscn:VendorSection", "false"), ("wscn:ScannerStatus", "true"), ("v:Section", "false")]
    job_id, _ = await made.create()
    answer = await made.ask(get_job_elements(job_id, names=("wscn:JobStatus", "wscn:VendorSection")))
    assert names_in(answer) == [("wscn:JobStatus", "true"), ("wscn:VendorSection", "false")]
    assert names_in(await made.ask(get_scanner_elements())) == [(f"wscn:{name}", "true") for name in ELEMENTS]
    for wrong in (("v:Section",), ("wscn:a b",), ("wscn:a",) * 17):  # not declared, not a name, too many
        assert fault_of(await made.ask(get_scanner_elements(*wrong), 400)) == "InvalidArgs"
    made.scanner.device.stop()


@pytest.mark.parametrize("source", ["Platen", "ADF", "ADFDuplex"])
@pytest.mark.parametrize(("format", "color"), [("jfif", "RGB24"), ("exif", "Grayscale8"), ("png", "BlackAndWhite1")])
@pytest_twisted.ensureDeferred
async def test_a_whole_job(client, source, format, color):
    made = await client(feeder_pages=1)
    valid = await made.ask(request("ValidateScanTicket", ticket(source, format=format, color=color)))
    assert valid.body.findtext(f".//{tag('ValidTicket')}") == "true"
    job = await made.create(source, format=format, color=color)
    every = ("wscn:JobStatus", "wscn:ScanTicket", "wscn:Documents")
    lists = {name: request(f"Get{name}", "") for name in ("ActiveJobs", "JobHistory")}
    for names in (*((name,) for name in every), every):
        await made.ask(get_job_elements(job[0], names=names))
    assert len((await made.ask(lists["ActiveJobs"])).body[0]) == 1
    for _ in range(2 if source == "ADFDuplex" else 1):
        await made.retrieve(job)
        await made.ask(get_job_elements(job[0], names=every))
    assert fault_of(await made.ask(retrieve(*job), 400)) == "ClientErrorNoImagesAvailable"
    assert not len((await made.ask(lists["ActiveJobs"])).body[0])
    assert len((await made.ask(lists["JobHistory"])).body[0]) == 1
    job = await made.create(source)
    await made.ask(job_request("CancelJob", job[0]))
    assert len((await made.ask(lists["JobHistory"])).body[0]) == 2
    await made.ask(get_job_elements(job[0], names=every))


@pytest_twisted.ensureDeferred
async def test_the_ticket_of_a_job_is_valid_for_any_ticket_of_the_client(client):
    """The client's ticket has another order of parts, a name that is too long, and values that the scanner ignores."""
    made = await client()
    odd = ("<wscn:ScanTicket><wscn:DocumentParameters><wscn:Rotation>45</wscn:Rotation><wscn:Exposure>"
           "<wscn:AutoExposure>false</wscn:AutoExposure><wscn:ExposureSettings/></wscn:Exposure><wscn:Format>png"
           "</wscn:Format></wscn:DocumentParameters><wscn:JobDescription><wscn:JobName>" + "n" * 300
           + "</wscn:JobName></wscn:JobDescription></wscn:ScanTicket>")
    job = (await made.ask(request("CreateScanJob", odd))).body.findtext(tag("JobId"))
    message = await made.ask(get_job_elements(job, names=("wscn:ScanTicket", "wscn:Documents")))
    assert message.body.findtext(f".//{tag('Format')}") == "png"
    assert message.body.findtext(f".//{tag('JobName')}") == "n" * 255
    made.scanner.device.stop()


@pytest.mark.parametrize(("wrong", "right"), [
    ({"format": "xps"}, ("jfif", "RGB24", "75")), ({"color": "RGB48"}, ("jfif", "RGB24", "75")),
    ({"resolution": 350}, ("jfif", "RGB24", "300")), ({"source": "Film"}, ("jfif", "RGB24", "75"))])
@pytest_twisted.ensureDeferred
async def test_an_invalid_ticket_is_answered_with_a_valid_one(client, wrong, right):
    made = await client()
    message = (await made.ask(request("ValidateScanTicket", ticket(**wrong)))).body
    assert message.findtext(f".//{tag('ValidTicket')}") == "false"
    instead = next(message.iter(tag("ValidScanTicket")))
    assert tuple(instead.findtext(f".//{tag(name)}") for name in ("Format", "ColorProcessing", "Width")) == (
        right[0], right[1], "1000")  # the first Width is that of the media
    assert instead.findtext(f".//{tag('Resolution')}/{tag('Width')}") == right[2]
    again = await made.ask(request("ValidateScanTicket", f"<wscn:ScanTicket>{inside(instead)}</wscn:ScanTicket>"))
    assert again.body.findtext(f".//{tag('ValidTicket')}") == "true"


def inside(element):
    """Returns the content of an element as text with the prefixes of the messages."""
    from lxml import etree

    return "".join(etree.tostring(child, encoding="unicode") for child in element)


@pytest.mark.parametrize(("body", "status", "code"), [
    (b"<a/>", 400, "InvalidArgs"), (b"<", 400, "InvalidArgs"),
    (envelope(None, "<wscn:GetActiveJobsRequest/>"), 400, "MessageInformationHeaderRequired"),
    (get_job_elements("99"), 400, "ClientErrorJobIdNotFound"),
    (job_request("CancelJob", "99"), 400, "ClientErrorJobIdNotFound"),
    (retrieve("99", "x"), 400, "ClientErrorJobIdNotFound"),
    (create(format="xps"), 400, "ClientErrorFormatNotSupported"), (create("Attic"), 400, "InvalidArgs"),
    (create(before="<wscn:DestinationToken>x</wscn:DestinationToken>"), 400, "ClientErrorInvalidDestinationToken"),
    (create(before="<wscn:ScanIdentifier>x</wscn:ScanIdentifier>"), 400, "ClientErrorInvalidScanIdentifier"),
    (envelope("urn:example:odd", "<wscn:GetActiveJobsRequest/>"), 400, "ActionNotSupported"),
    (envelope(f"{SCAN}/Vendor", "<wscn:VendorRequest/>"), 400, "ActionNotSupported"),
    (manage("Renew", "urn:uuid:none"), 400, "InvalidMessage"), (manage("GetStatus", "urn:uuid:none"), 400,
                                                                "InvalidMessage"),
    (manage("Unsubscribe", "urn:uuid:none"), 400, "InvalidMessage"),
    (subscribe("http://127.0.0.1:1/", events=["NoSuchEvent"]), 400, "FilterActionNotSupported"),
    (subscribe("http://127.0.0.1:1/", expires="-PT1S"), 400, "InvalidExpirationTime")])
@pytest_twisted.ensureDeferred
async def test_faults(client, body, status, code):
    made = await client()
    assert fault_of(await made.ask(body, status)) == code


@pytest_twisted.ensureDeferred
async def test_the_faults_of_a_job(client):
    made = await client()
    job_id, _token = await made.create()
    assert fault_of(await made.ask(retrieve(job_id, "wrong"), 400)) == "ClientErrorInvalidJobToken"
    assert fault_of(await made.ask(create(), 500)) == "ServerErrorNotAcceptingJobs"
    await made.ask(job_request("CancelJob", job_id))
    assert fault_of(await made.ask(create("ADF", before=""), 200)) is None
    made.scanner.device.stop()
    made.scanner.device.feeder = 0
    assert fault_of(await made.ask(create("ADF"), 400)) == "ClientErrorNoImagesAvailable"


@pytest_twisted.ensureDeferred
async def test_a_job_that_is_cancelled_while_its_page_is_scanned(client):
    made = await client(page_seconds=30.0)  # the cancellation ends it
    job = await made.create()
    from twisted.internet.defer import ensureDeferred

    scanning = ensureDeferred(made.ask(retrieve(*job), 400))
    await until(lambda: any(one.busy for one in made.scanner.device.jobs.active()))
    await made.ask(job_request("CancelJob", job[0]))
    assert fault_of(await scanning) == "ClientErrorJobCancelled"


@pytest.mark.parametrize("expires", ["PT1H", "2099-01-01T00:00:00Z", None])
@pytest_twisted.ensureDeferred
async def test_subscriptions_and_events(client, sink, expires):
    made, listener = await client(feeder_pages=2), await sink()
    answer = await made.ask(subscribe(
        listener.url, events=EVENTS, expires=expires, destinations=[("A", "Desk A"), ("B", "Desk B")]))
    assert answer.body.tag == SUBSCRIBED
    assert len(list(answer.body.iter(tag("DestinationResponse")))) == 2
    manager = answer.body.findtext(f".//{{{WSE}}}Identifier")
    path = re.sub("http://[^/]+", "", answer.body.findtext(".//{*}SubscriptionManager/{*}Address"))
    for action in ("Renew", "GetStatus"):
        await made.ask(manage(action, manager), path=path)
    job = await made.create("ADF")
    for _ in range(2):
        await made.retrieve(job)
    await made.create()
    made.scanner.device.jam()
    made.scanner.device.clear()
    job_id, _ = await made.create()
    await made.ask(job_request("CancelJob", job_id))
    assert made.scanner.device.press("B") == 1
    await until(lambda: "ScanAvailableEvent" in listener.events and listener.events.count("JobEndStateEvent") == 3)
    assert set(listener.events) == set(EVENTS) - {"ScannerElementsChangeEvent"}
    for asked in listener.device.requests:
        checked(asked.request.body)
    await made.ask(manage("Unsubscribe", manager), path=path)


@pytest_twisted.ensureDeferred
async def test_metadata_and_directed_discovery(client):
    made = await client(scopes=("http://example.org/floor/3",))
    await made.ask(write_get(to="urn:uuid:x", message_id="urn:uuid:1"), path="device")
    probe = write_probe((), message_id="urn:uuid:1")
    matches = await made.ask(probe, path="device")
    assert len(matches.body) == 1
    endpoint = matches.body.findtext(".//{*}Address")
    for known in (endpoint, "urn:uuid:00000000-0000-4000-8000-00000000ffff"):
        resolved = await made.ask(write_resolve(known, message_id="urn:uuid:1"), path="device")
        assert len(resolved.body) == (known == endpoint)
    for version in VERSIONS:
        if version.addressing != VERSIONS[0].addressing and made.port == int(made.scanner.base.rpartition(":")[2]):
            continue  # the virtual scanner supports only WS-Addressing 2004/08
        raw = probe.replace(VERSIONS[0].uri.encode(), version.uri.encode()).replace(
            VERSIONS[0].addressing.encode(), version.addressing.encode())
        head, answer = await ask(made.port, made.paths["device"], raw)
        assert head.status == 200
        checked(answer)


@pytest_twisted.ensureDeferred
async def test_metadata_that_the_gateway_writes(gateway, virtual):
    """For a scanner with a scan address only, the gateway writes the metadata from the ScannerDescription."""
    scanner = await virtual(name="Ünï <&>")
    service = await gateway(scanner.scan_url)
    made = Client(service.port, "/front-desk/scan", "/front-desk")
    message = await made.ask(write_get(to="urn:uuid:x", message_id="urn:uuid:1"), path="device")
    assert message.body.findtext(".//{*}FriendlyName").startswith("Ünï <&>")
