"""Tests of metadata.standin: a stand-in's metadata is the scanner's own, with all addresses replaced."""

import pytest
from lxml import etree

from wsdgateway.metadata.messages import offers
from wsdgateway.metadata.standin import digest, find_metadata, host_endpoint, is_stand_in, make_metadata, stand_in
from wsdgateway.soap.namespaces import GATEWAY, PNPX, STAND_IN_TYPE, WSA, WSCN, WSDP, WSX
from wsdgateway.soap.parsing import parse

W, A, X = f"{{{WSDP}}}", f"{{{WSA}}}", f"{{{WSX}}}"
PRINT = "http://schemas.microsoft.com/windows/2006/08/wdp/print"

# Metadata of a multi-function device: print and scan, addresses of two interfaces, other prefixes, vendor elements.
METADATA = f"""<m:Metadata xmlns:m="{WSX}" xmlns:dp="{WSDP}" xmlns:a="{WSA}" xmlns:s="{WSCN}" xmlns:p="{PRINT}"
 xmlns:pnpx="{PNPX}" xmlns:v="urn:vendor">
<m:MetadataSection Dialect="{WSDP}/ThisModel"><dp:ThisModel><dp:Manufacturer>Acme</dp:Manufacturer>
<dp:ManufacturerUrl>http://www.acme.example/</dp:ManufacturerUrl>
<dp:PresentationUrl> http://198.51.100.20:80/index.html </dp:PresentationUrl>
<pnpx:DeviceCategory>Scanners MFP</pnpx:DeviceCategory><v:Admin href="https://SCANNER.example/admin" kind="x"/>
<v:Links>http://198.51.100.20/a http://www.acme.example/b</v:Links><!-- http://198.51.100.20/c --><?v 198.51.100.20?>
<v:Text>See (http://198.51.100.20/) or 198.51.100.201 there<v:B/>or at SCANNER.example now</v:Text>
</dp:ThisModel></m:MetadataSection>
<m:MetadataSection Dialect="{WSDP}/Relationship"><dp:Relationship Type="{WSDP}/host"><dp:Host><a:EndpointReference>
<a:Address>urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366</a:Address></a:EndpointReference>
<dp:Types>s:ScanDeviceType p:PrintDeviceType</dp:Types></dp:Host>
<dp:Hosted><a:EndpointReference><a:Address><!-- x -->http://198.51.100.20:80/WDP/SCAN</a:Address></a:EndpointReference>
<a:EndpointReference><a:Address>http://203.0.113.9:80/WDP/SCAN</a:Address></a:EndpointReference>
<dp:Types>s:ScannerServiceType</dp:Types><dp:ServiceId>http://198.51.100.20/scan</dp:ServiceId><pnpx:HardwareId>ACME_1</pnpx:HardwareId>
</dp:Hosted><dp:Hosted><a:EndpointReference><a:Address>http://198.51.100.20/print</a:Address></a:EndpointReference>
<dp:Types>p:PrinterServiceType</dp:Types></dp:Hosted></dp:Relationship></m:MetadataSection></m:Metadata>"""
SCAN = "http://192.0.2.5:5357/front-desk/scan"


@pytest.fixture
def rewritten():
    source = etree.fromstring(METADATA)
    before = etree.tostring(source)
    text = stand_in(source, endpoint="urn:uuid:ours", scan=SCAN,
                    hosts=frozenset({"scanner.example", "192.0.2.5"}))
    assert etree.tostring(source) == before
    return etree.fromstring(text)


def test_the_addresses_are_the_gateways(rewritten):
    assert host_endpoint(rewritten) == "urn:uuid:ours"
    [hosted] = rewritten.iter(f"{W}Hosted")
    assert [address.text for address in hosted.iter(f"{A}Address")] == [SCAN]
    text = etree.tostring(rewritten, encoding="unicode")
    assert "198.51.100.20" not in text.replace("198.51.100.201", "")
    assert "scanner.example" not in text.lower()
    assert "203.0.113" not in text
    assert "print" not in text.replace(PRINT, "")
    assert rewritten.find(f".//{W}PresentationUrl") is None


