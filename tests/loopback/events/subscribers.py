"""Clients that subscribe, register names on the panel, and fetch a scan started there."""

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
    """Subscribes as a client and returns the grant."""
    return Granted(*await ask(service.port, path, subscribe(*arguments, **more)))


async def refused(service, message, path=PATH):
    """Sends a message that must be refused, and returns the name of the fault."""
    head, body = await ask(service.port, path, message)
    assert head.status >= 400
    return fault_of(read(body))


async def notify(service, message):
    """Sends a notification to the gateway as its scanner does."""
    path = "/front-desk/events/" + service.scanner.subscriptions.own.secret
    head, _ = await ask(service.port, path, message)
    assert head.status == 202


async def push_scan(service, token, identifier):
    """Fetches a scan after the button was pressed: CreateScanJob, then RetrieveImage."""
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
    """Returns ClientContext and ScanIdentifier of the last ScanAvailableEvent."""
    event = listener.received[-1].body
    assert event.tag == f"{S}ScanAvailableEvent"
    return event.findtext(f"{S}ClientContext"), event.findtext(f"{S}ScanIdentifier")
