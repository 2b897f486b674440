"""The binding of SOAP 1.2 to HTTP: checks requests, and makes the answers with an envelope or a fault.

SOAP 1.2 part 2, section 7; RFC 3902 for the media type.
"""

from wsdgateway.bridge.decisions import Answer
from wsdgateway.http.answers import HTTPAnswer, plain
from wsdgateway.http.messages import is_soap
from wsdgateway.http.requests import Request
from wsdgateway.soap.envelope import CONTENT_TYPE
from wsdgateway.soap.faults import Fault, write_fault

POST_ONLY = plain(405, "SOAP requests must use POST.", (b"Allow", b"POST"))
NOT_SOAP = plain(415, "The Content-Type must be application/soap+xml (SOAP 1.2).")
SOAP_FIELDS = ((b"Content-Type", CONTENT_TYPE),)


def check_post(request: Request) -> HTTPAnswer | None:
    """Return the answer 405 to a request that is not a POST, else None."""
    return None if request.method == b"POST" else POST_ONLY


def check_soap(request: Request) -> HTTPAnswer | None:
    """Return the answer 405 or 415 to a request whose method or media type is not that of SOAP, else None."""
    if request.method != b"POST":
        return POST_ONLY
    return None if is_soap(request.content_type) else NOT_SOAP


def soap_answer(answer: Answer) -> HTTPAnswer:
    """Make the answer with an envelope of the gateway, or a cached one."""
    content_type = answer.content_type
    fields = SOAP_FIELDS if content_type is CONTENT_TYPE else ((b"Content-Type", content_type),)
    return HTTPAnswer(200, answer.body, fields)


def soap_fault(fault: Fault, relates_to: str | None, message_id: str) -> HTTPAnswer:
    """Make the answer with a fault."""
    body = write_fault(fault, relates_to=relates_to, message_id=message_id)
    return HTTPAnswer(fault.status, body, SOAP_FIELDS, fault.name)
