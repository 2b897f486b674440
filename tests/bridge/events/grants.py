"""A subscription granted by a scanner."""

from wsdgateway.eventing.messages import Granted
from wsdgateway.soap.addressing import EndpointReference

MANAGER = EndpointReference("http://device/manager")
GRANTED = Granted(MANAGER, 600.0)
