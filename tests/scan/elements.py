"""Elements of WS-Scan for tests, from text."""

from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import parse


def element(xml):
    """The element, which may use the prefix wscn; None if there is none."""
    return next(iter(parse(f"<r xmlns:wscn='{WSCN}'>{xml}</r>".encode())), None)


def body(data):
    """The first element in a message's Body."""
    return read(data).body
