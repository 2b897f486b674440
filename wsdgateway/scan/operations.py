"""Defines the operations and events of WS-Scan, and how the gateway may treat each one.

WS-Scan, "WSD Scan Service Operation Elements"; WS-Eventing's requests are included since they are sent to the same
address.
"""

import attrs
from lxml import etree

from wsdgateway.soap.namespaces import WSCN, WSE, WXF


@attrs.frozen
class Operation:
    """An operation and the properties that determine how the gateway treats it.

    `repeatable`: it is idempotent, so it may use an idle connection and be sent again if that breaks. `urgent`: it must
    not wait behind a running image. `learns`: its answer contains information about jobs, and is held back until the
    bridge has learnt from it. `common`: many clients send the same request, and may share one answer.
    """

    name: str
    repeatable: bool = False
    urgent: bool = False
    learns: bool = False
    common: bool = False


OTHER = Operation("other")
CREATE_SCAN_JOB = Operation("CreateScanJob", learns=True)
RETRIEVE_IMAGE = Operation("RetrieveImage")
CANCEL_JOB = Operation("CancelJob", urgent=True, learns=True)
GET_JOB_ELEMENTS = Operation("GetJobElements", repeatable=True, learns=True)
GET_ACTIVE_JOBS = Operation("GetActiveJobs", repeatable=True, learns=True, common=True)
GET_JOB_HISTORY = Operation("GetJobHistory", repeatable=True, learns=True, common=True)
GET_SCANNER_ELEMENTS = Operation("GetScannerElements", repeatable=True, common=True)
VALIDATE_SCAN_TICKET = Operation("ValidateScanTicket", repeatable=True)

SUBSCRIBE = Operation("Subscribe")
RENEW = Operation("Renew", repeatable=True, urgent=True)
GET_STATUS = Operation("GetStatus", repeatable=True)
UNSUBSCRIBE = Operation("Unsubscribe", urgent=True)
GET_METADATA = Operation("Get", repeatable=True)

SCAN_OPERATIONS = (CREATE_SCAN_JOB, RETRIEVE_IMAGE, CANCEL_JOB, GET_JOB_ELEMENTS, GET_ACTIVE_JOBS,
                   GET_JOB_HISTORY, GET_SCANNER_ELEMENTS, VALIDATE_SCAN_TICKET)
EVENTING_OPERATIONS = (SUBSCRIBE, RENEW, GET_STATUS, UNSUBSCRIBE)

# Some clients copied this namespace from the specification's web pages; most devices refuse it.
WSCN_2006_01 = "http://schemas.microsoft.com/windows/2006/01/wdp/scan"

_BY_ACTION = {
    **{f"{uri}/{operation.name}": operation for operation in SCAN_OPERATIONS for uri in (WSCN, WSCN_2006_01)},
    **{f"{WSE}/{operation.name}": operation for operation in EVENTING_OPERATIONS},
    f"{WXF}/Get": GET_METADATA,
}

# At least one client omits `Request`.
_BY_ELEMENT = {f"{{{uri}}}{operation.name}{ending}": operation for operation in SCAN_OPERATIONS
               for uri in (WSCN, WSCN_2006_01) for ending in ("Request", "")}

SCAN_AVAILABLE = "ScanAvailableEvent"
JOB_STATUS = "JobStatusEvent"
JOB_END_STATE = "JobEndStateEvent"
SCANNER_ELEMENTS_CHANGE = "ScannerElementsChangeEvent"
SCANNER_STATUS_SUMMARY = "ScannerStatusSummaryEvent"
SCANNER_STATUS_EVENTS = (SCANNER_STATUS_SUMMARY, "ScannerStatusConditionEvent", "ScannerStatusConditionClearedEvent")
EVENTS = (JOB_STATUS, JOB_END_STATE, SCANNER_ELEMENTS_CHANGE, *SCANNER_STATUS_EVENTS, SCAN_AVAILABLE)
# The names of exchanges that belong to WS-Scan.
NAMES = (*(one.name for one in (*SCAN_OPERATIONS, *EVENTING_OPERATIONS, GET_METADATA)), *EVENTS)
# Every notation of an event in clients' Filters, and its action.
EVENT_SPELLINGS = {spelling: f"{WSCN}/{event}" for event in EVENTS
                   for spelling in (event, f"{WSCN}/{event}", f"{WSCN_2006_01}/{event}")}


def operation_of(action: str) -> Operation:
    """The operation that an action names; `OTHER` for an unknown one."""
    return _BY_ACTION.get(action, OTHER)


def operation_in(body: etree._Element | None) -> Operation | None:
    """The WS-Scan operation that the element in a Body requests; None for anything else."""
    return None if body is None else _BY_ELEMENT.get(str(body.tag))


def event_of(action: str) -> str | None:
    """The event that an action names, also in the notation of the specification's web pages; None for anything else."""
    spelling = EVENT_SPELLINGS.get(action)
    return None if spelling is None else spelling.rpartition("/")[2]


def action_of(name: str) -> str:
    """The action of a WS-Scan operation or event."""
    return f"{WSCN}/{name}"
