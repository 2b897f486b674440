"""Discovery messages in the styles of several makers, with different prefixes, white space, default namespaces and
versions.

They follow the specification and styles seen in the field; no message is copied from a real device.
"""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
UUID = "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"

# Windows: white space and line breaks inside every element.
WINDOWS_PROBE = f"""<?xml version="1.0" encoding="utf-8" ?>
<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}" xmlns:wsd="{WSD}"
    xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof">
<soap:Header>
    <wsa:To>
        urn:schemas-xmlsoap-org:ws:2005:04:discovery
    </wsa:To>
    <wsa:Action>
        {WSD}/Probe
    </wsa:Action>
    <wsa:MessageID>
        urn:uuid:29cf10da-5c41-4d55-b184-5ee15e38ce23
    </wsa:MessageID>
</soap:Header>
<soap:Body>
    <wsd:Probe>
        <wsd:Types>
            wsdp:Device
        </wsd:Types>
    </wsd:Probe>
</soap:Body>
</soap:Envelope>""".encode()

# Windows looks for a proxy of version 1.1 with a message of 2005/04.
WINDOWS_PROXY_PROBE = WINDOWS_PROBE.replace(b"wsdp:Device", b"d11:DiscoveryProxy").replace(
    b"<wsd:Types>", b'<wsd:Types xmlns:d11="http://docs.oasis-open.org/ws-dd/ns/discovery/2008/09">')

# gSOAP: all namespaces declared on the Envelope, prefixes of its own, several addresses in one line.
GSOAP_PROBE_MATCHES = (
    f'<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="{SOAP}" '
    f'xmlns:SOAP-ENC="http://www.w3.org/2003/05/soap-encoding" xmlns:wsadis="{WSA}" xmlns:wsdis="{WSD}" '
    'xmlns:devprof="http://schemas.xmlsoap.org/ws/2006/02/devprof" '
    'xmlns:scn="http://schemas.microsoft.com/windows/2006/08/wdp/scan" '
    'xmlns:prt="http://schemas.microsoft.com/windows/2006/08/wdp/print"><SOAP-ENV:Header>'
    "<wsadis:MessageID>urn:uuid:00000000-0000-1000-8000-001b82aa0001</wsadis:MessageID>"
    '<wsadis:RelatesTo RelationshipType="wsadis:Reply">urn:uuid:asked</wsadis:RelatesTo>'
    f'<wsadis:To SOAP-ENV:mustUnderstand="true">{WSA}/role/anonymous</wsadis:To>'
    f'<wsadis:Action SOAP-ENV:mustUnderstand="true">{WSD}/ProbeMatches</wsadis:Action>'
    '<wsdis:AppSequence InstanceId="1763800000" MessageNumber="7" SequenceId="urn:uuid:5"></wsdis:AppSequence>'
    "</SOAP-ENV:Header><SOAP-ENV:Body><wsdis:ProbeMatches><wsdis:ProbeMatch><wsadis:EndpointReference>"
    f"<wsadis:Address>{UUID}</wsadis:Address></wsadis:EndpointReference>"
    "<wsdis:Types>devprof:Device prt:PrintDeviceType scn:ScanDeviceType</wsdis:Types>"
    "<wsdis:Scopes>ldap:///ou=floor3,o=acme http://acme.example/floor/3</wsdis:Scopes>"
    "<wsdis:XAddrs>http://198.51.100.20:80/StableWSDiscoveryEndpoint/x http://[fe80::21b:82ff:feaa:1]:80/x</wsdis:XAddrs>"
    "<wsdis:MetadataVersion>3</wsdis:MetadataVersion></wsdis:ProbeMatch></wsdis:ProbeMatches></SOAP-ENV:Body>"
    "</SOAP-ENV:Envelope>").encode()

# A small printer: default namespaces, a comment, a type with an undeclared prefix, no AppSequence.
DEFAULT_NAMESPACE_HELLO = (
    f'<Envelope xmlns="{SOAP}"><Header><Action xmlns="{WSA}">{WSD}/Hello</Action>'
    f'<MessageID xmlns="{WSA}">uuid:1</MessageID></Header><Body><!-- up --><Hello xmlns="{WSD}">'
    f'<EndpointReference xmlns="{WSA}"><Address>{UUID}</Address></EndpointReference>'
    '<Types xmlns:s="http://schemas.microsoft.com/windows/2006/08/wdp/scan">s:ScanDeviceType vnd:Scanner</Types>'
    "<MetadataVersion>\n 12 \n</MetadataVersion></Hello></Body></Envelope>").encode()

BYE = (
    f'<?xml version="1.0"?><s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}" xmlns:d="{WSD}"><s:Header>'
    f"<a:Action>{WSD}/Bye</a:Action><a:MessageID>urn:uuid:9</a:MessageID>"
    f'<d:AppSequence InstanceId="5" MessageNumber="6"/></s:Header><s:Body><d:Bye><a:EndpointReference>'
    f"<a:Address>{UUID}</a:Address></a:EndpointReference></d:Bye></s:Body></s:Envelope>").encode()

# Version 1.1, with its own version of WS-Addressing.
RESOLVE_1_1 = (
    f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://www.w3.org/2005/08/addressing" '
    'xmlns:d="http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"><s:Header>'
    "<a:Action>http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01/Resolve</a:Action>"
    "<a:MessageID>urn:uuid:r</a:MessageID><a:To>urn:docs-oasis-open-org:ws-dd:ns:discovery:2009:01</a:To></s:Header>"
    f"<s:Body><d:Resolve><a:EndpointReference><a:Address>{UUID}</a:Address></a:EndpointReference></d:Resolve></s:Body>"
    "</s:Envelope>").encode()
