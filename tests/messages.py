"""Messages for tests, handwritten according to the specifications."""

from wsdgateway.soap.namespaces import SOAP, WSA, WSCN, WSD, WSDP, WSE, WXF

SCAN = "http://schemas.microsoft.com/windows/2006/08/wdp/scan"
GATEWAY = "http://gateway.test:5357/front-desk/scan"


def envelope(action, body="", *, message_id="urn:uuid:00000000-0000-4000-8000-000000000001", relates_to=None,
             to=GATEWAY, headers="", prolog='<?xml version="1.0" encoding="utf-8"?>'):
    """Returns a SOAP message; a header that is None is left out."""
    action = f"<wsa:Action>{action}</wsa:Action>" if action is not None else ""
    message_id = f"<wsa:MessageID>{message_id}</wsa:MessageID>" if message_id is not None else ""
    relates = f"<wsa:RelatesTo>{relates_to}</wsa:RelatesTo>" if relates_to else ""
    to = f"<wsa:To>{to}</wsa:To>" if to is not None else ""
    return (f'{prolog}<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}" xmlns:wscn="{WSCN}" xmlns:wse="{WSE}">'
            f"<soap:Header>{to}{action}{message_id}{relates}{headers}</soap:Header><soap:Body>{body}</soap:Body>"
            "</soap:Envelope>").encode()


GET = envelope(f"{WXF}/Get")
PROBE = envelope(f"{WSD}/Probe", f'<wsd:Probe xmlns:wsd="{WSD}"/>')
ELEMENTS = envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>")


def get_job_elements(job_id="1", names=("wscn:JobStatus",), **more):
    """Returns a GetJobElements request."""
    wanted = "".join(f"<wscn:Name>{name}</wscn:Name>" for name in names)
    return envelope(f"{SCAN}/GetJobElements", (
        f"<wscn:GetJobElementsRequest><wscn:JobId>{job_id}</wscn:JobId><wscn:RequestedElements>{wanted}"
        "</wscn:RequestedElements></wscn:GetJobElementsRequest>"), **more)


def job_status(job_id="1", state="Processing", scans=0, created=None, completed=None, reasons=("None",)):
    """Returns a JobStatus element."""
    created = f"<wscn:JobCreatedTime>{created}</wscn:JobCreatedTime>" if created else ""
    completed = f"<wscn:JobCompletedTime>{completed}</wscn:JobCompletedTime>" if completed else ""
    scans = f"<wscn:ScansCompleted>{scans}</wscn:ScansCompleted>" if scans is not None else ""
    listed = "".join(f"<wscn:JobStateReason>{reason}</wscn:JobStateReason>" for reason in reasons)
    return (f"<wscn:JobStatus><wscn:JobId>{job_id}</wscn:JobId><wscn:JobState>{state}</wscn:JobState>"
            f"<wscn:JobStateReasons>{listed}</wscn:JobStateReasons>{scans}{created}{completed}</wscn:JobStatus>")


def job_elements(*elements, relates_to="urn:uuid:1", prefix=""):
    """Returns a GetJobElementsResponse; each element is (name, XML)."""
    data = "".join(f'<wscn:ElementData {prefix}Name="wscn:{name}" {prefix}Valid="true">{xml}</wscn:ElementData>'
                   for name, xml in elements)
    return envelope(f"{SCAN}/GetJobElementsResponse", (
        f"<wscn:GetJobElementsResponse><wscn:JobElements>{data}</wscn:JobElements></wscn:GetJobElementsResponse>"),
        relates_to=relates_to, message_id="urn:uuid:device-1")


def status_response(job_id="1", state="Processing", scans=0, **more):
    """Returns a GetJobElementsResponse that contains only JobStatus."""
    return job_elements(("JobStatus", job_status(job_id, state, scans, **more)))


def status_event(job_id="1", state="Processing", scans=0, *, message_id="urn:uuid:event-1", **more):
    """Returns a JobStatusEvent notification."""
    return envelope(f"{SCAN}/JobStatusEvent",
                    f"<wscn:JobStatusEvent>{job_status(job_id, state, scans, **more)}</wscn:JobStatusEvent>",
                    message_id=message_id)


