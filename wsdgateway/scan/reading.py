"""Reads WS-Scan elements liberally: with any prefix and white space, and attributes with or without prefix.

WS-Scan, "WSD Scan Service Job and Document Elements".
"""

from copy import deepcopy

from lxml import etree

from wsdgateway.scan.operations import WSCN_2006_01
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import text_of

_WSCN = f"{{{WSCN}}}"


def tag(name: str) -> str:
    """The WS-Scan element of that name in lxml's notation."""
    return _WSCN + name


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first child of that WS-Scan name."""
    # iterchildren is C, find is Python: half a microsecond instead of one and a half, on every status read.
    return next(element.iterchildren(_WSCN + name), None)


def text(element: etree._Element, name: str) -> str | None:
    """The trimmed text of a child; None if it is missing or empty."""
    return text_of(next(element.iterchildren(_WSCN + name), None))


MAX_ID = 256


def identifier(element: etree._Element, name: str) -> str | None:
    """The trimmed text of a child with a JobId, state or time; None if it is missing or longer than `MAX_ID`."""
    value = text(element, name)
    return value if value is not None and len(value) <= MAX_ID else None


def number(element: etree._Element, name: str) -> int | None:
    """A child's value as a count; None if it is missing or not a number of at most nine digits."""
    value = text(element, name)
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return int(value)


def signed_number(element: etree._Element, name: str) -> int | None:
    """A child's value as a number with an optional sign; None as for `number`."""
    value = text(element, name)
    digits = "" if value is None else value[1:] if value[0] in "+-" else value
    if value is None or not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return None
    return int(value)


def attribute(element: etree._Element, name: str) -> str | None:
    """An attribute, unqualified or qualified, trimmed."""
    value = element.get(name)
    if value is None:
        value = element.get(_WSCN + name)
    return None if value is None else value.strip()


def is_qualified(element: etree._Element, name: str) -> bool:
    """Return whether the attribute is written with a prefix."""
    return element.get(name) is None and element.get(_WSCN + name) is not None


def wanted_name(element: etree._Element, value: str) -> str | None:
    """The WS-Scan name in a QName in text; None if it is a vendor's.

    A name without prefix counts as WS-Scan's own, since some clients omit the prefix.
    """
    prefix, colon, local = value.rpartition(":")
    if not colon:
        return local
    return local if element.nsmap.get(prefix) == WSCN else None


def in_current_namespace(body: etree._Element) -> etree._Element:
    """The element, or a copy without the namespace that some devices took from the specification's web pages."""
    former = f"{{{WSCN_2006_01}}}"
    if next(body.iter(f"{former}*"), None) is None:
        return body
    copy = deepcopy(body)
    for element in copy.iter(f"{former}*"):
        element.tag = f"{{{WSCN}}}{etree.QName(element).localname}"
        for name, value in element.attrib.items():
            if str(name).startswith(former):
                element.set(_WSCN + str(name).removeprefix(former), value)
    return copy
