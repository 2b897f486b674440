"""Tests of scan.scannerconfiguration: a scanner's capabilities; also the virtual scanner's status and default ticket.
"""

import pytest

from tests.scan.elements import element
from wsdgateway.scan.documentparameters import DocumentParameters, Exposure, read_parameters
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, SourceOffer, read_configuration
from wsdgateway.scan.scannerstatus import DeviceCondition, ScannerStatus, read_status
from wsdgateway.simulator.conditions import KINDS
from wsdgateway.simulator.description import scanner_elements
from wsdgateway.simulator.scannerstatus import Status
from wsdgateway.simulator.settings import Settings


def part(prefix, widths=(), heights=(), colors=(), size=None):
    def listed(name, values):
        return f"<wscn:{name}s>" + "".join(f"<wscn:{name}> {value}\n</wscn:{name}>" for value in values) + (
            f"</wscn:{name}s>")
    dots = f"<wscn:{prefix}Resolutions>{listed('Width', widths)}{listed('Height', heights)}</wscn:{prefix}Resolutions>"
    color = "".join(f"<wscn:ColorEntry>{value}</wscn:ColorEntry>" for value in colors)
    largest = "" if size is None else (f"<wscn:{prefix}MaximumSize><wscn:Width>{size[0]}</wscn:Width><wscn:Height>"
                                       f"{size[1]}</wscn:Height></wscn:{prefix}MaximumSize>")
    return f"{dots}<wscn:{prefix}Color>{color}</wscn:{prefix}Color>{largest}"


def configuration(inside):
    return read_configuration(element(f"<wscn:ScannerConfiguration>{inside}</wscn:ScannerConfiguration>"))


def test_the_virtual_scanners_own_configuration():
    status = Status(later=None, wall=lambda: 1e9, publish=lambda event, body: None, scanning=lambda: False,
                    on_end=lambda: None)
    for kind in ("lamp-error", "attention", "jam"):
        status.begin(KINDS[kind])
    found = {name: element(xml) for name, xml in scanner_elements(Settings(), status=status.element()).items()}
    offered = read_configuration(found["ScannerConfiguration"])
    assert list(offered.sources) == ["Platen", "ADF", "ADFDuplex"]
    assert offered.sources["ADFDuplex"] == offered.sources["Platen"] == SourceOffer(
        (75, 100, 150, 200, 300, 600), ("RGB24", "Grayscale8", "BlackAndWhite1"), (8500, 11700), (100, 100),
        (600, 600))
    assert (offered.formats, offered.auto_detect) == (("jfif", "exif", "png"), False)
    assert read_status(found["ScannerStatus"]) == ScannerStatus(
        "Stopped", ("LampError", "AttentionRequired", "MediaJam"), (
            DeviceCondition("LampError", "Critical", "1", "Platen"),
            DeviceCondition("MediaJam", "Critical", "2", "ADF")))
    default = read_parameters(next(found["DefaultScanTicket"].iter("{*}DocumentParameters")))
    assert default == DocumentParameters(
        "jfif", "Platen", 1, "RGB24", 150, (8270, 11690), quality=85, content_type="Auto", exposure=Exposure(),
        scaling=(100, 100), rotation=0)


def test_only_resolutions_of_both_directions_count():
    assert configuration("<wscn:Platen>" + part("Platen", (600, 300, "x", 300, 0), (300, 0)) + "</wscn:Platen>") == (
        ScannerConfiguration((), {"Platen": SourceOffer((300,))}))


@pytest.mark.parametrize(("duplex", "back", "resolutions"), [
    ("1", part("ADF", (300,), (), ("RGB24",)), (300,)),
    ("true", "", (200, 300)), ("0", "", None), (" false", "", None)])