def end_event(job_id="1", state="Completed", scans=1, *, message_id="urn:uuid:event-2"):
    """Returns a JobEndStateEvent notification."""
    return envelope(f"{SCAN}/JobEndStateEvent", (
        f"<wscn:JobEndStateEvent><wscn:JobEndState><wscn:JobId>{job_id}</wscn:JobId>"
        f"<wscn:JobCompletedState>{state}</wscn:JobCompletedState><wscn:JobCompletedStateReasons>"
        "<wscn:JobStateReason>None</wscn:JobStateReason></wscn:JobCompletedStateReasons>"
        f"<wscn:JobName>Letter</wscn:JobName><wscn:ScansCompleted>{scans}</wscn:ScansCompleted>"
        "<wscn:JobCompletedTime>2026-11-22T10:00:09Z</wscn:JobCompletedTime></wscn:JobEndState>"
        "</wscn:JobEndStateEvent>"), message_id=message_id)


def create_scan_job(message_id="urn:uuid:create-1", to="http://gateway.test:5357/front-desk/scan"):
    """Returns a CreateScanJob request."""
    return envelope(f"{SCAN}/CreateScanJob", (
        "<wscn:CreateScanJobRequest><wscn:ScanTicket><wscn:JobDescription><wscn:JobName>Letter</wscn:JobName>"
        "</wscn:JobDescription><wscn:DocumentParameters><wscn:InputSource>Platen</wscn:InputSource>"
        "</wscn:DocumentParameters></wscn:ScanTicket></wscn:CreateScanJobRequest>"), message_id=message_id, to=to)


def created_job(job_id="1", token="abc"):
    """Returns a CreateScanJobResponse."""
    return envelope(f"{SCAN}/CreateScanJobResponse", (
        f"<wscn:CreateScanJobResponse><wscn:JobId>{job_id}</wscn:JobId><wscn:JobToken>{token}</wscn:JobToken>"
        "</wscn:CreateScanJobResponse>"))


def job_request(operation, job_id="1", **more):
    """Returns a request that contains a JobId, such as CancelJob or RetrieveImage."""
    return envelope(f"{SCAN}/{operation}", (
        f"<wscn:{operation}Request><wscn:JobId>{job_id}</wscn:JobId></wscn:{operation}Request>"), **more)


def listing(operation, listed, *jobs):
    """Returns an answer to GetActiveJobs or GetJobHistory; each job is (id, state, scans)."""
    found = "".join(
        f"<wscn:JobSummary><wscn:JobId>{job_id}</wscn:JobId><wscn:JobName>n</wscn:JobName>"
        f"<wscn:JobOriginatingUserName>u</wscn:JobOriginatingUserName><wscn:JobState>{state}</wscn:JobState>"
        f"<wscn:JobStateReasons/><wscn:ScansCompleted>{scans}</wscn:ScansCompleted></wscn:JobSummary>"
        for job_id, state, scans in jobs)
    return envelope(f"{SCAN}/{operation}Response",
                    f"<wscn:{operation}Response><wscn:{listed}>{found}</wscn:{listed}></wscn:{operation}Response>")


def get_scanner_elements(*names, **more):
    """Returns a GetScannerElements request."""
    wanted = "".join(f"<wscn:Name>{name if ':' in name else f'wscn:{name}'}</wscn:Name>" for name in names)
    return envelope(f"{SCAN}/GetScannerElements", (
        f"<wscn:GetScannerElementsRequest><wscn:RequestedElements>{wanted}</wscn:RequestedElements>"
        "</wscn:GetScannerElementsRequest>"), **more)


def scanner_elements(*names, note="", valid="true", relates_to="urn:uuid:1"):
    """Returns a GetScannerElementsResponse; each of its elements contains `note`."""
    data = "".join(f'<wscn:ElementData Name="wscn:{name}" Valid="{valid}"><wscn:{name}>{note}</wscn:{name}>'
                   "</wscn:ElementData>" for name in names)
    return envelope(f"{SCAN}/GetScannerElementsResponse", (
        f"<wscn:GetScannerElementsResponse><wscn:ScannerElements>{data}</wscn:ScannerElements>"
        "</wscn:GetScannerElementsResponse>"), relates_to=relates_to, message_id="urn:uuid:device-1")


