"""Defines SOAP faults: the gateway's general faults, and the reading and writing of faults.

The faults of WS-Eventing are in `eventing.faults`; the fault of a rule or limit is defined beside its check. A fault
with another prefix needs an entry in `namespaces.PREFIXES`.

SOAP 1.2 part 1, section 5.4; the codes are those of WS-Addressing, WS-Eventing and WS-Scan.
"""

import attrs

from wsdgateway.soap.addressing import ANONYMOUS, FAULT_ACTION
from wsdgateway.soap.envelope import DoubledHeader, Envelope, compose, read_leniently
from wsdgateway.soap.namespaces import PREFIXES, SOAP
from wsdgateway.soap.parsing import Malformed, escape, text_of

MAX_NAME = 200  # characters of a fault's name, which is logged and shown


@attrs.frozen
class Fault:
    """A fault and the HTTP status that it is sent with.

    `code` is `Sender`, `Receiver` or `MustUnderstand`; `subcode` is a name with one of the known prefixes, such as
    `wscn:InvalidArgs`, or empty; `detail` is XML with the same prefix, `headers` XML that declares its own.
    """

    code: str
    subcode: str
    reason: str
    status: int = 500
    detail: str = ""
    headers: str = ""

    @property
    def name(self) -> str:
        """The local name of the most specific code, as `fault_of` reads it."""
        return self.subcode.rpartition(":")[2] or self.code


class Refused(Exception):
    """The request is refused with a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def invalid_args(reason: str) -> Fault:
    """The fault for a message that can't be read, or has values out of range."""
    return Fault("Sender", "wscn:InvalidArgs", reason, 400)


def unreadable(message: str, problem: Malformed) -> Fault:
    """The fault for a message that is not SOAP, or whose headers contradict each other.

    `message` is "request" or "notification".

    WS-Addressing 2004/08, section 4.1, defines a separate fault for the latter.
    """
    if isinstance(problem, DoubledHeader):
        return Fault("Sender", "wsa:InvalidMessageInformationHeader",
                     f"The {message} is ambiguous: {problem}; send each header once.", 400)
    return invalid_args(f"The {message} cannot be read: {problem}.")


def action_missing() -> Fault:
    """The fault for a message without wsa:Action. WS-Addressing 2004/08, section 4.2."""
    return Fault("Sender", "wsa:MessageInformationHeaderRequired",
                 "The header wsa:Action is missing; send it with the operation's URI.", 400)


def message_id_missing() -> Fault:
    """The fault for a request without MessageID. WS-Addressing 2004/08, sections 3.1 and 4.2."""
    return Fault("Sender", "wsa:MessageInformationHeaderRequired",
                 "The header wsa:MessageID is missing; send one with each Probe and Resolve.", 400)


def action_not_supported(action: str) -> Fault:
    """The fault for an action that is not served at this address. WS-Addressing 2004/08, section 4.4."""
    return Fault("Sender", "wsa:ActionNotSupported",
                 f"The action {action[:200]} is not supported at this address; send it to the scan service.", 400)


def temporary_error(reason: str) -> Fault:
    """The fault if the scanner can't be asked now; the same request may succeed later."""
    return Fault("Receiver", "wscn:ServerErrorTemporaryError", reason)


def internal_error(reason: str) -> Fault:
    """The fault if the scanner's answer is unusable; the same request will probably fail again."""
    return Fault("Receiver", "wscn:ServerErrorInternalError", reason)


def write_fault(fault: Fault, *, relates_to: str | None, message_id: str) -> bytes:
    """Write the message with a fault."""
    prefix = fault.subcode.partition(":")[0]
    subcode = f"<soap:Subcode><soap:Value>{fault.subcode}</soap:Value></soap:Subcode>" if fault.subcode else ""
    detail = f"<soap:Detail>{fault.detail}</soap:Detail>" if fault.detail else ""
    body = (
        f"<soap:Fault><soap:Code><soap:Value>soap:{fault.code}</soap:Value>{subcode}</soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="en">{escape(fault.reason)}</soap:Text></soap:Reason>'
        f"{detail}</soap:Fault>"
    )
    return compose(action=FAULT_ACTION, message_id=message_id, to=ANONYMOUS, relates_to=relates_to, body=body,
                   headers=fault.headers, namespaces={} if prefix in ("wsa", "") else {prefix: PREFIXES[prefix]})


def reason_of(envelope: Envelope) -> str:
    """The reason text of a fault; empty if there is none."""
    text = None if envelope.body is None else envelope.body.find(f"{{{SOAP}}}Reason/{{{SOAP}}}Text")
    return text_of(text) or ""


def fault_in(data: bytes, charset: str | None = None) -> str | None:
    """The name of the fault in a message's bytes, as `fault_of`; None also for unreadable bytes.

    `charset` is that of the Content-Type. Bytes that cannot contain a fault are not parsed.
    """
    if b"Fault" not in data and b"\x00" not in data:
        return None
    try:
        return fault_of(read_leniently(data, charset))
    except Malformed:
        return None


def fault_of(envelope: Envelope) -> str | None:
    """The local name of a fault's most specific code, cut after `MAX_NAME` characters; None if the body is not a fault.

    This is the innermost Subcode, else the Code: `ClientErrorJobIdNotFound`, `Sender`.
    """
    body = envelope.body
    if body is None or body.tag != f"{{{SOAP}}}Fault":
        return None
    values = [text_of(value) or "" for value in body.iterfind(f"{{{SOAP}}}Code//{{{SOAP}}}Value")]
    return values[-1].rpartition(":")[2][:MAX_NAME] if values else ""
