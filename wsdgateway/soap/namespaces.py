"""Defines every namespace URI and its customary prefix.

DPWS 2006/02, WS-Addressing 2004/08 (and 2005/08, only for WS-Discovery 1.1), WS-Eventing 2004/08, WS-Scan 2006/08.
"""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSA_2005_08 = "http://www.w3.org/2005/08/addressing"
WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
WSD_CD1 = "http://docs.oasis-open.org/ws-dd/ns/discovery/2008/09"
WSD_1_1 = "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"
WSDP = "http://schemas.xmlsoap.org/ws/2006/02/devprof"
WSX = "http://schemas.xmlsoap.org/ws/2004/09/mex"
WXF = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSE = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
WSCN = "http://schemas.microsoft.com/windows/2006/08/wdp/scan"
PNPX = "http://schemas.microsoft.com/windows/pnpx/2005/10"
XOP = "http://www.w3.org/2004/08/xop/include"
GATEWAY = "urn:wsdgateway"  # of the gateway's own faults, and of the type by which other gateways recognise stand-ins
STAND_IN_TYPE = "StandIn"

PREFIXES = {
    "soap": SOAP,
    "wsa": WSA,
    "wsd": WSD,
    "wsdp": WSDP,
    "wsx": WSX,
    "wse": WSE,
    "wscn": WSCN,
    "gateway": GATEWAY,
}


def qualified(prefix: str, local: str) -> str:
    """The name of an element in lxml's notation, `{uri}local`."""
    return f"{{{PREFIXES[prefix]}}}{local}"
