"""Reads and writes the destinations that a client shows on the scanner's panel, and the scanner's tokens for them.

WS-Scan: ScanDestinations in a Subscribe, DestinationResponses in its answer, DestinationToken in CreateScanJob.
"""

from collections.abc import Iterable, Mapping

import attrs
from lxml import etree

from wsdgateway.scan.operations import WSCN_2006_01
from wsdgateway.scan.reading import child, tag, text
from wsdgateway.soap.fragments import write_fragment
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import escape

MAX_DESTINATIONS = 64
MAX_XML = 65536  # characters, without namespace declarations
MAX_TOKEN = 1024


@attrs.frozen
class Destinations:
    """A client's ScanDestinations: the element as a fragment, and each destination's context and name."""

    xml: str
    listed: tuple[tuple[str, str], ...]


def read_destinations(subscribe: etree._Element) -> Destinations | None:
    """The ScanDestinations in a Subscribe, None if there are none.

    Destinations in the namespace that some clients copied from the specification's web pages are accepted, too, and
    stay in it.
    """
    for uri in (WSCN, WSCN_2006_01):
        element = next(subscribe.iterchildren(f"{{{uri}}}ScanDestinations"), None)
        if element is not None:
            listed = []
            for destination in element.iterchildren(f"{{{uri}}}ScanDestination"):
                parts = {etree.QName(part).localname: (part.text or "").strip()
                         for part in destination.iterchildren(tag=etree.Element)}
                listed.append((parts.get("ClientContext", ""),
                               parts.get("ClientDisplayName", parts.get("ClientDisplayString", ""))))
            return Destinations(write_fragment(element), tuple(listed))
    return None


def _responses(response: etree._Element | None) -> etree._Element | None:
    return None if response is None else child(response, "DestinationResponses")


def read_tokens(response: etree._Element | None) -> tuple[tuple[str, str], ...]:
    """Context and token of each DestinationResponse in a SubscribeResponse."""
    listed = _responses(response)
    if listed is None:
        return ()
    found = ((text(element, "ClientContext") or "", text(element, "DestinationToken"))
             for element in listed.iterchildren(tag("DestinationResponse")))
    return tuple((context, token) for context, token in found if token is not None and len(token) <= MAX_TOKEN)


def write_responses(response: etree._Element | None, given: Mapping[str, str]) -> str:
    """The DestinationResponses of a SubscribeResponse as XML, with other tokens where `given` has them."""
    listed = _responses(response)
    if listed is None:
        return ""
    for element in listed.iter(tag("DestinationToken")):
        token = (element.text or "").strip()
        if token in given:
            element.text = given[token]
    return write_fragment(listed)


def token_of(create: etree._Element | None) -> str | None:
    """The DestinationToken in a CreateScanJobRequest."""
    return None if create is None else text(create, "DestinationToken")


def replace_token(create: etree._Element, token: str) -> None:
    """Put another DestinationToken into a CreateScanJobRequest."""
    element = child(create, "DestinationToken")
    assert element is not None
    element.text = token


def write_tokens(tokens: Iterable[tuple[str, str]]) -> str:
    """DestinationResponses with each context and its token, as XML; empty for none."""
    listed = "".join(
        f"<wscn:DestinationResponse><wscn:ClientContext>{escape(context)}</wscn:ClientContext>"
        f"<wscn:DestinationToken>{escape(token)}</wscn:DestinationToken></wscn:DestinationResponse>"
        for context, token in tokens)
    return f'<wscn:DestinationResponses xmlns:wscn="{WSCN}">{listed}</wscn:DestinationResponses>' if listed else ""
