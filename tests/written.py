"""One message of each kind that the virtual scanner (`SCANNER`) and the gateway (`GATEWAY`) write, made without a
network.
"""

from datetime import UTC, datetime

from twisted.internet.task import Clock

from tests.bridge.frontends.escl.offers import DEFAULT, FULL
from tests.messages import SCAN, envelope, get_job_elements, get_scanner_elements
from wsdgateway.bridge.frontends.escl.tickets import ticket_of
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import VERSIONS
from wsdgateway.discovery.writing import write_bye, write_hello, write_matches, write_probe, write_resolve
from wsdgateway.escl.scansettings import ScanRegion, ScanSettings
from wsdgateway.eventing import faults as eventfaults
from wsdgateway.eventing.filters import ACTION_FILTER
from wsdgateway.eventing.messages import PUSH, write_renew, write_subscribe, write_unsubscribe
from wsdgateway.eventing.source import (
    DELIVERY_FAILURE,
    SOURCE_CANCELING,
    write_lifetime_response,
    write_subscribe_response,
    write_subscription_end,
    write_unsubscribe_response,
)
from wsdgateway.metadata.messages import write_get
from wsdgateway.metadata.standin import make_metadata, stand_in
from wsdgateway.net.discovery.directed import MATCHING_RULE_NOT_SUPPORTED
from wsdgateway.scan.destinations import write_tokens
from wsdgateway.scan.documentparameters import DocumentParameters, write_scan_ticket
from wsdgateway.scan.jobelements import read_request, write_status_request
from wsdgateway.scan.jobs import CreatedJob, write_cancel, write_create, write_retrieve
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import SCANNER_STATUS_EVENTS
from wsdgateway.scan.scannerelements import write_elements_request
from wsdgateway.simulator.conditions import KINDS
from wsdgateway.simulator.description import metadata
from wsdgateway.simulator.device import VirtualDevice
from wsdgateway.simulator.events import Subscribers
from wsdgateway.simulator.settings import Settings
from wsdgateway.soap import faults as soapfaults
from wsdgateway.soap.addressing import ANONYMOUS, EndpointReference
from wsdgateway.soap.envelope import DoubledHeader, compose, read
from wsdgateway.soap.faults import write_fault
from wsdgateway.soap.namespaces import PNPX, WSCN, WSDP, WSE, WSX, WXF
from wsdgateway.soap.obligations import not_understood

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ID, THEIRS = "urn:uuid:mine", "urn:uuid:theirs"
MANAGER = EndpointReference("http://192.0.2.1/manager", ("<wse:Identifier>urn:uuid:s</wse:Identifier>",))
SERVICE = TargetService("urn:uuid:x", ((WSDP, "Device"), (WSCN, "ScanDeviceType"), ("urn:example:v", "Vendor")),
                        ("http://example.org/floor/3",), ("http://192.0.2.1:5357/x", "http://[2001:db8::1]/x"), 3)
SEQUENCE = Sequence(1763800000, 7)
S = f"{{{WSCN}}}"


def answer(operation, content):
    """Returns an answer of the virtual scanner with this content in its Body."""
    return compose(action=f"{SCAN}/{operation}Response", message_id=ID, to=ANONYMOUS, relates_to=THEIRS, body=content,
                   namespaces={"wscn": WSCN, "wsx": WSX, "wsdp": WSDP, "pnpx": PNPX})


def asked(operation, content):
    """Returns a request that the gateway sends on its own behalf."""
    return compose(action=f"{SCAN}/{operation}", message_id=ID, to="http://192.0.2.1/scan", body=content,
                   namespaces={"wscn": WSCN})


def event_message(name, body):
    return compose(action=f"{SCAN}/{name}", message_id=ID, to="http://192.0.2.1/sink", body=body,
                   namespaces={"wscn": WSCN})


class FakeSubscribers:
    """Replaces the subscribers of the virtual scanner, and keeps its event messages."""

    def __init__(self):
        self.events, self.held = [], {}

    def publish(self, event, body):
        self.events.append((event, event_message(event, body)))

    def forget(self):
        """Does nothing, since there are no subscriptions."""


