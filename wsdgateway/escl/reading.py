"""Reads eSCL documents liberally: any prefixes, either of the two namespaces for an element, and any order.

Some clients make the eSCL namespace the default, redeclare it on children, or write an element with the other of the
two. Elements of other namespaces are vendors' and are ignored. Values are bounded: texts that are too long or numbers
that cannot be read count as missing.
"""

import re
from collections.abc import Iterator

from lxml import etree

from wsdgateway.soap.parsing import Malformed, parse, text_of

SCAN = "http://schemas.hp.com/imaging/escl/2011/05/03"
PWG = "http://www.pwg.org/schemas/2010/12/sm"
MAX_BODY = 65536  # bytes of a document
MAX_TEXT = 256  # characters of a value
MAX_VALUES = 256  # in a list

# Lengths and factors; some clients write 2480.0.
_NUMBER = re.compile(r"([+-]?[0-9]{1,9})(?:\.[0-9]*)?")


class Unreadable(Exception):
    """The bytes are not the expected document; the text says why. `too_large` is true for more than `MAX_BODY`."""

    def __init__(self, why: str, *, too_large: bool = False) -> None:
        super().__init__(why)
        self.too_large = too_large


def parse_document(data: bytes, name: str) -> etree._Element:
    """The root of a document with that local name. Raises `Unreadable`, also for a document type declaration."""
    if len(data) > MAX_BODY:
        raise Unreadable(f"the document has more than {MAX_BODY} bytes", too_large=True)
    try:
        root = parse(data)
    except Malformed as problem:
        raise Unreadable(str(problem)) from None
    if root.tag not in _tags(name):
        raise Unreadable(f"the root element must be {name} of eSCL")
    return root


def _tags(name: str) -> tuple[str, str]:
    return f"{{{SCAN}}}{name}", f"{{{PWG}}}{name}"


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """The children with that local name, at most `MAX_VALUES`."""
    for count, found in enumerate(element.iterchildren(*_tags(name))):
        if count == MAX_VALUES:
            return
        yield found


def child(element: etree._Element | None, *names: str) -> etree._Element | None:
    """The first child with one of the local names, the first name before the others."""
    if element is None:
        return None
    return next((found for name in names for found in children(element, name)), None)


def descendant(element: etree._Element | None, *path: str) -> etree._Element | None:
    """The first child of the first child and so on, by their local names."""
    for name in path:
        element = child(element, name)
    return element


def text(element: etree._Element | None, *names: str) -> str | None:
    """The trimmed text of a child; None if it is missing, empty or longer than `MAX_TEXT`."""
    value = text_of(child(element, *names))
    return value if value is not None and len(value) <= MAX_TEXT else None


def texts(element: etree._Element | None, *names: str) -> tuple[str, ...]:
    """The texts of all children with one of the local names, each once."""
    if element is None:
        return ()
    found = (text_of(one) for name in names for one in children(element, name))
    return tuple(dict.fromkeys(value for value in found if value and len(value) <= MAX_TEXT))[:MAX_VALUES]


def number(element: etree._Element | None, *names: str) -> int | None:
    """The value of a child as a number, without its fraction; None if it has none of at most nine digits."""
    found = _NUMBER.fullmatch(text(element, *names) or "")
    return None if found is None else int(found[1])


def count(element: etree._Element | None, *names: str) -> int | None:
    """The value of a child as a number that is not negative."""
    value = number(element, *names)
    return value if value is not None and value >= 0 else None


def truth(element: etree._Element | None, name: str) -> bool | None:
    """The value of a child as a truth value; None if it has none."""
    return as_truth(text(element, name))


def as_truth(value: str | None) -> bool | None:
    """The truth value in a text, in any case; None if it is none."""
    return {"true": True, "1": True, "false": False, "0": False}.get((value or "").strip().lower())