def scanner_status(state, condition=""):
    """Returns a GetScannerElementsResponse that contains only ScannerStatus, with at most one active condition."""
    active = f"<wscn:DeviceCondition><wscn:Name>{condition}</wscn:Name></wscn:DeviceCondition>" if condition else ""
    return envelope(f"{SCAN}/GetScannerElementsResponse", (
        "<wscn:GetScannerElementsResponse><wscn:ScannerElements><wscn:ElementData Name='wscn:ScannerStatus' Valid='1'>"
        f"<wscn:ScannerStatus><wscn:ScannerState>{state}</wscn:ScannerState>"
        f"<wscn:ActiveConditions>{active}</wscn:ActiveConditions></wscn:ScannerStatus></wscn:ElementData>"
        "</wscn:ScannerElements></wscn:GetScannerElementsResponse>"))


def announcement(event, *, message_id=None):
    """Returns a notification about the scanner itself, such as ScannerStatusSummaryEvent, without contents."""
    return envelope(f"{SCAN}/{event}", f"<wscn:{event}/>", message_id=message_id)


def fault(subcode, *, code="Sender", relates_to=None, reason="No."):
    """Returns a fault of the device."""
    return envelope(f"{WSA}/fault", (
        f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value><soap:Subcode><soap:Value>{subcode}</soap:Value>"
        '</soap:Subcode></soap:Code><soap:Reason><soap:Text xml:lang="en">'
        f"{reason}</soap:Text></soap:Reason></soap:Fault>"),
        relates_to=relates_to)


def subscribe(notify_to, *, events=None, expires="PT1H", end_to=None, mode=None, dialect=f"{WSDP}/Action",
              destinations=(), parameters="", **more):
    """Returns a Subscribe; `events` are names or URIs, `destinations` pairs of context and name."""
    def reference(name, address):
        extra = f"<wsa:ReferenceParameters>{parameters}</wsa:ReferenceParameters>" if parameters else ""
        return f"<wse:{name}><wsa:Address>{address}</wsa:Address>{extra}</wse:{name}>"

    mode = f' Mode="{mode}"' if mode is not None else ""
    dialect = f' Dialect="{dialect}"' if dialect is not None else ""
    wanted = "" if events is None else (
        f"<wse:Filter{dialect}>\n {' '.join(e if ':' in e or not dialect else f'{SCAN}/{e}' for e in events)} "
        "</wse:Filter>")
    listed = "".join(
        f"<wscn:ScanDestination><wscn:ClientDisplayName>{name}</wscn:ClientDisplayName>"
        f"<wscn:ClientContext>{context}</wscn:ClientContext></wscn:ScanDestination>" for context, name in destinations)
    return envelope(f"{WSE}/Subscribe", (
        "<wse:Subscribe>" + (reference("EndTo", end_to) if end_to else "")
        + f"<wse:Delivery{mode}>{reference('NotifyTo', notify_to)}</wse:Delivery>"
        + (f"<wse:Expires>{expires}</wse:Expires>" if expires is not None else "") + wanted
        + (f"<wscn:ScanDestinations>{listed}</wscn:ScanDestinations>" if destinations else "") + "</wse:Subscribe>"),
        **more)


def manage(action, identifier=None, *, expires=None, inside=False, **more):
    """Returns a Renew, GetStatus or Unsubscribe, with the identifier as a header, or in the body if `inside` is true.
    """
    named = f"<wse:Identifier>{identifier}</wse:Identifier>" if identifier else ""
    expires = f"<wse:Expires>{expires}</wse:Expires>" if expires is not None else ""
    return envelope(f"{WSE}/{action}", f"<wse:{action}>{named if inside else ''}{expires}</wse:{action}>",
                    headers="" if inside else named, **more)
