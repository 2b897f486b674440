"""ProbeMatches of scanners."""

from tests.wire import UUID
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.writing import write_matches


def matches(relates_to, service=None):
    return write_matches("ProbeMatches", [service or TargetService(UUID, (), (), ("http://198.51.100.20/x",), 1)],
                         version=WS_2005_04, sequence=Sequence(5, 1), relates_to=relates_to, message_id="urn:uuid:m")