def scanner_messages():
    """Returns one message of each kind that the virtual scanner writes, by name."""
    clock, subscribers = Clock(), FakeSubscribers()
    device = VirtualDevice(Settings(), subscribers, later=clock.callLater, wall=lambda: 1e9)
    device.feeder = 0
    for kind in ("jam", "lamp-error"):
        device.begin(KINDS[kind])
    device.clear(KINDS["lamp-error"])
    names = ("ScannerDescription", "ScannerConfiguration", "ScannerStatus", "DefaultScanTicket")
    found = {name: answer("GetScannerElements", device.operate(
        "GetScannerElements", read(get_scanner_elements(name)).body)) for name in names}
    device.feeder = 3
    device.clear()
    found |= {name: message for name, message in subscribers.events if name in SCANNER_STATUS_EVENTS}
    subscribers.events.clear()

    def do(operation, content=""):
        body = read(envelope("x", f"<wscn:{operation}Request>{content}</wscn:{operation}Request>")).body
        found[operation] = answer(operation, device.operate(operation, body))

    ticket = write_scan_ticket(DocumentParameters("jfif", "ADFDuplex", 0, "RGB24", 75, (1000, 500)), job_name="n",
                               user="u")
    do("ValidateScanTicket", ticket.replace("RGB24", "RGB48"))
    do("CreateScanJob", ticket)
    do("GetActiveJobs")
    for name in ("JobStatus", "ScanTicket", "Documents"):
        found[name] = answer("GetJobElements", device.operate(
            "GetJobElements", read(get_job_elements("1", names=(f"wscn:{name}",))).body))
    do("CancelJob", "<wscn:JobId>1</wscn:JobId>")
    do("GetJobHistory")
    found |= dict(subscribers.events)
    found["ScanAvailableEvent"] = event_message("ScanAvailableEvent", (
        "<wscn:ScanAvailableEvent><wscn:ClientContext>c</wscn:ClientContext><wscn:ScanIdentifier>i"
        "</wscn:ScanIdentifier><wscn:InputSource>Platen</wscn:InputSource></wscn:ScanAvailableEvent>"))
    found["Get"] = compose(
        action=f"{WXF}/GetResponse", message_id=ID, to=ANONYMOUS, relates_to=THEIRS,
        body=metadata(Settings(), "http://127.0.0.1:1"),
        namespaces={"wscn": WSCN, "wsx": WSX, "wsdp": WSDP, "pnpx": PNPX})
    listening = Subscribers(clock, mode="all", longest=60.0, wall=lambda: 1e9, new_id=lambda: "urn:uuid:s")
    subscribing = envelope("x", (
        "<wse:Subscribe><wse:Delivery><wse:NotifyTo><wsa:Address>http://192.0.2.1/</wsa:Address></wse:NotifyTo>"
        "</wse:Delivery><wscn:ScanDestinations><wscn:ScanDestination><wscn:ClientDisplayName>d"
        "</wscn:ClientDisplayName><wscn:ClientContext>c</wscn:ClientContext></wscn:ScanDestination>"
        "</wscn:ScanDestinations></wse:Subscribe>"))
    found["Subscribe"] = compose(
        action=f"{WSE}/SubscribeResponse", message_id=ID, to=ANONYMOUS, relates_to=THEIRS,
        namespaces={"wscn": WSCN, "wse": WSE},
        body=listening.subscribe(read(subscribing).body, "http://192.0.2.1/subscriptions"))
    return found


def table_answer():
    """Returns the gateway's answer to GetJobElements from its job table."""
    table = JobTable(max_age=30.0, poll_interval=1.0, history=10)
    answers = JobAnswers(table)
    request = read_request(read(get_job_elements("1")).body)
    table.answered(JobStatus("1", "Processing", ("JobScanning",), 2, "2026-11-22T10:00:00Z"), table.moment(), 0.0)
    return answers.write(request, relates_to=THEIRS, message_id=ID, now=0.0)


