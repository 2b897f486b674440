"""Elements of WS-Scan for tests, parsed from text."""

from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import parse

FULL = JobStatus("253", "Processing", ("JobScanning", "VendorReason"), 4, "2006-01-24T11:34:35.8345Z",
                 "2006-01-24T11:37:05Z")
# Declarations of many prefixes.
MANY = " ".join(f'xmlns:v{number}="http://maker.example/ws/a/long/namespace/{number}"' for number in range(70))


def element(xml):
    """Returns the element, which may use the prefix wscn, or None if there is none."""
    return next(iter(parse(f"<r xmlns:wscn='{WSCN}'>{xml}</r>".encode())), None)


def body(data):
    """Returns the first element in a message's Body."""
    return read(data).body
