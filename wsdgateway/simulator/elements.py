"""Writes the ElementData of an answer to GetScannerElements or GetJobElements, one for each name in the request.

WS-Scan, RequestedElements, ElementData: a name that the scanner does not know is answered with Valid="false".
"""

import re
from collections.abc import Mapping

from lxml import etree

from wsdgateway.scan.jobelements import MAX_NAMES, write_element_data
from wsdgateway.scan.reading import child, tag, wanted_name
from wsdgateway.soap.faults import Refused, invalid_args
from wsdgateway.soap.parsing import escape, text_of

_NAME = re.compile(r"(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)", re.ASCII)


def write_requested(body: etree._Element, known: Mapping[str, str]) -> str:
    """The ElementData for each Name in a request, or for every element if it contains none. Raises `Refused`.

    `known` has the scanner's elements as XML.
    """
    requested = child(body, "RequestedElements")
    names = [] if requested is None else requested.findall(tag("Name"))
    if len(names) > MAX_NAMES:
        raise Refused(invalid_args(f"RequestedElements must contain at most {MAX_NAMES} Name elements."))
    if not names:
        return "".join(write_element_data(name, xml, qualified=False) for name, xml in known.items())
    return "".join(_data(element, known) for element in names)


def _data(element: etree._Element, known: Mapping[str, str]) -> str:
    written = text_of(element) or ""
    name = wanted_name(element, written)
    if name is not None and name in known:
        return write_element_data(name, known[name], qualified=False)
    found = _NAME.fullmatch(written)
    uri = element.nsmap.get(found[1]) if found else None
    if found is None or (found[1] and uri is None):
        raise Refused(invalid_args(f"{written[:200]!r} must be the qualified name of an element."))
    if name is not None:
        return f'<wscn:ElementData Name="wscn:{name}" Valid="false"/>'
    prefix = "vendor" if found[1] == "wscn" else found[1]
    return f'<wscn:ElementData xmlns:{prefix}="{escape(uri or "")}" Name="{prefix}:{found[2]}" Valid="false"/>'
