"""Asks a scanner what it is: its metadata where its device endpoint is known, else its ScannerDescription.

WS-Transfer 2004/09, section 3.1; WS-Scan, GetScannerElements.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from wsdgateway.bridge.decisions import Reply
from wsdgateway.metadata.messages import write_get
from wsdgateway.metadata.standin import find_metadata, host_endpoint, is_stand_in
from wsdgateway.net.deviceside import Own
from wsdgateway.net.failures import BadDevice, Unavailable
from wsdgateway.net.standin import Described
from wsdgateway.scan.operations import GET_METADATA, GET_SCANNER_ELEMENTS
from wsdgateway.scan.scannerelements import read_description, write_description_request
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

MAX_METADATA = 131072  # four times what Windows takes


async def read_metadata(own: Own, url: str, new_id: Callable[[], str], endpoint: str | None = None) -> Envelope:
    """The answer of the device at that URL, whose endpoint address may be known, to WS-Transfer Get.

    Raises `DeviceError`, also if another device answers there.
    """
    request = write_get(to=endpoint or endpoint_of(url), message_id=new_id())
    reply = await own(url, GET_METADATA, request)
    if len(reply.body) > MAX_METADATA:
        raise BadDevice(url, f"its metadata is larger than {MAX_METADATA} bytes")
    answer = _whole(url, reply)
    metadata = find_metadata(answer.body)
    if metadata is None:
        raise BadDevice(url, "it answered Get with something else than metadata")
    if endpoint is not None and is_stand_in(metadata):
        raise BadDevice(url, "a gateway's stand-in is there, not the scanner itself")
    told = host_endpoint(metadata)
    if endpoint is not None and told is not None and told.lower() != endpoint.lower():
        raise BadDevice(url, f"another device is there, {told}")
    return answer


async def describe_device(own: Own, url: str, new_id: Callable[[], str], endpoint: str | None = None) -> Described:
    """What the device at that URL says of itself. Raises `DeviceError`."""
    return Described(find_metadata((await read_metadata(own, url, new_id, endpoint)).body))


async def describe_scanner(own: Own, url: str, new_id: Callable[[], str]) -> Described:
    """What the scan service at that URL says of its scanner. Raises `DeviceError`."""
    reply = await own(url, GET_SCANNER_ELEMENTS, write_description_request(to=url, message_id=new_id()))
    found = read_description(_whole(url, reply).body)
    if found is None:
        raise BadDevice(url, "it did not tell its ScannerDescription")
    return Described(None, *found)


def _whole(url: str, reply: Reply) -> Envelope:
    """The envelope in an answer. Raises `DeviceError` for a fault, a refusal, and what can't be read."""
    try:
        envelope = read(reply.body, reply.charset)
    except Malformed as error:
        if reply.status >= 400:
            raise Unavailable(url, f"it answered {reply.status}") from None
        raise BadDevice(url, f"what it tells of itself can't be read: {error}") from None
    fault = fault_of(envelope)
    if fault is not None or reply.status >= 400:
        raise Unavailable(url, f"it answered {fault or reply.status}")
    return envelope


def uuid_of(url: str) -> str | None:
    """The endpoint address that the uuid in a URL's path stands for, if there is one."""
    last = urlsplit(url).path.rpartition("/")[2]
    parts = last.split("-")
    if [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(c in "0123456789abcdefABCDEF-" for c in last):
        return f"urn:uuid:{last}"
    return None


def endpoint_of(url: str) -> str:
    """The endpoint reference's address of the device at that URL: the uuid in its path, else the URL itself."""
    return uuid_of(url) or url
