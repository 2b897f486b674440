"""A target service for tests, as read from discovery messages."""

from wsdgateway.discovery.messages import TargetService
from wsdgateway.soap.namespaces import WSDP

ONE = TargetService("urn:uuid:A", ((WSDP, "Device"),), ("http://floor/3",), ("http://198.51.100.20/x",), 1)