def gateway_messages():
    """Returns one message of each kind that the gateway itself writes, by name."""
    ticket = write_scan_ticket(DocumentParameters("jfif", "ADFDuplex", 0, "RGB24", 300, (8270, 11690)), job_name="n",
                               user="u")
    planned = ticket_of(ScanSettings(
        region=ScanRegion(10, 20, 2000, 3000), source="Feeder", duplex=True, content_type="Text", brightness=1500,
        compression=20, format="application/pdf"), FULL, DEFAULT, client="192.0.2.7")
    found = {
        "ask GetScannerElements": asked("GetScannerElements", write_elements_request("ScannerStatus")),
        "ask GetJobElements": asked("GetJobElements", write_status_request("1")),
        "ask CreateScanJob": asked("CreateScanJob", write_create(ticket)),
        "ask CreateScanJob for eSCL": asked("CreateScanJob", write_create(planned.tickets[0].text())),
        "ask RetrieveImage": asked("RetrieveImage", write_retrieve(CreatedJob("1", "t"), "1")),
        "ask CancelJob": asked("CancelJob", write_cancel("1")),
        "ask Get": write_get(to="urn:uuid:x", message_id=ID),
        "ask Subscribe": write_subscribe(
            to="http://192.0.2.1/scan", message_id=ID, notify_to="http://192.0.2.2/e", expires=3600.0,
            actions=(f"{SCAN}/JobStatusEvent", f"{SCAN}/JobEndStateEvent")),
        "ask Renew": write_renew(manager=MANAGER, message_id=ID, expires=3600.0),
        "ask Unsubscribe": write_unsubscribe(manager=MANAGER, message_id=ID),
        "GetStatusResponse": write_lifetime_response("GetStatus", expires=0.0004, absolute=False, now=NOW,
                                                     relates_to=THEIRS, message_id=ID),
        "RenewResponse": write_lifetime_response("Renew", expires=59.9, absolute=True, now=NOW, relates_to=THEIRS,
                                                 message_id=ID),
        "UnsubscribeResponse": write_unsubscribe_response(relates_to=THEIRS, message_id=ID),
        "SubscribeResponse": write_subscribe_response(
            manager="http://192.0.2.1/s", identifier="urn:uuid:s", expires=3600.0, absolute=False, now=NOW,
            relates_to=THEIRS, message_id=ID, extension=write_tokens([("c", "t")])),
        "Metadata": compose(action=f"{WXF}/GetResponse", message_id=ID, to=ANONYMOUS, relates_to=THEIRS, namespaces={},
                            body=make_metadata(endpoint="urn:uuid:x", name="n", info="", scan="http://192.0.2.1/s")),
        "Metadata of a stand-in": stood_in(),
        "GetJobElementsResponse": table_answer(),
        "Hello": write_hello(SERVICE, sequence=SEQUENCE, message_id=ID),
        "Bye": write_bye("urn:uuid:x", sequence=SEQUENCE, message_id=ID),
        "Probe": write_probe(SERVICE.types, message_id=ID),
        "Resolve": write_resolve("urn:uuid:x", message_id=ID),
    }
    for status in (DELIVERY_FAILURE, SOURCE_CANCELING):
        found[f"SubscriptionEnd {status}"] = write_subscription_end(
            to=EndpointReference("http://192.0.2.1/", ('<x:r xmlns:x="urn:example:x">1</x:r>',)), status=status,
            manager="http://192.0.2.2/s", identifier="urn:uuid:s", reason="over <here>", message_id=ID)
    for version in VERSIONS:
        for name, matches in (("ProbeMatches", [SERVICE, SERVICE]), ("ProbeMatches", []), ("ResolveMatches", [SERVICE]),
                              ("ResolveMatches", [])):
            found[f"{name} {version.uri} {len(matches)}"] = write_matches(
                name, matches, version=version, sequence=SEQUENCE, relates_to=THEIRS, message_id=ID)
    obliging = envelope("x", headers=(
        '<v:token xmlns:v="urn:example:v" soap:mustUnderstand="true">1</v:token><plain soap:mustUnderstand="1"/>'))
    for fault in (
            soapfaults.invalid_args("no"), soapfaults.action_missing(), soapfaults.action_not_supported("x"),
            soapfaults.temporary_error("later"), soapfaults.internal_error("<odd>"), not_understood(read(obliging)),
            soapfaults.unreadable("request", DoubledHeader("twice")), MATCHING_RULE_NOT_SUPPORTED,
            eventfaults.delivery_mode_unavailable(PUSH), eventfaults.filtering_unavailable(ACTION_FILTER),
            eventfaults.filter_action_not_supported(), eventfaults.invalid_expiration(),
            eventfaults.unsupported_expiration(), eventfaults.unable_to_renew("no"),
            eventfaults.unable_to_process("no"), eventfaults.invalid_message("no"),
            eventfaults.destination_unreachable("no")):
        found[f"Fault {fault.name}"] = write_fault(fault, relates_to=THEIRS, message_id=ID)
    return found


def stood_in():
    """Returns the virtual scanner's metadata as rewritten for the gateway's stand-in."""
    own = read(scanner_messages()["Get"]).body
    return compose(action=f"{WXF}/GetResponse", message_id=ID, to=ANONYMOUS, relates_to=THEIRS, namespaces={}, body=(
        stand_in(own, endpoint="urn:uuid:ours", scan="http://192.0.2.1/s", hosts=frozenset(("127.0.0.1",)))))


SCANNER, GATEWAY = scanner_messages(), gateway_messages()
