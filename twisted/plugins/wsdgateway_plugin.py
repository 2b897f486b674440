"""The plugins for `twistd`: the gateway and the virtual scanner."""

from twisted.application.service import ServiceMaker

wsdgateway = ServiceMaker(
    "wsdgateway", "wsdgateway.app.tap", "Gateway for WSD scanners across networks", "wsdgateway")
wsdscanner = ServiceMaker(
    "wsdscanner", "wsdgateway.simulator.tap", "Virtual WSD scanner", "wsdscanner")
