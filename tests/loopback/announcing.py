"""Devices on loopback that announce themselves."""

from ipaddress import ip_interface

from tests.loopback.scanners import UUID
from wsdgateway.discovery.messages import Sequence, TargetService
from wsdgateway.discovery.writing import write_hello
from wsdgateway.net.transport.interfaces import Interface

OTHER = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"
LO = Interface("lo", 1, (ip_interface("127.0.0.1/8"),))


def hello(own_link, device, instance=1, number=1, version=1, xaddrs=None, endpoint=UUID):
    xaddrs = (f"http://127.0.0.1:{device.port}/d",) if xaddrs is None else xaddrs
    own_link.announce(write_hello(TargetService(endpoint, (), (), xaddrs, version), sequence=Sequence(instance, number),
                             message_id=f"urn:uuid:test-{instance}-{number}"))


def has_asked_for_adoption(service):
    """Whether the gateway has sent a Get to a device that it may adopt, and has decided."""
    return service.discovery.adoption.is_idle and any(
        (one.entry.source, one.entry.operation, one.entry.scanner) == ("own", "Get", None)
        for one in service.recording.log.since(0))


SPELLED = [UUID.removeprefix("urn:"), UUID.upper(), f"uuid:{UUID[9:].upper()}", f"urn:uuid:{{{UUID[9:]}}}"]
ADOPT = {"discovery": {"adopt": True, "search": 0.5, "device_interfaces": ["lo"]}}
