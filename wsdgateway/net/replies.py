"""A scanner's answer: whether it is relayed or collected, how it counts, and reading it whole.

RFC 9110 section 15; SOAP 1.2 part 2, table 20 has a fault travel with status 400 or 500. Some devices send it with 200.
"""

from wsdgateway.bridge.decisions import Forward, Reply
from wsdgateway.http.messages import FRAMING, charset_of, end_to_end, first, is_soap, media_type
from wsdgateway.metrics import FAULT, OK
from wsdgateway.net.answerwatch import check_document
from wsdgateway.net.devicecall import Response
from wsdgateway.net.failures import BadDevice
from wsdgateway.scan.operations import RETRIEVE_IMAGE
from wsdgateway.soap.envelope import read
from wsdgateway.soap.parsing import Malformed


def outcome_of(status: int, fault: str | None) -> str:
    """The `outcome` label for an answer with that status and that fault in it."""
    return OK if status < 400 and fault is None else FAULT


def is_streamed(response: Response, forward: Forward) -> bool:
    """An image, or something unknown that may be as large; what is learnt from is held back."""
    if forward.learns:
        return False
    media = media_type(first(response.head.headers, b"content-type"))
    if response.call.operation is RETRIEVE_IMAGE:
        return not media.endswith((b"+xml", b"/xml")) and not media.startswith(b"text/")
    return media.startswith((b"multipart/", b"image/")) or media == b"application/octet-stream"


async def read_reply(response: Response) -> Reply:
    """The whole answer. Raises `DeviceError`, also for one with a document type declaration.

    A SOAP answer that ends by closing must be whole to count.
    """
    body = await response.collect()
    head = response.head
    content_type = first(head.headers, b"content-type") or b""
    check_document(response.peer, content_type, body)
    if not head.framed and is_soap(content_type):
        try:
            read(body, charset_of(content_type))
        except Malformed as error:
            raise BadDevice(response.peer, f"it broke off: {error}") from None
    return Reply(head.status, content_type, body, head.reason, tuple(end_to_end(head.headers, FRAMING)))