def test_unused_prefixes_are_left_out():
    many = " ".join(f'xmlns:km{number}="http://maker.example/ws/{number}"' for number in range(46))
    source = etree.fromstring(METADATA.replace("<m:Metadata ", f"<m:Metadata {many} "))
    text = stand_in(source, endpoint="urn:uuid:ours", scan=SCAN, hosts=frozenset())
    assert "km" not in text
    metadata = etree.fromstring(text)
    hosted = metadata.find(f".//{W}Hosted/{W}Types")
    assert (hosted.text, hosted.nsmap["s"]) == ("s:ScannerServiceType", WSCN)


def test_types_without_prefix_keep_their_default_namespace():
    source = etree.fromstring(METADATA.replace("s:ScannerServiceType", "ScannerServiceType").replace(
        "<m:Metadata ", f'<m:Metadata xmlns="{WSCN}" '))
    text = stand_in(source, endpoint="urn:uuid:ours", scan=SCAN, hosts=frozenset())
    hosted = parse(f'<e xmlns="urn:other">{text}</e>'.encode()).find(f".//{W}Hosted/{W}Types")
    assert (hosted.text, hosted.nsmap[None]) == ("ScannerServiceType", WSCN)


@pytest.mark.parametrize(("name", "declared", "expected"), [
    ("q:ScannerServiceType", "", "s:ScannerServiceType"), ("ScannerServiceType", "", "s:ScannerServiceType"),
    ("v:Other q:ScannerServiceType", "", "v:Other s:ScannerServiceType"),
    ("q:ScannerServiceType", "urn:other", "wscn:ScannerServiceType"),
    ("q:ScannerServiceType", 'urn:other" xmlns:wscn="urn:a" xmlns:wscn0="urn:b', "wscn1:ScannerServiceType")])
def test_the_stand_in_declares_the_prefix_that_the_scanner_does_not(name, declared, expected):
    source = METADATA.replace("s:ScannerServiceType", name)
    if declared:
        source = source.replace(f'xmlns:s="{WSCN}"', f'xmlns:s="{declared}"')
    text = stand_in(etree.fromstring(source), endpoint="urn:uuid:ours", scan=SCAN, hosts=frozenset())
    [types] = parse(text.encode()).iterfind(f".//{W}Hosted/{W}Types")
    assert types.text == expected
    assert types.nsmap[expected.split()[-1].partition(":")[0]] == WSCN


def test_names_beyond_ascii_are_supported():
    source = etree.fromstring(METADATA.replace("v:Admin", "v:Gerät").replace("xmlns:v=", "xmlns:é='urn:e' xmlns:v="))
    metadata = parse(stand_in(source, endpoint="urn:uuid:ours", scan=SCAN, hosts=frozenset()).encode())
    assert metadata.find(".//{urn:vendor}Gerät") is not None
    assert digest(source) == digest(parse(etree.tostring(source, encoding="utf-8")))


def test_everything_else_is_the_scanners(rewritten):
    assert rewritten.findtext(f".//{W}ManufacturerUrl") == "http://www.acme.example/"
    assert rewritten.findtext(f".//{{{PNPX}}}DeviceCategory") == "Scanners MFP"
    assert rewritten.findtext(f".//{{{PNPX}}}HardwareId") == "ACME_1"
    admin = rewritten.find(".//{urn:vendor}Admin")
    assert dict(admin.attrib) == {"kind": "x"}
    assert rewritten.findtext(".//{urn:vendor}Links") == "http://www.acme.example/b"
    assert rewritten.findtext(".//{urn:vendor}Text") == "See or 198.51.100.201 there"
    assert rewritten.find(".//{urn:vendor}B").tail == "or at now"
    assert rewritten.findtext(f".//{W}ServiceId") == "urn:uuid:ours/scan"
    types = rewritten.find(f".//{W}Hosted/{W}Types")
    assert types.nsmap[types.text.partition(":")[0]] == WSCN