def test_duplex_offers_the_capabilities_of_both_sides(duplex, back, resolutions):
    offered = configuration(
        f"<wscn:ADF><wscn:ADFSupportsDuplex>{duplex}</wscn:ADFSupportsDuplex><wscn:ADFFront>"
        f"{part('ADF', (200, 300), (), ('RGB24', 'Grayscale8'))}</wscn:ADFFront><wscn:ADFBack>{back}</wscn:ADFBack>"
        "</wscn:ADF>")
    found = offered.sources.get("ADFDuplex")
    assert (None if found is None else found.resolutions) == resolutions
    assert "Platen" not in offered.sources


@pytest.mark.parametrize(("size", "expected"), [
    ((8500, 11700), (8500, 11700)), ((14000, 8500), (8500, 14000)), ((8500, 8500), (8500, 8500))])
def test_the_width_of_a_source_is_the_shorter_side(size, expected):
    least = ("<wscn:PlatenMinimumSize><wscn:Width>2000</wscn:Width><wscn:Height>1000</wscn:Height>"
             "</wscn:PlatenMinimumSize>")
    found = configuration(f"<wscn:Platen>{part('Platen', size=size)}{least}</wscn:Platen>").sources["Platen"]
    assert found.maximum == expected
    assert found.minimum == ((2000, 1000) if size == expected else (1000, 2000))


@pytest.mark.parametrize("xml", [
    "", "<wscn:Platen/>", "<wscn:ADF/>", "<wscn:Film><wscn:FilmColor/></wscn:Film>", "<wscn:DeviceSettings/>",
    "<wscn:Platen><wscn:PlatenMaximumSize><wscn:Width>big</wscn:Width></wscn:PlatenMaximumSize></wscn:Platen>"])
def test_missing_capabilities_are_not_invented(xml):
    assert all(offer == SourceOffer() for offer in configuration(xml).sources.values())


def test_adjustments_and_optical_resolutions():
    offered = configuration(
        "<wscn:DeviceSettings><wscn:CompressionQualityFactorSupported><wscn:MinValue>20</wscn:MinValue>"
        "<wscn:MaxValue>100</wscn:MaxValue></wscn:CompressionQualityFactorSupported><wscn:ContentTypesSupported>"
        "<wscn:ContentTypeValue>Auto</wscn:ContentTypeValue><wscn:ContentTypeValue>Mixed</wscn:ContentTypeValue>"
        "</wscn:ContentTypesSupported><wscn:BrightnessSupported>1</wscn:BrightnessSupported><wscn:ContrastSupported>"
        "true</wscn:ContrastSupported></wscn:DeviceSettings><wscn:Platen><wscn:PlatenOpticalResolution><wscn:Width>600"
        "</wscn:Width><wscn:Height>2400</wscn:Height></wscn:PlatenOpticalResolution></wscn:Platen>")
    assert offered == ScannerConfiguration((), {"Platen": SourceOffer(optical=(600, 2400))}, False, (20, 100),
                                           ("Auto", "Mixed"), True, True)


@pytest.mark.parametrize("limits", [("50", "20"), ("0", "101"), ("", "100"), ("-1", "100")])
def test_an_impossible_range_of_quality_is_left_out(limits):
    lowest, highest = limits
    assert configuration(
        "<wscn:DeviceSettings><wscn:CompressionQualityFactorSupported>"
        f"<wscn:MinValue>{lowest}</wscn:MinValue><wscn:MaxValue>{highest}</wscn:MaxValue>"
        "</wscn:CompressionQualityFactorSupported></wscn:DeviceSettings>").quality is None


def test_the_length_of_lists_is_limited():
    formats = "<wscn:FormatValue>a</wscn:FormatValue>" * 1000 + f"<wscn:FormatValue>{'x' * 1000}</wscn:FormatValue>"
    offered = configuration(f"<wscn:DeviceSettings><wscn:FormatsSupported>{formats}</wscn:FormatsSupported>"
                            "</wscn:DeviceSettings>")
    assert offered.formats == ("a",) * 256
