"""Clients that subscribe, register names on the panel and fetch a scan from there."""

from tests.loopback.clients import Granted
from tests.messages import create_scan_job, job_request, subscribe
from tests.peers import ask
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSA, WSCN, WSE

PATH = "/front-desk/scan"
PANEL = {"events": ["ScanAvailableEvent"], "destinations": [("ctx", "Scan to me")]}
W, S, A = f"{{{WSE}}}", f"{{{WSCN}}}", f"{{{WSA}}}"


async def subscribed(service, *arguments, path=PATH, **more):
    """Subscribe as a client; what the gateway has granted."""
    return Granted(*await ask(service.port, path, subscribe(*arguments, **more)))


async def refused(service, message, path=PATH):
    """Send a message that is refused; the fault's name."""
    head, body = await ask(service.port, path, message)
    assert head.status >= 400
    return fault_of(read(body))


async def notify(service, message):
    """Send a notification to the gateway as its device would."""
    path = "/front-desk/events/" + service.scanner.subscription.secret
    head, _ = await ask(service.port, path, message)
    assert head.status == 202


async def push_scan(service, token, identifier):
    """What a client does after the button: CreateScanJob, then the image."""
    request = create_scan_job(f"urn:uuid:push-{identifier}").replace(
        b"<wscn:ScanTicket>", f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier><wscn:DestinationToken>"
        f" {token} </wscn:DestinationToken><wscn:ScanTicket>".encode())
    head, body = await ask(service.port, PATH, request)
    assert head.status == 200, body
    job = read_created(read(body).body)
    head, body = await ask(service.port, PATH, job_request("RetrieveImage", job.job_id).replace(
        b"</wscn:JobId>", f"</wscn:JobId><wscn:JobToken>{job.job_token}</wscn:JobToken>".encode()))
    assert head.status == 200
    assert b"\xff\xd8\xff" in body


def pressed(listener):
    """ClientContext and ScanIdentifier of the last ScanAvailableEvent."""
    event = listener.received[-1].body
    assert event.tag == f"{S}ScanAvailableEvent"
    return event.findtext(f"{S}ClientContext"), event.findtext(f"{S}ScanIdentifier")