def test_metadata_made_by_the_gateway():
    made = etree.fromstring(make_metadata(endpoint="urn:uuid:ours", name="Copy <room>", info="", scan=SCAN))
    assert find_metadata(made) is made
    assert host_endpoint(made) == "urn:uuid:ours"
    assert made.findtext(f".//{W}FriendlyName") == "Copy <room>"
    assert made.findtext(f".//{W}ModelName") == "Copy <room>"
    assert made.findtext(f".//{W}Hosted//{A}Address") == SCAN
    assert made.findtext(f".//{{{PNPX}}}CompatibleId") == f"{WSCN}/ScannerServiceType"
    assert find_metadata(etree.fromstring("<x/>")) is None
    assert find_metadata(None) is None


def test_a_host_without_reference_gets_one():
    source = etree.fromstring(f'<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:Relationship><d:Host/></d:Relationship>'
                              "</m:Metadata>")
    assert host_endpoint(source) is None
    assert host_endpoint(etree.fromstring(stand_in(source, endpoint="urn:x", scan=SCAN, hosts=frozenset()))) == "urn:x"


# A style seen in the field: no Host, prefixes of the device's own, two addresses for each service.
HOSTLESS = f"""<met:Metadata xmlns:met="{WSX}" xmlns:prof="{WSDP}" xmlns:adr="{WSA}" xmlns:scan="{WSCN}"
 xmlns:prn="{PRINT}">
<met:MetadataSection Dialect="{WSDP}/Relationship"><prof:Relationship Type="{WSDP}/host">
<prof:Hosted><adr:EndpointReference><adr:Address>http://198.51.100.20:5358/Scan</adr:Address></adr:EndpointReference>
<adr:EndpointReference><adr:Address>http://[fe80::20]:5358/Scan</adr:Address></adr:EndpointReference>
<prof:Types>scan:ScannerServiceType</prof:Types><prof:ServiceId>uri:5/Scan</prof:ServiceId></prof:Hosted>
<prof:Hosted><adr:EndpointReference><adr:Address>http://198.51.100.20:5358/Print</adr:Address></adr:EndpointReference>
<prof:Types>prn:PrinterServiceType</prof:Types></prof:Hosted></prof:Relationship></met:MetadataSection>
</met:Metadata>"""


@pytest.mark.parametrize("text", [
    HOSTLESS,
    HOSTLESS.replace(f' xmlns:scan="{WSCN}"', "").replace("Types>scan:", f'Types xmlns:scan="{WSCN}">scan:'),
    HOSTLESS.replace("scan:", "wscn:").replace("xmlns:scan", "xmlns:wscn").replace("prn:", "gateway:").replace(
        "xmlns:prn", "xmlns:gateway")])
def test_metadata_without_a_host_gets_one_with_the_mark(text):
    source = etree.fromstring(text)
    assert host_endpoint(source) is None
    metadata = parse(stand_in(source, endpoint="urn:uuid:ours", scan=SCAN, hosts=frozenset()).encode())
    assert host_endpoint(metadata) == "urn:uuid:ours"
    assert is_stand_in(metadata)
    relationship = metadata.find(f".//{W}Relationship")
    assert [child.tag for child in relationship] == [f"{W}Host", f"{W}Hosted"]
    host, hosted = relationship
    assert [child.tag for child in host] == [f"{A}EndpointReference", f"{W}Types", f"{W}ServiceId"]
    types = host.find(f"{W}Types")
    named = {(types.nsmap[prefix], local) for prefix, _, local in (
        name.partition(":") for name in types.text.split())}
    assert named == {(WSCN, "ScanDeviceType"), (GATEWAY, STAND_IN_TYPE)}
    assert offers(hosted.find(f"{W}Types"), "ScannerServiceType")
    assert [one.text for one in hosted.iter(f"{A}Address")] == [SCAN]


def named(friendly, *, model="Acme 3000", suffix="", hosts=frozenset()):
    """Returns the FriendlyNames that clients see."""
    source = etree.fromstring(f"""<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}"><d:ThisDevice>{friendly}</d:ThisDevice>
<d:ThisModel><d:ModelName>{model}</d:ModelName><d:PresentationUrl>http://198.51.100.20/</d:PresentationUrl></d:ThisModel>
</m:Metadata>""")
    metadata = parse(stand_in(source, endpoint="urn:uuid:ours", scan=SCAN, hosts=hosts, suffix=suffix,
                          name="front-desk").encode())
    return [one.text for one in metadata.iter(f"{W}FriendlyName")]


