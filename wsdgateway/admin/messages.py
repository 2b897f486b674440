"""Formats a message of an exchange for display: indented, with secrets and names masked."""

from lxml import etree

from wsdgateway.exchangelog.masking import Masks
from wsdgateway.soap.parsing import Malformed, parse


def show(body: bytes, masks: Masks, *, cut: bool) -> str:
    """The body as text. XML is indented; a body that is `cut`, or is not XML, is shown as it is."""
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
