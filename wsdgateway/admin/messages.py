"""A message of an exchange for people: indented, its secrets and names covered."""

from lxml import etree

from wsdgateway.exchangelog.masking import Masks
from wsdgateway.soap.parsing import Malformed, parse


def show(body: bytes, masks: Masks, *, cut: bool) -> str:
    """The body as text. XML is indented; what is `cut`, or no XML, is shown as it is."""
    covered = masks.content(body)
    if not cut:
        try:
            root = parse(covered)
        except Malformed:
            pass
        else:
            etree.indent(root)
            return etree.tostring(root, encoding="unicode")
    return covered.decode("utf-8", "replace")
