"""Rewrites the addresses in requests and answers that pass through the gateway.

WS-Addressing 2004/08, section 3. `wsa:To` becomes the device's address if it named the gateway; ReplyTo and FaultTo
become the anonymous address, since answers are sent on the same connection. If nothing must change, the bytes are
passed on unchanged.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from lxml import etree

from wsdgateway.bridge.decisions import Refuse
from wsdgateway.discovery.identity import is_same
from wsdgateway.scan.destinations import replace_token
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.encodings import bare
from wsdgateway.soap.envelope import Envelope, read_leniently, write
from wsdgateway.soap.faults import invalid_args
from wsdgateway.soap.namespaces import WSA, WSA_2005_08
from wsdgateway.soap.parsing import Malformed, set_text, text_of

_ADDRESS = f"{{{WSA}}}Address"
REPLIES = (f"{{{WSA}}}ReplyTo", f"{{{WSA}}}FaultTo")

MAX_ADDRESS = 2048


def names_gateway(address: str, scanner: str, hosts: frozenset[str]) -> bool:
    """Return whether an address is one of the gateway's for that scanner, by one of its authorities or by its path.

    The path alone is enough, since a client behind NAT uses an authority that the gateway does not know.
    """
    return len(address) <= MAX_ADDRESS and _names_gateway(address, scanner, hosts)


@lru_cache(maxsize=256)
def _names_gateway(address: str, scanner: str, hosts: frozenset[str]) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    if parts.netloc.lower() in hosts:
        return True
    before, slash, rest = parts.path[1:].partition("/")
    return before == scanner and (not slash or rest == "scan" or rest.startswith("subscriptions/"))


def make_anonymous(element: etree._Element) -> bool:
    """Set a reference to the anonymous address. Returns whether it had to be changed."""
    addresses = element.findall(_ADDRESS)
    if [text_of(address) for address in addresses] == [ANONYMOUS]:
        return False
    for other in addresses[1:]:  # the device might use any of them
        element.remove(other)
    if not addresses:
        element.text = None
        element.insert(0, etree.Element(_ADDRESS, nsmap={"wsa": WSA}))
    set_text(addresses[0] if addresses else element[0], ANONYMOUS)
    return True


def rewrite_request(envelope: Envelope, raw: bytes, *, scanner: str, hosts: frozenset[str], device: str,
                    endpoints: tuple[str, str | None] | None = None, token: str | None = None) -> bytes:
    """The request for the device at that address, with `token` as DestinationToken if one is given.

    White space and NUL around the document are removed, since many XML parsers reject them. `endpoints` are the
    stand-in's endpoint address and the device's own, None if the device does not provide one.
    """
    if envelope.header is None:
        return bare(raw)
    changed = False
    for header in envelope.header.iterchildren(tag=etree.Element):
        if header.tag == f"{{{WSA}}}To" and envelope.to and names_gateway(envelope.to, scanner, hosts):
            set_text(header, device)
            changed = True
        elif header.tag == f"{{{WSA}}}To" and endpoints is not None and is_same(envelope.to or "", endpoints[0]):
            set_text(header, endpoints[1] or device)
            changed = True
        elif header.tag in REPLIES:
            changed = make_anonymous(header) or changed
    if token is not None and envelope.body is not None:
        replace_token(envelope.body, token)
        changed = True
    return write(envelope.root) if changed else bare(raw)


def contradiction(envelope: Envelope) -> Refuse | None:
    """The refusal of a message that a scanner may interpret differently from the gateway; None for any other.

    SOAP 1.2 part 1, section 5.3 permits several elements in a Body; WS-Scan never has more than one. WS-Addressing
    permits one Action.
    """
    if envelope.body is not None and next(envelope.body.itersiblings(etree.Element), None) is not None:
        return Refuse(invalid_args("The Body contains more than one request; send each in its own message."))
    newer = None if envelope.header is None else envelope.header.find(f"{{{WSA_2005_08}}}Action")
    if newer is not None and text_of(newer) != envelope.action:
        return Refuse(invalid_args("The headers of the two versions of WS-Addressing give different actions; send "
                                   "one wsa:Action."))
    return None


def relate_reply(body: bytes, message_id: str | None, charset: str | None = None) -> bytes:
    """The SOAP answer to another client, with RelatesTo changed to this client's request.

    `charset` is that of the answer's Content-Type.
    """
    try:
        envelope = read_leniently(body, charset)
    except Malformed:
        return body
    header = None if envelope.header is None else envelope.header.find(f"{{{WSA}}}RelatesTo")
    if header is None:
        return body
    set_text(header, message_id)
    return write(envelope.root)