@pytest.mark.parametrize("friendly", [
    "198.51.100.20", "198.51.100.20:80", "http://198.51.100.20/", "203.0.113.9", "fe80::21b", "[2001:db8::20]:80", "",
    "scanner.example", "<!-- 198.51.100.20 -->198.51.100.20"])
def test_a_friendly_name_that_is_an_address_is_replaced_by_the_model(friendly):
    hosts = frozenset({"scanner.example"})
    friendly = f'<d:FriendlyName xml:lang="en">{friendly}</d:FriendlyName>'
    assert named(friendly, hosts=hosts) == ["Acme 3000"]
    assert named(friendly, hosts=hosts, suffix=" (gateway)") == ["Acme 3000 (gateway)"]
    for model in ("", "198.51.100.20", "http://scanner.example/"):
        assert named(friendly, model=model, hosts=hosts, suffix=" (gateway)") == ["front-desk (gateway)"]


def test_only_the_address_is_removed_from_a_friendly_name():
    names = '<d:FriendlyName xml:lang="en">Hall (198.51.100.20)</d:FriendlyName><d:FriendlyName>Halle</d:FriendlyName>'
    assert named(names, suffix=" (gateway)") == ["Hall (gateway)", "Halle (gateway)"]


def test_an_address_in_the_text_after_a_changed_element_is_removed():
    metadata = parse(METADATA.replace("</dp:ThisModel>", (
        "<dp:FriendlyName>MFP</dp:FriendlyName>at http://198.51.100.20/ now</dp:ThisModel>")).encode())
    made = parse(stand_in(metadata, endpoint="urn:uuid:ours", scan=SCAN, hosts=frozenset(), suffix=" (x)").encode())
    name = made.find(f".//{W}FriendlyName")
    assert (name.text, name.tail.strip()) == ("MFP (x)", "at now")


def test_the_host_name_is_kept_where_it_has_another_meaning():
    metadata = parse(f"""<m:Metadata xmlns:m="{WSX}" xmlns:d="{WSDP}" xmlns:p="{PNPX}" xmlns:v="vendor">
<d:ThisModel><d:Manufacturer>EPSON</d:Manufacturer><d:ModelName>Epson WF-1</d:ModelName>
<d:PresentationUrl>http://EPSON12.local/</d:PresentationUrl><v:Page>http://epson/x</v:Page>
<v:Other>http://[2001:DB8:0::20]:80/</v:Other><p:CompatibleId>{WSCN}/ScannerServiceType</p:CompatibleId></d:ThisModel>
</m:Metadata>""".encode())
    made = stand_in(metadata, endpoint="urn:uuid:ours", scan="http://gw/x/scan", hosts=frozenset({
        "epson", "scan", "2001:db8::20"}))
    assert ">EPSON<" in made
    assert ">Epson WF-1<" in made
    assert f">{WSCN}/ScannerServiceType<" in made
    for leak in ("EPSON12", "http://epson", "2001:"):
        assert leak not in made
    assert digest(metadata)  # even though one of its namespaces is no absolute URI


def test_a_stand_in_is_recognised_by_its_metadata():
    scanner = parse(METADATA.encode())
    assert not is_stand_in(scanner)
    metadata = parse(stand_in(scanner, endpoint="urn:uuid:ours", scan="http://gw/x/scan", hosts=frozenset()).encode())
    assert is_stand_in(metadata)
    assert is_stand_in(parse(make_metadata(endpoint="e", name="n", info="", scan="http://gw/x/scan").encode()))
    types = metadata.find(f".//{W}Host/{W}Types")
    assert types.text.split()[:2] == ["s:ScanDeviceType", "p:PrintDeviceType"]
    assert (types.nsmap["s"], types.nsmap["p"]) == (WSCN, PRINT)
