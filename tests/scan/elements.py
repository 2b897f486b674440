"""Elements as they stand in a message."""

from tests.messages import envelope
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import parse

OLD = "http://schemas.microsoft.com/windows/2006/01/wdp/scan"
FULL = JobStatus("253", "Processing", ("JobScanning", "VendorReason"), 4, "2006-01-24T11:34:35.8345Z",
                 "2006-01-24T11:37:05Z")


def element(xml):
    """An element by itself."""
    return parse(f"<r xmlns:wscn='{WSCN}'>{xml}</r>".encode())[0]


def body(data):
    """The Body of a message."""
    return read(data).body


def body_around(xml):
    """A message's Body around elements."""
    return body(envelope("x", xml))


MANY = " ".join(f'xmlns:v{number}="http://maker.example/ws/a/long/namespace/{number}"' for number in range(70))
