"""Reads the description of a scanner: its metadata if its device endpoint is known, else its ScannerDescription.

WS-Transfer 2004/09, section 3.1; WS-Scan, GetScannerElements.
"""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.health.causes import NO_SUCH_SERVICE, not_a_scanner, told
from wsdgateway.discovery.identity import is_same, is_uuid
from wsdgateway.metadata.messages import scan_service_addresses, write_get
from wsdgateway.metadata.standin import find_metadata, host_endpoint, is_stand_in
from wsdgateway.net.presence.description import Description
from wsdgateway.net.scanners.address import reachable
from wsdgateway.net.scanners.soapclient import SendRequest
from wsdgateway.net.transport.errors import BadDevice, DeviceError, Unavailable
from wsdgateway.scan.operations import GET_METADATA, GET_SCANNER_ELEMENTS
from wsdgateway.scan.scannerelements import read_description, write_description_request
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

MAX_METADATA = 131072  # four times what Windows accepts


async def read_metadata(send: SendRequest, url: str, new_id: Callable[[], str], endpoint: str | None = None,
                        to: str | None = None) -> Envelope:
    """The answer of the device at that URL to WS-Transfer Get.

    `endpoint` is its endpoint address in its own spelling, if it is known; an answer of another device is rejected.
    Without it, the request is addressed to `to`, or to the endpoint derived from the URL. Raises `DeviceError`.
    """
    request = write_get(to=endpoint or to or endpoint_of(url), message_id=new_id())
    reply = await send(url, GET_METADATA, request)
    try:
        return _metadata_in(reply, url, endpoint)
    except DeviceError as error:
        error.sent = True
        raise


def _metadata_in(reply: Reply, url: str, endpoint: str | None) -> Envelope:
    if len(reply.body) > MAX_METADATA:
        raise BadDevice(url, f"its metadata is larger than {MAX_METADATA} bytes")
    answer = _whole(url, reply)
    metadata = find_metadata(answer.body)
    if metadata is None:
        raise BadDevice(url, not_a_scanner("its answer to Get is not metadata"))
    if endpoint is not None and is_stand_in(metadata):
        raise BadDevice(url, told("a gateway's stand-in is at this address instead of the scanner", reached=True))
    endpoint_told = host_endpoint(metadata)
    if endpoint is not None and endpoint_told is not None and not is_same(endpoint_told, endpoint):
        raise BadDevice(url, told(f"another device is at this address, {endpoint_told}", reached=True))
    return answer


def scan_address(envelope: Envelope, url: str) -> str | None:
    """The scan service's address in metadata that was read at that URL; None if it contains no scan service.

    The result has the URL's host, whatever host the metadata gives: a service may have an address for each interface of
    the device, and the one with the URL's own host is preferred. For metadata read over TLS, https addresses are
    preferred.
    """
    addresses = scan_service_addresses(envelope)
    if url.startswith("https:"):
        addresses = tuple(one for one in addresses if one.startswith("https:")) or addresses
    host = _host_of(url)
    here = [address for address in addresses if _host_of(address) == host]
    return reachable((*here, *addresses)[0], url) if addresses else None


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def describe_scanner(send: SendRequest, url: str, new_id: Callable[[], str],
                           learn: Callable[[Envelope | None, Reply], None] = lambda *_: None) -> Description:
    """The description that the scan service at that URL gives of its scanner. Raises `DeviceError`.

    `learn` is called with the answer, whatever it is; the envelope is None if it is not SOAP.
    """
    reply = await send(url, GET_SCANNER_ELEMENTS, write_description_request(to=url, message_id=new_id()))
    try:
        found = read_description(_whole(url, reply, learn).body)
        if found is None:
            raise BadDevice(url, "its answer contains no ScannerDescription")
    except DeviceError as error:
        error.sent = True
        raise
    return Description(None, *found)


def _whole(url: str, reply: Reply,
           learn: Callable[[Envelope | None, Reply], None] = lambda *_: None) -> Envelope:
    """The envelope in an answer. Raises `DeviceError` for a fault, an error status or an unreadable answer."""
    try:
        envelope = reply.read()
    except Malformed as error:
        learn(None, reply)
        if reply.status >= 400:
            why = f"it answered {reply.status}"
            cause = not_a_scanner(why) if reply.status in NO_SUCH_SERVICE else told(why, reached=True)
            raise Unavailable(url, why, cause=cause) from None
        raise BadDevice(url, f"its description cannot be read: {error}",
                        cause=not_a_scanner("its answer is not SOAP")) from None
    learn(envelope, reply)
    fault = fault_of(envelope)
    if fault is not None or reply.status >= 400:
        raise Unavailable(url, told(f"it answered {fault or reply.status}", reached=True))
    return envelope


def uuid_of(url: str) -> str | None:
    """The endpoint address with the uuid in a URL's path; None if there is none."""
    last = unquote(urlsplit(url).path.rpartition("/")[2])
    if not is_uuid(last):
        return None
    return last if ":" in last else f"urn:uuid:{last}"


def endpoint_of(url: str) -> str:
    """The endpoint address of the device at that URL: the uuid in its path, else the URL itself."""
    return uuid_of(url) or url
